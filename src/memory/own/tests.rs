//! Tests what one process counts and remembers, for how long, and which messages that locks out.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{FutureExt, future::join_all};
use tracing::level_filters::LevelFilter;
use zeroize::Zeroizing;

use super::*;
use crate::{
    codec::{
        Deviations, Envelope,
        date::{Instants, WireDate},
    },
    keyring::{self, Keyring, Pairing},
    memory::{CallName, Opening},
    telemetry::logs::{Format, tests::logged},
};

const DATE: &str = "211120261040756";

/// A pairing of `fiu` with the AA `aa`, with settings added.
fn pairing_of(fiu: &str, settings: &str) -> Arc<Pairing> {
    let text = format!(
        "[[pairing]]\nfiu = \"{fiu}\"\naa = \"aa\"\nprofile = \"iv\"\n{settings}\n\
         secrets = [{{ id = \"a\", file = \"a\" }}]"
    );
    let (keyring, _): (Keyring, _) =
        keyring::parse(&text, &|_| Ok(Zeroizing::new(b"secret".to_vec())), keyring::Absent::Refused).unwrap();
    Arc::clone(keyring.pairings().next().unwrap())
}

fn pairing(settings: &str) -> Arc<Pairing> {
    pairing_of("fiu", settings)
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn now() -> DateTime<Utc> {
    instant("2026-11-21T10:40:23.756Z")
}

/// The account of a message with `date` whose last block is all of `block`.
fn account<'a>(own: &'a Own, pairing: &'a Arc<Pairing>, date: &str, block: u32, now: DateTime<Utc>) -> Account<'a> {
    own.account(subject(pairing, date, [[0; 28].as_slice(), &block.to_be_bytes()].concat(), now))
}

/// A message with `date`. The borrowed values are never freed.
fn subject<'a>(pairing: &'a Arc<Pairing>, date: &str, ciphertext: Vec<u8>, now: DateTime<Utc>) -> Subject<'a> {
    let date = WireDate::parse(date).unwrap();
    let conventions = &pairing.conventions;
    let instants = Box::leak(Box::new(date.instants(conventions.date, conventions.read_date).unwrap()));
    let end = conventions.check_resdate.then(|| instants.last + conventions.max_age);
    let (sender, requestor_type, iv, deviations) = (String::new(), None, None, Deviations::default());
    let envelope = Box::leak(Box::new(Envelope { date, sender, requestor_type, iv, ciphertext, deviations }));
    Subject { pairing, envelope, instants, end, now, call: None }
}

/// Fails this many times, or until the memory refuses; returns how often it failed.
fn fail(account: &Account<'_>, times: usize) -> usize {
    (0..times).map_while(|_| account.begin().now_or_never().unwrap().ok()).count()
}

fn succeed(account: &Account<'_>) -> Ended {
    account.begin().now_or_never().unwrap().unwrap().end(Outcome::Opened)
}

fn opened(ended: Ended) -> Opening {
    match ended {
        Ended::Opened(opening) => opening,
        ended => panic!("{ended:?}"),
    }
}

#[test]
fn a_used_up_budget_locks_out_only_its_own_last_block_date_and_pairing() {
    let (own, pairing, other) = (Own::default(), pairing(""), pairing_of("other", ""));
    assert_eq!(fail(&account(&own, &pairing, DATE, 1, now()), 31), 31);
    assert_eq!((own.budget.spent(), own.budget.refused()), (0, 0));
    assert_eq!(fail(&account(&own, &pairing, DATE, 1, now()), 100), 1);
    assert_eq!(account(&own, &pairing, DATE, 1, now()).check(), Err(Spent));
    assert_eq!(account(&own, &pairing, DATE, 2, now()).check(), Ok(()));
    assert_eq!(account(&own, &pairing, "211120261040757", 1, now()).check(), Ok(()));
    assert_eq!(account(&own, &pairing, "21112026104023756", 1, now()).check(), Ok(()));
    assert_eq!(account(&own, &other, DATE, 1, now()).check(), Ok(()));
    assert_eq!((own.budget.spent(), own.budget.refused()), (1, 2));
}

#[test]
fn the_failure_budget_of_the_pairing_counts_and_zero_means_no_limit() {
    let own = Own::default();
    assert_eq!(fail(&account(&own, &pairing("failure_budget = 1"), DATE, 1, now()), 100), 1);
    assert_eq!(fail(&account(&own, &pairing("failure_budget = 0"), DATE, 1, now()), 10_000), 10_000);
    assert_eq!(fail(&account(&own, &pairing("failure_budget = 4096"), DATE, 2, now()), 10_000), 4095);
}

#[test]
fn a_date_is_locked_after_4096_failures_with_any_last_block() {
    let (own, pairing) = (Own::default(), pairing(""));
    for block in 0..4096 {
        assert_eq!(account(&own, &pairing, DATE, 1_000_000, now()).check(), Ok(()), "{block}");
        assert_eq!(fail(&account(&own, &pairing, DATE, block, now()), 1), 1);
    }
    assert_eq!(account(&own, &pairing, DATE, 1_000_000, now()).check(), Err(Spent));
    assert_eq!(account(&own, &pairing, "211120261040757", 1_000_000, now()).check(), Ok(()));
}

#[test]
fn successes_do_not_use_up_the_budget() {
    let (own, pairing) = (Own::default(), pairing(""));
    let account = account(&own, &pairing, DATE, 1, now());
    for _ in 0..10_000 {
        opened(succeed(&account));
    }
    assert_eq!(fail(&account, 100), 32);
}

#[test]
fn a_message_that_opens_with_the_last_block_of_another_counts_as_failed() {
    let (own, usual, unbounded) = (Own::default(), pairing(""), pairing_of("other", "failure_budget = 0"));
    let of = |pairing, date, first: u8, last: u8| {
        own.account(subject(pairing, date, [[first; 16], [last; 16]].concat(), now()))
    };
    for _ in 0..100 {
        opened(succeed(&of(&usual, DATE, 1, 9)));
    }
    opened(succeed(&of(&usual, DATE, 2, 8)));
    opened(succeed(&of(&unbounded, DATE, 1, 9)));
    for first in 3..35 {
        assert_eq!(succeed(&of(&usual, DATE, first, 9)), Ended::Failed);
        opened(succeed(&of(&usual, "211120261040757", 1, first)));
        assert_eq!(succeed(&of(&unbounded, DATE, first, 9)), Ended::Failed, "with every budget");
    }
    assert_eq!(of(&usual, DATE, 1, 9).check(), Err(Spent), "each was counted as a failure");
    assert_eq!(of(&usual, DATE, 2, 8).check(), Ok(()));
}

#[test]
fn a_reload_of_the_keyring_forgets_nothing() {
    let own = Own::default();
    fail(&account(&own, &pairing(""), DATE, 1, now()), 32);
    assert_eq!(account(&own, &pairing("handles = [\"new\"]"), DATE, 1, now()).check(), Err(Spent));
}

#[test]
fn a_used_up_counter_is_remembered_while_its_date_can_be_accepted() {
    for start in ["2026-11-21T10:37:00Z", "2026-11-21T10:39:59Z", "2026-11-21T10:44:00Z"] {
        let (own, pairing, other) = (Own::default(), pairing(""), pairing_of("other", ""));
        let (mut now, last) = (instant(start), instant("2026-11-21T10:44:00Z"));
        assert_eq!(fail(&account(&own, &pairing, DATE, 1, now), 100), 32);
        let mut block = 0;
        while now <= last {
            // Others fail with every date that is near then, so that all their epochs are in use.
            for seconds in (-180..=180).step_by(20) {
                let date = (now + TimeDelta::seconds(seconds)).format("%d%m%Y%H%M%S").to_string();
                block += 1;
                fail(&account(&own, &other, &date, block, now), 32);
            }
            assert_eq!(account(&own, &pairing, DATE, 1, now).check(), Err(Spent), "{now}");
            now += TimeDelta::seconds(1);
        }
    }
}

#[test]
fn the_cells_of_an_old_date_count_from_zero_again() {
    let (own, pairing) = (Own::default(), pairing(""));
    // The same date text, so the same cells, as long after as makes its epoch another of the same table.
    let later = |epochs: i64| {
        let by = TimeDelta::seconds(epochs * 512);
        let subject = subject(&pairing, DATE, vec![0; 16], now() + by);
        let (first, last) = (subject.instants.first + by, subject.instants.last + by);
        let instants = Box::leak(Box::new(Instants { first, last, ..*subject.instants }));
        own.account(Subject { instants, ..subject })
    };
    assert_eq!(fail(&later(0), 100), 32);
    assert_eq!(fail(&later(2), 100), 32, "no count is left of the earlier epoch");
    assert_eq!(later(2).check(), Err(Spent));
}

#[test]
fn a_date_that_is_accepted_for_ever_is_remembered_for_ever() {
    for settings in ["check_resdate = false", "max_age_seconds = 1000000000"] {
        let (own, pairing) = (Own::default(), pairing(settings));
        assert_eq!(fail(&account(&own, &pairing, DATE, 1, now()), 100), 32);
        for later in ["2026-11-21T10:43:59Z", "2026-11-21T10:44:01Z", "2026-11-22T10:00:00Z", "2056-01-01T00:00:00Z"] {
            let account = account(&own, &pairing, DATE, 1, instant(later));
            assert_eq!(account.check(), Err(Spent), "{settings} {later}");
        }
    }
}

#[test]
fn a_pairing_with_the_guidelines_window_needs_no_table_of_lasting_dates() {
    let (own, pairing) = (Own::default(), pairing(""));
    assert_eq!(fail(&account(&own, &pairing, DATE, 1, now()), 100), 32);
    assert!(own.budget.lasting.get().is_none());
}

#[test]
fn a_date_that_is_tried_far_away_and_then_near_has_two_budgets_and_no_third() {
    let (own, pairing) = (Own::default(), pairing("check_resdate = false"));
    let at = |now| account(&own, &pairing, DATE, 1, instant(now));
    assert_eq!(fail(&at("2026-11-20T00:00:00Z"), 100), 32);
    assert_eq!(fail(&at("2026-11-21T10:40:00Z"), 100), 32);
    assert_eq!(fail(&at("2026-11-22T00:00:00Z"), 100), 0);
}

#[test]
fn simultaneous_attempts_wait_for_each_other_and_successes_block_no_message() {
    let (own, pairing) = (Own::default(), pairing(""));
    let account = account(&own, &pairing, DATE, 1, now());
    let mut running: Vec<_> = (0..32).map(|_| account.begin().now_or_never().unwrap().unwrap()).collect();
    let mut next = Box::pin(account.begin());
    assert!((&mut next).now_or_never().is_none(), "32 attempts may still fail");
    opened(running.pop().unwrap().end(Outcome::Opened));
    opened((&mut next).now_or_never().unwrap().unwrap().end(Outcome::Opened));
    // The others fail: 31 of 32.
    drop((next, running));
    assert_eq!(fail(&account, 100), 1);
}

#[tokio::test]
async fn a_waiting_attempt_is_refused_if_the_attempts_before_it_fail() {
    let (own, pairing) = (Own::default(), pairing(""));
    let account = account(&own, &pairing, DATE, 1, now());
    let running: Vec<_> = (0..32).map(|_| account.begin().now_or_never().unwrap().unwrap()).collect();
    let waiting = join_all((0..1000).map(|_| account.begin()));
    let (waited, ()) = tokio::join!(waiting, async { drop(running) });
    assert!(waited.iter().all(Result::is_err));
    assert_eq!((own.budget.spent(), own.budget.refused()), (1, 1000));
}

#[test]
fn an_attempt_that_ends_in_a_panic_has_failed() {
    let (own, pairing) = (Own::default(), pairing("failure_budget = 1"));
    let account = account(&own, &pairing, DATE, 1, now());
    let attempt = account.begin().now_or_never().unwrap().unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _attempt = attempt;
        panic!("while decrypting");
    }));
    assert!(panicked.is_err());
    assert_eq!(account.check(), Err(Spent));
}

#[test]
fn a_used_up_counter_is_logged_once_and_only_with_its_pairing() {
    let (own, pairing) = (Own::default(), pairing(""));
    let log = logged(Format::Text, LevelFilter::INFO, || {
        for _ in 0..3 {
            fail(&account(&own, &pairing, DATE, 1, now()), 100);
        }
    });
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("fiu=\"fiu\" aa=\"aa\" of=\"message\"") && !log.contains(DATE), "{log}");
}

#[test]
fn a_message_made_from_another_is_logged_only_with_its_pairing() {
    let (own, pairing) = (Own::default(), pairing(""));
    let open = |first: u8| succeed(&own.account(subject(&pairing, DATE, [[first; 16], [9; 16]].concat(), now())));
    let log = logged(Format::Text, LevelFilter::INFO, || {
        opened(open(1));
        assert_eq!(open(2), Ended::Failed);
        opened(open(1));
    });
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("fiu=\"fiu\" aa=\"aa\"") && !log.contains(DATE), "{log}");
}

/// A message of two blocks whose first is all of `first`, opened in a call with this name.
fn open_named(own: &Own, pairing: &Arc<Pairing>, first: u8, name: Option<(&str, &str)>, now: DateTime<Utc>) -> Ended {
    let call = name.map(|(caller, attempt_id)| CallName { caller: Some(caller), attempt_id });
    succeed(&own.account(Subject { call, ..subject(pairing, DATE, [[first; 16], [9; 16]].concat(), now) }))
}

#[test]
fn every_later_opening_learns_of_the_first_one() {
    let (own, pairing) = (Own::default(), pairing(""));
    let at = |seconds| now() + TimeDelta::seconds(seconds);
    let open = |seconds| opened(open_named(&own, &pairing, 1, None, at(seconds)));
    assert_eq!(open(0), Opening { reopened: false, first: now() });
    for seconds in [0, 1, 100, -100] {
        assert_eq!(open(seconds), Opening { reopened: true, first: now() }, "{seconds}");
    }
}

#[test]
fn a_retry_with_the_same_name_within_a_minute_gets_the_first_answer() {
    let (own, pairing) = (Own::default(), pairing(""));
    let reopened =
        |name, seconds| opened(open_named(&own, &pairing, 1, name, now() + TimeDelta::seconds(seconds))).reopened;
    assert!(!reopened(Some(("one", "a")), 0));
    assert!(!reopened(Some(("one", "a")), 0));
    assert!(!reopened(Some(("one", "a")), 59));
    assert!(reopened(Some(("one", "b")), 1), "another call");
    assert!(reopened(Some(("two", "a")), 1), "another caller");
    assert!(reopened(None, 1));
    assert!(!reopened(Some(("one", "a")), 2), "other calls in between change nothing");
    assert!(reopened(Some(("one", "a")), 60));
}

#[test]
fn calls_without_a_name_are_not_retries_of_each_other() {
    let (own, pairing) = (Own::default(), pairing(""));
    assert!(!opened(open_named(&own, &pairing, 1, None, now())).reopened);
    assert!(opened(open_named(&own, &pairing, 1, None, now())).reopened);
}

#[test]
fn an_unexpected_message_reserves_its_last_block_is_not_opened_and_costs_no_budget() {
    let (own, pairing) = (Own::default(), pairing(""));
    let of = |first: u8| own.account(subject(&pairing, DATE, [[first; 16], [9; 16]].concat(), now()));
    for _ in 0..100 {
        let attempt = of(1);
        let attempt = attempt.begin().now_or_never().unwrap().unwrap();
        assert_eq!(attempt.end(Outcome::NotExpected), Ended::NotExpected);
    }
    assert_eq!(succeed(&of(2)), Ended::Failed);
    assert!(!opened(succeed(&of(1))).reopened);
    assert!(opened(succeed(&of(1))).reopened);
    let again = of(1);
    assert_eq!(again.begin().now_or_never().unwrap().unwrap().end(Outcome::NotExpected), Ended::NotExpected);
    assert!(opened(succeed(&of(1))).reopened, "an unexpected message does not remove the first opening");
}

#[test]
fn an_opening_is_remembered_until_its_date_expires_and_not_much_longer() {
    let (own, pairing) = (Own::default(), pairing("reopen = \"refuse\""));
    let reopened = |seconds| opened(open_named(&own, &pairing, 1, None, now() + TimeDelta::seconds(seconds))).reopened;
    // The date may name any instant until the end of its minute, 36 seconds from now.
    assert!(!reopened(0));
    assert!(reopened(36 + 180));
    assert!(reopened(36 + 180 + 58));
    assert!(!reopened(36 + 180 + 62));
}

#[test]
fn one_of_many_simultaneous_openings_is_the_first() {
    let own = Own::default();
    let pairing = pairing("");
    for last in 0..200_u8 {
        let firsts: usize = std::thread::scope(|scope| {
            let open = || {
                let message = subject(&pairing, DATE, vec![last; 16], now());
                usize::from(!opened(succeed(&own.account(message))).reopened)
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(firsts, 1, "{last}");
    }
}

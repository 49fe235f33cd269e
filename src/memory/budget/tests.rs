//! What the budget counts, for how long, and whom it shuts out.

use std::sync::Arc;

use futures_util::{FutureExt, future::join_all};
use tracing::level_filters::LevelFilter;
use zeroize::Zeroizing;

use super::*;
use crate::{
    codec::{Deviations, date::WireDate},
    keyring::{self, Keyring},
    telemetry::logs::{Format, tests::logged},
};

const DATE: &str = "211120261040756";

/// A pairing of `fiu` with the AA `aa`, with settings added.
fn pairing_of(fiu: &str, settings: &str) -> Arc<Pairing> {
    let text = format!(
        "[[pairing]]\nfiu = \"{fiu}\"\naa = \"aa\"\nprofile = \"iv\"\n{settings}\n\
         secrets = [{{ id = \"a\", file = \"a\" }}]"
    );
    let (keyring, _): (Keyring, _) = keyring::parse(&text, &|_| Ok(Zeroizing::new(b"secret".to_vec()))).unwrap();
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
fn account<'a>(budget: &'a Budget, pairing: &'a Pairing, date: &str, block: u32, now: DateTime<Utc>) -> Account<'a> {
    account_of(budget, pairing, date, [[0; 28].as_slice(), &block.to_be_bytes()].concat(), now)
}

fn account_of<'a>(
    budget: &'a Budget,
    pairing: &'a Pairing,
    date: &str,
    ciphertext: Vec<u8>,
    now: DateTime<Utc>,
) -> Account<'a> {
    let date = WireDate::parse(date).unwrap();
    let instants = date.instants(pairing.conventions.date, pairing.conventions.read_date).unwrap();
    let envelope = Envelope {
        date,
        sender: String::new(),
        requestor_type: None,
        iv: None,
        ciphertext,
        deviations: Deviations::default(),
    };
    budget.account(pairing, &envelope, &instants, now)
}

/// Fails so many times, or until that is refused; says how often it failed.
fn fail(account: &Account<'_>, times: usize) -> usize {
    (0..times).map_while(|_| account.begin().now_or_never().unwrap().ok()).count()
}

fn succeed(account: &Account<'_>) -> Result<(), Changed> {
    account.begin().now_or_never().unwrap().unwrap().succeed()
}

#[test]
fn a_spent_budget_shuts_out_its_own_last_block_date_and_pairing_only() {
    let (budget, pairing, other) = (Budget::default(), pairing(""), pairing_of("other", ""));
    assert_eq!(fail(&account(&budget, &pairing, DATE, 1, now()), 31), 31);
    assert_eq!((budget.spent(), budget.refused()), (0, 0));
    assert_eq!(fail(&account(&budget, &pairing, DATE, 1, now()), 100), 1);
    assert_eq!(account(&budget, &pairing, DATE, 1, now()).check(), Err(Spent));
    assert_eq!(account(&budget, &pairing, DATE, 2, now()).check(), Ok(()));
    assert_eq!(account(&budget, &pairing, "211120261040757", 1, now()).check(), Ok(()));
    assert_eq!(account(&budget, &pairing, "21112026104023756", 1, now()).check(), Ok(()));
    assert_eq!(account(&budget, &other, DATE, 1, now()).check(), Ok(()));
    assert_eq!((budget.spent(), budget.refused()), (1, 2));
}

#[test]
fn the_failure_budget_of_the_pairing_counts_and_zero_means_no_limit() {
    let budget = Budget::default();
    assert_eq!(fail(&account(&budget, &pairing("failure_budget = 1"), DATE, 1, now()), 100), 1);
    assert_eq!(fail(&account(&budget, &pairing("failure_budget = 0"), DATE, 1, now()), 10_000), 10_000);
    assert_eq!(fail(&account(&budget, &pairing("failure_budget = 4096"), DATE, 2, now()), 10_000), 4095);
}

#[test]
fn a_date_is_locked_after_4096_failures_with_any_last_block() {
    let (budget, pairing) = (Budget::default(), pairing(""));
    for block in 0..4096 {
        assert_eq!(account(&budget, &pairing, DATE, 1_000_000, now()).check(), Ok(()), "{block}");
        assert_eq!(fail(&account(&budget, &pairing, DATE, block, now()), 1), 1);
    }
    assert_eq!(account(&budget, &pairing, DATE, 1_000_000, now()).check(), Err(Spent));
    assert_eq!(account(&budget, &pairing, "211120261040757", 1_000_000, now()).check(), Ok(()));
}

#[test]
fn successes_spend_nothing() {
    let (budget, pairing) = (Budget::default(), pairing(""));
    let account = account(&budget, &pairing, DATE, 1, now());
    for _ in 0..10_000 {
        succeed(&account).unwrap();
    }
    assert_eq!(fail(&account, 100), 32);
}

#[test]
fn a_message_that_opens_with_the_last_block_of_another_counts_as_failed() {
    let (budget, usual, unbounded) = (Budget::default(), pairing(""), pairing_of("other", "failure_budget = 0"));
    let of = |pairing, date, first: u8, last: u8| {
        account_of(&budget, pairing, date, [[first; 16], [last; 16]].concat(), now())
    };
    for _ in 0..100 {
        assert_eq!(succeed(&of(&usual, DATE, 1, 9)), Ok(()));
    }
    for first in 2..34 {
        assert_eq!(succeed(&of(&usual, DATE, first, 9)), Err(Changed));
        assert_eq!(succeed(&of(&usual, DATE, first, 8)), if first == 2 { Ok(()) } else { Err(Changed) });
        assert_eq!(succeed(&of(&usual, "211120261040757", 1, first)), Ok(()));
        assert_eq!(succeed(&of(&unbounded, DATE, first, 9)), Ok(()));
    }
    assert_eq!(of(&usual, DATE, 1, 9).check(), Err(Spent), "each was charged");
    assert_eq!(of(&usual, DATE, 2, 8).check(), Ok(()));
}

#[test]
fn a_reload_of_the_keyring_forgets_nothing() {
    let budget = Budget::default();
    fail(&account(&budget, &pairing(""), DATE, 1, now()), 32);
    assert_eq!(account(&budget, &pairing("handles = [\"new\"]"), DATE, 1, now()).check(), Err(Spent));
}

#[test]
fn a_spent_counter_is_remembered_while_its_date_can_be_accepted_whatever_else_fails() {
    for start in ["2026-11-21T10:37:00Z", "2026-11-21T10:39:59Z", "2026-11-21T10:44:00Z"] {
        let (budget, pairing, other) = (Budget::default(), pairing(""), pairing_of("other", ""));
        let (mut now, last) = (instant(start), instant("2026-11-21T10:44:00Z"));
        assert_eq!(fail(&account(&budget, &pairing, DATE, 1, now), 100), 32);
        let mut block = 0;
        while now <= last {
            // Others fail with every date that is near then, so that all their epochs are at work.
            for seconds in (-180..=180).step_by(20) {
                let date = (now + TimeDelta::seconds(seconds)).format("%d%m%Y%H%M%S").to_string();
                block += 1;
                fail(&account(&budget, &other, &date, block, now), 32);
            }
            assert_eq!(account(&budget, &pairing, DATE, 1, now).check(), Err(Spent), "{now}");
            now += TimeDelta::seconds(1);
        }
    }
}

#[test]
fn the_cells_of_a_date_that_has_gone_count_from_nothing() {
    let (budget, pairing) = (Budget::default(), pairing(""));
    // The same date text, so the same cells, as long after as makes its epoch another of the same table.
    let later = |epochs: i64| {
        let by = TimeDelta::seconds(epochs * 512);
        let date = WireDate::parse(DATE).unwrap();
        let mut instants = date.instants(pairing.conventions.date, pairing.conventions.read_date).unwrap();
        (instants.first, instants.last) = (instants.first + by, instants.last + by);
        let (sender, ciphertext) = (String::new(), vec![0; 16]);
        let (requestor_type, iv, deviations) = (None, None, Deviations::default());
        let envelope = Envelope { date, sender, requestor_type, iv, ciphertext, deviations };
        budget.account(&pairing, &envelope, &instants, now() + by)
    };
    assert_eq!(fail(&later(0), 100), 32);
    assert_eq!(fail(&later(2), 100), 32, "nothing is left of the earlier epoch");
    assert_eq!(later(2).check(), Err(Spent));
}

#[test]
fn a_date_that_is_accepted_for_ever_is_remembered_for_ever() {
    for settings in ["check_resdate = false", "max_age_seconds = 1000000000"] {
        let (budget, pairing) = (Budget::default(), pairing(settings));
        assert_eq!(fail(&account(&budget, &pairing, DATE, 1, now()), 100), 32);
        for later in ["2026-11-21T10:43:59Z", "2026-11-21T10:44:01Z", "2026-11-22T10:00:00Z", "2056-01-01T00:00:00Z"] {
            let account = account(&budget, &pairing, DATE, 1, instant(later));
            assert_eq!(account.check(), Err(Spent), "{settings} {later}");
        }
    }
}

#[test]
fn a_pairing_with_the_guidelines_window_needs_no_table_of_lasting_dates() {
    let (budget, pairing) = (Budget::default(), pairing(""));
    assert_eq!(fail(&account(&budget, &pairing, DATE, 1, now()), 100), 32);
    assert!(budget.lasting.get().is_none());
}

#[test]
fn a_date_tried_while_it_is_far_has_one_more_budget_when_it_is_near_and_no_third() {
    let (budget, pairing) = (Budget::default(), pairing("check_resdate = false"));
    let at = |now| account(&budget, &pairing, DATE, 1, instant(now));
    assert_eq!(fail(&at("2026-11-20T00:00:00Z"), 100), 32);
    assert_eq!(fail(&at("2026-11-21T10:40:00Z"), 100), 32);
    assert_eq!(fail(&at("2026-11-22T00:00:00Z"), 100), 0);
}

#[test]
fn simultaneous_attempts_wait_for_each_other_and_successes_block_nobody() {
    let (budget, pairing) = (Budget::default(), pairing(""));
    let account = account(&budget, &pairing, DATE, 1, now());
    let mut running: Vec<_> = (0..32).map(|_| account.begin().now_or_never().unwrap().unwrap()).collect();
    let mut next = Box::pin(account.begin());
    assert!((&mut next).now_or_never().is_none(), "32 may fail yet");
    running.pop().unwrap().succeed().unwrap();
    (&mut next).now_or_never().unwrap().unwrap().succeed().unwrap();
    // The others fail: 31 of 32.
    drop((next, running));
    assert_eq!(fail(&account, 100), 1);
}

#[tokio::test]
async fn a_waiting_attempt_is_refused_if_the_attempts_before_it_fail() {
    let (budget, pairing) = (Budget::default(), pairing(""));
    let account = account(&budget, &pairing, DATE, 1, now());
    let running: Vec<_> = (0..32).map(|_| account.begin().now_or_never().unwrap().unwrap()).collect();
    let waiting = join_all((0..1000).map(|_| account.begin()));
    let (waited, ()) = tokio::join!(waiting, async { drop(running) });
    assert!(waited.iter().all(Result::is_err));
    assert_eq!((budget.spent(), budget.refused()), (1, 1000));
}

#[test]
fn an_attempt_that_ends_in_a_panic_has_failed() {
    let (budget, pairing) = (Budget::default(), pairing("failure_budget = 1"));
    let account = account(&budget, &pairing, DATE, 1, now());
    let attempt = account.begin().now_or_never().unwrap().unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _attempt = attempt;
        panic!("while decrypting");
    }));
    assert!(panicked.is_err());
    assert_eq!(account.check(), Err(Spent));
}

#[test]
fn a_spent_counter_is_logged_once_with_the_pairing_only() {
    let (budget, pairing) = (Budget::default(), pairing(""));
    let log = logged(Format::Text, LevelFilter::INFO, || {
        for _ in 0..3 {
            fail(&account(&budget, &pairing, DATE, 1, now()), 100);
        }
    });
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("fiu=\"fiu\" aa=\"aa\" of=\"message\"") && !log.contains(DATE), "{log}");
}

#[test]
fn a_message_made_from_another_is_logged_with_the_pairing_only() {
    let (budget, pairing) = (Budget::default(), pairing(""));
    let open = |first: u8| succeed(&account_of(&budget, &pairing, DATE, [[first; 16], [9; 16]].concat(), now()));
    let log = logged(Format::Text, LevelFilter::INFO, || {
        assert_eq!([open(1), open(2), open(1)], [Ok(()), Err(Changed), Ok(())]);
    });
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("fiu=\"fiu\" aa=\"aa\"") && !log.contains(DATE), "{log}");
}

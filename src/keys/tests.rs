//! Tests of the pool: one derivation for many callers, fairness between pairings, refusals, and keys that are
//! forgotten.

use futures_util::{FutureExt, future::join_all};

use super::*;
use crate::{codec::kdf, keyring};

fn pairing() -> Arc<Pairing> {
    Arc::clone(keyring::sandbox().unwrap().of_fiu("fiu@sandbox", "gamma-aa", |_| true).unwrap())
}

fn date(number: usize) -> String {
    format!("{number:015}")
}

#[tokio::test]
async fn calls_for_one_key_share_its_derivation() {
    let (pool, pairing) = (KdfPool::new(1).unwrap(), pairing());
    let calls = (0..2 * QUEUE).map(|_| pool.derive(&pairing, 0, "060420210510756", None));
    let keys: Result<Vec<Key>, Overloaded> = join_all(calls).await.into_iter().collect();
    assert_eq!(keys.unwrap().len(), 2 * QUEUE, "more calls than the queue has places");
    assert_eq!(pool.keys.len(), 1);
}

#[tokio::test]
async fn the_pool_derives_the_same_key_as_the_library() {
    let (pool, pairing) = (KdfPool::new(1).unwrap(), pairing());
    let expected = kdf::pbkdf2(pairing.primary().expose(), "060420210510756");
    assert!(pool.derive(&pairing, 0, "060420210510756", None).await == Ok(expected));
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_says_when_to_come_back() {
    let (pool, pairing) = (KdfPool::new(1).unwrap(), pairing());
    let dates: Vec<String> = (0..QUEUE + 64).map(date).collect();
    let mut calls: Vec<_> = dates.iter().map(|date| Box::pin(pool.derive(&pairing, 0, date, None))).collect();
    // The test does not wait for them: a refusal comes at the first poll.
    let refused = calls.iter_mut().filter_map(FutureExt::now_or_never).collect::<Vec<_>>();
    assert!(refused.iter().any(|answer| matches!(answer, Err(Overloaded(after)) if !after.is_zero())));
    // The callers end, and their jobs end too, so there is room at once.
    drop(calls);
    assert!(pool.derive(&pairing, 0, "060420210510756", None).await.is_ok());
    assert!(pool.keys.len() < QUEUE / 2, "a key that nobody waits for is not derived");
}

#[tokio::test]
async fn many_calls_for_one_pairing_leave_room_and_turns_for_another() {
    let (pool, flooded) = (KdfPool::new(1).unwrap(), pairing());
    let other = Arc::clone(keyring::sandbox().unwrap().of_fiu("fiu@sandbox", "beta-aa", |_| true).unwrap());
    let dates: Vec<String> = (0..QUEUE + 64).map(date).collect();
    let mut flood: Vec<_> = dates.iter().map(|date| Box::pin(pool.derive(&flooded, 0, date, None))).collect();
    for call in &mut flood {
        let _ = call.now_or_never();
    }
    assert!(pool.derive(&other, 0, "060420210510756", None).await.is_ok());
    assert!(pool.keys.len() < QUEUE / 2, "its turn came before the other pairing's jobs were done");
}

/// Enough derivations to keep one thread busy for longer than the rest of a test takes.
fn flood(
    pool: &KdfPool,
    pairing: &Arc<Pairing>,
    dates: &[String],
) -> Vec<impl Future<Output = Result<Key, Overloaded>>> {
    let mut calls: Vec<_> = dates.iter().map(|date| Box::pin(pool.derive(pairing, 0, date, None))).collect();
    for call in &mut calls {
        assert!(call.now_or_never().is_none());
    }
    calls
}

#[tokio::test]
async fn a_key_that_would_come_too_late_is_refused_at_once_with_the_time_to_retry() {
    let (pool, pairing) = (KdfPool::new(1).unwrap(), pairing());
    let dates: Vec<String> = (0..500).map(date).collect();
    let flood = flood(&pool, &pairing, &dates);
    let (soon, late) = (Instant::now() + 2 * REST, Instant::now() + Duration::from_hours(1));
    let refused = pool.derive(&pairing, 0, "060420210510756", Some(soon)).now_or_never();
    assert!(matches!(refused, Some(Err(Overloaded(after))) if after > LEAST_RETRY), "{:?}", refused.map(Result::err));
    assert_eq!(pool.refused(), 1);
    let mut patient = Box::pin(pool.derive(&pairing, 0, "060420210510756", Some(late)));
    assert!((&mut patient).now_or_never().is_none(), "it waits for its turn");
    drop(flood);
    assert!(patient.await.is_ok());
}

#[tokio::test]
async fn a_caller_that_shares_a_derivation_waits_for_it_unless_it_comes_too_late() {
    let (pool, pairing) = (KdfPool::new(1).unwrap(), pairing());
    let dates: Vec<String> = (0..500).map(date).collect();
    let flood = flood(&pool, &pairing, &dates);
    let soon = Some(Instant::now() + 2 * REST);
    let last = &dates[499];
    assert!(
        matches!(pool.derive(&pairing, 0, last, soon).now_or_never(), Some(Err(_))),
        "the last key of the queue comes too late"
    );
    let late = Some(Instant::now() + Duration::from_hours(1));
    let mut shares = Box::pin(pool.derive(&pairing, 0, last, late));
    assert!((&mut shares).now_or_never().is_none());
    drop(flood);
    assert!(shares.await.is_ok(), "the remaining caller gets the key");
    assert!(pool.expected.lock().unwrap().is_empty(), "no estimate is left");
}

#[tokio::test]
async fn a_free_thread_never_refuses_a_derivation() {
    let (pool, pairing) = (KdfPool::new(1).unwrap(), pairing());
    while pool.shared.idle.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    assert!(pool.derive(&pairing, 0, "060420210510756", Some(Instant::now())).await.is_ok());
}

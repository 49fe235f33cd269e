//! Tests which connection makes room, and what counts as held.

use futures_util::FutureExt;

use super::*;

const MAX_HELD: usize = 1 << 24;

#[test]
fn at_the_limit_the_longest_idle_connection_makes_room() {
    let connections = Connections::new(2, MAX_HELD);
    let (first, second) = (connections.enter().unwrap(), connections.enter().unwrap());
    // Connections that never made a call would go first.
    drop((first.call(0), second.call(0)));
    first.settle();
    second.settle();
    first.activity.idle_since.store(20, Ordering::Relaxed);
    second.activity.idle_since.store(10, Ordering::Relaxed);
    let third = connections.enter().unwrap();
    assert!(first.closing().now_or_never().is_none());
    assert!(second.closing().now_or_never().is_some(), "idle for longer");
    drop(third.call(0));
    third.settle();
    third.activity.idle_since.store(30, Ordering::Relaxed);
    let call = first.call(0);
    let _fourth = connections.enter().unwrap();
    assert!(first.closing().now_or_never().is_none(), "in use");
    assert!(third.closing().now_or_never().is_some());
    drop(call);
    first.settle();
    assert!(first.idle().is_some());
}

#[test]
fn the_number_of_connections_that_do_not_close_is_limited() {
    let connections = Connections::new(1, MAX_HELD);
    let places: Vec<_> = std::iter::from_fn(|| connections.enter()).collect();
    assert_eq!(places.len(), 1 + excess(1));
    drop(places);
    assert!(connections.all_closed().now_or_never().is_some());
    assert!(connections.enter().is_some());
}

#[test]
fn above_the_memory_limit_the_connection_that_holds_the_most_is_closed() {
    let connections = Connections::new(3, MAX_HELD);
    let (small, large, other) =
        (connections.enter().unwrap(), connections.enter().unwrap(), connections.enter().unwrap());
    let hold = |place: &Place, bytes: usize| place.call(0).holder.take(bytes);
    let cut = |place: &Place| place.cut().now_or_never().is_some();
    let first = hold(&large, MAX_HELD - 20_000);
    assert!(!cut(&large), "within the limit");
    let _second = hold(&small, 20_001);
    assert!(cut(&large) && !cut(&small), "the connection that goes over the limit is not the one that holds the most");
    let third = hold(&other, MAX_HELD / 2);
    assert!(!cut(&other), "the bytes of a connection that is cut are freed soon");
    assert!(other.idle().is_none());
    drop(third);
    other.settle();
    assert!(other.idle().is_some());
    assert!(small.holder().is_full(), "a connection that is cut counts until it has closed");
    drop((first, large));
    assert!(!small.holder().is_full());
}

#[test]
fn bytes_count_until_their_last_slice_is_dropped() {
    let connections = Connections::new(1, MAX_HELD);
    let place = connections.enter().unwrap();
    let held = place.call(0).holder.hold(Bytes::from_static(b"answer"));
    let slice = held.slice(1..2);
    drop(held);
    place.settle();
    assert!(place.idle().is_none());
    drop(slice);
    place.holder().note_blocked(true);
    place.settle();
    assert!(place.idle().is_none(), "the peer has not taken it");
    place.holder().note_blocked(false);
    place.settle();
    assert!(place.idle().is_some());
    assert_eq!(connections.held.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn no_answer_is_made_while_the_server_holds_too_much_or_for_a_connection_that_is_cut() {
    let connections = Connections::new(3, MAX_HELD);
    let (greedy, other, waiter) =
        (connections.enter().unwrap(), connections.enter().unwrap(), connections.enter().unwrap());
    let room = |place: &Place| place.holder().room().now_or_never().is_some();
    assert!(room(&greedy) && room(&other));
    let held = greedy.call(MAX_HELD);
    assert!(!room(&greedy) && !room(&other), "the connection that was cut has not closed yet");
    drop(held);
    greedy.settle();
    assert!(room(&other) && !room(&greedy), "its calls end with it");
    let held = other.call(MAX_HELD);
    let waiting = tokio::spawn(async move { waiter.holder().room().await });
    tokio::time::sleep(2 * PAUSE).await;
    assert!(!waiting.is_finished());
    drop(held);
    other.settle();
    waiting.await.unwrap();
}

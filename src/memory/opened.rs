//! Which message opened first for each last block, and when.
//!
//! **A message that opens costs nothing, once.** A change that opens tells an attacker as much as one that fails: a
//! flipped bit of the `txnid` through `iv` fails only if it makes an `&`. Two sound messages never end in the same
//! block. So of all messages with the same last block, only the first one that opens is accepted, and it is accepted
//! every time that it comes. Every other one that opens counts as a failure.
//!
//! **Where they live.** In a fixed table of half a million cells of 32 bytes, 16 MiB. A message has two buckets of four
//! cells and takes one in the bucket with more room (Azar et al., Balanced Allocations, 1999). If both are full, it
//! takes the cell of the message that was noted longest ago: the table forgets. The messages of a pairing with `reopen
//! = "refuse"` are never forgotten before their end: each keeps its cell, but one cell in four is left for the others.
//! A message that finds no such cell is not decrypted. In a simulation that happens first when about 130,000 messages
//! are kept at the same time; to one in 400 of those between 150,000 and 200,000, and to one in 40 of the next 50,000.
//!
//! No library does this: a cache of fixed size, such as `quick_cache`, chooses what it evicts.
//!
//! The hashes can collide: one message in 2^62 has the hash of another last block, one in 2^32 that of another message
//! with its last block. The hashes have a key of the process, so that nobody can aim.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Opening, RETRY, index};

/// The number of locks, each over a part of the table, so that threads rarely wait for each other.
const PARTS: usize = 64;
/// Buckets of a part.
const BUCKETS: usize = 1 << 11;
/// Cells of a bucket.
const CELLS: usize = 4;
/// The most cells of a bucket whose messages are kept.
const KEPT: usize = 3;
/// For how long a message is kept after its end, in case the clock is set back.
const GRACE: TimeDelta = TimeDelta::seconds(60);

/// Messages that opened.
pub(super) struct Opened {
    parts: Box<[Mutex<Box<[Bucket]>>]>,
    full: AtomicU64,
}

type Bucket = [Cell; CELLS];

/// One message.
#[derive(Clone, Copy, Default)]
struct Cell {
    /// The hash of its last block.
    block: u64,
    /// The upper half of its hash.
    message: u32,
    /// When it ends, in seconds of the Unix epoch. 0 in a free cell, the largest value for a date that never expires.
    end: u32,
    /// The hash of the call that opened it; 0 if the call has no name.
    call: u64,
    /// When it opened, or was noted as not expected, in milliseconds of the Unix epoch. The bits above are [`OPENED`]
    /// and [`KEEP`].
    noted: u64,
}

/// Set in [`Cell::noted`] once the message opened as expected.
const OPENED: u64 = 1 << 63;
/// Set in [`Cell::noted`] while the cell must not go to another message before its end.
const KEEP: u64 = 1 << 62;

/// A message that opens.
#[derive(Clone, Copy)]
pub(super) struct Note {
    /// The hash of pairing, date and last block.
    pub(super) block: u64,
    /// The hash of the message.
    pub(super) message: u64,
    /// The hash of the call that opens it, if it has a name.
    pub(super) call: Option<u64>,
    /// Whether it opens for the caller. If not, it only counts as the message of its last block.
    pub(super) opens: bool,
    /// Whether it must not be forgotten.
    pub(super) keep: bool,
    /// Now.
    pub(super) now: DateTime<Utc>,
    /// When its date can no longer be accepted; `None` if the date never expires.
    pub(super) end: Option<DateTime<Utc>>,
}

/// Why a message that opens still fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Barred {
    /// Another message with the same last block was opened before: one of the two was made from the other.
    Changed,
    /// The message must be kept, and there is no room.
    Full,
}

impl Default for Opened {
    fn default() -> Self {
        Self::new(PARTS, BUCKETS)
    }
}

impl Opened {
    /// A table with this many parts, and buckets in each. Both are powers of two.
    fn new(parts: usize, buckets: usize) -> Self {
        debug_assert!(parts.is_power_of_two() && buckets.is_power_of_two(), "otherwise a hash would pick no place");
        let part = || Mutex::new(vec![Bucket::default(); buckets].into());
        Self { parts: std::iter::repeat_with(part).take(parts).collect(), full: AtomicU64::default() }
    }

    /// How many messages that must be kept have found no room.
    pub(super) fn full(&self) -> u64 {
        self.full.load(Relaxed)
    }

    /// Whether a message that must be kept could be noted now.
    pub(super) fn has_room(&self, block: u64, now: DateTime<Utc>) -> bool {
        let part = self.part(block);
        let places = places(block, part.len());
        let room =
            places.iter().any(|&at| position(&part[at], block).is_some() || room(&part[at], true, now).is_some());
        if !room {
            self.full.fetch_add(1, Relaxed);
        }
        room
    }

    /// Notes a message. Returns when it was opened first, or `None` if it does not open for the caller.
    ///
    /// # Errors
    /// If it must not open.
    pub(super) fn note(&self, note: &Note) -> Result<Option<Opening>, Barred> {
        let mut part = self.part(note.block);
        let places = places(note.block, part.len());
        let known = places.iter().find_map(|&at| Some((at, position(&part[at], note.block)?)));
        if let Some((at, position)) = known {
            let cell = &mut part[at][position];
            // If the date of the noted message has ended, it says nothing about the new one.
            if cell.is_alive(note.now) {
                return cell.meets(note);
            }
            *cell = Cell::default();
        }
        let of = |at: usize| Some((at, room(&part[at], note.keep, note.now)?));
        // The bucket with more room. If both have the same, the first.
        let best = places.into_iter().filter_map(of).min_by_key(|(_, room)| room.cost);
        let Some((at, room)) = best else {
            self.full.fetch_add(1, Relaxed);
            return Err(Barred::Full);
        };
        part[at][room.position] = Cell::of(note);
        Ok(note.opens.then(|| Opening { reopened: false, first: milliseconds(note.now.timestamp_millis()) }))
    }

    fn part(&self, block: u64) -> MutexGuard<'_, Box<[Bucket]>> {
        // The highest bits, which do not pick a bucket.
        let part = block.rotate_left(8) & (self.parts.len() as u64 - 1);
        self.parts[index(part)].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The two buckets of a last block in a table of this many.
fn places(block: u64, buckets: usize) -> [usize; 2] {
    [block, block >> 28].map(|bits| index(bits & (buckets as u64 - 1)))
}

fn position(bucket: &Bucket, block: u64) -> Option<usize> {
    bucket.iter().position(|cell| cell.block == block && cell.end > 0)
}

/// A cell that a message may take.
struct Room {
    position: usize,
    /// Smaller is better. With free cells: how many are taken. Without: when the message in the cell was noted.
    cost: u64,
}

fn room(bucket: &Bucket, keep: bool, now: DateTime<Utc>) -> Option<Room> {
    let alive = || bucket.iter().filter(|cell| cell.is_alive(now));
    if keep && alive().filter(|cell| cell.noted & KEEP > 0).count() >= KEPT {
        return None;
    }
    if let Some(position) = bucket.iter().position(|cell| !cell.is_alive(now)) {
        return Some(Room { position, cost: alive().count() as u64 });
    }
    let forgettable = bucket.iter().enumerate().filter(|(_, cell)| cell.noted & KEEP == 0);
    let (position, oldest) = forgettable.min_by_key(|(_, cell)| cell.time())?;
    Some(Room { position, cost: oldest.time() })
}

impl Cell {
    fn of(note: &Note) -> Self {
        let end = note.end.map_or(u32::MAX, |end| {
            // At least 1, or the cell would be free.
            u32::try_from((end + GRACE).timestamp().max(1)).unwrap_or(u32::MAX)
        });
        let mut cell = Self { block: note.block, message: upper(note.message), end, call: 0, noted: 0 };
        cell.opens(note);
        cell
    }

    /// Notes the time, and that the message opened if it did.
    #[expect(clippy::expect_used, reason = "a clock before 1970 opens no message: no date is near it")]
    fn opens(&mut self, note: &Note) {
        let now = u64::try_from(note.now.timestamp_millis()).expect("the clock is past 1970");
        // 0 means a call without a name. The hash of a name is 0 once in 2^64.
        self.call = note.call.filter(|_| note.opens).unwrap_or(0);
        self.noted = now | if note.opens { OPENED } else { 0 } | if note.keep { KEEP } else { 0 };
    }

    /// Notes a message whose last block is already in this cell.
    fn meets(&mut self, note: &Note) -> Result<Option<Opening>, Barred> {
        if self.message != upper(note.message) {
            return Err(Barred::Changed);
        }
        if note.keep {
            // A reload may have made the pairing refuse reopenings.
            self.noted |= KEEP;
        }
        if !note.opens {
            return Ok(None);
        }
        let reopened = self.noted & OPENED > 0;
        if !reopened {
            self.opens(note);
        }
        let first = milliseconds(self.time().cast_signed());
        let retried = note.call.is_some_and(|call| call == self.call) && note.now - first < RETRY;
        Ok(Some(Opening { reopened: reopened && !retried, first }))
    }

    fn time(&self) -> u64 {
        self.noted & !(OPENED | KEEP)
    }

    fn is_alive(&self, now: DateTime<Utc>) -> bool {
        self.end == u32::MAX || i64::from(self.end) > now.timestamp()
    }
}

#[expect(clippy::expect_used, reason = "32 bits are left")]
fn upper(hash: u64) -> u32 {
    u32::try_from(hash >> 32).expect("the upper half of 64 bits")
}

#[expect(clippy::expect_used, reason = "only instants are given, as `timestamp_millis` has them")]
fn milliseconds(since_epoch: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(since_epoch).expect("the milliseconds of an instant")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-21T10:40:23.756Z".parse().unwrap()
    }

    /// A message with its own last block and its own hash.
    fn note(number: u64, keep: bool) -> Note {
        // The finalizer of SplitMix64 (Steele et al., 2014): as even as a hash.
        let mix = |bits: u64, shift: u32, factor: u64| (bits ^ (bits >> shift)).wrapping_mul(factor);
        let block = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let block = mix(mix(block, 30, 0xBF58_476D_1CE4_E5B9), 27, 0x94D0_49BB_1331_11EB);
        let block = block ^ (block >> 31);
        let end = Some(now() + TimeDelta::seconds(180));
        Note { block, message: block.rotate_left(32), call: None, opens: true, keep, now: now(), end }
    }

    fn is_reopened(table: &Opened, note: &Note) -> bool {
        table.note(note).unwrap().unwrap().reopened
    }

    #[test]
    fn a_message_is_known_by_its_hashes() {
        let table = Opened::new(1, 4);
        let first = note(1, false);
        assert!(!is_reopened(&table, &first));
        assert!(is_reopened(&table, &first));
        assert_eq!(table.note(&Note { message: !first.message, ..first }), Err(Barred::Changed));
        assert!(!is_reopened(&table, &note(2, false)));
    }

    #[test]
    fn a_full_table_forgets_the_oldest_message() {
        let table = Opened::new(1, 1);
        let at =
            |number: i64| Note { now: now() + TimeDelta::milliseconds(number), ..note(number.unsigned_abs(), false) };
        (1..=4).for_each(|number| assert!(!is_reopened(&table, &at(number))));
        (2..=4).for_each(|number| assert!(is_reopened(&table, &at(number))));
        assert!(!is_reopened(&table, &at(5)));
        (2..=5).for_each(|number| assert!(is_reopened(&table, &at(number))));
        assert!(!is_reopened(&table, &at(1)), "forgotten");
        assert_eq!(table.full(), 0);
    }

    #[test]
    fn a_kept_message_is_never_forgotten_and_one_without_a_free_cell_is_refused() {
        let table = Opened::new(1, 64);
        let kept: Vec<Note> = (0..200).map(|number| note(number, true)).collect();
        let (mut fits, mut full) = (Vec::new(), 0);
        for message in &kept {
            if table.has_room(message.block, now()) {
                assert!(!is_reopened(&table, message));
                fits.push(message);
            } else {
                assert_eq!(table.note(message), Err(Barred::Full));
                full += 1;
            }
        }
        assert!((120..=192).contains(&fits.len()), "{} of 256 cells", fits.len());
        // Others come and go in the cells that are left.
        (1000..3000).for_each(|number| assert!(!is_reopened(&table, &note(number, false))));
        assert!(fits.iter().all(|message| is_reopened(&table, message)));
        assert_eq!(table.full(), 2 * full);
    }

    #[test]
    fn a_cell_is_free_again_when_its_date_has_ended() {
        let table = Opened::new(1, 1);
        (0..3).for_each(|number| assert!(!is_reopened(&table, &note(number, true))));
        assert_eq!(table.note(&note(3, true)), Err(Barred::Full));
        let later = now() + TimeDelta::seconds(180) + GRACE;
        assert!(table.has_room(note(3, true).block, later));
        let end = Some(later + TimeDelta::seconds(180));
        assert!(!is_reopened(&table, &Note { now: later, end, ..note(3, true) }));
        assert!(!is_reopened(&table, &Note { now: later, end, ..note(0, true) }), "its date has expired too");
    }

    #[test]
    fn a_message_whose_date_never_expires_is_remembered_while_there_is_room() {
        let table = Opened::new(1, 4);
        let lasting = Note { end: None, ..note(1, false) };
        assert!(!is_reopened(&table, &lasting));
        assert!(is_reopened(&table, &Note { now: now() + TimeDelta::days(30_000), ..lasting }));
    }

    #[test]
    fn a_table_of_kept_messages_has_room_for_the_number_that_the_module_names() {
        let table = Opened::default();
        let refused =
            |numbers: std::ops::Range<u64>| numbers.filter(|&number| table.note(&note(number, true)).is_err()).count();
        assert_eq!(refused(0..100_000), 0);
        assert!(refused(100_000..150_000) <= 10);
        assert!((50..200).contains(&refused(150_000..200_000)));
        assert!((1000..1500).contains(&refused(200_000..250_000)));
    }
}

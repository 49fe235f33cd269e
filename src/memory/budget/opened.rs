//! Which message opened for each last block: the first, and no other.

use std::{
    iter,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
};

/// Bits of a cell that name the message; those above name its last block.
const MESSAGE: u32 = 24;

/// A table of messages that opened, one a cell. A later one takes the cell of an earlier one that ended in another
/// block.
pub(super) struct Opened {
    cells: Box<[AtomicU64]>,
}

impl Opened {
    /// A table with so many cells, a power of two of at most 2^24.
    pub(super) fn new(cells: usize) -> Self {
        debug_assert!(cells.is_power_of_two() && cells <= 1 << MESSAGE, "or a cell's bits would not tell blocks apart");
        Self { cells: iter::repeat_with(AtomicU64::default).take(cells).collect() }
    }

    /// Whether the message is the first that opened for its last block, or that one again; noted where it is the first.
    /// Both are hashes. One message in 2^40 takes another's last block for its own, one in 2^24 another message for
    /// itself.
    pub(super) fn admits(&self, block: u64, message: u64) -> bool {
        // The lowest bits pick the cell, the others stay in it.
        let place = usize::try_from(block % self.cells.len() as u64).unwrap_or_default();
        let mine = block >> MESSAGE << MESSAGE | message >> (u64::BITS - MESSAGE);
        let of_another_block = |held: u64| (held >> MESSAGE != mine >> MESSAGE).then_some(mine);
        match self.cells[place].try_update(SeqCst, SeqCst, of_another_block) {
            Ok(_) => true,
            Err(held) => held == mine,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const BLOCK: u64 = 0x1234_5678_9ABC_DEF0;
    const OTHER_MESSAGE: u64 = 1 << 40;

    #[test]
    fn the_first_message_opens_again_and_no_other_with_its_block() {
        let opened = Opened::new(1 << 10);
        assert!(opened.admits(BLOCK, 0));
        assert!(!opened.admits(BLOCK, OTHER_MESSAGE));
        assert!(opened.admits(BLOCK, 0));
        assert!(opened.admits(BLOCK + 1, OTHER_MESSAGE), "another cell");
        assert!(!opened.admits(BLOCK, u64::MAX));
    }

    #[test]
    fn a_block_with_the_same_cell_takes_it() {
        let opened = Opened::new(1 << 10);
        assert!(opened.admits(BLOCK, 0));
        assert!(opened.admits(BLOCK ^ 1 << MESSAGE, OTHER_MESSAGE));
        assert!(opened.admits(BLOCK, OTHER_MESSAGE), "forgotten");
    }

    #[test]
    fn of_many_simultaneous_messages_one_opens() {
        let opened = Opened::new(1 << 10);
        for block in 0..1000_u64 {
            let admitted = AtomicU64::default();
            thread::scope(|scope| {
                for message in 0..4 {
                    let (opened, admitted) = (&opened, &admitted);
                    scope.spawn(move || admitted.fetch_add(opened.admits(block << 24, message << 40).into(), SeqCst));
                }
            });
            assert_eq!(admitted.into_inner(), 1, "{block}");
        }
    }
}

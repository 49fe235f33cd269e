//! Finds an ASCII character in a text with vector instructions.
//!
//! Replaces `str::split`, `str::split_once` and `str::contains`, which compare byte by byte: with them a decode takes
//! 4.5 % more processor time (`cargo bench --bench codec -- decode`).

/// Whether `text` has the ASCII character `byte`.
pub(super) fn holds(text: &str, byte: u8) -> bool {
    memchr::memchr(byte, text.as_bytes()).is_some()
}

/// The parts of `text` before and after the first ASCII character `byte`.
pub(super) fn split_at_first(text: &str, byte: u8) -> Option<(&str, &str)> {
    memchr::memchr(byte, text.as_bytes()).map(|at| (&text[..at], &text[at + 1..]))
}

/// The parts of `text` between the ASCII characters `byte`, as `str::split` gives them.
pub(super) fn split_at_each(text: &str, byte: u8) -> impl Iterator<Item = &str> {
    let mut begin = 0;
    memchr::memchr_iter(byte, text.as_bytes()).chain([text.len()]).map(move |end| {
        let part = &text[begin..end];
        begin = end + 1;
        part
    })
}

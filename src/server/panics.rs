//! Panics: told with their place and without their message, which can quote what a program was working on.

use std::{
    cell::RefCell,
    panic::{self, PanicHookInfo},
};

thread_local! {
    /// Where this thread panicked last.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// From now on a panic is one event of the log, with file and line, in place of a message on standard error.
pub fn install() {
    panic::set_hook(Box::new(|info: &PanicHookInfo<'_>| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
        // A thread that ends has no place to keep it in.
        let _ = PLACE.try_with(|last| *last.borrow_mut() = place);
    }));
}

/// Where this thread panicked last: file and line; empty where that is not known.
pub(super) fn last_place() -> String {
    PLACE.take()
}

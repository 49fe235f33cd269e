//! Panics: the log gets their file and line, but not their message, since a message can quote payloads.

use std::{
    cell::RefCell,
    panic::{self, PanicHookInfo},
};

thread_local! {
    /// The place of this thread's last panic.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Makes every later panic one event of the log, with file and line, instead of a message on standard error.
pub fn install() {
    panic::set_hook(Box::new(|info: &PanicHookInfo<'_>| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
        // A thread that is ending can no longer store the place.
        let _ = PLACE.try_with(|last| *last.borrow_mut() = place);
    }));
}

/// The place of this thread's last panic: file and line. Empty if it is not known.
pub(super) fn last_place() -> String {
    PLACE.take()
}

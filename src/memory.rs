//! What must be remembered of messages until their dates can no longer be accepted: how often they failed, and which one
//! opened first.

mod budget;

pub use budget::{Account, Attempt, Budget, Changed, DATE_BUDGET, Spent};

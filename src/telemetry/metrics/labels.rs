//! Families of counters whose labels are names of the interface.

use prometheus_client::metrics::{counter::Counter, family::Family};

/// Label names and values.
pub(super) type Labels<const N: usize> = [(&'static str, &'static str); N];
/// Counters by labels.
pub(super) type Counters<const N: usize> = Family<Labels<N>, Counter>;

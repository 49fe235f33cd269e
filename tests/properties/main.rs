//! Properties of the codec over generated messages: a sealed message opens, a message of a real sender is read as it
//! was meant, and a changed byte changes only what CBC allows.
//!
//! `PROPTEST_CASES=20000 cargo test --test properties` runs more cases of each property than the default 1,024.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects by unwrapping it")]

mod damage;
mod list;
mod meaning;
mod round_trip;
#[allow(dead_code, unreachable_pub, missing_docs, reason = "each test binary uses a part")]
#[path = "../support/sender.rs"]
mod sender;
mod styles;
mod text;
mod tolerance;
mod writer;

use aa_redirect::codec::{
    date::{DateStyle, ReadDate},
    kdf::{self, Key},
    profile::{Authentication, Conventions, ListSyntax, PROFILES},
};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::{prelude::*, sample::select, test_runner::contextualize_config};

/// A failing case becomes a named test, not an entry in a file.
fn cases() -> ProptestConfig {
    let cases =
        ProptestConfig { cases: 1024, failure_persistence: None, max_global_rejects: 1 << 20, ..Default::default() };
    contextualize_config(cases)
}

/// The key of a message. It stands for a PBKDF2 key too: a message opens with a key, and the derivation of the key does
/// not matter.
fn key(date: &str) -> Key {
    kdf::hkdf(b"nsrkGE&-p1Qh*Gn$3P0&Qt0s9!uz1U_I", date)
}

/// Every profile, with every setting that can show in a message.
fn conventions() -> impl Strategy<Value = Conventions> {
    use DateStyle::{Full, Millis, Tenths};
    use ListSyntax::{Braces, Comma, Json, Repeated};
    let lists = select(vec![Repeated, Comma, Braces, Json]);
    (0..PROFILES.len(), select(vec![Millis, Tenths, Full]), lists, any::<bool>()).prop_map(
        |(profile, date, lists, padding)| Conventions {
            profile: &PROFILES[profile],
            date,
            read_date: ReadDate::Any,
            lists,
            padding,
            max_age: TimeDelta::seconds(180),
            check_resdate: true,
            authentication: Authentication::Off,
        },
    )
}

/// Instants of the years 2000 to 2999.
fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    (946_684_800_000..=32_503_679_999_999_i64)
        .prop_map(|milliseconds| DateTime::from_timestamp_millis(milliseconds).unwrap())
}

/// An id of an FIU or AA.
fn id() -> impl Strategy<Value = String> {
    meaning::text(1..20).prop_filter_map("has control characters or nothing", |text| {
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        (!text.is_empty() && text.len() <= 128).then_some(text)
    })
}

//! `rehearse --check`: every journey of the keyring once, and a table of how they ended.

use std::collections::BTreeMap;

use crate::{compose, config::RehearsalSettings, rehearsal::Checked};

use super::Failure;

/// Prints a row for each pairing, and each journey that did not end as expected.
pub(super) fn check(settings: &RehearsalSettings) -> Result<(), Failure> {
    let checked = compose::check_journeys(settings)?;
    let ids = |of: fn(&Checked) -> &str, head: &str| {
        checked.iter().map(|pairing| of(pairing).chars().count()).chain([head.len()]).max().unwrap_or_default()
    };
    let (fiu, aa) = (ids(|pairing| &pairing.fiu, "FIU"), ids(|pairing| &pairing.aa, "AA"));
    println!("{:<fiu$}  {:<aa$}  PROFILE  GOOD  SKIPPED  FAILED", "FIU", "AA");
    for Checked { fiu: of, aa: with, profile, good, skipped, failed } in &checked {
        println!("{of:<fiu$}  {with:<aa$}  {profile:<7}  {good:>4}  {:>7}  {:>6}", skipped.len(), failed.len());
    }
    let mut skipped: BTreeMap<&String, Vec<String>> = BTreeMap::new();
    for Checked { fiu, aa, skipped: texts, .. } in &checked {
        for text in texts {
            skipped.entry(text).or_default().push(format!("{fiu} with {aa}"));
        }
    }
    for (text, pairings) in skipped {
        let of = if pairings.len() == checked.len() { "every pairing".to_owned() } else { pairings.join(", ") };
        println!("skipped: {of}: {text}");
    }
    let failed = checked.iter().flat_map(|pairing| pairing.failed.iter().map(move |text| (pairing, text)));
    let mut good = true;
    for (Checked { fiu, aa, .. }, text) in failed {
        println!("FAILED: {fiu} with {aa}: {text}");
        good = false;
    }
    if good { Ok(()) } else { Err(Failure::Reported) }
}

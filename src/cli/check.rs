//! `check`: settings and files in, a table of the pairings out.

use crate::{
    compose::{self, BadSettings},
    config::Settings,
    keyring::{Absent, Pairing, Secret},
    telemetry::traces::Tracer,
};

use super::Failure;

/// The columns of the table.
const HEAD: [&str; 6] = ["FIU", "AA", "PROFILE", "SCHEME", "HANDLES", "SECRETS"];

/// Prints warnings, and the pairings without their secrets. If `strict`, a warning is a failure. If `without_secrets`,
/// an absent secret is not a failure.
pub(super) fn check(settings: &Settings, strict: bool, without_secrets: bool) -> Result<(), Failure> {
    let absent = if without_secrets { Absent::StandIn } else { Absent::Refused };
    let loaded = compose::load(settings, absent)?;
    Tracer::from_environment().map_err(BadSettings::from)?;
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    if strict && !loaded.warnings.is_empty() {
        return Err(Failure::Warned(loaded.warnings.len()));
    }
    let keyring = loaded.keyring.current();
    let rows: Vec<_> = keyring.pairings().map(|pairing| row(pairing)).collect();
    let head = HEAD.map(str::to_owned);
    let all = || [&head].into_iter().chain(&rows);
    let widths: [usize; HEAD.len()] =
        std::array::from_fn(|column| all().map(|row| row[column].chars().count()).fold(0, usize::max));
    for row in all() {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        println!("{}", cells.join("  ").trim_end());
    }
    let source = match &settings.keyring.keyring {
        Some(path) => path.display().to_string(),
        None => "the built-in sandbox keyring".to_owned(),
    };
    let secrets = keyring.pairings().flat_map(|pairing| &pairing.secrets);
    let verdict = match secrets.filter(|secret| secret.is_stand_in).count() {
        0 => "can be served".to_owned(),
        absent => format!("can be served if its absent secrets are good; they were NOT checked ({absent})"),
    };
    println!("\n{source} {verdict}; pairings: {}, fingerprint: {}", rows.len(), keyring.fingerprint());
    Ok(())
}

fn row(pairing: &Pairing) -> [String; HEAD.len()] {
    let name = |secret: &Secret| {
        let state = match (secret.decode_only, secret.is_stand_in) {
            (false, false) => "",
            (true, false) => " (decode)",
            (false, true) => " (not checked)",
            (true, true) => " (decode, not checked)",
        };
        format!("{}{state}", secret.id)
    };
    let secrets: Vec<String> = pairing.secrets.iter().map(name).collect();
    [
        pairing.fiu.clone(),
        pairing.aa.clone(),
        pairing.conventions.profile.name.to_owned(),
        pairing.conventions.profile.scheme.name().to_owned(),
        pairing.handles.join(" "),
        secrets.join(", "),
    ]
}

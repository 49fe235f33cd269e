//! The built-in sandbox keyring: `sandbox/` of the repository. Its secrets are public.

use std::io;

use zeroize::Zeroizing;

use super::{
    HostRules, Keyring, Pairing, Problem,
    file::{self, Absent},
};

/// The keyring file.
const KEYRING: &str = include_str!("../../sandbox/keyring.toml");

macro_rules! secrets {
    ($($name:literal),* $(,)?) => {
        [$((concat!("secrets/", $name), include_bytes!(concat!("../../sandbox/secrets/", $name)).as_slice())),*]
    };
}

/// The secret files, by their names in the keyring file.
const SECRETS: [(&str, &[u8]); 9] = secrets![
    "fiu-alpha-2026-11",
    "fiu-alpha-2026-05",
    "fiu-beta-2026-11",
    "fiu-gamma-2026-11",
    "fiu-delta-2026-11",
    "lender-alpha-2026-11",
    "lender-beta-2026-11",
    "lender-gamma-2026-11",
    "lender-delta-2026-11",
];

/// The sandbox keyring.
///
/// # Errors
/// Never: it is part of the program, and a test loads it.
pub fn sandbox() -> Result<Keyring, Vec<Problem>> {
    Ok(Keyring::new(pairings()?))
}

/// The sandbox keyring for a rehearsal: every AA has the web view that `webview` gives for its id, and a redirect may
/// lead to any host, since a backend may run anywhere on a developer's machine.
///
/// # Errors
/// As for [`sandbox`].
pub fn rehearsal(webview: impl Fn(&str) -> String) -> Result<Keyring, Vec<Problem>> {
    let mut pairings = pairings()?;
    for pairing in &mut pairings {
        pairing.webview = Some(webview(&pairing.aa));
        pairing.redirect_hosts = HostRules::any();
    }
    Ok(Keyring::new(pairings))
}

fn pairings() -> Result<Vec<Pairing>, Vec<Problem>> {
    let read = |file: &str| {
        let secret = SECRETS.iter().find(|(name, _)| *name == file);
        secret.map(|(_, bytes)| Zeroizing::new(bytes.to_vec())).ok_or_else(|| io::ErrorKind::NotFound.into())
    };
    file::pairings(KEYRING, &read, Absent::Refused).map(|(pairings, _)| pairings)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::codec::profile::PROFILES;

    #[test]
    fn the_sandbox_has_two_fius_four_aas_and_every_profile() {
        let keyring = super::sandbox().unwrap();
        let count = |of: fn(&crate::keyring::Pairing) -> &str| {
            keyring.pairings().map(|pairing| of(pairing)).collect::<BTreeSet<_>>().len()
        };
        assert_eq!(count(|pairing| &pairing.fiu), 2);
        assert_eq!(count(|pairing| &pairing.aa), 4);
        assert_eq!(count(|pairing| pairing.conventions.profile.name), PROFILES.len());
    }
}

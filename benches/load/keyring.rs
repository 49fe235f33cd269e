//! The keyring of a run, and its secrets.

use std::fmt::Write;

pub(crate) const SECRET: &str = "nsrkGE&-p1Qh*Gn$3P0&Qt0s9!uz1U_I";
pub(crate) const OLD_SECRET: &str = "0123456789abcdefghijklmnopqrstuv";
pub(crate) const FIU: &str = "fiu@bench";

/// At least `count` pairings: one of each kind that is measured, and others to fill the keyring.
pub(crate) fn keyring(count: usize) -> String {
    let mut keyring = String::new();
    let mut pairing = |fiu: &str, aa: &str, profile: &str, more: &str| {
        writeln!(
            keyring,
            "[[pairing]]\nfiu = \"{fiu}\"\naa = \"{aa}\"\nprofile = \"{profile}\"\nmax_age_seconds = 3600\n\
             webview = \"https://aa.example/webview\"\n{more}"
        )
        .unwrap();
    };
    let new = "secrets = [{ id = \"new\", file = \"secret\" }]";
    pairing(FIU, "hkdf", "iv", new);
    pairing(FIU, "pbkdf2", "v1.2", new);
    pairing(FIU, "reuse", "v1.2", &format!("date_reuse_milliseconds = 1000\n{new}"));
    let both = "secrets = [{ id = \"new\", file = \"secret\" }, { id = \"old\", file = \"old\", use = \"decode\" }]";
    pairing(FIU, "rotating", "v1.2", both);
    for number in 4..count {
        pairing(&format!("fiu-{number}"), "hkdf", "iv", new);
    }
    keyring
}

/// One more pairing, of `hkdf-iv`.
pub(crate) fn pairing(fiu: &str) -> String {
    let secrets = "[{ id = \"new\", file = \"secret\" }]";
    let webview = "https://aa.example/webview";
    format!(
        "[[pairing]]\nfiu = \"{fiu}\"\naa = \"hkdf\"\nprofile = \"iv\"\nwebview = \"{webview}\"\nsecrets = {secrets}\n"
    )
}

/// The keyring of the servers in other languages. It holds only the pairings that they serve.
pub(crate) fn rival_keyring() -> String {
    serde_json::json!([{
        "fiu": FIU, "aa": "hkdf", "scheme": "hkdf-iv", "secret": SECRET,
        "webview": "https://aa.example/webview", "max_age_seconds": 3600,
    }])
    .to_string()
}

//! Reading a keyring file never panics, and a refusal never repeats a text that could be a secret in the wrong place.
//!
//! An input is two bytes, and the file's text. The bytes say which piece of the file (counted among its words, strings
//! and blanks; 0: none) becomes a secret's text, and whether it is in quotes.
#![no_main]

use std::{env, fs, path::PathBuf, process, sync::OnceLock};

use aa_redirect::keyring;
use libfuzzer_sys::fuzz_target;

/// A text of 32 characters from the alphabet of secrets.
const MARKER: &str = "MARKER_Zq7wX3vK9pL2mN5bR8tY-MARK";

fuzz_target!(|input: &[u8]| {
    let [place, quotes, text @ ..] = input else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    // Reading a device or a pipe would never end.
    if text.contains("/dev") || text.contains("/proc") {
        return;
    }
    let folder = folder();
    let text = marked(text, usize::from(*place), *quotes);
    fs::write(folder.join("keyring.toml"), text).expect("a file to write");
    match keyring::load(&folder.join("keyring.toml")) {
        Err(refused) => {
            let refused = refused.to_string();
            assert!(!refused.contains("MARKER") && !refused.contains("MARK"), "a refusal echoes: {refused}");
            assert!(!format!("{refused:?}").contains("Zq7wX3vK"), "a refusal echoes");
        }
        Ok((keyring, warnings)) => {
            assert!(keyring.pairings().count() > 0, "a keyring has a pairing");
            for warning in &warnings {
                assert!(!warning.text.contains("MARK"), "a warning echoes: {}", warning.text);
            }
            for pairing in keyring.pairings() {
                assert!((1..=4).contains(&pairing.secrets.len()), "a pairing has 1 to 4 secrets");
                assert!((1..=128).contains(&pairing.fiu.len()) && (1..=128).contains(&pairing.aa.len()), "ids");
                assert!(pairing.conventions.max_age.num_seconds() >= 1, "a window");
                assert!(!format!("{:?}", pairing.secrets).contains("Zq7wX3vK_SECRET"), "Debug hides secrets");
            }
        }
    }
});

/// A folder of this process, with a secret in it.
fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = env::temp_dir().join(format!("aa-redirect-fuzz-{}", process::id()));
        fs::create_dir_all(&folder).expect("a folder for the keyring");
        fs::write(folder.join("secret"), "Zq7wX3vK_SECRET_0123456789abcdef\n").expect("a secret to write");
        fs::write(folder.join("short"), "Zq7wX3vK_SECRET").expect("a secret to write");
        folder
    })
}

/// `text` with the piece of the number `place`, counted from 1, replaced by the marker; the end of the piece stays,
/// because otherwise the marker would always break the file.
fn marked(text: &str, place: usize, quotes: u8) -> String {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '@' | '/' | ':');
    let replacement = match quotes % 5 {
        0 => MARKER.to_owned(),
        1 => format!("\"{MARKER}\""),
        2 => format!("'{MARKER}' "),
        // The word that marks the library's own messages.
        3 => format!("\"expected {MARKER}\""),
        _ => format!("{MARKER}\n"),
    };
    let mut marked = String::new();
    for (at, piece) in (1..).zip(text.split_inclusive(|c| !inside(c))) {
        if at == place {
            marked += &replacement;
            marked += piece.trim_start_matches(inside);
        } else {
            marked += piece;
        }
    }
    marked
}

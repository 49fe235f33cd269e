//! Opening never panics, and an opened message has the members that it needs.
//!
//! An input is three bytes and the rest. The bytes choose conventions, leg and the meaning of the rest: ciphertext;
//! text that is sealed first, to test members; or whole blocks that are encrypted without a change, to test any
//! padding.
#![no_main]

use aa_redirect::codec::{
    Deviations, Envelope, Opened, Parties, RequestorType, Unopened,
    cipher::{self, BLOCK},
    date::WireDate,
    kdf,
    members::{Callback, Redirect},
    open,
    profile::Scheme,
};
use aa_redirect_fuzz::{check_callback, check_redirect, conventions};
use libfuzzer_sys::fuzz_target;

const DATE: &str = "060420210510756";

fuzz_target!(|input: &[u8]| {
    let [choice, kind, iv, rest @ ..] = input else { return };
    let conventions = conventions(*choice);
    let key = kdf::hkdf(b"the secret of both schemes, 32 ch", DATE);
    let own = match conventions.profile.scheme {
        Scheme::HkdfIv => Some([*iv; BLOCK]),
        Scheme::Pbkdf2 => None,
    };
    let block = own.unwrap_or_default();
    let ciphertext = match kind >> 1 & 3 {
        0 => rest.to_vec(),
        1 => {
            let whole = &rest[..rest.len() / BLOCK * BLOCK];
            let mut sealed = cipher::encrypt(&key, &block, whole.to_vec());
            // The last block is only padding.
            sealed.truncate(whole.len());
            sealed
        }
        _ => cipher::encrypt(&key, &block, rest.to_vec()),
    };
    let mismatched = kind & 8 != 0;
    let envelope = Envelope {
        date: WireDate::parse(DATE).expect("a date"),
        sender: "fiu@test".to_owned(),
        requestor_type: Some(RequestorType::Fiu),
        iv: if mismatched { own.xor(Some([*iv; BLOCK])) } else { own },
        ciphertext,
        deviations: Deviations::default(),
    };
    let parties = Parties { fiu: "fiu@test", aa: "aa@test" };
    let opened = if kind & 1 == 0 {
        open::<Redirect>(&envelope, &key, &conventions, parties)
            .map(|Opened { message, deviations, .. }| check_redirect(&message, &deviations))
    } else {
        open::<Callback>(&envelope, &key, &conventions, parties)
            .map(|Opened { message, deviations, .. }| check_callback(&message, &deviations))
    };
    let padding = match kind >> 1 & 3 {
        _ if mismatched => return assert_eq!(opened, Err(Unopened::Scheme)),
        0 => return,
        1 => is_padded(&rest[..rest.len() / BLOCK * BLOCK]),
        _ => true,
    };
    assert_eq!(padding, opened != Err(Unopened::Padding), "padding is judged as RFC 5652 says");
});

/// Whether `blocks` end in padding (RFC 5652, 6.3).
fn is_padded(blocks: &[u8]) -> bool {
    let Some(&last) = blocks.last() else { return false };
    let length = usize::from(last);
    (1..=BLOCK).contains(&length) && blocks[blocks.len() - length..].iter().all(|byte| *byte == last)
}

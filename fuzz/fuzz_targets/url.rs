//! Reading a URL never panics, an envelope keeps its promises, and parameters that are appended to any allowed return
//! URL are found again.
//!
//! An input is a byte that chooses the leg, and the URL.
#![no_main]

use aa_redirect::codec::{
    Deviation, Envelope, Parties, RequestorType, Seal,
    cipher::BLOCK,
    form,
    kdf::Key,
    profile::{Conventions, PROFILES},
    seal,
    url::{Leg, append, leg_of, names_parameter},
};
use libfuzzer_sys::fuzz_target;

const DATE: &str = "060420210510756";

fuzz_target!(|input: &[u8]| {
    let [leg, url @ ..] = input else { return };
    let Ok(url) = std::str::from_utf8(url) else { return };
    let leg = if leg % 2 == 0 { Leg::Request } else { Leg::Callback };
    leg_of(url);
    if let Ok(envelope) = Envelope::from_url(url, leg) {
        assert!((1..=128).contains(&envelope.sender.len()), "an id has 1 to 128 bytes");
        assert!(!envelope.sender.contains(char::is_control), "an id has no control characters");
        assert!(!envelope.ciphertext.is_empty() && envelope.ciphertext.len() % 16 == 0, "whole blocks");
        let date = envelope.date.text();
        assert!(date.bytes().all(|byte| byte.is_ascii_digit()) && matches!(date.len(), 14..=17), "a date");
        assert!(leg == Leg::Request || envelope.requestor_type.is_none(), "a callback has no requestor type");
        let in_query = !envelope.deviations.kinds().any(|found| found == Deviation::InFragment);
        assert!(names_parameter(url, leg) || !in_query, "the parameters that were read are named");
        assert!(matches!(leg, Leg::Request) || leg_of(url) == Some(leg), "a callback is recognised as one");
    }
    if form::check_redirect(url).is_err() || names_parameter(url, leg) {
        return;
    }
    for profile in &PROFILES[..2] {
        let requestor_type = (leg == Leg::Request).then_some(RequestorType::Lsp);
        let sealed = Seal {
            leg,
            parties: Parties { fiu: "an id>?", aa: "an id>?" },
            requestor_type,
            date: DATE.to_owned(),
            key: &Key::new([0; 32]),
            random_iv: [0xfb; BLOCK],
        };
        let sealed = seal(url.to_owned().into(), sealed, &Conventions::of(profile));
        let whole = append(url, &sealed.query(leg));
        let read = Envelope::from_url(&whole, leg).expect("the appended parameters are found");
        assert_eq!(read.sender, "an id>?");
        assert_eq!(read.date.text(), DATE);
        assert_eq!(read.requestor_type, requestor_type);
        assert!(read.iv_for(profile.scheme).is_some());
        assert_eq!(read.ciphertext.len(), (url.len() / BLOCK + 1) * BLOCK);
        assert_eq!(read.deviations.kinds().next(), None, "nothing had to be repaired");
    }
});

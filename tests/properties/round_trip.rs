//! The codec opens every message that it seals, with the same members and without a repair.

use aa_redirect::codec::{
    self, Deviation, Deviations, Envelope, Opened, Parties, RequestorType, Seal, Sealed, Unopened, members,
    profile::Conventions,
    url::{self, Leg, Parameters, Value},
};
use proptest::{prelude::*, sample::select};

use super::{
    cases, conventions, id, instant, key,
    meaning::{Meaning, message},
};

fn seal(leg: Leg, meaning: &Meaning, seal: Seal<'_>, conventions: &Conventions) -> Sealed {
    let plaintext = match leg {
        Leg::Request => members::write_redirect(&meaning.redirect(), conventions.lists),
        Leg::Callback => members::write_callback(&meaning.callback(), conventions.lists),
    };
    codec::seal(plaintext, seal, conventions)
}

/// Opens with the key that the envelope's date gives.
pub(crate) fn open(
    leg: Leg,
    envelope: &Envelope,
    conventions: &Conventions,
) -> Result<(Meaning, Deviations), Unopened> {
    let key = key(envelope.date.text());
    let parties = Parties::of(leg, &envelope.sender, "another");
    match leg {
        Leg::Request => codec::open::<members::Redirect>(envelope, &key, conventions, parties)
            .map(|Opened { message, deviations, .. }| (Meaning::from(&message), deviations)),
        Leg::Callback => codec::open::<members::Callback>(envelope, &key, conventions, parties)
            .map(|Opened { message, deviations, .. }| (Meaning::from(&message), deviations)),
    }
}

/// The parameters as a caller gives them after it has taken them out of a URL.
fn parameters(sealed: &Sealed) -> Parameters<'_> {
    Parameters {
        fi: Value::plain(&sealed.fi),
        date: Value::plain(&sealed.date),
        message: Value::plain(&sealed.message),
        iv: Value::plain_or_none(&sealed.iv),
        requestor_type: Value::plain_or_none(&sealed.requestor_type),
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_sealed_message_opens(
        (leg, meaning) in message(),
        conventions in conventions(),
        sender in id(),
        kind in select(vec![None, Some(RequestorType::Fiu), Some(RequestorType::Lsp)]),
        instant in instant(),
        random_iv in any::<[u8; 16]>(),
        webview in select(vec!["https://aa.example/w", "https://aa.example/w?", "https://aa.example/w?a=1&", "aa://w?x#y?z"]),
    ) {
        let date = conventions.date.write(instant);
        let requestor_type = kind.filter(|_| leg == Leg::Request);
        let target = if leg == Leg::Request || url::names_parameter(&meaning.redirect, leg) {
            webview
        } else {
            &meaning.redirect
        };
        let sealed = seal(
            leg,
            &meaning,
            Seal {
                leg,
                parties: Parties::of(leg, &sender, "another"),
                requestor_type,
                date: date.clone(),
                key: &key(&date),
                random_iv,
            },
            &conventions,
        );
        let url = url::append(target, &sealed.query(leg));
        let plain = Envelope::from_parameters(parameters(&sealed), leg);
        for envelope in [Envelope::from_url(&url, leg), plain] {
            let envelope = envelope.unwrap();
            prop_assert_eq!((&envelope.sender, envelope.requestor_type), (&sender, requestor_type));
            let mut expected = Deviations::default();
            expected.note_if(!meaning.extra.is_empty(), Deviation::ExtraMember, "extra");
            // This is reported for every pairing, since missing padding may have been cut off on the way.
            let unpadded = !conventions.padding && !envelope.ciphertext.len().is_multiple_of(3);
            expected.note_if(unpadded, Deviation::Base64Unpadded, leg.message_name());
            prop_assert_eq!(open(leg, &envelope, &conventions), Ok((meaning.clone(), expected)));
        }
    }
}

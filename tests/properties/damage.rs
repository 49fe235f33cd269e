//! A changed byte of ciphertext or IV changes only what CBC allows: it garbles its own block and flips the same byte of
//! the next block. A message that still opens has every member that lies elsewhere.

use aa_redirect::codec::{
    Envelope, Unopened,
    cipher::{self, BLOCK},
    kdf::Key,
    members,
    profile::{Conventions, PROFILES, Scheme},
    url::Leg,
};
use aes::cipher::{BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

use super::{
    cases, conventions, key,
    meaning::{Meaning, OPTIONAL, message},
    round_trip::open,
    sender::escape,
};

const DATE: &str = "060420210510756";

/// PKCS#7, read in the simplest way.
fn unpadded(text: &[u8]) -> Option<&[u8]> {
    let length = usize::from(*text.last()?);
    let (text, padding) = text.split_at(text.len().checked_sub(length)?);
    ((1..=BLOCK).contains(&length) && padding.iter().all(|&byte| usize::from(byte) == length)).then_some(text)
}

fn padded(text: &[u8]) -> Vec<u8> {
    let length = BLOCK - text.len() % BLOCK;
    [text, &vec![u8::try_from(length).unwrap(); length]].concat()
}

fn plaintext(leg: Leg, meaning: &Meaning, conventions: &Conventions) -> Vec<u8> {
    let text = match leg {
        Leg::Request => members::write_redirect(&meaning.redirect(), conventions.lists),
        Leg::Callback => members::write_callback(&meaning.callback(), conventions.lists),
    };
    text.as_bytes().to_vec()
}

/// An envelope of `plaintext`, sealed with other code than the codec's.
fn envelope(leg: Leg, plaintext: &[u8], conventions: &Conventions) -> Envelope {
    use base64::{
        Engine,
        engine::general_purpose::{STANDARD, URL_SAFE},
    };
    let iv = [0; BLOCK];
    let sealed =
        cbc::Encryptor::<aes::Aes256>::new((&*key(DATE)).into(), &iv.into()).encrypt_padded_vec::<Pkcs7>(plaintext);
    let (date, message) = match leg {
        Leg::Request => ("reqdate", "ecreq"),
        Leg::Callback => ("resdate", "ecres"),
    };
    let iv = match conventions.profile.scheme {
        Scheme::HkdfIv => escape(&STANDARD.encode(iv)),
        Scheme::Pbkdf2 => String::new(),
    };
    let url = format!("fi=UQ%3D%3D&{date}={DATE}&{message}={}&iv={iv}", escape(&URL_SAFE.encode(sealed)));
    Envelope::from_url(&url, leg).unwrap()
}

/// The segments of `plaintext` that no changed byte touches. The `&` before and behind them are untouched too.
fn untouched<'a>(plaintext: &'a str, changed: &[usize]) -> Vec<&'a str> {
    let mut begin = 0;
    let mut segments = Vec::new();
    for segment in plaintext.split('&') {
        let end = begin + segment.len();
        if !changed.iter().any(|&at| (begin.saturating_sub(1)..=end).contains(&at)) {
            segments.push(segment);
        }
        begin = end + 1;
    }
    segments
}

/// Checks that every member of `untouched` segments is in `opened` as it was in `meaning`.
fn kept(meaning: &Meaning, opened: &Meaning, untouched: &[&str]) -> Result<(), TestCaseError> {
    let is_whole = |name: &str| {
        let prefix = format!("{name}=");
        untouched.iter().any(|segment| segment.starts_with(&prefix))
    };
    // It shows how all other members were written.
    if !is_whole("userid") {
        return Ok(());
    }
    let single = [
        ("txnid", &meaning.txnid, &opened.txnid),
        ("sessionid", &meaning.sessionid, &opened.sessionid),
        ("userid", &meaning.userid, &opened.userid),
        ("redirect", &meaning.redirect, &opened.redirect),
    ];
    let optional = OPTIONAL.into_iter().zip(&meaning.optional).zip(&opened.optional);
    for (name, before, after) in single.into_iter().chain(optional.map(|((name, before), after)| (name, before, after)))
    {
        prop_assert!(!is_whole(name) || before == after, "{name}: {before:?} {after:?}");
    }
    prop_assert!(!is_whole("status") || meaning.success == opened.success);
    prop_assert!(!is_whole("errorcode") || meaning.errorcode == opened.errorcode);
    for (name, value) in &meaning.extra {
        // A garbled `redirect` with a raw query takes unknown members behind it as a part of itself.
        let swallowed = opened.redirect != meaning.redirect;
        prop_assert!(!is_whole(name) || swallowed || opened.extra.get(name) == Some(value), "{name}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_changed_byte_of_ciphertext_garbles_its_block_and_flips_one_byte_of_the_next(
        bytes in any::<[u8; 32]>(),
        iv in any::<[u8; BLOCK]>(),
        text in vec(any::<u8>(), 0..200),
        at in any::<Index>(),
        flip in 1..=u8::MAX,
    ) {
        let key = Key::new(bytes);
        let (before, mut ciphertext) = (padded(&text), cipher::encrypt(&key, &iv, text));
        let at = at.index(ciphertext.len());
        ciphertext[at] ^= flip;
        let decrypted = cipher::decrypt(&key, &iv, &ciphertext).unwrap();
        let garbled = at / BLOCK * BLOCK..(at / BLOCK + 1) * BLOCK;
        let mut expected = before.clone();
        if let Some(byte) = expected.get_mut(at + BLOCK) {
            *byte ^= flip;
        }
        let Some(after) = decrypted.text() else {
            // Only a change in the last two blocks can break the padding.
            prop_assert!(garbled.end == before.len() || unpadded(&expected).is_none());
            return Ok(());
        };
        if garbled.end < before.len() {
            prop_assert_eq!(unpadded(&expected).map(<[u8]>::len), Some(after.len()));
        }
        for (place, (got, wanted)) in after.iter().zip(&expected).enumerate() {
            prop_assert!(garbled.contains(&place) || got == wanted, "{}", place);
        }
        if after.len() >= garbled.end {
            prop_assert_ne!(&after[garbled.clone()], &before[garbled]);
        }
    }

    #[test]
    fn a_changed_byte_of_the_iv_flips_one_byte(
        bytes in any::<[u8; 32]>(),
        iv in any::<[u8; BLOCK]>(),
        text in vec(any::<u8>(), 0..50),
        at in 0..BLOCK,
        flip in 1..=u8::MAX,
    ) {
        let key = Key::new(bytes);
        let mut expected = padded(&text);
        expected[at] ^= flip;
        let ciphertext = cipher::encrypt(&key, &iv, text);
        let mut changed = iv;
        changed[at] ^= flip;
        let decrypted = cipher::decrypt(&key, &changed, &ciphertext).unwrap();
        prop_assert_eq!(decrypted.text(), unpadded(&expected));
    }

    #[test]
    fn a_message_with_a_changed_byte_does_not_open_or_has_every_member_that_lies_elsewhere(
        (leg, meaning) in message(),
        mut conventions in conventions(),
        in_iv in any::<bool>(),
        at in any::<Index>(),
        flip in 1..=u8::MAX,
    ) {
        if in_iv {
            conventions.profile = &PROFILES[0];
        }
        let text = plaintext(leg, &meaning, &conventions);
        let mut envelope = envelope(leg, &text, &conventions);
        let changed: Vec<usize> = match &mut envelope.iv {
            Some(iv) if in_iv => {
                let at = at.index(BLOCK);
                iv[at] ^= flip;
                vec![at]
            }
            _ => {
                let at = at.index(envelope.ciphertext.len());
                envelope.ciphertext[at] ^= flip;
                (at / BLOCK * BLOCK..(at / BLOCK + 1) * BLOCK).chain([at + BLOCK]).collect()
            }
        };
        match open(leg, &envelope, &conventions) {
            Err(why) => prop_assert!(matches!(why, Unopened::Padding | Unopened::Members(_)), "{:?}", why),
            Ok((opened, _)) => {
                kept(&meaning, &opened, &untouched(std::str::from_utf8(&text).unwrap(), &changed))?;
            }
        }
    }

    /// Random bytes are rarely UTF-8, so garbled messages rarely open. Here the garbage is text.
    #[test]
    fn a_message_whose_garbled_block_is_text_has_every_member_that_lies_elsewhere(
        (leg, meaning) in message(),
        conventions in conventions(),
        at in any::<Index>(),
        garbage in vec(prop_oneof![12 => b'0'..=b'9', 1 => 32_u8..127, 1 => select(b"&=?".to_vec())], BLOCK),
        flip in prop_oneof![Just(0), 0..0x80_u8],
    ) {
        let mut text = plaintext(leg, &meaning, &conventions);
        let original = text.clone();
        let at = at.index(text.len());
        let block = at / BLOCK * BLOCK;
        let mut changed = Vec::new();
        for (place, byte) in (block..text.len()).zip(garbage) {
            text[place] = byte;
            changed.push(place);
        }
        if let Some(byte) = text.get_mut(at + BLOCK) {
            *byte ^= flip;
            changed.push(at + BLOCK);
        }
        if let Ok((opened, _)) = open(leg, &envelope(leg, &text, &conventions), &conventions) {
            kept(&meaning, &opened, &untouched(std::str::from_utf8(&original).unwrap(), &changed))?;
        }
    }
}

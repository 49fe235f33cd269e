//! Decrypts with one derived key in several ways: one for each common wrong way to encrypt.

use aes::{
    Aes128, Aes256,
    cipher::{
        Array, BlockCipherDecrypt, BlockModeDecrypt, KeyInit, KeyIvInit,
        block_padding::{NoPadding, Pkcs7},
        consts::U16,
        typenum::Unsigned,
    },
};
use aes_gcm::{
    AesGcm, Key,
    aead::{Aead, Nonce},
};
use zeroize::Zeroizing;

use crate::codec::{
    cipher::BLOCK,
    members,
    profile::{Conventions, PROFILES},
    url::Leg,
};

use super::material::Material;

/// The bytes of a GCM nonce, as most libraries choose it.
const NONCE: usize = 12;

/// The text of a message under one key, and what was wrong with its encryption.
pub(super) struct Decrypted {
    pub(super) text: Zeroizing<Vec<u8>>,
    /// What was wrong, in words; empty if nothing was wrong.
    pub(super) wrong: Vec<String>,
}

/// Whether `text` is a message of `leg`.
pub(super) fn is_message(text: &[u8], leg: Leg) -> bool {
    let conventions = Conventions::of(&PROFILES[0]);
    match leg {
        Leg::Request => members::read_redirect(text, &conventions).is_ok(),
        Leg::Callback => members::read_callback(text, &conventions).is_ok(),
    }
}

/// The first way in which `key` opens the message.
pub(super) fn open(material: &Material, key: &[u8; 32]) -> Option<Decrypted> {
    let fits = |text: &[u8]| is_message(text, material.leg);
    for bits in [256, 128] {
        for (iv, ciphertext, wrong) in ivs(material, key) {
            let text = cbc::<Pkcs7>(key, bits, &iv, ciphertext);
            if let Some(text) = text.filter(|text| fits(text)) {
                return Some(Decrypted { text, wrong: aes(bits).into_iter().chain(wrong).collect() });
            }
        }
        if let Some(text) = ecb(key, bits, &material.ciphertext).filter(|text| fits(text)) {
            let wrong = aes(bits).into_iter().chain(["it encrypts with ECB, not CBC".to_owned()]).collect();
            return Some(Decrypted { text, wrong });
        }
        if let Some(text) = gcm(material, key, bits).filter(|text| fits(text)) {
            let wrong = aes(bits).into_iter().chain(["it encrypts with GCM, not CBC".to_owned()]).collect();
            return Some(Decrypted { text, wrong });
        }
    }
    None
}

/// All bytes, decrypted with the key and the IV of the scheme. The padding is included.
pub(super) fn raw(material: &Material, key: &[u8; 32]) -> Option<Zeroizing<Vec<u8>>> {
    cbc::<NoPadding>(key, 256, &material.iv.unwrap_or([0; BLOCK]), &material.ciphertext)
}

fn aes(bits: u32) -> Option<String> {
    (bits != 256).then(|| format!("it uses AES-{bits}, not AES-256"))
}

/// The IVs that senders use, each with the ciphertext behind it and what is wrong with it.
fn ivs<'a>(material: &'a Material, key: &[u8; 32]) -> Vec<([u8; BLOCK], &'a [u8], Option<String>)> {
    let whole = &*material.ciphertext;
    let wrong = |what: &str| Some(format!("its IV is {what}"));
    let mut ivs = Vec::with_capacity(6);
    // The IV of the scheme comes first.
    match material.iv {
        Some(iv) => ivs.extend([(iv, whole, None), ([0; BLOCK], whole, wrong("16 zero bytes, not the one in iv"))]),
        None => ivs.push(([0; BLOCK], whole, None)),
    }
    ivs.push(([b'0'; BLOCK], whole, wrong("16 times the character 0")));
    if let Some(start) = key.first_chunk() {
        ivs.push((*start, whole, wrong("the first half of the key")));
    }
    if let Some((front, rest)) = whole.split_first_chunk() {
        ivs.push((*front, rest, wrong("in front of the ciphertext")));
    }
    ivs
}

fn cbc<P: aes::cipher::block_padding::Padding>(
    key: &[u8; 32],
    bits: u32,
    iv: &[u8; BLOCK],
    ciphertext: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(ciphertext.to_vec());
    if bytes.is_empty() || !bytes.len().is_multiple_of(BLOCK) {
        return None;
    }
    let length = match bits {
        256 => ::cbc::Decryptor::<Aes256>::new(key.into(), iv.into()).decrypt_padded::<P>(&mut bytes).ok()?.len(),
        _ => ::cbc::Decryptor::<Aes128>::new(key.first_chunk::<16>()?.into(), iv.into())
            .decrypt_padded::<P>(&mut bytes)
            .ok()?
            .len(),
    };
    bytes.truncate(length);
    Some(bytes)
}

fn ecb(key: &[u8; 32], bits: u32, ciphertext: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(ciphertext.to_vec());
    let (blocks, rest) = Array::<u8, U16>::slice_as_chunks_mut(&mut bytes);
    if blocks.is_empty() || !rest.is_empty() {
        return None;
    }
    match bits {
        256 => Aes256::new(key.into()).decrypt_blocks(blocks),
        _ => Aes128::new(key.first_chunk::<16>()?.into()).decrypt_blocks(blocks),
    }
    let padding = usize::from(*bytes.last()?);
    let length = bytes.len().checked_sub(padding).filter(|_| (1..=BLOCK).contains(&padding))?;
    bytes.truncate(length);
    Some(bytes)
}

/// The text under GCM, with the nonce of `iv` or in front of the ciphertext; its tag is checked.
fn gcm(material: &Material, key: &[u8; 32], bits: u32) -> Option<Zeroizing<Vec<u8>>> {
    let given = material.iv_bytes.as_deref().into_iter().map(|iv| (iv, &*material.ciphertext));
    let front = material.ciphertext.split_at_checked(NONCE).into_iter();
    let long_front = material.ciphertext.split_at_checked(BLOCK).into_iter();
    given.chain([([0; NONCE].as_slice(), &*material.ciphertext)]).chain(front).chain(long_front).find_map(
        |(nonce, sealed)| match (bits, nonce.len()) {
            (256, NONCE) => unseal::<AesGcm<Aes256, aes::cipher::consts::U12>>(key, nonce, sealed),
            (256, BLOCK) => unseal::<AesGcm<Aes256, U16>>(key, nonce, sealed),
            (_, NONCE) => unseal::<AesGcm<Aes128, aes::cipher::consts::U12>>(&key[..16], nonce, sealed),
            (_, BLOCK) => unseal::<AesGcm<Aes128, U16>>(&key[..16], nonce, sealed),
            _ => None,
        },
    )
}

fn unseal<C: Aead + KeyInit>(key: &[u8], nonce: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    debug_assert_eq!(key.len(), C::KeySize::USIZE, "the caller cuts the key");
    let key: &Key<C> = key.try_into().ok()?;
    let nonce: &Nonce<C> = nonce.try_into().ok()?;
    C::new(key).decrypt(nonce, sealed).ok().map(Zeroizing::new)
}

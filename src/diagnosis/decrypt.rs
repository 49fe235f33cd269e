//! Decrypts with one derived key in several ways: one for each common wrong way to encrypt.

use aes::{
    Aes128, Aes192, Aes256,
    cipher::{
        Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockSizeUser, KeyInit, KeyIvInit,
        StreamCipher,
        block_padding::NoPadding,
        consts::{U12, U16},
    },
};
use aes_gcm::{
    AesGcm,
    aead::{Aead, Nonce},
};
use zeroize::Zeroizing;

use crate::codec::{base64::from_hexadecimal, cipher::BLOCK, profile::Scheme};

use super::{
    material::Material,
    partial,
    text::{is_message, unpadded},
};

/// The bytes of a GCM nonce, as most libraries choose it.
const NONCE: usize = 12;

/// The text of a message under one key, and what was wrong with its encryption.
pub(super) struct Decrypted {
    pub(super) text: Zeroizing<Vec<u8>>,
    /// What was wrong, in words; empty if nothing was wrong.
    pub(super) wrong: Vec<String>,
}

/// The first way in which `key`, derived from `secret`, opens the message. `scheme` says which IV is right.
pub(super) fn open(material: &Material, key: &[u8; 32], secret: &[u8], scheme: Scheme) -> Option<Decrypted> {
    let ivs = ivs(material, key, secret, scheme);
    opened::<Aes256>(material, key, &ivs, None)
        .or_else(|| opened::<Aes128>(material, &key[..16], &ivs, Some("it uses AES-128, not AES-256")))
        .or_else(|| opened::<Aes192>(material, &key[..24], &ivs, Some("it uses AES-192, not AES-256")))
}

/// A text that is not a message, but partly right.
pub(super) struct Partly {
    /// What is right and what is wrong, in words.
    pub(super) what: String,
    /// What was wrong with its encryption.
    pub(super) wrong: Option<String>,
    /// The text, if it is one.
    pub(super) text: Option<Zeroizing<String>>,
}

/// What is right about the text under `key`, though it is no message.
pub(super) fn partly(material: &Material, key: &[u8; 32]) -> Option<Partly> {
    let iv = &material.iv.unwrap_or([0; BLOCK]);
    let read = |bytes: Option<Zeroizing<Vec<u8>>>| {
        let bytes = bytes?;
        let what = partial::read(&bytes, material.leg)?;
        let text = std::str::from_utf8(unpadded(&bytes).unwrap_or(&bytes)).ok();
        Some(Partly { what, wrong: None, text: text.map(|text| Zeroizing::new(text.to_owned())) })
    };
    // A message that was cut has a part of a block at its end.
    let (blocks, _) = material.ciphertext.as_chunks::<BLOCK>();
    let blocks = blocks.as_flattened();
    read(cbc::<Aes256>(key, iv, blocks)).or_else(|| {
        let read = read(cbc::<Aes128>(&key[..16], iv, blocks))?;
        Some(Partly { wrong: Some("it uses AES-128, not AES-256".to_owned()), ..read })
    })
}

/// An IV that senders use, the ciphertext behind it, and what is wrong with it.
struct Iv<'a> {
    iv: Zeroizing<[u8; BLOCK]>,
    ciphertext: &'a [u8],
    wrong: Option<&'static str>,
}

/// The IVs that senders use. The IV of the scheme comes first.
fn ivs<'a>(material: &'a Material, key: &[u8; 32], secret: &[u8], scheme: Scheme) -> Vec<Iv<'a>> {
    let zeros = [0; BLOCK];
    let of = |iv, wrong| Iv { iv: Zeroizing::new(iv), ciphertext: &material.ciphertext, wrong };
    let mut ivs = match (scheme, material.iv) {
        (Scheme::HkdfIv, Some(iv)) => vec![of(iv, None), of(zeros, Some("its IV is 16 zero bytes, not the one in iv"))],
        (Scheme::Pbkdf2, None) => vec![of(zeros, None)],
        (Scheme::HkdfIv, None) => {
            vec![of(zeros, Some("its IV is 16 zero bytes; hkdf-iv needs a random one, which it sends in iv"))]
        }
        (Scheme::Pbkdf2, Some(iv)) => vec![
            of(iv, Some("its IV is the one in iv; pbkdf2 has 16 zero bytes and no iv")),
            of(zeros, Some("it sends an iv, and pbkdf2 has none")),
        ],
    };
    ivs.extend(of_other_length(material).into_iter().map(|(iv, wrong)| of(iv, Some(wrong))));
    ivs.push(of([b'0'; BLOCK], Some("its IV is 16 times the character 0")));
    if let Some(start) = key.first_chunk() {
        ivs.push(of(*start, Some("its IV is the first half of the key")));
    }
    if let Some(start) = secret.first_chunk() {
        ivs.push(of(*start, Some("its IV is the first 16 bytes of the secret")));
    }
    if let Some((front, ciphertext)) = material.ciphertext.split_first_chunk() {
        let wrong = Some("its IV is in front of the ciphertext");
        ivs.push(Iv { iv: Zeroizing::new(*front), ciphertext, wrong });
    }
    ivs
}

/// The IVs that senders make of an `iv` that does not have the length of one.
fn of_other_length(material: &Material) -> Vec<([u8; BLOCK], &'static str)> {
    let Some(bytes) = material.iv_bytes.as_deref().filter(|bytes| bytes.len() != BLOCK) else { return Vec::new() };
    let digits = std::str::from_utf8(bytes).ok().and_then(from_hexadecimal).and_then(|iv| iv.try_into().ok());
    let digits = digits.map(|iv| (iv, "its iv is the hexadecimal digits of the IV, not its 16 bytes"));
    let length = bytes.len().min(BLOCK);
    let mut filled = [0; BLOCK];
    filled[..length].copy_from_slice(&bytes[..length]);
    let filled = if bytes.len() < BLOCK {
        (filled, "its IV is shorter than 16 bytes, and it fills it with zero bytes")
    } else {
        (filled, "its IV is longer than 16 bytes, and it uses the first 16")
    };
    digits.into_iter().chain([filled]).collect()
}

/// The first way in which `key` opens the message with the cipher `C`; `wrong` is what is wrong with that cipher.
fn opened<C>(material: &Material, key: &[u8], ivs: &[Iv<'_>], wrong: Option<&'static str>) -> Option<Decrypted>
where
    C: BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16> + KeyInit + Clone,
{
    let fits = |text: &[u8]| is_message(text, material.leg);
    let found = |text: &[u8], how: Option<&str>| Decrypted {
        text: Zeroizing::new(text.to_vec()),
        wrong: wrong.into_iter().chain(how).map(str::to_owned).collect(),
    };
    let padded = |bytes: &[u8], how| Some(found(unpadded(bytes).filter(|text| fits(text))?, how));
    // What stands in front of a message may be a part of the text, such as the first 16 characters of a URL.
    let is_text = |block: &[u8]| block.iter().all(|byte| (b' '..=b'~').contains(byte));
    let whole = || cbc::<C>(key, &ivs.first()?.iv, &material.ciphertext);
    let begins_with_text = || whole().is_some_and(|text| is_text(&text[..BLOCK]));
    let is_right = |iv: &Iv<'_>| iv.ciphertext.len() == material.ciphertext.len() || !begins_with_text();
    ivs.iter()
        .find_map(|iv| padded(&cbc::<C>(key, &iv.iv, iv.ciphertext)?, iv.wrong).filter(|_| is_right(iv)))
        .or_else(|| padded(&ecb::<C>(key, &material.ciphertext)?, Some("it encrypts with ECB, not CBC")))
        .or_else(|| {
            Some(found(&gcm::<C>(material, key).filter(|text| fits(text))?, Some("it encrypts with GCM, not CBC")))
        })
        .or_else(|| {
            ivs.iter().find_map(|iv| {
                let text = ctr::<C>(key, &iv.iv, iv.ciphertext)?;
                let text = unpadded(&text).filter(|text| fits(text)).or_else(|| fits(&text).then_some(&**text))?;
                Some(found(text, Some("it encrypts with CTR, not CBC")))
            })
        })
}

/// The bytes under CBC, with the padding.
fn cbc<C>(key: &[u8], iv: &[u8; BLOCK], ciphertext: &[u8]) -> Option<Zeroizing<Vec<u8>>>
where
    C: BlockCipherDecrypt + BlockSizeUser<BlockSize = U16> + KeyInit + Clone,
{
    let mut bytes = Zeroizing::new(ciphertext.to_vec());
    if bytes.is_empty() || !bytes.len().is_multiple_of(BLOCK) {
        return None;
    }
    ::cbc::Decryptor::<C>::new_from_slices(key, iv).ok()?.decrypt_padded::<NoPadding>(&mut bytes).ok()?;
    Some(bytes)
}

/// The bytes under ECB, with the padding.
fn ecb<C>(key: &[u8], ciphertext: &[u8]) -> Option<Zeroizing<Vec<u8>>>
where
    C: BlockCipherDecrypt + BlockSizeUser<BlockSize = U16> + KeyInit,
{
    let mut bytes = Zeroizing::new(ciphertext.to_vec());
    let (blocks, rest) = Array::<u8, U16>::slice_as_chunks_mut(&mut bytes);
    if blocks.is_empty() || !rest.is_empty() {
        return None;
    }
    C::new_from_slice(key).ok()?.decrypt_blocks(blocks);
    Some(bytes)
}

/// The bytes under CTR with a counter of 128 bits.
fn ctr<C>(key: &[u8], iv: &[u8; BLOCK], ciphertext: &[u8]) -> Option<Zeroizing<Vec<u8>>>
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + KeyInit,
{
    let mut bytes = Zeroizing::new(ciphertext.to_vec());
    ::ctr::Ctr128BE::<C>::new_from_slices(key, iv).ok()?.try_apply_keystream(&mut bytes).ok()?;
    Some(bytes)
}

/// The text under GCM, with the nonce of `iv`, of zeros or in front of the ciphertext; its tag is checked.
fn gcm<C>(material: &Material, key: &[u8]) -> Option<Zeroizing<Vec<u8>>>
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + KeyInit,
{
    let whole = &*material.ciphertext;
    let given = material.iv_bytes.as_deref();
    let given = given.into_iter().chain(given.and_then(|iv| iv.get(..NONCE))).map(|iv| (iv, whole));
    let front = [NONCE, BLOCK].into_iter().filter_map(|length| whole.split_at_checked(length));
    given.chain([([0; NONCE].as_slice(), whole)]).chain(front).find_map(|(nonce, sealed)| match nonce.len() {
        NONCE => unseal::<AesGcm<C, U12>>(key, nonce, sealed),
        BLOCK => unseal::<AesGcm<C, U16>>(key, nonce, sealed),
        _ => None,
    })
}

fn unseal<A: Aead + KeyInit>(key: &[u8], nonce: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let nonce: &Nonce<A> = nonce.try_into().ok()?;
    A::new_from_slice(key).ok()?.decrypt(nonce, sealed).ok().map(Zeroizing::new)
}

//! AES-256-CBC (NIST SP 800-38A) with PKCS#7 padding (RFC 5652, 6.3), which is removed in constant time.

use aes::Aes256;
use aes::cipher::{
    BlockModeDecrypt, BlockModeEncrypt, KeyIvInit,
    block_padding::{NoPadding, Pkcs7},
};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq, ConstantTimeGreater};

use zeroize::optimization_barrier;

use super::kdf::Key;

/// The bytes of a block and of an IV.
pub const BLOCK: usize = 16;

/// `AES-256-CBC-Encrypt(key, iv, PKCS7(text))`, in place. If `text` has room for one more block behind it, no copy of
/// the text is left in memory.
#[expect(clippy::expect_used, reason = "without encryption the result would be the text itself")]
pub fn encrypt(key: &Key, iv: &[u8; BLOCK], mut text: Vec<u8>) -> Vec<u8> {
    let length = text.len();
    text.resize((length / BLOCK + 1) * BLOCK, 0);
    cbc::Encryptor::<Aes256>::new((&**key).into(), iv.into())
        .encrypt_padded::<Pkcs7>(&mut text, length)
        .expect("there is room for the padding");
    text
}

/// A decrypted ciphertext. Nothing branches on its padding before [`Decrypted::text`] is called. All bytes are zeroed
/// when it is dropped, for valid and for invalid padding.
pub struct Decrypted {
    /// Text and padding.
    bytes: Vec<u8>,
    /// The length of the text; the whole length if the padding is invalid.
    length: usize,
    valid: Choice,
}

impl Decrypted {
    /// The text without its padding; `None` for invalid padding.
    pub fn text(&self) -> Option<&[u8]> {
        bool::from(self.valid).then(|| &self.bytes[..self.length])
    }
}

/// `PKCS7⁻¹(AES-256-CBC-Decrypt(key, iv, ciphertext))`. `None` if the ciphertext is not one or more whole blocks. Valid
/// and invalid padding over the same decrypted bytes cost the same.
pub fn decrypt(key: &Key, iv: &[u8; BLOCK], ciphertext: &[u8]) -> Option<Decrypted> {
    let mut decrypted = Decrypted { bytes: ciphertext.to_vec(), length: 0, valid: 0.into() };
    let cipher = cbc::Decryptor::<Aes256>::new((&**key).into(), iv.into());
    cipher.decrypt_padded::<NoPadding>(&mut decrypted.bytes).ok()?;
    let (padding, valid) = padding(decrypted.bytes.last_chunk()?);
    decrypted.length = decrypted.bytes.len() - padding;
    decrypted.valid = valid;
    Some(decrypted)
}

impl Drop for Decrypted {
    fn drop(&mut self) {
        // As a whole: `zeroize` writes byte by byte.
        self.bytes.fill(0);
        optimization_barrier(&*self.bytes);
    }
}

/// The length of the padding at the end of `block`, and whether it is valid, without a branch or index that depends on
/// the bytes. The length is at most that of the block, and 0 if the padding is invalid.
fn padding(block: &[u8; BLOCK]) -> (usize, Choice) {
    let length = block[BLOCK - 1];
    let mut wrong = 0;
    for (from_end, byte) in (0_u8..).zip(block.iter().rev()) {
        // A byte inside the padding must equal its length. A byte outside may have any value. The upper byte of the
        // difference has all bits inside, and none outside.
        let [_, inside] = u16::from(from_end).wrapping_sub(length.into()).to_le_bytes();
        wrong |= inside & (byte ^ length);
    }
    let valid = wrong.ct_eq(&0) & !length.ct_eq(&0) & !length.ct_gt(&16);
    (usize::from(u8::conditional_select(&0, &length, valid)), valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_read_as_the_library_reads_it() {
        let (key, iv) = (&Key::new([0; 32]), [7; BLOCK]);
        let cipher = || cbc::Decryptor::<Aes256>::new((&**key).into(), (&iv).into());
        for length in 0..=255_u8 {
            // The last round has no fault.
            for fault in 0..=BLOCK {
                let mut block = [0x41; BLOCK];
                block[BLOCK - usize::from(length).clamp(1, BLOCK)..].fill(length);
                if let Some(byte) = block.get_mut(fault) {
                    *byte ^= 0x80;
                }
                let sealed = cbc::Encryptor::<Aes256>::new((&**key).into(), (&iv).into())
                    .encrypt_padded_vec::<NoPadding>(&block);
                let theirs = cipher().decrypt_padded_vec::<Pkcs7>(&sealed).ok();
                let ours = decrypt(key, &iv, &sealed).unwrap();
                assert_eq!(ours.text(), theirs.as_deref(), "{length} {fault}");
            }
        }
    }

    #[test]
    fn a_text_may_end_in_the_byte_that_pads_it() {
        for length in 1..=16_u8 {
            let text = vec![length; 2 * BLOCK - usize::from(length)];
            let sealed = encrypt(&Key::new([0; 32]), &[7; BLOCK], text.clone());
            let opened =
                decrypt(&Key::new([0; 32]), &[7; BLOCK], &sealed).and_then(|opened| opened.text().map(<[u8]>::to_vec));
            assert_eq!(opened, Some(text), "{length}");
        }
    }

    #[test]
    fn a_ciphertext_of_broken_blocks_is_refused() {
        for length in [0, 1, 15, 17, 31] {
            assert!(decrypt(&Key::new([0; 32]), &[0; BLOCK], &vec![0; length]).is_none(), "{length}");
        }
    }
}

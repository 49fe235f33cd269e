//! Seals a message: from a plaintext to the parameters of a URL.

use zeroize::Zeroizing;

use super::{
    Parties, RequestorType, base64,
    cipher::{self, BLOCK},
    kdf::Key,
    mask,
    profile::{Authentication, Conventions, Scheme},
    tag::{self, Scope},
    url::{self, Leg},
};

/// Everything that sealing needs, except the members.
pub struct Seal<'a> {
    /// The leg.
    pub leg: Leg,
    /// The ids of the pairing. The sender's id goes into `fi`.
    pub parties: Parties<'a>,
    /// For `requestorType`.
    pub requestor_type: Option<RequestorType>,
    /// The date in the pairing's style.
    pub date: String,
    /// The key of a secret and that date.
    pub key: &'a Key,
    /// 16 new random bytes, for the scheme that sends an IV.
    pub random_iv: [u8; BLOCK],
}

/// The parameters of a sealed message, before percent-encoding.
pub struct Sealed {
    /// The sender's masked id.
    pub fi: String,
    /// The date, unchanged.
    pub date: String,
    /// The ciphertext.
    pub message: String,
    /// The IV. Empty in a scheme without one.
    pub iv: String,
    /// The masked requestor type. Empty if it is absent.
    pub requestor_type: String,
}

impl Sealed {
    /// The parameters as a query string of `leg` without `?`.
    pub fn query(&self, leg: Leg) -> String {
        let parameters = [
            ("fi", &self.fi),
            (leg.date_name(), &self.date),
            (leg.message_name(), &self.message),
            ("iv", &self.iv),
            ("requestorType", &self.requestor_type),
        ];
        url::query(parameters.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name, &**value)))
    }
}

/// Seals `plaintext`, written by [`super::members::write_redirect`] or [`super::members::write_callback`].
pub fn seal(mut plaintext: Zeroizing<String>, seal: Seal<'_>, conventions: &Conventions) -> Sealed {
    let Seal { leg, parties, requestor_type, date, key, random_iv } = seal;
    if conventions.authentication != Authentication::Off {
        tag::push(&mut plaintext, key, Scope { leg, parties, date: &date });
    }
    let (block, iv) = match conventions.profile.scheme {
        Scheme::HkdfIv => (random_iv, base64::standard(&random_iv)),
        Scheme::Pbkdf2 => ([0; BLOCK], String::new()),
    };
    let plaintext = std::mem::take(&mut *plaintext).into_bytes();
    let ciphertext = cipher::encrypt(key, &block, plaintext);
    let masked = |text: &str| base64::standard(&mask::mask(text.as_bytes(), &date));
    Sealed {
        fi: masked(parties.sender(leg)),
        message: base64::url_safe(&ciphertext, conventions.padding),
        iv,
        requestor_type: requestor_type.map_or_else(String::new, |kind| masked(kind.name())),
        date,
    }
}

/// The length of the ciphertext of a plaintext of `length` bytes.
pub fn ciphertext_length(length: usize, conventions: &Conventions) -> usize {
    let added = if conventions.authentication == Authentication::Off { 0 } else { tag::ADDED };
    ((length + added) / BLOCK + 1) * BLOCK
}

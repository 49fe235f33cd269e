//! `keygen`: makes a secret from the alphabet of the specification and the randomness of the system.

use super::Failure;

/// The specification's alphabet of secrets.
const ALPHABET: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_!#$%&*?@^~";
/// The number of characters of a secret.
const LENGTH: usize = 32;

/// A new secret, each of its characters equally likely.
pub(super) fn secret() -> Result<String, Failure> {
    let mut secret = String::with_capacity(LENGTH);
    while secret.len() < LENGTH {
        let mut bytes = [0; 2 * LENGTH];
        getrandom::fill(&mut bytes).map_err(|error| Failure::Other(format!("no random bytes: {error}")))?;
        // Bytes at or above the largest multiple of the alphabet's length are dropped: they would make some characters
        // more likely.
        let fair = 256 / ALPHABET.len() * ALPHABET.len();
        let characters = bytes.into_iter().map(usize::from).filter(|&byte| byte < fair);
        secret.extend(characters.map(|byte| char::from(ALPHABET[byte % ALPHABET.len()])));
    }
    secret.truncate(LENGTH);
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_32_characters_of_the_alphabet_and_is_new_each_time() {
        let (one, other) = (secret().unwrap(), secret().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), LENGTH);
        assert!(one.bytes().all(|byte| ALPHABET.contains(&byte)), "{one}");
        assert_eq!(ALPHABET.len(), 74);
    }
}

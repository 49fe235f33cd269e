//! The messages and the service of `proto/aa/redirect/v1/redirect.proto`, with a `Debug` that hides payloads.

// Generated code, with the comments of the proto file.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::BufferSettings;
use tonic_prost::{ProstDecoder, ProstEncoder};

tonic::include_proto!("aa.redirect.v1");

/// The descriptors of all proto files, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// tonic's codec for protobuf with smaller buffers.
///
/// Replaces `tonic_prost::ProstCodec`, which allocates 8 KiB for each request and each answer. Nearly all of them fit
/// into these, and those that do not make them grow.
pub struct Codec<T, U>(PhantomData<(T, U)>);

/// 1 KiB to begin with; the second number counts for streams alone.
fn buffers() -> BufferSettings {
    BufferSettings::new(1024, 32 * 1024)
}

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Message + 'static, U: Message + Default + 'static> tonic::codec::Codec for Codec<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::new(buffers())
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::new(buffers())
    }
}

macro_rules! hide {
    ($message:ty) => {
        impl std::fmt::Debug for $message {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($message), " { .. }"))
            }
        }
    };
}

// `build.rs` hides every message that it does not know to be without members, user ids and whole URLs, which must never
// reach a log.
include!(concat!(env!("OUT_DIR"), "/hidden.rs"));

//! The messages and the service of `proto/aa/redirect/v1/redirect.proto`, with a `Debug` that hides payloads.

// Generated code, with the comments of the proto file.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

tonic::include_proto!("aa.redirect.v1");

/// The descriptors of all proto files, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

macro_rules! hide {
    ($($message:ty),* $(,)?) => {$(
        impl std::fmt::Debug for $message {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($message), " { .. }"))
            }
        }
    )*};
}

// These hide members, user ids and whole URLs, which must never reach a log.
hide!(
    Redirect,
    Callback,
    RedirectParams,
    CallbackParams,
    EncodeRedirectRequest,
    EncodeRedirectResponse,
    DecodeRedirectRequest,
    decode_redirect_request::Source,
    DecodeRedirectResponse,
    EncodeCallbackRequest,
    EncodeCallbackResponse,
    DecodeCallbackRequest,
    decode_callback_request::Source,
    ExpectedCallback,
    DecodeCallbackResponse,
);

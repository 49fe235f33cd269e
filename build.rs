//! Compiles `proto/` with protox, so that the machine needs no protoc, and writes the descriptor set for reflection.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

/// Messages with members, user ids or whole URLs.
const HIDDEN: [&str; 13] = [
    "Redirect",
    "Callback",
    "RedirectParams",
    "CallbackParams",
    "EncodeRedirectRequest",
    "EncodeRedirectResponse",
    "DecodeRedirectRequest",
    "DecodeRedirectResponse",
    "EncodeCallbackRequest",
    "EncodeCallbackResponse",
    "DecodeCallbackRequest",
    "ExpectedCallback",
    "DecodeCallbackResponse",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(["aa/redirect/v1/redirect.proto"], ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // tonic ignores its own `file_descriptor_set_path` if it is given descriptors.
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // Payloads, user ids and whole URLs must not reach a log: `src/proto.rs` has its own `Debug` for these
        // messages.
        .skip_debug(HIDDEN.map(|message| format!(".aa.redirect.v1.{message}")))
        // Extra members are sorted by name.
        .btree_map(".aa.redirect.v1")
        .codec_path("crate::proto::Codec")
        .compile_fds(descriptors)?;
    Ok(())
}

//! Compiles `proto/` with protox, so that the machine needs no protoc, and keeps the descriptor set for reflection.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

/// Messages that carry members, user ids or whole URLs.
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
    // tonic's own `file_descriptor_set_path` is ignored when descriptors are handed over.
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // Payloads, user ids and whole URLs must not reach a log: `src/proto.rs` writes the `Debug` of these by hand.
        .skip_debug(HIDDEN.map(|message| format!(".aa.redirect.v1.{message}")))
        // Extra members in the order of their names.
        .btree_map(".aa.redirect.v1")
        .compile_fds(descriptors)?;
    Ok(())
}

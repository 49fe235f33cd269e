//! Compiles `proto/` with protox, so that the machine needs no protoc. Writes the descriptor set for reflection, and a
//! `Debug` for messages that hides their content.

use std::{env, error::Error, fs, path::PathBuf};

use heck::{ToSnakeCase, ToUpperCamelCase};
use prost::Message;
use prost_types::DescriptorProto;

const PACKAGE: &str = "aa.redirect.v1";

/// The messages without members, user ids and whole URLs. `Debug` shows these alone, so that a new message is hidden.
const SHOWN: [&str; 4] = ["ListPairingsRequest", "ListPairingsResponse", "Pairing", "DeviationDetail"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(["aa/redirect/v1/redirect.proto"], ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // tonic ignores its own `file_descriptor_set_path` if it is given descriptors.
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    let ours = descriptors.file.iter().filter(|file| file.package() == PACKAGE);
    let hidden: Vec<&DescriptorProto> =
        ours.flat_map(|file| &file.message_type).filter(|message| !SHOWN.contains(&message.name())).collect();
    fs::write(out.join("hidden.rs"), hidden.iter().map(|message| hide(message, "")).collect::<String>())?;
    tonic_prost_build::configure()
        .skip_debug(hidden.iter().map(|message| format!(".{PACKAGE}.{}", message.name())))
        // Extra members are sorted by name.
        .btree_map(format!(".{PACKAGE}"))
        .codec_path("crate::proto::Codec")
        .compile_fds(descriptors)?;
    Ok(())
}

/// The code that hides a message of `module`, and everything inside it, with the macro of `src/proto.rs`.
fn hide(message: &DescriptorProto, module: &str) -> String {
    let name = message.name();
    let inside = format!("{module}{}::", name.to_snake_case());
    let oneofs =
        message.oneof_decl.iter().map(|oneof| format!("hide!({inside}{});\n", oneof.name().to_upper_camel_case()));
    let is_map =
        |nested: &&DescriptorProto| nested.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry);
    let nested = message.nested_type.iter().filter(|nested| !is_map(nested)).map(|nested| hide(nested, &inside));
    format!("hide!({module}{name});\n") + &oneofs.chain(nested).collect::<String>()
}

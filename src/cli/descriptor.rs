//! `descriptor`: the descriptor set of the service for proxies and tools that do not read proto files.
//!
//! It holds `google/rpc/status.proto` and `google/rpc/error_details.proto` too: without them a transcoder cannot write
//! the details of an error.

use std::collections::HashSet;

use prost::Message;
use prost_types::FileDescriptorSet;

use crate::proto::DESCRIPTORS;

/// An encoded `google.protobuf.FileDescriptorSet`: each file once, after the files that it imports.
pub(super) fn set() -> Vec<u8> {
    let mut seen = HashSet::new();
    let mut all = FileDescriptorSet::default();
    let mut rpc = decode(tonic_types::pb::FILE_DESCRIPTOR_SET).file;
    for file in rpc.iter_mut().filter(|file| file.package() == "google.rpc" && !file.name().contains('/')) {
        // The library names them without their folder. All other files import them by their whole path.
        file.name = Some(format!("google/rpc/{}", file.name()));
    }
    for files in [rpc, decode(DESCRIPTORS).file] {
        all.file.extend(files.into_iter().filter(|file| seen.insert(file.name().to_owned())));
    }
    all.encode_to_vec()
}

#[expect(clippy::expect_used, reason = "both sets are compiled in, and a test decodes them")]
fn decode(set: &[u8]) -> FileDescriptorSet {
    FileDescriptorSet::decode(set).expect("a descriptor set that is compiled in")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_comes_once_and_after_its_imports() {
        let mut seen = HashSet::new();
        for file in decode(&set()).file {
            for import in &file.dependency {
                assert!(seen.contains(import), "{} comes before {import}", file.name());
            }
            assert!(seen.insert(file.name().to_owned()), "{} is there twice", file.name());
        }
        for name in ["google/rpc/status.proto", "google/rpc/error_details.proto", "aa/redirect/v1/redirect.proto"] {
            assert!(seen.contains(name), "{name} is missing");
        }
    }
}

//! The RPCs of the service, as a caller's `methods` name them.

use std::fmt;

/// An RPC of `RedirectService`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the interface")]
pub enum Rpc {
    EncodeRedirect,
    DecodeRedirect,
    EncodeCallback,
    DecodeCallback,
    ListPairings,
}

impl Rpc {
    /// Every RPC, in the order of the interface.
    pub const ALL: [Self; 5] =
        [Self::EncodeRedirect, Self::DecodeRedirect, Self::EncodeCallback, Self::DecodeCallback, Self::ListPairings];

    /// Its name in the interface.
    pub fn name(self) -> &'static str {
        match self {
            Self::EncodeRedirect => "EncodeRedirect",
            Self::DecodeRedirect => "DecodeRedirect",
            Self::EncodeCallback => "EncodeCallback",
            Self::DecodeCallback => "DecodeCallback",
            Self::ListPairings => "ListPairings",
        }
    }

    /// The RPC with this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rpc| rpc.name() == name)
    }
}

impl fmt::Display for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn every_rpc_of_the_interface_is_known() {
        let files = prost_types::FileDescriptorSet::decode(crate::proto::DESCRIPTORS).unwrap();
        let service = files.file.iter().find_map(|file| file.service.first()).unwrap();
        let names: Vec<&str> = service.method.iter().map(prost_types::MethodDescriptorProto::name).collect();
        assert_eq!(names, Rpc::ALL.map(Rpc::name));
    }
}

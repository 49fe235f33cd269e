//! The names of methods and codes in metrics, logs and spans. All other paths share one name, so that labels stay few.

use tonic::Code;

/// A method of this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the interface")]
pub enum Method {
    EncodeRedirect,
    DecodeRedirect,
    EncodeCallback,
    DecodeCallback,
    ListPairings,
    HealthCheck,
    HealthList,
    HealthWatch,
    Reflection,
    ReflectionV1Alpha,
    /// Any path that is not a method of this server.
    Unknown,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 11] = [
        Self::EncodeRedirect,
        Self::DecodeRedirect,
        Self::EncodeCallback,
        Self::DecodeCallback,
        Self::ListPairings,
        Self::HealthCheck,
        Self::HealthList,
        Self::HealthWatch,
        Self::Reflection,
        Self::ReflectionV1Alpha,
        Self::Unknown,
    ];

    /// The method behind the `:path` of a request.
    pub(super) fn of_path(path: &str) -> Self {
        let named = |name: &str| Self::ALL.into_iter().find(|method| method.full_name() == name);
        path.strip_prefix('/').and_then(named).unwrap_or(Self::Unknown)
    }

    /// Service and method, joined with `/` as a span's name has them.
    pub(super) fn full_name(self) -> &'static str {
        match self {
            Self::EncodeRedirect => "aa.redirect.v1.RedirectService/EncodeRedirect",
            Self::DecodeRedirect => "aa.redirect.v1.RedirectService/DecodeRedirect",
            Self::EncodeCallback => "aa.redirect.v1.RedirectService/EncodeCallback",
            Self::DecodeCallback => "aa.redirect.v1.RedirectService/DecodeCallback",
            Self::ListPairings => "aa.redirect.v1.RedirectService/ListPairings",
            Self::HealthCheck => "grpc.health.v1.Health/Check",
            Self::HealthList => "grpc.health.v1.Health/List",
            Self::HealthWatch => "grpc.health.v1.Health/Watch",
            Self::Reflection => "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            Self::ReflectionV1Alpha => "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            Self::Unknown => "unknown/unknown",
        }
    }

    /// The service's name with its package.
    pub fn service(self) -> &'static str {
        self.parts().0
    }

    /// The method's name within its service.
    pub fn name(self) -> &'static str {
        self.parts().1
    }

    #[expect(clippy::expect_used, reason = "every name above has a slash")]
    fn parts(self) -> (&'static str, &'static str) {
        self.full_name().split_once('/').expect("a full name has a slash")
    }

    /// Whether it opens or seals a message, which its pairing's scheme decides.
    pub(super) fn has_scheme(self) -> bool {
        self.is_redirect() && self != Self::ListPairings
    }

    /// Whether it is one of the redirect service.
    pub fn is_redirect(self) -> bool {
        matches!(
            self,
            Self::EncodeRedirect
                | Self::DecodeRedirect
                | Self::EncodeCallback
                | Self::DecodeCallback
                | Self::ListPairings
        )
    }

    /// Its kind as go-grpc-prometheus writes it.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::HealthWatch => "server_stream",
            Self::Reflection | Self::ReflectionV1Alpha => "bidi_stream",
            _ => "unary",
        }
    }
}

/// A code's names: as go-grpc-prometheus writes it, and as gRPC does.
pub(crate) fn code_names(code: Code) -> (&'static str, &'static str) {
    match code {
        Code::Ok => ("OK", "OK"),
        Code::Cancelled => ("Canceled", "CANCELLED"),
        Code::Unknown => ("Unknown", "UNKNOWN"),
        Code::InvalidArgument => ("InvalidArgument", "INVALID_ARGUMENT"),
        Code::DeadlineExceeded => ("DeadlineExceeded", "DEADLINE_EXCEEDED"),
        Code::NotFound => ("NotFound", "NOT_FOUND"),
        Code::AlreadyExists => ("AlreadyExists", "ALREADY_EXISTS"),
        Code::PermissionDenied => ("PermissionDenied", "PERMISSION_DENIED"),
        Code::ResourceExhausted => ("ResourceExhausted", "RESOURCE_EXHAUSTED"),
        Code::FailedPrecondition => ("FailedPrecondition", "FAILED_PRECONDITION"),
        Code::Aborted => ("Aborted", "ABORTED"),
        Code::OutOfRange => ("OutOfRange", "OUT_OF_RANGE"),
        Code::Unimplemented => ("Unimplemented", "UNIMPLEMENTED"),
        Code::Internal => ("Internal", "INTERNAL"),
        Code::Unavailable => ("Unavailable", "UNAVAILABLE"),
        Code::DataLoss => ("DataLoss", "DATA_LOSS"),
        Code::Unauthenticated => ("Unauthenticated", "UNAUTHENTICATED"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_is_found_by_its_path_and_no_other() {
        for method in Method::ALL {
            let found = Method::of_path(&format!("/{}", method.full_name()));
            assert_eq!(found, method);
            assert!(!method.service().is_empty() && !method.name().is_empty());
        }
        for path in ["", "/", "/aa.redirect.v1.RedirectService/encodeRedirect", "/aa.redirect.v1.RedirectService/"] {
            assert_eq!(Method::of_path(path), Method::Unknown, "{path}");
        }
    }

    #[test]
    fn every_method_of_the_interface_is_known() {
        use prost::Message;
        let set = prost_types::FileDescriptorSet::decode(crate::proto::DESCRIPTORS).unwrap();
        let file = set.file.iter().find(|file| file.package() == "aa.redirect.v1").unwrap();
        for service in &file.service {
            for method in &service.method {
                let path = format!("/aa.redirect.v1.{}/{}", service.name(), method.name());
                assert!(Method::of_path(&path).is_redirect(), "{path}");
            }
        }
    }
}

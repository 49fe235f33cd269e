//! Profiles as data, and the settings in which a pairing differs from its profile.

use chrono::TimeDelta;

use super::date::{DateStyle, ReadDate};

/// How the key is derived and where the IV comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// HKDF-SHA256 and a random IV in `iv`.
    HkdfIv,
    /// PBKDF2-HMAC-SHA256, a zero IV and no parameter for it.
    Pbkdf2,
}

impl Scheme {
    /// The name that the documentation uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::HkdfIv => "hkdf-iv",
            Self::Pbkdf2 => "pbkdf2",
        }
    }
}

/// A version of the redirect guideline, or the specification with `iv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The name in the keyring file.
    pub name: &'static str,
    /// Its scheme.
    pub scheme: Scheme,
    /// The date style that is written by default.
    pub date: DateStyle,
}

/// Every profile, in the order of their versions.
pub const PROFILES: [Profile; 7] = [
    Profile { name: "iv", scheme: Scheme::HkdfIv, date: DateStyle::Millis },
    Profile { name: "v1.0", scheme: Scheme::Pbkdf2, date: DateStyle::Millis },
    Profile { name: "v1.1", scheme: Scheme::Pbkdf2, date: DateStyle::Millis },
    Profile { name: "v1.2", scheme: Scheme::Pbkdf2, date: DateStyle::Millis },
    Profile { name: "v1.3", scheme: Scheme::Pbkdf2, date: DateStyle::Millis },
    Profile { name: "v1.4", scheme: Scheme::Pbkdf2, date: DateStyle::Millis },
    Profile { name: "v1.5", scheme: Scheme::Pbkdf2, date: DateStyle::Tenths },
];

/// How a list of more than one item is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListSyntax {
    /// `srcref=a&srcref=b`
    Repeated,
    /// `srcref=a,b`
    Comma,
    /// `srcref={a,b}`
    Braces,
    /// `srcref=["a","b"]`
    Json,
}

impl ListSyntax {
    /// Every syntax.
    pub const ALL: [Self; 4] = [Self::Repeated, Self::Comma, Self::Braces, Self::Json];

    /// The name in keyring files and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Repeated => "repeated",
            Self::Comma => "comma",
            Self::Braces => "braces",
            Self::Json => "json",
        }
    }
}

/// How a pairing uses the tag, which authenticates a message (wire format, section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// Not written and not looked for. A member `mac` is an extra member.
    Off,
    /// Written, and checked if it is present.
    Write,
    /// Written, and a message without a right tag is not opened.
    Require,
}

impl Authentication {
    /// Every setting.
    pub const ALL: [Self; 3] = [Self::Off, Self::Write, Self::Require];

    /// The name in the keyring file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Write => "write",
            Self::Require => "require",
        }
    }
}

/// How a pairing writes and reads: its profile, and where it differs from the profile.
#[derive(Clone, Copy, Debug)]
pub struct Conventions {
    /// The profile.
    pub profile: &'static Profile,
    /// The date style that is written.
    pub date: DateStyle,
    /// How a date of 15 digits is read.
    pub read_date: ReadDate,
    /// The list syntax that is written.
    pub lists: ListSyntax,
    /// Whether `ecreq` and `ecres` are written with padding.
    pub padding: bool,
    /// The window: how far a date may lie before or after now.
    pub max_age: TimeDelta,
    /// Whether the window holds for `resdate` too.
    pub check_resdate: bool,
    /// How the pairing uses the tag.
    pub authentication: Authentication,
}

impl Conventions {
    /// The conventions of `profile` itself, with the window of the guidelines: 180 seconds.
    pub fn of(profile: &'static Profile) -> Self {
        Self {
            profile,
            date: profile.date,
            read_date: ReadDate::Any,
            lists: ListSyntax::Repeated,
            padding: true,
            max_age: TimeDelta::seconds(180),
            check_resdate: true,
            authentication: Authentication::Off,
        }
    }
}

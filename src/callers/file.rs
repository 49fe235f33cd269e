//! Reads and checks the callers file. A file with any problem is refused as a whole.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    path::Path,
    sync::Arc,
};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::Spanned;

use crate::{
    codec::{MAX_ID, base64::from_hexadecimal},
    files::problem::{Lines, Problem, Refused, shaped},
    files::{MAX_LIST, ReadFile},
};

use super::{Caller, Callers, Rpc, San};

/// The most bytes of a caller's name.
const MAX_NAME: usize = 128;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    caller: Vec<RawCaller>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCaller {
    name: Spanned<String>,
    san: Option<Spanned<String>>,
    token_sha256: Option<Spanned<String>>,
    methods: Option<List>,
    fiu: Option<List>,
    aa: Option<List>,
}

type List = Spanned<Vec<Spanned<String>>>;

/// What identifies a caller.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Identity {
    San(San),
    /// The SHA-256 of a bearer token.
    Token([u8; 32]),
}

pub(super) fn load(path: &Path, read: &ReadFile<'_>) -> Result<(Callers, Vec<Problem>), Refused> {
    let refused = |problems| Refused { file: path.to_owned(), problems };
    let unreadable = |error: &dyn fmt::Display| {
        let text = format!("cannot be read: {error}; fix that, or choose another file with --callers");
        refused(vec![Problem { line: None, text }])
    };
    let bytes = read(path, MAX_LIST).map_err(|error| unreadable(&error))?;
    let text = str::from_utf8(&bytes).map_err(|error| unreadable(&error))?;
    parse(text).map_err(refused)
}

/// The findings of the check of one file.
struct Check<'a> {
    lines: Lines,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    /// The line where each name and each identity was first seen.
    names: HashMap<&'a str, usize>,
    identities: HashMap<Identity, usize>,
}

fn parse(text: &str) -> Result<(Callers, Vec<Problem>), Vec<Problem>> {
    let file: RawFile = shaped(text)?;
    let mut check = Check {
        lines: Lines::of(text),
        problems: Vec::new(),
        warnings: Vec::new(),
        names: HashMap::new(),
        identities: HashMap::new(),
    };
    if file.caller.is_empty() {
        let text = "has no [[caller]]: write at least one, or leave --callers out to let everybody call";
        check.problems.push(Problem { line: None, text: text.into() });
    }
    let mut callers = Callers::default();
    for raw in &file.caller {
        match check.caller(raw) {
            Some((Identity::San(san), caller)) => drop(callers.by_san.insert(san, caller)),
            Some((Identity::Token(sha256), caller)) => callers.by_token.push((sha256, caller)),
            None => {}
        }
    }
    if check.problems.is_empty() { Ok((callers, check.warnings)) } else { Err(check.problems) }
}

impl<'a> Check<'a> {
    fn problem<T>(&self, at: &Spanned<T>, text: impl Into<String>) -> Problem {
        Problem { line: Some(self.lines.at(at.span().start)), text: text.into() }
    }

    fn refuse<T>(&mut self, at: &Spanned<T>, text: impl Into<String>) {
        self.problems.push(self.problem(at, text));
    }

    /// The caller that `raw` describes. It is not used if the file has a problem.
    fn caller(&mut self, raw: &'a RawCaller) -> Option<(Identity, Arc<Caller>)> {
        self.name(&raw.name);
        let san = raw.san.as_ref().and_then(|san| self.san(san));
        let token = raw.token_sha256.as_ref().and_then(|token| self.token(token));
        if raw.san.is_some() == raw.token_sha256.is_some() {
            self.refuse(&raw.name, "a caller needs either `san` or `token_sha256`: write one of them");
        }
        let caller = Caller {
            name: raw.name.get_ref().as_str().into(),
            methods: raw.methods.as_ref().map(|methods| self.methods(methods)),
            fiu: raw.fiu.as_ref().and_then(|ids| self.ids(ids, "fiu")),
            aa: raw.aa.as_ref().and_then(|ids| self.ids(ids, "aa")),
        };
        san.or(token).map(|identity| (identity, Arc::new(caller)))
    }

    fn name(&mut self, name: &'a Spanned<String>) {
        let text = name.get_ref();
        if text.is_empty() || text.len() > MAX_NAME || text.chars().any(char::is_control) {
            self.refuse(name, format!("`name` must have 1 to {MAX_NAME} bytes and no control characters"));
        } else if let Some(first) = self.names.insert(text, self.lines.at(name.span().start)) {
            self.refuse(name, format!("the caller on line {first} has the same `name`: give each its own"));
        }
    }

    fn san(&mut self, at: &Spanned<String>) -> Option<Identity> {
        let text = at.get_ref();
        let san = San::spiffe(text).or_else(|| San::dns(text));
        if san.is_none() {
            self.refuse(
                at,
                "`san` must be a DNS name such as backend.example (no wildcard, no IP address, no dot at its end) \
                 or a SPIFFE ID such as spiffe://mesh/ns/lending/sa/backend",
            );
        }
        Some(self.unique(at, Identity::San(san?)))
    }

    fn token(&mut self, at: &Spanned<String>) -> Option<Identity> {
        let sha256: Option<[u8; 32]> = from_hexadecimal(at.get_ref()).and_then(|bytes| bytes.try_into().ok());
        if sha256.is_none() {
            self.refuse(
                at,
                "`token_sha256` must be the SHA-256 of the token, 64 hex digits: printf %s \"$TOKEN\" | sha256sum",
            );
        } else if sha256 == Some(Sha256::digest(b"").into()) {
            self.refuse(at, "`token_sha256` is the SHA-256 of an empty text: was the variable of the token empty?");
        }
        Some(self.unique(at, Identity::Token(sha256?)))
    }

    fn unique(&mut self, at: &Spanned<String>, identity: Identity) -> Identity {
        let line = self.lines.at(at.span().start);
        if let Some(first) = self.identities.insert(identity.clone(), line) {
            self.refuse(at, format!("the caller on line {first} has the same `san` or token: keep one of them"));
        }
        identity
    }

    fn methods(&mut self, list: &List) -> Vec<Rpc> {
        if list.get_ref().is_empty() {
            self.refuse(
                list,
                "`methods` is empty, so this caller can call nothing: name methods, or remove it to allow all",
            );
        }
        let mut methods = Vec::new();
        for at in list.get_ref() {
            match Rpc::of_name(at.get_ref()) {
                Some(rpc) => methods.push(rpc),
                None => self
                    .refuse(at, format!("an entry of `methods` must be one of {}", Rpc::ALL.map(Rpc::name).join(", "))),
            }
        }
        methods
    }

    /// The ids of `list`. `None` if it allows all.
    fn ids(&mut self, list: &List, field: &str) -> Option<HashSet<String>> {
        if list.get_ref().is_empty() {
            self.refuse(list, format!("`{field}` is empty, so no pairing fits: name ids, or remove it to allow all"));
        }
        for at in list.get_ref() {
            let id = at.get_ref();
            if id.is_empty() || id.len() > MAX_ID || id.chars().any(char::is_control) {
                let text = format!("an entry of `{field}` must have 1 to {MAX_ID} bytes and no control characters");
                self.refuse(at, text);
            } else if id.contains('*') && id != "*" {
                let text =
                    format!("`*` inside an id of `{field}` is an ordinary character: only \"*\" alone stands for all");
                self.warnings.push(self.problem(at, text));
            }
        }
        let ids: HashSet<String> = list.get_ref().iter().map(|id| id.get_ref().clone()).collect();
        (!ids.contains("*")).then_some(ids)
    }
}

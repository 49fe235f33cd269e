//! The callers file: it is refused as a whole, with the line and what to fix, and never with a token in the message.
//! And how the callers in it are identified.

use std::{fs, path::PathBuf};

use aa_redirect::{
    callers::{Callers, Rpc, San},
    files::problem::Problem,
    service::error::{CallerHint, Refusal},
};
use sha2::{Digest, Sha256};
use tonic::Code;
use tonic_types::StatusExt;

/// Two correct callers; each test breaks one thing.
const GOOD: &str = r#"[[caller]]
name = "lending-backend"
san = "spiffe://mesh/ns/lending/sa/backend"
methods = ["EncodeRedirect", "DecodeCallback"]
fiu = ["fiu@x", "other@x"]
aa = ["aa@x"]

[[caller]]
name = "operator"
token_sha256 = "TOKEN_SHA256"

[[caller]]
name = "aa-backend"
san = "AA.example"
fiu = ["*"]
aa = ["*", "aa@x"]
"#;

const TOKEN: &str = "0123456789abcdefghijABCDEFGHIJ-_";

fn sha256(token: &str) -> String {
    Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

fn load(name: &str, text: &str) -> Result<(Callers, Vec<Problem>), String> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("callers-{name}.toml"));
    fs::write(&path, text.replace("TOKEN_SHA256", &sha256(TOKEN))).unwrap();
    Callers::load(&path).map_err(|refused| {
        let refused = refused.to_string();
        assert!(!refused.contains(TOKEN) && !refused.contains(&sha256(TOKEN)), "{refused}");
        refused.replace(&format!("{}/callers-{name}.toml", folder.display()), "callers.toml")
    })
}

fn good(name: &str) -> Callers {
    let (callers, warnings) = load(name, GOOD).unwrap();
    assert_eq!(warnings, []);
    callers
}

fn refusal(name: &str, text: &str) -> String {
    load(name, text).expect_err("the file is refused")
}

#[test]
fn every_problem_is_reported_with_its_line_and_what_to_do() {
    let (long, control) = (format!("\"{}\"", "a".repeat(129)), "\"a\\u0007\"");
    let empty_sha256 = sha256("");
    for (number, (from, to, expected)) in [
        ("\"operator\"", "\"\"", "callers.toml:9: `name` must have 1 to 128 bytes"),
        ("\"operator\"", &*long, "callers.toml:9: `name` must have 1 to 128 bytes"),
        ("\"operator\"", control, "callers.toml:9: `name` must have 1 to 128 bytes"),
        ("\"operator\"", "\"lending-backend\"", "callers.toml:9: the caller on line 2 has the same `name`"),
        ("name = \"operator\"\n", "", "callers.toml:8: missing field `name`"),
        ("san = \"AA.example\"\n", "", "callers.toml:13: a caller needs either `san` or `token_sha256`"),
        ("token_sha256", "san = \"b.example\"\ntoken_sha256", "callers.toml:9: a caller needs either `san` or"),
        ("AA.example", "*.example", "callers.toml:14: `san` must be a DNS name"),
        ("AA.example", "aa.example.", "callers.toml:14: `san` must be a DNS name"),
        ("AA.example", "10.0.0.1", "callers.toml:14: `san` must be a DNS name"),
        ("AA.example", "https://aa.example/a", "callers.toml:14: `san` must be a DNS name"),
        ("AA.example", "spiffe://mesh", "callers.toml:14: `san` must be a DNS name"),
        ("AA.example", "spiffe://mesh/ns/*", "callers.toml:14: `san` must be a DNS name"),
        (
            "AA.example",
            "spiffe://mesh/ns/lending/sa/backend",
            "callers.toml:14: the caller on line 3 has the same `san` or token",
        ),
        (
            "spiffe://mesh/ns/lending/sa/backend",
            "aa.EXAMPLE",
            "callers.toml:14: the caller on line 3 has the same `san` or token",
        ),
        (
            "san = \"AA.example\"",
            "token_sha256 = \"TOKEN_SHA256\"",
            "callers.toml:14: the caller on line 10 has the same",
        ),
        ("TOKEN_SHA256", TOKEN, "callers.toml:10: `token_sha256` must be the SHA-256 of the token, 64 hex digits"),
        ("\"TOKEN_SHA256", "\"0TOKEN_SHA256", "callers.toml:10: `token_sha256` must be"),
        (
            "TOKEN_SHA256",
            "+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1",
            "callers.toml:10: `token_sha256`",
        ),
        ("TOKEN_SHA256", "éééééééééééééééééééééééééééééééé", "callers.toml:10: `token_sha256` must be"),
        ("TOKEN_SHA256", &*empty_sha256, "callers.toml:10: `token_sha256` is the SHA-256 of an empty text"),
        ("[\"EncodeRedirect\", \"DecodeCallback\"]", "[]", "callers.toml:4: `methods` is empty"),
        (
            "\"EncodeRedirect\"",
            "\"encodeRedirect\"",
            "callers.toml:4: an entry of `methods` must be one of EncodeRedirect",
        ),
        ("\"EncodeRedirect\"", "\"*\"", "callers.toml:4: an entry of `methods` must be one of EncodeRedirect"),
        ("[\"fiu@x\", \"other@x\"]", "[]", "callers.toml:5: `fiu` is empty"),
        ("\"other@x\"", "\"\"", "callers.toml:5: an entry of `fiu` must have 1 to 128 bytes"),
        ("[\"aa@x\"]", "[]", "callers.toml:6: `aa` is empty"),
        ("[\"aa@x\"]", "[\"a\\u0007\"]", "callers.toml:6: an entry of `aa` must have 1 to 128 bytes"),
        ("[\"aa@x\"]", "\"aa@x\"", "callers.toml:6: the value here should be"),
        ("fiu = [\"*\"]", "fius = [\"*\"]", "callers.toml:15: the key here is unknown; expected one of `name`, `san`"),
        ("[[caller]]", "[[callers]]", "callers.toml:1: the key here is unknown; expected `caller`"),
        ("san =", "san", "callers.toml:3:"),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(GOOD.contains(from), "{from}");
        let refused = refusal(&format!("bad-{number}"), &GOOD.replace(from, to));
        assert!(refused.contains(expected), "{to}: {refused}");
        assert_eq!(refused.lines().count(), 1, "{to}: {refused}");
    }
}

#[test]
fn all_problems_of_the_callers_file_are_reported_at_once() {
    let text = GOOD.replace("operator", "").replace("AA.example", "*").replace("DecodeCallback", "Decode");
    assert_eq!(refusal("all", &text).lines().count(), 3);
}

#[test]
fn a_missing_file_and_a_file_without_callers_are_refused() {
    assert!(refusal("empty", "").contains("callers.toml: has no [[caller]]"));
    let refused = Callers::load("no/such/callers.toml".as_ref()).unwrap_err().to_string();
    assert!(refused.starts_with("no/such/callers.toml: cannot be read"), "{refused}");
    assert!(refused.ends_with("; fix that, or choose another file with --callers"), "{refused}");
}

#[test]
fn a_token_written_into_the_file_is_not_repeated_in_the_refusal() {
    for (number, (from, to)) in [
        ("token_sha256 = \"TOKEN_SHA256\"", "token = \"0123456789abcdefghijABCDEFGHIJ-_\""),
        ("token_sha256 = \"TOKEN_SHA256\"", "0123456789abcdefghijABCDEFGHIJ-_ = true"),
        ("token_sha256 = \"TOKEN_SHA256\"", "token_sha256 = 0123456789abcdefghijABCDEFGHIJ-_"),
        ("token_sha256 = \"TOKEN_SHA256\"", "token_sha256 = [\"0123456789abcdefghijABCDEFGHIJ-_\"]"),
        ("token_sha256 = \"TOKEN_SHA256\"", "token_sha256 = \"TOKEN_SHA256\"\ntoken_sha256 = \"TOKEN_SHA256\""),
        ("token_sha256 = \"TOKEN_SHA256\"", "aTOKEN_SHA256 = 1\naTOKEN_SHA256 = 1"),
        ("san = \"AA.example\"", "san = \"0123456789abcdefghijABCDEFGHIJ-_.\""),
        ("[\"*\"]", "\"0123456789abcdefghijABCDEFGHIJ-_\""),
        ("EncodeRedirect", "0123456789abcdefghijABCDEFGHIJ-_"),
        ("[[caller]]\nname = \"operator\"", "caller = \"0123456789abcdefghijABCDEFGHIJ-_\""),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(GOOD.contains(from), "{from}");
        refusal(&format!("misplaced-{number}"), &GOOD.replacen(from, to, 1));
    }
}

#[test]
fn an_id_with_a_star_in_it_is_a_warning() {
    let (callers, warnings) = load("star", &GOOD.replace("other@x", "*@x")).unwrap();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].line, Some(5));
    assert!(warnings[0].text.contains("only \"*\" alone stands for all"));
    let caller = callers.by_sans(&[San::spiffe("spiffe://mesh/ns/lending/sa/backend").unwrap()]).unwrap();
    assert!(!caller.may_use("any@x", "aa@x") && caller.may_use("*@x", "aa@x"));
}

#[test]
fn a_caller_is_identified_by_any_name_of_its_certificate() {
    let callers = good("sans");
    let by = |sans: &[&str]| {
        let sans: Vec<San> = sans.iter().map(|san| San::spiffe(san).or_else(|| San::dns(san)).unwrap()).collect();
        callers.by_sans(&sans).map(|caller| caller.name.clone())
    };
    assert_eq!(by(&["spiffe://mesh/ns/lending/sa/backend"]).as_deref(), Some("lending-backend"));
    assert_eq!(by(&["b.example", "aa.EXAMPLE"]).as_deref(), Some("aa-backend"));
    assert_eq!(by(&["aa.example", "spiffe://mesh/ns/lending/sa/backend"]).as_deref(), Some("aa-backend"));
    for unknown in [
        "spiffe://mesh/ns/lending/sa/Backend",
        "spiffe://mesh/ns/lending/sa/backend2",
        "spiffe://mesh/ns/lending/sa",
        "spiffe://mesh2/ns/lending/sa/backend",
        "example",
        "b.aa.example",
        "aa.example.test",
    ] {
        assert_eq!(by(&[unknown]), None, "{unknown}");
    }
    assert_eq!(by(&[]), None);
}

#[test]
fn a_caller_is_identified_only_by_its_whole_token() {
    let callers = good("token");
    assert_eq!(callers.by_token(TOKEN.as_bytes()).unwrap().name.as_ref(), "operator");
    for length in 0..TOKEN.len() {
        assert!(callers.by_token(&TOKEN.as_bytes()[..length]).is_none(), "{length}");
    }
    for unknown in [&format!("{TOKEN}a"), &format!("{TOKEN}\n"), &TOKEN.to_lowercase(), &sha256(TOKEN)] {
        assert!(callers.by_token(unknown.as_bytes()).is_none(), "{unknown}");
    }
}

#[test]
fn each_of_several_tokens_leads_to_its_own_caller() {
    let tokens = ["first", "second", "third"];
    // Digits in upper and lower case are accepted.
    let sha256 = |token| sha256(token).to_uppercase();
    let text = tokens.map(|token| format!("[[caller]]\nname = \"{token}\"\ntoken_sha256 = \"{}\"\n", sha256(token)));
    let (callers, _) = load("tokens", &text.concat()).unwrap();
    for token in tokens {
        assert_eq!(callers.by_token(token.as_bytes()).unwrap().name.as_ref(), token);
    }
}

#[test]
fn a_caller_may_use_what_its_lists_name_and_without_a_list_everything() {
    let callers = good("rights");
    let lending = callers.by_sans(&[San::spiffe("spiffe://mesh/ns/lending/sa/backend").unwrap()]).unwrap();
    let allowed: Vec<Rpc> = Rpc::ALL.into_iter().filter(|rpc| lending.may_call(*rpc)).collect();
    assert_eq!(allowed, [Rpc::EncodeRedirect, Rpc::DecodeCallback]);
    assert!(Rpc::of_name("encoderedirect").is_none() && Rpc::of_name("").is_none());
    assert!(lending.may_use("fiu@x", "aa@x") && lending.may_use("other@x", "aa@x"));
    for (fiu, aa) in [("fiu@x", "other@x"), ("third@x", "aa@x"), ("aa@x", "fiu@x"), ("FIU@x", "aa@x"), ("", "")] {
        assert!(!lending.may_use(fiu, aa), "{fiu} {aa}");
    }
    for caller in [callers.by_token(TOKEN.as_bytes()), callers.by_sans(&[San::dns("aa.example").unwrap()])] {
        let caller = caller.unwrap();
        assert!(Rpc::ALL.into_iter().all(|rpc| caller.may_call(rpc)));
        assert!(caller.may_use("any@x", "whatever@x"));
    }
}

#[test]
fn debug_output_shows_only_names() {
    let callers = good("debug");
    assert_eq!(format!("{:?}", callers.by_token(TOKEN.as_bytes()).unwrap()), "Caller(\"operator\")");
    let all = format!("{callers:?}");
    assert!(all.contains("operator") && all.contains("aa-backend"), "{all}");
    assert!(!all.contains("mesh") && !all.contains("fiu@x") && !all.contains(char::is_numeric), "{all}");
}

#[test]
fn a_refused_caller_learns_why() {
    for (refusal, code, reason, method) in [
        (Refusal::CallerUnknown(CallerHint::NoCredentials), Code::Unauthenticated, "CALLER_UNKNOWN", None),
        (Refusal::CallerForbidden(Rpc::ListPairings), Code::PermissionDenied, "CALLER_FORBIDDEN", Some("ListPairings")),
        (Refusal::NotReady, Code::Unavailable, "NOT_READY", None),
    ] {
        let status = refusal.status("request-1");
        assert_eq!(status.get_details_request_info().unwrap().request_id, "request-1");
        let info = status.get_details_error_info().unwrap();
        assert_eq!((status.code(), &*info.reason), (code, reason));
        assert_eq!(info.metadata.get("method").map(String::as_str), method);
    }
}

//! The keyring file is refused as a whole, with line and what to fix, and never with a secret in the message.

use std::{fs, path::PathBuf};

use aa_redirect::keyring::{self, Problem};

/// A correct pairing; each test breaks one thing.
const GOOD: &str = r#"[[pairing]]
fiu = "fiu@x"
aa = "aa@x"
profile = "v1.5"
webview = "https://aa.example/webview"
handles = ["x"]
redirect_hosts = ["fiu.example"]
secrets = [
  { id = "a", file = "secret" },
  { id = "b", file = "secret", use = "decode" },
]
date = "tenths"
read_date = "any"
lists = "json"
padding = true
max_age_seconds = 180
check_resdate = true
failure_budget = 32
date_reuse_milliseconds = 0
"#;

const SECRET: &str = "0123456789abcdefghijABCDEFGHIJ-_";

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, keyring: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("keyring-{name}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("secret"), format!("{SECRET}\r\n")).unwrap();
        fs::write(folder.join("empty"), "\n").unwrap();
        fs::write(folder.join("short"), "0123456789abcde").unwrap();
        fs::write(folder.join("keyring.toml"), keyring).unwrap();
        Self(folder)
    }

    fn warnings(&self) -> Vec<Problem> {
        keyring::load(&self.0.join("keyring.toml")).unwrap().1
    }

    fn refusal(&self) -> String {
        let refused = keyring::load(&self.0.join("keyring.toml")).expect_err("the file is refused").to_string();
        assert!(!refused.contains(SECRET), "{refused}");
        refused.replace(&format!("{}/", self.0.display()), "")
    }
}

#[test]
fn a_good_file_loads_without_warning() {
    assert_eq!(Folder::new("good", GOOD).warnings(), []);
}

#[test]
fn every_problem_is_reported_with_its_line_and_the_fix() {
    for (number, (from, to, expected)) in [
        ("fiu = \"fiu@x\"", "fiu = \"\"", "keyring.toml:2: `fiu` is empty"),
        (
            "aa = \"aa@x\"",
            "aa = \"a\\u0007\"",
            "keyring.toml:3: `aa` must have 1 to 128 bytes and no control characters",
        ),
        ("v1.5", "v1.6", "keyring.toml:4: `profile` must be one of iv, v1.0, v1.1, v1.2, v1.3, v1.4, v1.5"),
        ("profile = \"v1.5\"\n", "", "missing field `profile`"),
        ("https://aa.example/webview", "http://aa.example/webview", "keyring.toml:5: `webview` must be"),
        ("https://aa.example/webview", "aa.example/webview", "keyring.toml:5: `webview` must be"),
        (
            "https://aa.example/webview",
            "https://aa.example/webview?fi=1",
            "keyring.toml:5: the query of `webview` names",
        ),
        ("[\"x\"]", "[\"x@\"]", "keyring.toml:6: a handle is the part"),
        ("[\"x\"]", "[\"x\", \"x\"]", "keyring.toml:6: line 6 has the same handle for this FIU"),
        ("fiu.example\"]", "https://fiu.example\"]", "keyring.toml:7: an entry of `redirect_hosts` must be a host"),
        ("id = \"b\"", "id = \"a\"", "keyring.toml:10: another secret of this pairing has the same `id`"),
        ("id = \"b\"", "id = \"\"", "keyring.toml:10: the `id` of a secret must have"),
        (
            "id = \"b\", file = \"secret\"",
            "id = \"b\", file = \"gone\"",
            "keyring.toml:10: the secret file cannot be read",
        ),
        ("id = \"b\", file = \"secret\"", "id = \"b\", file = \"empty\"", "keyring.toml:10: the secret is empty"),
        ("id = \"b\", file = \"secret\"", "id = \"b\"", "keyring.toml:10: a secret needs either `file` or `env`"),
        ("id = \"b\", file", "id = \"b\", env = \"X\", file", "keyring.toml:10: a secret needs either `file` or `env`"),
        (
            "file = \"secret\", use",
            "env = \"AA_REDIRECT_TEST_UNSET\", use",
            "keyring.toml:10: the environment variable",
        ),
        ("use = \"decode\"", "use = \"encode\"", "keyring.toml:10: `use` must be one of decode"),
        ("date = \"tenths\"", "date = \"seconds\"", "keyring.toml:12: `date` must be one of millis, tenths, full"),
        ("= \"any\"", "= \"millis\"", "keyring.toml:13: `read_date` must be one of any, tenths"),
        ("\"json\"", "\"xml\"", "keyring.toml:14: `lists` must be one of repeated, comma, braces, json"),
        ("padding = true", "padding = \"yes\"", "keyring.toml:15: the value here should be a boolean"),
        ("seconds = 180", "seconds = 0", "keyring.toml:16: `max_age_seconds` must be a whole number from 1"),
        ("seconds = 180", "seconds = 1000000001", "keyring.toml:16: `max_age_seconds` must be a whole number from 1"),
        ("budget = 32", "budget = -1", "keyring.toml:18: `failure_budget` must be"),
        ("budget = 32", "budget = 4097", "keyring.toml:18: `failure_budget` must be a whole number from 0 to 4096"),
        ("seconds = 0\n", "seconds = 1001\n", "keyring.toml:19: `date_reuse_milliseconds` must be"),
        (
            "seconds = 0\n",
            "seconds = 0\nreopen = \"never\"\n",
            "keyring.toml:20: `reopen` must be one of report, refuse",
        ),
        (
            "check_resdate = true",
            "check_resdate = false\nreopen = \"refuse\"",
            "keyring.toml:18: `reopen = \"refuse\"` needs dates that expire",
        ),
        ("padding =", "pading =", "keyring.toml:15: the key here is unknown; expected one of"),
        ("[[pairing]]", "[[pairings]]", "keyring.toml:1: the key here is unknown; expected `pairing`"),
        ("fiu =", "fiu", "keyring.toml:2:"),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(GOOD.contains(from), "{from}");
        let refused = Folder::new(&format!("bad-{number}"), &GOOD.replace(from, to)).refusal();
        assert!(refused.contains(expected), "{to}: {refused}");
    }
}

#[test]
fn all_problems_of_a_file_are_reported_at_once() {
    let refused = Folder::new("all", &GOOD.replace("v1.5", "v2").replace("json", "xml")).refusal();
    assert_eq!(refused.lines().count(), 2, "{refused}");
}

#[test]
fn a_pairing_comes_once_and_a_handle_leads_to_one_aa() {
    let refused = Folder::new("twice", &format!("{GOOD}{GOOD}")).refusal();
    assert!(refused.contains("line 2 has the same pairing of `fiu` and `aa`"), "{refused}");
    let refused = Folder::new("handle", &format!("{GOOD}{}", GOOD.replace("aa@x", "bb@x"))).refusal();
    assert!(refused.contains("line 6 has the same handle for this FIU"), "{refused}");
}

#[test]
fn a_missing_file_and_a_file_without_pairings_are_refused() {
    assert!(Folder::new("empty", "").refusal().contains("has no [[pairing]]"));
    let refused = keyring::load("no/such/keyring.toml".as_ref()).err().unwrap().to_string();
    assert!(refused.starts_with("no/such/keyring.toml: cannot be read"), "{refused}");
}

#[test]
fn a_pairing_has_one_to_four_secrets() {
    let one = "{ id = \"a\", file = \"secret\" },\n  { id = \"b\", file = \"secret\", use = \"decode\" },\n";
    assert!(GOOD.contains(one));
    let five = ["0", "1", "2", "3", "4"].map(|id| format!("{{ id = \"{id}\", file = \"secret\" }},\n"));
    for secrets in ["", &five.concat()] {
        let refused = Folder::new("count", &GOOD.replace(one, secrets)).refusal();
        assert!(refused.contains("`secrets` must have 1 to 4 entries"), "{refused}");
    }
}

#[test]
fn a_secret_written_into_the_file_is_not_repeated_in_the_refusal() {
    for (from, to) in [
        ("file = \"secret\", use", "secret = \"0123456789abcdefghijABCDEFGHIJ-_\", use"),
        ("file = \"secret\", use", "file = \"0123456789abcdefghijABCDEFGHIJ-_\", use"),
        ("file = \"secret\", use", "env = \"0123456789abcdefghijABCDEFGHIJ-_\", use"),
        ("padding = true", "0123456789abcdefghijABCDEFGHIJ-_ = true"),
        ("{ id = \"a\", file = \"secret\" }", "\"0123456789abcdefghijABCDEFGHIJ-_\""),
        ("padding = true", "padding = \"0123456789abcdefghijABCDEFGHIJ-_\""),
        ("padding = true", "padding = 0123456789abcdefghijABCDEFGHIJ-_"),
        ("padding = true", "padding = \"expected 0123456789abcdefghijABCDEFGHIJ-_\""),
        ("padding = true", "\"expected 0123456789abcdefghijABCDEFGHIJ-_\" = true"),
        ("\"v1.5\"", "\"0123456789abcdefghijABCDEFGHIJ-_\""),
        ("[\n", "\"0123456789abcdefghijABCDEFGHIJ-_\" #"),
    ] {
        Folder::new("misplaced", &GOOD.replacen(from, to, 1)).refusal();
    }
}

#[test]
fn a_short_secret_and_a_shared_secret_are_warnings() {
    let warnings = Folder::new("short", &GOOD.replacen("\"secret\"", "\"short\"", 1)).warnings();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].line, Some(9));
    let other = GOOD.replace("aa@x", "bb@x").replace("[\"x\"]", "[]");
    let warnings = Folder::new("shared", &format!("{GOOD}{other}")).warnings();
    assert!(warnings.iter().all(|warning| warning.text.contains("give each pairing its own")));
    assert_eq!(warnings.len(), 2);
}

#[test]
fn a_fingerprint_shows_ids_and_states_and_nothing_of_secrets() {
    let fingerprint = |name: &str, text: &str, secret: &str| {
        let folder = Folder::new(name, text);
        fs::write(folder.0.join("secret"), secret).unwrap();
        keyring::load(&folder.0.join("keyring.toml")).unwrap().0.fingerprint()
    };
    let first = fingerprint("fingerprint", GOOD, SECRET);
    assert!(first.len() == 16 && first.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
    assert_eq!(fingerprint("fingerprint-secret", GOOD, "another-secret-of-32-characters-"), first);
    assert_eq!(fingerprint("fingerprint-settings", &GOOD.replace("seconds = 180", "seconds = 181"), SECRET), first);
    for (from, to) in [("id = \"b\"", "id = \"c\""), ("{ id = \"a\"", "{ id = \"b2\""), ("aa@x", "bb@x")] {
        assert!(GOOD.contains(from), "{from}");
        assert_ne!(fingerprint("fingerprint-other", &GOOD.replacen(from, to, 1), SECRET), first, "{from}");
    }
    let moved = GOOD.replace("\"a\"", "\"t\"").replace("\"b\"", "\"a\"").replace("\"t\"", "\"b\"");
    assert_ne!(fingerprint("fingerprint-moved", &moved, SECRET), first, "the other one is primary");
}

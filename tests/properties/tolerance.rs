//! Tolerance is correct: a message of a real sender is read as it was meant, and exactly its deviations are reported.

use aa_redirect::codec::{
    Deviation, Deviations, Envelope, RequestorType,
    profile::{Conventions, ListSyntax},
    url::{Leg, Parameters, Value},
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    strategy::ValueTree,
    test_runner::{TestCaseError, TestRunner},
};

use super::{
    cases, conventions, id, instant, key,
    list::{List, Syntax},
    meaning::{Meaning, message, text},
    round_trip::open,
    text::{Escaping, Target, Text},
    writer::{Carrier, Habits, Parameter, Plus, Sent, Written},
};

const CLEAN_PARAMETER: Parameter = Parameter {
    foreign: false,
    unpadded: false,
    plus: Plus::Escaped,
    fold: "",
    around: ("", ""),
    raw_blanks: false,
    escaping: Escaping::Component,
    encodings: 0,
    around_name: ("", ""),
    shouted: false,
    repeated: false,
};

/// A message of a generated case.
#[derive(Clone, Debug)]
struct Case {
    leg: Leg,
    meaning: Meaning,
    conventions: Conventions,
    id: String,
    /// `FIU`, `LSP`, nothing or something unknown.
    kind: &'static str,
    date: String,
    iv: [u8; 16],
    habits: Habits,
}

impl Case {
    fn written(&self) -> Written {
        let kind = if self.leg == Leg::Request { self.kind } else { "" };
        let sent = Sent { id: &self.id, kind, date: &self.date, key: *key(&self.date), iv: self.iv };
        self.habits.write(self.leg, &self.meaning, &sent, &self.conventions)
    }

    /// Checks that the message opens as it was meant, with exactly the deviations of its writing.
    fn check(&self) -> Result<Written, TestCaseError> {
        let written = self.written();
        let parameters = Parameters {
            fi: Value::plain(&written.fi),
            date: Value::plain(&written.date),
            message: Value::plain(&written.message),
            iv: Value::plain_or_none(&written.iv),
            requestor_type: Value::plain_or_none(&written.requestor_type),
        };
        let envelope = written
            .url
            .as_ref()
            .map_or_else(|| Envelope::from_parameters(parameters, self.leg), |url| Envelope::from_url(url, self.leg));
        let envelope = envelope.map_err(|problem| TestCaseError::fail(format!("{problem:?}: {written:?}")))?;
        let kind = envelope.requestor_type.map_or("", RequestorType::name);
        let known = ["FIU", "LSP"].contains(&self.kind) && self.leg == Leg::Request;
        prop_assert_eq!((&*envelope.sender, envelope.date.text()), (&*self.id, &*self.date));
        prop_assert_eq!(kind, if known { self.kind } else { "" });
        let opened = open(self.leg, &envelope, &self.conventions);
        let (plaintext, _) = self.habits.text.write(self.leg, &self.meaning, self.conventions.lists);
        prop_assert_eq!(
            opened,
            Ok((self.meaning.clone(), written.deviations.clone())),
            "{:?} {:?}",
            plaintext,
            written
        );
        Ok(written)
    }
}

/// In most cases `usual`, else one of `others`.
fn mostly<T: Clone + std::fmt::Debug + 'static>(usual: T, others: &[T]) -> BoxedStrategy<T> {
    prop_oneof![4 => Just(usual), 1 => select(others.to_vec())].boxed()
}

fn seldom() -> BoxedStrategy<bool> {
    mostly(false, &[true])
}

const AROUND: [(&str, &str); 8] =
    [(" ", ""), ("", " "), ("\r\n", ""), ("", "\n"), ("  ", "  "), ("\t", ""), ("", "    "), ("    ", "")];

fn escaping() -> BoxedStrategy<Escaping> {
    select(vec![Escaping::Least, Escaping::Component, Escaping::Form, Escaping::All]).boxed()
}

fn list() -> impl Strategy<Value = List> {
    use Syntax::{Braces, Brackets, Comma, Go, Indexed, Java, Joined, Json, Python, Quoted, Repeated};
    let syntax = mostly(Repeated, &[Comma, Braces, Json, Java, Python, Joined, Go, Brackets, Indexed, Quoted]);
    let around = mostly(("", ""), &[(" ", ""), ("", "  "), (" ", " ")]);
    (syntax, any::<bool>(), any::<bool>(), around).prop_map(|(syntax, blank, last_comma, around)| List {
        syntax,
        blank,
        last_comma,
        around,
    })
}

fn members() -> impl Strategy<Value = Text> {
    use Target::{Raw, Twice, Whole};
    let begin = (escaping(), any::<bool>(), vec(any::<u8>(), 16), mostly(Whole, &[Twice, Raw, Raw]));
    let words = [None, Some(""), Some("null"), Some("undefined"), Some("None"), Some("nil"), Some("NaN")];
    let blanks = [(); 5].map(|()| mostly(None, &words[1..]));
    let numbers = (any::<bool>(), 0_usize..12, seldom(), seldom());
    let around = mostly(
        ("", ""),
        &[(" ", ""), ("", "\r\n"), ("\u{feff}", ""), ("?", ""), ("\n\u{feff} ?\r", " "), ("\u{feff}?", "\n")],
    );
    let rest = (around, [(); 3].map(|()| seldom()), seldom(), seldom(), any::<bool>());
    (begin, list(), list(), blanks, numbers, rest).prop_map(|(begin, srcref, fipid, blanks, numbers, rest)| {
        let (escaping, lower, order, target) = begin;
        let (leaves_out_sessionid, zeros, twice, whole) = numbers;
        let (around, strays, capitals, repeats, raw_percent) = rest;
        Text {
            escaping,
            lower,
            order,
            target,
            srcref,
            fipid,
            blanks,
            leaves_out_sessionid,
            zeros,
            twice,
            whole,
            around,
            strays,
            capitals,
            repeats,
            raw_percent,
        }
    })
}

fn parameter() -> impl Strategy<Value = Parameter> {
    let plus = mostly(Plus::Escaped, &[Plus::Raw, Plus::Space]);
    let fold = mostly("", &["\r\n", "\n", "\r\n\t"]);
    let names = mostly(("", ""), &[(" ", ""), ("", "%20"), ("%0a", ""), ("\t", "\n")]);
    let flags = (seldom(), seldom(), any::<bool>(), seldom(), seldom());
    (flags, plus, fold, mostly(("", ""), &AROUND), escaping(), mostly(0, &[1, 2, 6]), names).prop_map(
        |((foreign, unpadded, raw_blanks, shouted, repeated), plus, fold, around, escaping, encodings, around_name)| {
            Parameter {
                foreign,
                unpadded,
                plus,
                fold,
                around,
                raw_blanks,
                escaping,
                encodings,
                around_name,
                shouted,
                repeated,
            }
        },
    )
}

fn carrier() -> impl Strategy<Value = Carrier> {
    let begin = select(vec![
        "",
        "?",
        "https://aa.example/w?",
        "https://aa.example/w?x=1&",
        "https://fiu.example/cb/txn=55?",
        "/cb/txn=55?",
        "aa://w/a=b?",
        "https://f.in/cb?x=1?",
        "https://f.in/cb?x=1?y=2&z?",
        " https://aa.example/w?",
        "\n",
        "https://fiu.example/#/cb?",
        "https://fiu.example/?x=1#",
    ]);
    let url =
        (begin, select(vec!["", "#top", "#?fi=1&reqdate=2", "&"])).prop_map(|(begin, end)| Carrier::Url(begin, end));
    prop_oneof![4 => url, 1 => Just(Carrier::Parameters)]
}

fn habits() -> impl Strategy<Value = Habits> {
    let flags = (any::<bool>(), seldom(), seldom(), seldom());
    (members(), vec(any::<u8>(), 12), [(); 5].map(|()| parameter()), flags, carrier()).prop_map(
        |(text, order, parameters, (sends_empty_parameters, html, plain_kind, loses_zero), carrier)| Habits {
            text,
            order,
            parameters,
            sends_empty_parameters,
            html,
            plain_kind,
            loses_zero,
            carrier,
        },
    )
}

/// Dates of 14 to 17 digits.
fn date() -> impl Strategy<Value = String> {
    (instant(), mostly(15, &[14, 16, 17])).prop_map(|(instant, digits)| {
        let date = instant.format("%d%m%Y%H%M%S%3f").to_string();
        if digits == 15 { date[..12].to_owned() + &date[14..] } else { date[..digits].to_owned() }
    })
}

/// Members as real senders choose them, for example a `txnid` that is not a UUID, or a status that does not fit the
/// code.
fn loose_message() -> impl Strategy<Value = (Leg, Meaning)> {
    let loose = text(1..12).prop_filter_map("is no txnid", |text| {
        let text = text.replace(char::is_control, "");
        (!text.is_empty()).then_some(text)
    });
    let txnid = prop_oneof![4 => Just(None), 1 => loose.prop_map(Some)];
    (message(), txnid, seldom()).prop_map(|((leg, mut meaning), txnid, mismatch)| {
        meaning.txnid = txnid.unwrap_or(meaning.txnid);
        meaning.success ^= mismatch && leg == Leg::Callback;
        (leg, meaning)
    })
}

fn case(habits: impl Strategy<Value = Habits>) -> impl Strategy<Value = Case> {
    let kind = select(vec!["", "FIU", "LSP", "TSP"]);
    (loose_message(), conventions(), id(), kind, date(), any::<[u8; 16]>(), habits).prop_map(
        |((leg, meaning), conventions, id, kind, date, iv, habits)| Case {
            leg,
            meaning,
            conventions,
            id,
            kind,
            date,
            iv,
            habits,
        },
    )
}

/// A case without anything that a reader must repair; everything else in it may vary.
fn cleaned(mut case: Case) -> Case {
    let Case { leg, meaning, conventions, date, habits, kind, .. } = &mut case;
    meaning.extra.clear();
    "2D04747e-21c6-4c23-955b-d46c2f820140".clone_into(&mut meaning.txnid);
    meaning.errorcode = if *leg == Leg::Callback && !meaning.success { meaning.errorcode.max(1) } else { 0 };
    *date = format!("{}000", &date[..12]);
    if *kind == "TSP" {
        *kind = "FIU";
    }
    (habits.html, habits.plain_kind, habits.loses_zero) = (false, false, false);
    let text = &mut habits.text;
    let own = match conventions.lists {
        ListSyntax::Repeated => Syntax::Repeated,
        ListSyntax::Comma => Syntax::Comma,
        ListSyntax::Braces => Syntax::Braces,
        ListSyntax::Json => Syntax::Json,
    };
    for list in [&mut text.srcref, &mut text.fipid] {
        *list = List { syntax: if list.blank { own } else { Syntax::Repeated }, around: ("", ""), ..*list };
    }
    let escaping = if text.escaping == Escaping::Least { Escaping::Component } else { text.escaping };
    *text = Text {
        escaping,
        target: Target::Whole,
        blanks: [None; 5],
        twice: false,
        whole: false,
        around: ("", ""),
        strays: [false; 3],
        capitals: false,
        repeats: false,
        raw_percent: false,
        ..text.clone()
    };
    for parameter in &mut habits.parameters {
        *parameter = Parameter { escaping: parameter.escaping, ..CLEAN_PARAMETER };
    }
    if let Carrier::Url(begin, end) = habits.carrier {
        let is_dirty = begin.starts_with(char::is_whitespace) || begin.contains("?x=1?") || begin.contains('#');
        habits.carrier = Carrier::Url(if is_dirty { "?" } else { begin }, end);
    }
    case
}

/// Adds `deviation` to a clean case, if the message can have it.
fn add(case: &mut Case, deviation: Deviation, dirty: &Case) {
    let Case { leg, meaning, date, habits, kind, .. } = case;
    let at = usize::from(habits.order[0]) % 5;
    // The date is not Base64, and `requestorType` is not always present.
    let parameter = &mut habits.parameters[if matches!(at, 1 | 4) { 2 } else { at }];
    let text = &mut habits.text;
    match deviation {
        Deviation::Base64Alphabet => parameter.foreign = true,
        Deviation::Base64Unpadded => parameter.unpadded = true,
        Deviation::PlusAsSpace => {
            // Only the standard alphabet has a `+`.
            let lower = text.lower;
            let parameter = &mut habits.parameters[if at < 2 { 0 } else { 3 }];
            parameter.plus = if lower { Plus::Raw } else { Plus::Space };
        }
        Deviation::DoubleEncoded => match at {
            2 => text.whole = true,
            3 => text.twice = true,
            4 if *leg == Leg::Request => text.target = Target::Twice,
            _ => parameter.encodings = 1 + at,
        },
        Deviation::Whitespace => match at {
            0 => parameter.around = dirty.habits.parameters[0].around,
            1 => habits.parameters[1].around = dirty.habits.parameters[1].around,
            2 => parameter.fold = dirty.habits.parameters[2].fold,
            3 => parameter.around_name = dirty.habits.parameters[3].around_name,
            _ if text.lower => text.around = (" ", "\n"),
            _ => text.srcref.around = dirty.habits.text.srcref.around,
        },
        Deviation::DateDigits => date.clone_from(&dirty.date),
        Deviation::SecondQuestionMark => habits.carrier = Carrier::Url("https://f.in/cb?x=1?", "#top"),
        Deviation::ListSyntax => {
            let list = if at < 2 { &mut text.fipid } else { &mut text.srcref };
            list.syntax = if at < 2 { dirty.habits.text.fipid.syntax } else { dirty.habits.text.srcref.syntax };
        }
        Deviation::RedirectUnescaped => text.target = Target::Raw,
        Deviation::TxnidNotUuid => meaning.txnid.clone_from(&dirty.meaning.txnid),
        Deviation::ExtraMember => meaning.extra.clone_from(&dirty.meaning.extra),
        Deviation::BlankOptional => text.blanks = dirty.habits.text.blanks,
        Deviation::StatusMismatch => meaning.errorcode = u32::from(meaning.errorcode == 0),
        Deviation::StrayCharacters if at == 0 => text.around.0 = "\u{feff}?",
        Deviation::StrayCharacters => text.strays[at % 3] = true,
        Deviation::NameCase if at < 3 => text.capitals = true,
        Deviation::NameCase => parameter.shouted = true,
        Deviation::InvalidEscape => {
            (text.escaping, text.raw_percent) = (Escaping::Least, true);
            // A case without raw characters above ASCII.
            meaning.sessionid = "100%".to_owned();
            meaning.userid = "9@aa".to_owned();
            if *leg == Leg::Request {
                meaning.redirect = "https://fiu.example/cb?x=1".to_owned();
            }
            meaning.srcref = vec!["a".to_owned()];
            meaning.fipid.clear();
            meaning.optional = Default::default();
        }
        Deviation::Repeated if at < 3 => text.repeats = true,
        Deviation::Repeated => parameter.repeated = true,
        Deviation::HtmlEscaped => habits.html = true,
        Deviation::InFragment => habits.carrier = Carrier::Url("https://fiu.example/#/cb?", ""),
        Deviation::RequestorType => *kind = "TSP",
        Deviation::DateZeroLost => {
            date.replace_range(..2, "07");
            habits.loses_zero = true;
        }
        Deviation::RawNonAscii => {
            text.escaping = Escaping::Least;
            meaning.sessionid.push_str("सत्र");
        }
    }
}

fn kinds(deviations: &Deviations) -> Vec<Deviation> {
    deviations.kinds().collect()
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_message_that_needs_no_repair_has_no_deviation(case in case(habits()).prop_map(cleaned)) {
        let written = case.check()?;
        prop_assert_eq!(written.deviations, Deviations::default());
    }

    #[test]
    fn a_message_with_many_deviations_is_read_as_it_was_meant(case in case(habits())) {
        case.check()?;
    }
}

#[test]
fn a_message_with_a_single_deviation_is_read_as_it_was_meant() {
    for deviation in Deviation::ALL {
        let cases = ProptestConfig { cases: cases().cases.div_ceil(8), ..cases() };
        let run = TestRunner::new(cases).run(&case(habits()), |dirty| {
            let mut case = cleaned(dirty.clone());
            add(&mut case, deviation, &dirty);
            // Not every message can show each deviation.
            prop_assume!(kinds(&case.written().deviations) == [deviation]);
            case.check().map(|_| ())
        });
        run.unwrap_or_else(|failure| panic!("{}: {failure}", deviation.name()));
    }
}

#[test]
fn a_message_with_two_deviations_is_read_as_it_was_meant() {
    use Deviation::{
        BlankOptional, HtmlEscaped, InFragment, RedirectUnescaped, RequestorType, SecondQuestionMark, StatusMismatch,
    };
    // No message of one leg can have both, and no URL can have both in one place.
    let impossible =
        [(RedirectUnescaped, StatusMismatch), (StatusMismatch, RequestorType), (SecondQuestionMark, InFragment)];
    let mut runner = TestRunner::new(cases());
    let dirty: Vec<Case> =
        (0..cases().cases).map(|_| case(habits()).new_tree(&mut runner).unwrap().current()).collect();
    for (at, &first) in Deviation::ALL.iter().enumerate() {
        for &second in &Deviation::ALL[at + 1..] {
            let both = dirty.iter().filter_map(|dirty| {
                let mut case = cleaned(dirty.clone());
                add(&mut case, first, dirty);
                add(&mut case, second, dirty);
                (kinds(&case.written().deviations) == [first, second]).then_some(case)
            });
            let mut checked = 0;
            for case in both.take(8) {
                case.check().unwrap_or_else(|why| panic!("{first:?} and {second:?}: {why}"));
                checked += 1;
            }
            let rare = [(BlankOptional, StatusMismatch), (HtmlEscaped, InFragment)].contains(&(first, second));
            assert!(
                checked > 0 || rare || impossible.contains(&(first, second)),
                "no message with {first:?} and {second:?}"
            );
        }
    }
}

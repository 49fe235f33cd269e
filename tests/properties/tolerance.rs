//! Tolerance is sound: what real senders write is read as it was meant, with exactly the deviations that it has.

use aa_redirect::codec::{
    Deviation, Deviations, Envelope, RequestorType,
    profile::{Conventions, ListSyntax},
    url::{Leg, Parameters, Value},
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{TestCaseError, TestRunner},
};

use super::{
    cases, conventions, id, instant, key,
    meaning::{Meaning, message, text},
    round_trip::open,
    writer::{Carrier, Escaping, Habits, List, Parameter, Plus, Sent, Syntax, Target, Written},
};

const CLEAN_PARAMETER: Parameter = Parameter {
    foreign: false,
    unpadded: false,
    plus: Plus::Escaped,
    fold: "",
    around: ("", ""),
    raw_blanks: false,
    escaping: Escaping::Form,
    encodings: 0,
    around_name: ("", ""),
};

/// A message of a generated case.
#[derive(Clone, Debug)]
struct Case {
    leg: Leg,
    meaning: Meaning,
    conventions: Conventions,
    id: String,
    /// `FIU`, `LSP` or nothing.
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

    /// It opens as it was meant, with exactly the deviations of how it was written.
    fn check(&self) -> Result<Written, TestCaseError> {
        let written = self.written();
        let parameters = Parameters {
            fi: Value::plain(&written.fi),
            date: Value::plain(&written.date),
            message: Value::plain(&written.message),
            iv: Value::plain_or_none(&written.iv),
            requestor_type: Value::plain_or_none(&written.requestor_type),
        };
        let envelope = written.url.as_ref().map_or_else(
            || Envelope::from_parameters(parameters, self.leg, Deviations::default()),
            |url| Envelope::from_url(url, self.leg),
        );
        let envelope = envelope.map_err(|problem| TestCaseError::fail(format!("{problem:?}: {written:?}")))?;
        let kind = envelope.requestor_type.map_or("", RequestorType::name);
        prop_assert_eq!((&*envelope.sender, envelope.date.text()), (&*self.id, &*self.date));
        prop_assert_eq!(kind, if self.leg == Leg::Request { self.kind } else { "" });
        let opened = open(self.leg, &envelope, &self.conventions);
        let (plaintext, _) = self.habits.plaintext(self.leg, &self.meaning, &self.conventions);
        prop_assert_eq!(opened, Ok((self.meaning.clone(), written.deviations)), "{} {:?}", plaintext, written);
        Ok(written)
    }
}

/// Mostly `usual`, else one of `others`.
fn mostly<T: Clone + std::fmt::Debug + 'static>(usual: T, others: &[T]) -> BoxedStrategy<T> {
    prop_oneof![4 => Just(usual), 1 => select(others.to_vec())].boxed()
}

const AROUND: [(&str, &str); 8] =
    [(" ", ""), ("", " "), ("\r\n", ""), ("", "\n"), ("  ", "  "), ("\t", ""), ("", "    "), ("    ", "")];

fn escaping() -> BoxedStrategy<Escaping> {
    select(vec![Escaping::Least, Escaping::Form, Escaping::All]).boxed()
}

fn list() -> impl Strategy<Value = List> {
    use Syntax::{Braces, Brackets, Comma, Joined, Json, Python, Repeated};
    let syntax = mostly(Repeated, &[Comma, Braces, Json, Brackets, Python, Joined]);
    let around = mostly(("", ""), &[(" ", ""), ("", "\n"), ("\u{a0}", "\t ")]);
    (syntax, any::<bool>(), any::<bool>(), around).prop_map(|(syntax, blank, last_comma, around)| List {
        syntax,
        blank,
        last_comma,
        around,
    })
}

fn parameter() -> impl Strategy<Value = Parameter> {
    let plus = mostly(Plus::Escaped, &[Plus::Raw, Plus::Space]);
    let fold = mostly("", &["\r\n", "\n", "\r\n\t"]);
    let names = mostly(("", ""), &[(" ", ""), ("", "%20"), ("%0a", ""), ("\t", "\n")]);
    let flags = (mostly(false, &[true]), mostly(false, &[true]), any::<bool>());
    (flags, plus, fold, mostly(("", ""), &AROUND), escaping(), mostly(0, &[1, 2, 6]), names).prop_map(
        |((foreign, unpadded, raw_blanks), plus, fold, around, escaping, encodings, around_name)| Parameter {
            foreign,
            unpadded,
            plus,
            fold,
            around,
            raw_blanks,
            escaping,
            encodings,
            around_name,
        },
    )
}

fn carrier() -> impl Strategy<Value = Carrier> {
    let begin = select(vec![
        "",
        "?",
        "https://aa.example/w?",
        "https://aa.example/w?x=1&",
        "aa://w/a=b?",
        "https://f.in/cb?x=1?",
        "https://f.in/cb?x=1?y=2&z?",
        " https://aa.example/w?",
        "\n",
    ]);
    let url =
        (begin, select(vec!["", "#top", "#?fi=1&reqdate=2", "&"])).prop_map(|(begin, end)| Carrier::Url(begin, end));
    prop_oneof![4 => url, 1 => Just(Carrier::Parameters)]
}

fn habits() -> impl Strategy<Value = Habits> {
    use Target::{LikeOthers, Raw, Twice, Whole};
    let texts = (escaping(), any::<bool>(), vec(any::<u8>(), 12), mostly(Whole, &[Twice, LikeOthers, Raw]));
    let blanks = [(); 5].map(|()| mostly(false, &[true]));
    let rest = (any::<bool>(), 0_usize..3, any::<bool>(), carrier());
    (texts, list(), list(), blanks, [(); 5].map(|()| parameter()), rest).prop_map(
        |((escaping, lower, order, target), srcref, fipid, blanks, parameters, rest)| {
            let (leaves_out_sessionid, zeros, sends_empty_parameters, carrier) = rest;
            Habits {
                escaping,
                lower,
                order,
                target,
                srcref,
                fipid,
                blanks,
                leaves_out_sessionid,
                zeros,
                parameters,
                sends_empty_parameters,
                carrier,
            }
        },
    )
}

/// Dates of 14, 15 and 17 digits.
fn date() -> impl Strategy<Value = String> {
    (instant(), mostly(15, &[14, 17])).prop_map(|(instant, digits)| {
        let date = instant.format("%d%m%Y%H%M%S%3f").to_string();
        if digits == 15 { date[..12].to_owned() + &date[14..] } else { date[..digits].to_owned() }
    })
}

/// Members as real senders choose them: a `txnid` that is no UUID, a status that does not fit.
fn loose_message() -> impl Strategy<Value = (Leg, Meaning)> {
    let txnid = prop_oneof![4 => Just(None), 1 => text(1..12).prop_map(Some)];
    (message(), txnid, mostly(false, &[true])).prop_map(|((leg, mut meaning), txnid, mismatch)| {
        meaning.txnid = txnid.unwrap_or(meaning.txnid);
        meaning.success ^= mismatch && leg == Leg::Callback;
        // Quotes around an item of an unquoted list are the list's.
        for item in meaning.srcref.iter_mut().chain(&mut meaning.fipid) {
            *item = item.replace('\'', "’");
        }
        (leg, meaning)
    })
}

fn case(habits: impl Strategy<Value = Habits>) -> impl Strategy<Value = Case> {
    let kind = select(vec!["", "FIU", "LSP"]);
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

/// Without anything that a reader has to repair, however it is written otherwise.
fn cleaned(mut case: Case) -> Case {
    let Case { leg, meaning, conventions, date, habits, .. } = &mut case;
    meaning.extra.clear();
    "2D04747e-21c6-4c23-955b-d46c2f820140".clone_into(&mut meaning.txnid);
    meaning.errorcode = if *leg == Leg::Callback && !meaning.success { meaning.errorcode.max(1) } else { 0 };
    *date = format!("{}000", &date[..12]);
    habits.target = Target::Whole;
    let own = match conventions.lists {
        ListSyntax::Repeated => Syntax::Repeated,
        ListSyntax::Comma => Syntax::Comma,
        ListSyntax::Braces => Syntax::Braces,
        ListSyntax::Json => Syntax::Json,
    };
    for list in [&mut habits.srcref, &mut habits.fipid] {
        *list = List { syntax: if list.blank { own } else { Syntax::Repeated }, around: ("", ""), ..*list };
    }
    habits.blanks = [false; 5];
    for parameter in &mut habits.parameters {
        *parameter = Parameter { escaping: parameter.escaping, ..CLEAN_PARAMETER };
    }
    if let Carrier::Url(begin, end) = habits.carrier {
        let begin = if begin.starts_with(char::is_whitespace) || begin.contains("?x=1?") { "?" } else { begin };
        habits.carrier = Carrier::Url(begin, end);
    }
    case
}

/// A clean case with `deviation` and no other.
fn with(deviation: Deviation, dirty: &Case) -> Case {
    let mut case = cleaned(dirty.clone());
    let Case { leg, meaning, date, habits, .. } = &mut case;
    let at = usize::from(habits.order[0]) % 5;
    // The date is no Base64, and `requestorType` is not always there.
    let parameter = &mut habits.parameters[if matches!(at, 1 | 4) { 2 } else { at }];
    match deviation {
        Deviation::Base64Alphabet => parameter.foreign = true,
        Deviation::Base64Unpadded => parameter.unpadded = true,
        Deviation::PlusAsSpace => {
            // Only the standard alphabet has a `+`.
            let parameter = &mut habits.parameters[if at < 2 { 0 } else { 3 }];
            parameter.plus = if habits.lower { Plus::Raw } else { Plus::Space };
        }
        Deviation::DoubleEncoded if at == 4 && *leg == Leg::Request => habits.target = Target::Twice,
        Deviation::DoubleEncoded => parameter.encodings = 1 + at,
        Deviation::Whitespace => match at {
            0 => parameter.around = dirty.habits.parameters[0].around,
            1 => habits.parameters[1].around = dirty.habits.parameters[1].around,
            2 => parameter.fold = dirty.habits.parameters[2].fold,
            3 => parameter.around_name = dirty.habits.parameters[3].around_name,
            _ => habits.srcref.around = dirty.habits.srcref.around,
        },
        Deviation::DateDigits => date.clone_from(&dirty.date),
        Deviation::SecondQuestionMark => habits.carrier = Carrier::Url("https://f.in/cb?x=1?", "#top"),
        Deviation::ListSyntax => {
            let list = if at < 2 { &mut habits.fipid } else { &mut habits.srcref };
            list.syntax = if at < 2 { dirty.habits.fipid.syntax } else { dirty.habits.srcref.syntax };
        }
        Deviation::RedirectUnescaped => {
            habits.target = if habits.lower { Target::Raw } else { Target::LikeOthers };
            habits.escaping = Escaping::Least;
        }
        Deviation::TxnidNotUuid => meaning.txnid.clone_from(&dirty.meaning.txnid),
        Deviation::ExtraMember => meaning.extra.clone_from(&dirty.meaning.extra),
        Deviation::BlankOptional => habits.blanks = dirty.habits.blanks,
        Deviation::StatusMismatch => meaning.errorcode = u32::from(meaning.errorcode == 0),
    }
    case
}

fn only(deviation: Deviation) -> Deviations {
    let mut deviations = Deviations::default();
    deviations.note(deviation, true);
    deviations
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn what_needs_no_repair_has_no_deviation(case in case(habits()).prop_map(cleaned)) {
        let written = case.check()?;
        prop_assert_eq!(written.deviations, Deviations::default());
    }

    #[test]
    fn deviations_together_are_read_as_they_were_meant(case in case(habits())) {
        case.check()?;
    }
}

#[test]
fn each_deviation_alone_is_read_as_it_was_meant() {
    for deviation in Deviation::ALL {
        let cases = ProptestConfig { cases: cases().cases.div_ceil(8), ..cases() };
        let run = TestRunner::new(cases).run(&case(habits()), |dirty| {
            let case = with(deviation, &dirty);
            // Not every message can show it.
            prop_assume!(case.written().deviations == only(deviation));
            case.check().map(|_| ())
        });
        run.unwrap_or_else(|failure| panic!("{}: {failure}", deviation.name()));
    }
}

//! Calls with the package of `clients/python`.

use chrono::{DateTime, SecondsFormat, Utc};

use super::{EncodeCallback, EncodeRedirect, Expected, Language, Source, Style, eight_digits, field, pairs, texts};

pub(super) struct Python;

impl Language for Python {
    const STYLE: Style = Style {
        names: [
            "txnid",
            "sessionid",
            "userid",
            "redirect",
            "email",
            "pan",
            "dob",
            "iso_language_code",
            "srcref",
            "fipid",
            "extra",
        ],
        line: |name, value| format!("        {name}={value},\n"),
        list: |items| format!("[{}]", texts(items)),
        map: |extra| format!("{{{}}}", pairs(extra, ": ")),
    };

    const ASTRAL: fn(char) -> String = eight_digits;

    fn client(address: &str, uses: &[&str]) -> String {
        let names = [uses, &["Client"]].concat().join(", ");
        format!("from aa_redirect import {names}\n\nclient = Client({address})\n")
    }

    fn encode_redirect(EncodeRedirect { fiu, aa, requestor, members, issued }: &EncodeRedirect) -> String {
        let aa = aa.as_ref().map_or_else(String::new, |aa| format!("    aa_id={aa},\n"));
        let kind = requestor.map_or_else(String::new, |kind| format!("    requestor_type=RequestorType.{kind},\n"));
        let (import, issued) = issue_time(*issued);
        format!(
            "{import}sent = client.encode_redirect(\n    fiu_id={fiu},\n{aa}{kind}{issued}    redirect=Redirect(\n{members}    ),\n)\n\
             # answer the browser: 303, Location: sent.location"
        )
    }

    fn decode_redirect(aa: &str, source: &Source) -> String {
        format!("opened = client.decode_redirect(\n    {},\n    aa_id={aa},\n)", given(source, "RedirectParams"))
    }

    fn encode_callback(call: &EncodeCallback) -> String {
        let EncodeCallback { fiu, aa, txnid, sessionid, userid, errorcode, srcref, redirect_url, secret_id, .. } = call;
        let status = if call.success { "SUCCESS" } else { "FAILURE" };
        let extra = call.extra.as_ref().map_or_else(String::new, |extra| format!("\n        extra={extra},"));
        let (import, issued) = issue_time(call.issued);
        format!(
            "{import}answer = client.encode_callback(\n    fiu_id={fiu},\n    aa_id={aa},\n    callback=Callback(\n        \
             txnid={txnid},\n        sessionid={sessionid},\n        userid={userid},\n        \
             status=CallbackStatus.{status},\n        errorcode={errorcode},\n        srcref=[{srcref}],{extra}\n    ),\n    \
             redirect_url={redirect_url},\n    secret_id={secret_id},\n{issued})\n# answer the browser: 303, Location: answer.location"
        )
    }

    fn decode_callback(fiu: &str, source: &Source, expected: Option<&Expected>) -> String {
        let source = given(source, "CallbackParams");
        let expected =
            expected.map_or_else(|| "NOT_COMPARED".to_owned(), |Expected { txnid, sessionid, userid, aa }| {
                format!(
                    "Expected(\n        txnid={txnid},\n        sessionid={sessionid},\n        userid={userid},\n        \
                     aa_id={aa},\n    )"
                )
            });
        format!("opened = client.decode_callback(\n    {source},\n    fiu_id={fiu},\n    expected={expected},\n)")
    }
}

/// The argument that is the source.
fn given(source: &Source, kind: &str) -> String {
    match source {
        Source::Url(url) => url.clone(),
        Source::Params(values) => {
            let values: String =
                values.iter().map(|(name, value)| format!("        {}={value},\n", field(name))).collect();
            format!("{kind}(\n{values}    )")
        }
    }
}

/// The line that imports what the time needs, and the line of the argument.
fn issue_time(issued: Option<DateTime<Utc>>) -> (&'static str, String) {
    issued.map_or_else(Default::default, |time| {
        // A datetime has microseconds; the format has milliseconds.
        let text = time.to_rfc3339_opts(SecondsFormat::Micros, false);
        ("from datetime import datetime\n\n", format!("    issue_time=datetime.fromisoformat(\"{text}\"),\n"))
    })
}

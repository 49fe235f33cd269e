//! Calls with the package of `clients/java`.

use chrono::{DateTime, SecondsFormat, Utc};

use super::{EncodeCallback, EncodeRedirect, Expected, Language, NAMES, Source, Style, surrogates, text, texts};

pub(super) struct Java;

impl Language for Java {
    const STYLE: Style = Style {
        names: NAMES,
        line: |name, value| format!("        .{name}({value})\n"),
        list: |items| format!("List.of({})", texts(items)),
        map: |extra| {
            let entry = |(name, value): (&String, &String)| format!("Map.entry({}, {})", text(name), text(value));
            format!("Map.ofEntries({})", extra.iter().map(entry).collect::<Vec<_>>().join(", "))
        },
    };

    const ASTRAL: fn(char) -> String = surrogates;

    fn client(address: &str, _: &[&str]) -> String {
        format!(
            "// import aa.redirect.client.*; import java.time.Instant; import java.util.*;\nRedirectClient client = RedirectClient.to({address});\n"
        )
    }

    fn encode_redirect(EncodeRedirect { fiu, aa, requestor, members, issued }: &EncodeRedirect) -> String {
        let aa = aa.as_ref().map_or_else(String::new, |aa| format!(".withAaId({aa})"));
        let kind = requestor.map_or_else(String::new, |kind| format!(".withRequestorType(RequestorType.{kind})"));
        let issued = issued.map_or_else(String::new, |time| format!(".withIssueTime({})", instant(time)));
        format!(
            "Redirect redirect =\n    Redirect.builder()\n{members}        .build();\nSealedRedirect sent =\n    \
             client.encodeRedirect(EncodeRedirect.of({fiu}, redirect){aa}{kind}{issued});\n\
             // answer the browser: 303, Location: sent.location()"
        )
    }

    fn decode_redirect(aa: &str, source: &Source) -> String {
        let source = given(source, "RedirectParams");
        format!("OpenedRedirect opened =\n    client.decodeRedirect(DecodeRedirect.at({aa}){source});")
    }

    fn encode_callback(call: &EncodeCallback) -> String {
        let EncodeCallback { fiu, aa, txnid, sessionid, userid, srcref, redirect_url, secret_id, .. } = call;
        let status = if call.success { "SUCCESS" } else { "FAILURE" };
        // A code above the range of a Java int is written as the int with the same 32 bits.
        let code = i32::try_from(call.errorcode)
            .map_or_else(|_| format!("Integer.parseUnsignedInt(\"{}\")", call.errorcode), |code| code.to_string());
        let extra = call.extra.as_deref().unwrap_or("Map.of()");
        let issued = call.issued.map_or_else(|| "empty()".to_owned(), |time| format!("of({})", instant(time)));
        format!(
            "Callback callback =\n    new Callback(\n        {txnid}, {sessionid}, {userid},\n        \
             CallbackStatus.{status}, {code}, List.of({srcref}), {extra});\nSealedCallback answer =\n    \
             client.encodeCallback(new EncodeCallback(\n        {fiu}, {aa}, callback,\n        {redirect_url},\n        \
             {secret_id}, Optional.{issued}));\n// answer the browser: 303, Location: answer.location()"
        )
    }

    fn decode_callback(fiu: &str, source: &Source, expected: Option<&Expected>) -> String {
        let source = given(source, "CallbackParams");
        let expected = expected.map_or_else(
            || "Expectation.NOT_COMPARED".to_owned(),
            |Expected { txnid, sessionid, userid, aa }| {
                format!("new Expected(\n        {txnid}, {sessionid}, {userid}, {aa})")
            },
        );
        format!(
            "Expectation expected = {expected};\nOpenedCallback opened =\n    \
             client.decodeCallback(DecodeCallback.at({fiu}).expecting(expected){source});"
        )
    }
}

/// The last part of a decode call, with its source.
fn given(source: &Source, kind: &str) -> String {
    match source {
        Source::Url(url) => format!(".url(\n        {url})"),
        Source::Params(values) => {
            let values: Vec<&str> = values.iter().map(|(_, value)| &**value).collect();
            format!(".params(\n        new {kind}(\n            {}))", values.join(",\n            "))
        }
    }
}

fn instant(time: DateTime<Utc>) -> String {
    format!("Instant.parse(\"{}\")", time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

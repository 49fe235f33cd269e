//! Calls with the package of `clients/java`.

use super::{EncodeCallback, EncodeRedirect, Expected, Language, NAMES, Style, surrogates, text, texts};

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
            "// import aa.redirect.client.*; import java.util.*;\nRedirectClient client = RedirectClient.to({address});\n"
        )
    }

    fn encode_redirect(EncodeRedirect { fiu, aa, requestor, members }: &EncodeRedirect) -> String {
        let aa = aa.as_ref().map_or_else(String::new, |aa| format!(".withAaId({aa})"));
        let kind = requestor.map_or_else(String::new, |kind| format!(".withRequestorType(RequestorType.{kind})"));
        format!(
            "Redirect redirect =\n    Redirect.builder()\n{members}        .build();\nSealedRedirect sent =\n    \
             client.encodeRedirect(EncodeRedirect.of({fiu}, redirect){aa}{kind});\n\
             // answer the browser: 303, Location: sent.location()"
        )
    }

    fn decode_redirect(aa: &str, url: &str) -> String {
        format!("OpenedRedirect opened =\n    client.decodeRedirect(DecodeRedirect.at({aa}).url(\n        {url}));")
    }

    fn encode_callback(call: &EncodeCallback) -> String {
        let EncodeCallback { fiu, aa, txnid, sessionid, userid, srcref, redirect_url, secret_id, .. } = call;
        let status = if call.success { "SUCCESS" } else { "FAILURE" };
        // A code above the range of a Java int is written as the int with the same 32 bits.
        let code = i32::try_from(call.errorcode)
            .map_or_else(|_| format!("Integer.parseUnsignedInt(\"{}\")", call.errorcode), |code| code.to_string());
        let extra = call.extra.as_deref().unwrap_or("Map.of()");
        format!(
            "Callback callback =\n    new Callback(\n        {txnid}, {sessionid}, {userid},\n        \
             CallbackStatus.{status}, {code}, List.of({srcref}), {extra});\nSealedCallback answer =\n    \
             client.encodeCallback(new EncodeCallback(\n        {fiu}, {aa}, callback,\n        {redirect_url},\n        \
             {secret_id}, Optional.empty()));\n// answer the browser: 303, Location: answer.location()"
        )
    }

    fn decode_callback(fiu: &str, url: &str, expected: Option<&Expected>) -> String {
        let expected = expected.map_or_else(
            || "Expectation.NOT_COMPARED".to_owned(),
            |Expected { txnid, sessionid, userid, aa }| {
                format!("new Expected(\n        {txnid}, {sessionid}, {userid}, {aa})")
            },
        );
        format!(
            "Expectation expected = {expected};\nOpenedCallback opened =\n    \
             client.decodeCallback(DecodeCallback.at({fiu}).expecting(expected).url(\n        {url}));"
        )
    }
}

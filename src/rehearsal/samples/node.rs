//! Calls with the package of `clients/node`.

use chrono::{DateTime, SecondsFormat, Utc};

use super::{EncodeCallback, EncodeRedirect, Expected, Language, NAMES, Source, Style, pairs, surrogates, texts};

pub(super) struct Node;

impl Language for Node {
    const STYLE: Style = Style {
        names: NAMES,
        line: |name, value| format!("    {name}: {value},\n"),
        list: |items| format!("[{}]", texts(items)),
        map: |extra| format!("{{ {} }}", pairs(extra, ": ")),
    };

    const ASTRAL: fn(char) -> String = surrogates;

    fn client(address: &str, uses: &[&str]) -> String {
        let names = if uses.contains(&"NOT_COMPARED") { "NOT_COMPARED, RedirectClient" } else { "RedirectClient" };
        format!(
            "import {{ {names} }} from 'aa-redirect';\n\nconst client = new RedirectClient({{ addresses: {address} }});\n"
        )
    }

    fn encode_redirect(EncodeRedirect { fiu, aa, requestor, members, issued }: &EncodeRedirect) -> String {
        let aa = aa.as_ref().map_or_else(String::new, |aa| format!("  aaId: {aa},\n"));
        let kind = requestor.map_or_else(String::new, |kind| format!("  requestorType: '{kind}',\n"));
        format!(
            "const sealed = await client.encodeRedirect({{\n  fiuId: {fiu},\n{aa}{kind}{}  redirect: {{\n{members}  }},\n}});\n\
             response.set('Location', sealed.location).sendStatus(303);",
            issue_time(*issued)
        )
    }

    fn decode_redirect(aa: &str, source: &Source) -> String {
        format!("const opened = await client.decodeRedirect({{\n  aaId: {aa},\n{}}});", given(source))
    }

    fn encode_callback(call: &EncodeCallback) -> String {
        let EncodeCallback { fiu, aa, txnid, sessionid, userid, errorcode, srcref, redirect_url, secret_id, .. } = call;
        let status = if call.success { "SUCCESS" } else { "FAILURE" };
        let extra = call.extra.as_ref().map_or_else(String::new, |extra| format!("\n    extra: {extra},"));
        format!(
            "const sealed = await client.encodeCallback({{\n  fiuId: {fiu},\n  aaId: {aa},\n  callback: {{\n    \
             txnid: {txnid},\n    sessionid: {sessionid},\n    userid: {userid},\n    status: '{status}',\n    \
             errorcode: {errorcode},\n    srcref: [{srcref}],{extra}\n  }},\n  redirectUrl: {redirect_url},\n  \
             secretId: {secret_id},\n{}}});\nresponse.set('Location', sealed.location).sendStatus(303);",
            issue_time(call.issued)
        )
    }

    fn decode_callback(fiu: &str, source: &Source, expected: Option<&Expected>) -> String {
        let expected = expected.map_or_else(
            || "NOT_COMPARED".to_owned(),
            |Expected { txnid, sessionid, userid, aa }| {
                format!(
                    "{{\n    txnid: {txnid},\n    sessionid: {sessionid},\n    userid: {userid},\n    aaId: {aa},\n  }}"
                )
            },
        );
        format!(
            "const opened = await client.decodeCallback({{\n  fiuId: {fiu},\n{}  expected: {expected},\n}});",
            given(source)
        )
    }
}

/// The lines that name a source.
fn given(source: &Source) -> String {
    match source {
        Source::Url(url) => format!("  url: {url},\n"),
        Source::Params(values) => {
            let values: String = values.iter().map(|(name, value)| format!("    {name}: {value},\n")).collect();
            format!("  params: {{\n{values}  }},\n")
        }
    }
}

fn issue_time(issued: Option<DateTime<Utc>>) -> String {
    // A Date of JavaScript has milliseconds, as the format has.
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
    issued.map_or_else(String::new, |issued| format!("  issueTime: new Date('{}'),\n", time(issued)))
}

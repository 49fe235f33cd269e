//! Calls with the package of `clients/go`.

use chrono::{DateTime, Utc};

use super::{EncodeCallback, EncodeRedirect, Expected, Language, Source, Style, eight_digits, pairs, texts};

pub(super) struct Go;

impl Language for Go {
    const STYLE: Style = Style {
        names: [
            "TxnID",
            "SessionID",
            "UserID",
            "Redirect",
            "Email",
            "PAN",
            "DOB",
            "ISOLanguageCode",
            "SrcRef",
            "FIPID",
            "Extra",
        ],
        line: |name, value| format!("\t\t{name}: {value},\n"),
        list: |items| format!("[]string{{{}}}", texts(items)),
        map: |extra| format!("map[string]string{{{}}}", pairs(extra, ": ")),
    };

    const ASTRAL: fn(char) -> String = eight_digits;

    fn client(address: &str, _: &[&str]) -> String {
        format!(
            "// import \"aa/redirect\"; ctx is the context of your request; check each err\nclient, err := redirect.NewClient(redirect.Options{{Addresses: []string{{{address}}}}})\n"
        )
    }

    fn encode_redirect(EncodeRedirect { fiu, aa, requestor, members, issued }: &EncodeRedirect) -> String {
        let aa = aa.as_deref().unwrap_or(r#""""#);
        let kind = requestor.map_or_else(String::new, |kind| format!("\tRequestorType: redirect.Requestor{kind},\n"));
        format!(
            "sealed, err := client.EncodeRedirect(ctx, redirect.EncodeRedirectRequest{{\n\tFIU: {fiu}, AA: {aa},\n{kind}{}\
             \tRedirect: redirect.Redirect{{\n{members}\t}},\n}})\nurl, err := sealed.Location()",
            issue_time(*issued)
        )
    }

    fn decode_redirect(aa: &str, source: &Source) -> String {
        let source = given(source, "RedirectParams");
        format!("opened, err := client.DecodeRedirect(ctx, redirect.DecodeRedirectRequest{{\n\tAA: {aa},\n{source}}})")
    }

    fn encode_callback(call: &EncodeCallback) -> String {
        let EncodeCallback { fiu, aa, txnid, sessionid, userid, errorcode, srcref, redirect_url, secret_id, .. } = call;
        let status = if call.success { "Success" } else { "Failure" };
        let extra = call.extra.as_ref().map_or_else(String::new, |extra| format!(" Extra: {extra},"));
        format!(
            "sealed, err := client.EncodeCallback(ctx, redirect.EncodeCallbackRequest{{\n\tFIU: {fiu}, AA: {aa},\n\
             \tRedirectURL: {redirect_url},\n\tSecretID: {secret_id},\n{}\tCallback: redirect.Callback{{\n\
             \t\tTxnID: {txnid}, SessionID: {sessionid},\n\t\tUserID: {userid},\n\
             \t\tStatus: redirect.{status}, ErrorCode: {errorcode},\n\t\tSrcRef: []string{{{srcref}}},{extra}\n\t}},\n}})\n\
             url := sealed.Location()",
            issue_time(call.issued)
        )
    }

    fn decode_callback(fiu: &str, source: &Source, expected: Option<&Expected>) -> String {
        let source = given(source, "CallbackParams");
        let expected = expected.map_or_else(
            || "redirect.NotCompared{}".to_owned(),
            |Expected { txnid, sessionid, userid, aa }| {
                format!(
                    "redirect.Expected{{\n\tTxnID: {txnid}, SessionID: {sessionid},\n\tUserID: {userid}, AA: {aa},\n}}"
                )
            },
        );
        format!(
            "opened, err := client.DecodeCallback(ctx, redirect.DecodeCallbackRequest{{\n\tFIU: {fiu},\n{source}}}, \
             {expected})"
        )
    }
}

/// The line that names a source.
fn given(source: &Source, kind: &str) -> String {
    let name = |name| match name {
        "fi" => "FI",
        "reqdate" => "ReqDate",
        "resdate" => "ResDate",
        "ecreq" => "ECReq",
        "ecres" => "ECRes",
        "iv" => "IV",
        _ => "RequestorType",
    };
    match source {
        Source::Url(url) => format!("\tURL: {url},\n"),
        Source::Params(values) => {
            let values: String =
                values.iter().map(|(param, value)| format!("\t\t{}: {value},\n", name(*param))).collect();
            format!("\tParams: &redirect.{kind}{{\n{values}\t}},\n")
        }
    }
}

fn issue_time(issued: Option<DateTime<Utc>>) -> String {
    issued.map_or_else(String::new, |time| {
        format!("\tIssueTime: time.Unix({}, {}),\n", time.timestamp(), time.timestamp_subsec_nanos())
    })
}

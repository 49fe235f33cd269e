//! Calls with the package of `clients/go`.

use crate::proto::{CallbackStatus, RequestorType};

use super::{Call, Style, pairs, text, texts};

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

pub(super) fn code(call: &Call<'_>, address: &str) -> String {
    let head =
        format!("client, err := redirect.NewClient(redirect.Options{{Addresses: []string{{{}}}}})\n", text(address));
    let call = match call {
        Call::EncodeRedirect(request) => {
            let redirect = request.redirect.clone().unwrap_or_default();
            let kind = match request.requestor_type() {
                RequestorType::Unspecified => "",
                RequestorType::Fiu => "\tRequestorType: redirect.RequestorFIU,\n",
                RequestorType::Lsp => "\tRequestorType: redirect.RequestorLSP,\n",
            };
            let members = STYLE.members(&redirect);
            format!(
                "sealed, err := client.EncodeRedirect(ctx, redirect.EncodeRedirectRequest{{\n\tFIU: {}, AA: {},\n{kind}\
                 \tRedirect: redirect.Redirect{{\n{members}\t}},\n}})\nurl, err := sealed.Location()",
                text(&request.fiu_id),
                text(&request.aa_id)
            )
        }
        Call::DecodeRedirect { aa, url } => format!(
            "opened, err := client.DecodeRedirect(ctx, redirect.DecodeRedirectRequest{{\n\tAA:  {},\n\tURL: {},\n}})",
            text(aa),
            text(url)
        ),
        Call::EncodeCallback(request) => encode_callback(request),
        Call::DecodeCallback { fiu, url, expected } => {
            let expected = expected.map_or("redirect.NotCompared{}".to_owned(), |expected| {
                format!(
                    "redirect.Expected{{\n\tTxnID: {}, SessionID: {},\n\tUserID: {}, AA: {},\n}}",
                    text(&expected.txnid),
                    text(&expected.sessionid),
                    text(&expected.userid),
                    text(&expected.aa_id)
                )
            });
            format!(
                "opened, err := client.DecodeCallback(ctx, redirect.DecodeCallbackRequest{{\n\tFIU: {},\n\tURL: {},\n}}, \
                 {expected})",
                text(fiu),
                text(url)
            )
        }
    };
    head + &call
}

fn encode_callback(request: &crate::proto::EncodeCallbackRequest) -> String {
    let callback = request.callback.clone().unwrap_or_default();
    let status = match callback.status() {
        CallbackStatus::Success => "redirect.Success",
        CallbackStatus::Failure | CallbackStatus::Unspecified => "redirect.Failure",
    };
    format!(
        "sealed, err := client.EncodeCallback(ctx, redirect.EncodeCallbackRequest{{\n\tFIU: {}, AA: {},\n\
         \tRedirectURL: {},\n\tSecretID: {},\n\tCallback: redirect.Callback{{\n\t\tTxnID: {}, SessionID: {},\n\
         \t\tUserID: {},\n\t\tStatus: {status}, ErrorCode: {},\n\t\tSrcRef: []string{{{}}},{}\n\t}},\n}})\n\
         url := sealed.Location()",
        text(&request.fiu_id),
        text(&request.aa_id),
        text(&request.redirect_url),
        text(&request.secret_id),
        text(&callback.txnid),
        text(&callback.sessionid),
        text(&callback.userid),
        callback.errorcode,
        texts(&callback.srcref),
        if callback.extra.is_empty() { String::new() } else { format!(" Extra: {},", (STYLE.map)(&callback.extra)) }
    )
}

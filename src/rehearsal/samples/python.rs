//! Calls with the package of `clients/python`.

use crate::proto::{CallbackStatus, RequestorType};

use super::{Call, Style, pairs, text, texts};

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

pub(super) fn code(call: &Call<'_>, address: &str) -> String {
    let head = format!("client = Client({})\n", text(address));
    let call = match call {
        Call::EncodeRedirect(request) => encode_redirect(request),
        Call::DecodeRedirect { aa, url } => {
            format!("opened = client.decode_redirect(\n    {},\n    aa_id={},\n)", text(url), text(aa))
        }
        Call::EncodeCallback(request) => encode_callback(request),
        Call::DecodeCallback { fiu, url, expected } => {
            let expected = expected.map_or("NOT_COMPARED".to_owned(), |expected| {
                format!(
                    "Expected(\n        txnid={},\n        sessionid={},\n        userid={},\n        aa_id={},\n    )",
                    text(&expected.txnid),
                    text(&expected.sessionid),
                    text(&expected.userid),
                    text(&expected.aa_id)
                )
            });
            format!(
                "opened = client.decode_callback(\n    {},\n    fiu_id={},\n    expected={expected},\n)",
                text(url),
                text(fiu)
            )
        }
    };
    head + &call
}

fn encode_redirect(request: &crate::proto::EncodeRedirectRequest) -> String {
    let redirect = request.redirect.clone().unwrap_or_default();
    let members = STYLE.members(&redirect);
    let kind = match request.requestor_type() {
        RequestorType::Unspecified => "",
        RequestorType::Fiu => "    requestor_type=RequestorType.FIU,\n",
        RequestorType::Lsp => "    requestor_type=RequestorType.LSP,\n",
    };
    let aa = if request.aa_id.is_empty() { String::new() } else { format!("    aa_id={},\n", text(&request.aa_id)) };
    format!(
        "sent = client.encode_redirect(\n    fiu_id={},\n{aa}{kind}    redirect=Redirect(\n{members}    ),\n)\n\
         # answer the browser: 303, Location: sent.location",
        text(&request.fiu_id)
    )
}

fn encode_callback(request: &crate::proto::EncodeCallbackRequest) -> String {
    let callback = request.callback.clone().unwrap_or_default();
    let status = match callback.status() {
        CallbackStatus::Success => "CallbackStatus.SUCCESS",
        CallbackStatus::Failure | CallbackStatus::Unspecified => "CallbackStatus.FAILURE",
    };
    format!(
        "answer = client.encode_callback(\n    fiu_id={},\n    aa_id={},\n    callback=Callback(\n        txnid={},\n        \
         sessionid={},\n        userid={},\n        status={status},\n        errorcode={},\n        srcref=[{}],{}\n    ),\n    \
         redirect_url={},\n    secret_id={},\n)\n# answer the browser: 303, Location: answer.location",
        text(&request.fiu_id),
        text(&request.aa_id),
        text(&callback.txnid),
        text(&callback.sessionid),
        text(&callback.userid),
        callback.errorcode,
        texts(&callback.srcref),
        if callback.extra.is_empty() {
            String::new()
        } else {
            format!("\n        extra={},", (STYLE.map)(&callback.extra))
        },
        text(&request.redirect_url),
        text(&request.secret_id)
    )
}

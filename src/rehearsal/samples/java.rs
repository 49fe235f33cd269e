//! Calls with the package of `clients/java`.

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
        "isoLanguageCode",
        "srcref",
        "fipid",
        "extra",
    ],
    line: |name, value| format!("        .{name}({value})\n"),
    list: |items| format!("List.of({})", texts(items)),
    map: |extra| {
        let entry = |(name, value): (&String, &String)| format!("Map.entry({}, {})", text(name), text(value));
        format!("Map.ofEntries({})", extra.iter().map(entry).collect::<Vec<_>>().join(", "))
    },
};

pub(super) fn code(call: &Call<'_>, address: &str) -> String {
    let head = format!("RedirectClient client = RedirectClient.to({});\n", text(address));
    let call = match call {
        Call::EncodeRedirect(request) => encode_redirect(request),
        Call::DecodeRedirect { aa, url } => format!(
            "OpenedRedirect opened =\n    client.decodeRedirect(DecodeRedirect.at({}).url(\n        {}));",
            text(aa),
            text(url)
        ),
        Call::EncodeCallback(request) => encode_callback(request),
        Call::DecodeCallback { fiu, url, expected } => {
            let expected = expected.map_or("Expectation.NOT_COMPARED".to_owned(), |expected| {
                format!(
                    "new Expected(\n        {}, {}, {}, {})",
                    text(&expected.txnid),
                    text(&expected.sessionid),
                    text(&expected.userid),
                    text(&expected.aa_id)
                )
            });
            format!(
                "Expectation expected = {expected};\nOpenedCallback opened =\n    \
                 client.decodeCallback(DecodeCallback.at({}).expecting(expected).url(\n        {}));",
                text(fiu),
                text(url)
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
        RequestorType::Fiu => ".withRequestorType(RequestorType.FIU)",
        RequestorType::Lsp => ".withRequestorType(RequestorType.LSP)",
    };
    let aa = if request.aa_id.is_empty() { String::new() } else { format!(".withAaId({})", text(&request.aa_id)) };
    format!(
        "Redirect redirect =\n    Redirect.builder()\n{members}        .build();\nSealedRedirect sent =\n    \
         client.encodeRedirect(EncodeRedirect.of({}, redirect){aa}{kind});\n\
         // answer the browser: 303, Location: sent.location()",
        text(&request.fiu_id)
    )
}

fn encode_callback(request: &crate::proto::EncodeCallbackRequest) -> String {
    let callback = request.callback.clone().unwrap_or_default();
    let status = match callback.status() {
        CallbackStatus::Success => "CallbackStatus.SUCCESS",
        CallbackStatus::Failure | CallbackStatus::Unspecified => "CallbackStatus.FAILURE",
    };
    // A code above the range of an int is the same 32 bits.
    let code = i32::try_from(callback.errorcode)
        .map_or_else(|_| format!("Integer.parseUnsignedInt(\"{}\")", callback.errorcode), |code| code.to_string());
    let extra = pairs(&callback.extra, ", ");
    format!(
        "Callback callback =\n    new Callback(\n        {}, {}, {},\n        {status}, {code}, List.of({}), \
         Map.of({extra}));\nSealedCallback answer =\n    client.encodeCallback(new EncodeCallback(\n        {}, {}, \
         callback,\n        {},\n        {}, Optional.empty()));\n// answer the browser: 303, Location: answer.location()",
        text(&callback.txnid),
        text(&callback.sessionid),
        text(&callback.userid),
        texts(&callback.srcref),
        text(&request.fiu_id),
        text(&request.aa_id),
        text(&request.redirect_url),
        text(&request.secret_id)
    )
}

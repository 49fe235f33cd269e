//! Calls with the package of `clients/node`.

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
    line: |name, value| format!("    {name}: {value},\n"),
    list: |items| format!("[{}]", texts(items)),
    map: |extra| format!("{{ {} }}", pairs(extra, ": ")),
};

pub(super) fn code(call: &Call<'_>, address: &str) -> String {
    let head = format!("const client = new RedirectClient({{ addresses: {} }});\n", text(address));
    let call = match call {
        Call::EncodeRedirect(request) => encode_redirect(request),
        Call::DecodeRedirect { aa, url } => {
            format!("const opened = await client.decodeRedirect({{\n  aaId: {},\n  url: {},\n}});", text(aa), text(url))
        }
        Call::EncodeCallback(request) => encode_callback(request),
        Call::DecodeCallback { fiu, url, expected } => {
            let expected = expected.map_or("NOT_COMPARED".to_owned(), |expected| {
                format!(
                    "{{\n    txnid: {},\n    sessionid: {},\n    userid: {},\n    aaId: {},\n  }}",
                    text(&expected.txnid),
                    text(&expected.sessionid),
                    text(&expected.userid),
                    text(&expected.aa_id)
                )
            });
            format!(
                "const opened = await client.decodeCallback({{\n  fiuId: {},\n  url: {},\n  expected: {expected},\n}});",
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
        RequestorType::Fiu => "  requestorType: 'FIU',\n",
        RequestorType::Lsp => "  requestorType: 'LSP',\n",
    };
    let aa = if request.aa_id.is_empty() { String::new() } else { format!("  aaId: {},\n", text(&request.aa_id)) };
    format!(
        "const sealed = await client.encodeRedirect({{\n  fiuId: {},\n{aa}{kind}  redirect: {{\n{members}  }},\n}});\n\
         response.set('Location', sealed.location).sendStatus(303);",
        text(&request.fiu_id)
    )
}

fn encode_callback(request: &crate::proto::EncodeCallbackRequest) -> String {
    let callback = request.callback.clone().unwrap_or_default();
    let status = match callback.status() {
        CallbackStatus::Success => "'SUCCESS'",
        CallbackStatus::Failure | CallbackStatus::Unspecified => "'FAILURE'",
    };
    format!(
        "const sealed = await client.encodeCallback({{\n  fiuId: {},\n  aaId: {},\n  callback: {{\n    txnid: {},\n    \
         sessionid: {},\n    userid: {},\n    status: {status},\n    errorcode: {},\n    srcref: [{}],{}\n  }},\n  \
         redirectUrl: {},\n  secretId: {},\n}});\nresponse.set('Location', sealed.location).sendStatus(303);",
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
            format!("\n    extra: {},", (STYLE.map)(&callback.extra))
        },
        text(&request.redirect_url),
        text(&request.secret_id)
    )
}

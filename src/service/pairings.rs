//! `ListPairings`: pages by FIU id and AA id, never a secret.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    codec::profile::{Authentication, Scheme},
    exchange::Witness,
    keyring::{Keyring, Pairing, Reopen},
    proto,
};

use super::{Context, convert::duration, error::Refusal, fields::Fields};

/// The default number of pairings of a page.
const DEFAULT_PAGE: usize = 100;
/// The most pairings of a page.
const MAX_PAGE: usize = 1000;

/// A page of the pairings of `keyring`.
///
/// # Errors
/// If the size is negative, or the token is not from an earlier answer.
pub(super) fn list(
    keyring: &Keyring,
    context: &Context,
    request: &proto::ListPairingsRequest,
) -> Result<proto::ListPairingsResponse, Refusal> {
    let mut fields = Fields::default();
    let size = match usize::try_from(request.page_size) {
        Ok(0) => DEFAULT_PAGE,
        Ok(size) => size.min(MAX_PAGE),
        Err(_) => {
            fields.refuse("page_size", "must not be negative");
            0
        }
    };
    let after = match read_token(&request.page_token) {
        Some(after) => after,
        None if request.page_token.is_empty() => Default::default(),
        None => {
            fields.refuse("page_token", "must be the next_page_token of an earlier page, or empty");
            Default::default()
        }
    };
    fields.finish()?;
    // An id is never empty, so every pairing comes after two empty ids.
    let mut rest = keyring.pairings_after(after.0, after.1).filter(|pairing| context.may_use(pairing)).peekable();
    let page: Vec<_> = rest.by_ref().take(size).collect();
    let next = page.last().filter(|_| rest.peek().is_some());
    Ok(proto::ListPairingsResponse {
        next_page_token: next.map(|pairing| token(pairing)).unwrap_or_default(),
        pairings: page.into_iter().map(|pairing| describe(pairing)).collect(),
    })
}

/// The token of the place behind `pairing`. An id has no control character, so NUL can separate the two.
fn token(pairing: &Pairing) -> String {
    URL_SAFE_NO_PAD.encode([&*pairing.fiu, "\0", &*pairing.aa].concat())
}

fn read_token(token: &str) -> Option<(String, String)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    text.split_once('\0').map(|(fiu, aa)| (fiu.to_owned(), aa.to_owned()))
}

fn describe(pairing: &Pairing) -> proto::Pairing {
    let conventions = &pairing.conventions;
    let scheme = match conventions.profile.scheme {
        Scheme::HkdfIv => proto::Scheme::HkdfIv,
        Scheme::Pbkdf2 => proto::Scheme::Pbkdf2,
    };
    let secret = |(at, secret): (usize, &crate::keyring::Secret)| proto::pairing::Secret {
        id: secret.id.clone(),
        state: if at == 0 { proto::SecretState::Primary } else { proto::SecretState::DecodeOnly }.into(),
    };
    proto::Pairing {
        fiu_id: pairing.fiu.clone(),
        aa_id: pairing.aa.clone(),
        profile: conventions.profile.name.to_owned(),
        scheme: scheme.into(),
        webview_url: pairing.webview.clone().unwrap_or_default(),
        handles: pairing.handles.clone(),
        secrets: pairing.secrets.iter().enumerate().map(secret).collect(),
        reopen: match pairing.reopen {
            Reopen::Report => proto::Reopen::Report,
            Reopen::Refuse => proto::Reopen::Refuse,
        }
        .into(),
        redirect_hosts: pairing.redirect_hosts.entries(),
        max_age: Some(duration(conventions.max_age)),
        date_style: conventions.date.name().to_owned(),
        list_syntax: conventions.lists.name().to_owned(),
        check_resdate: conventions.check_resdate,
        authentication: match conventions.authentication {
            Authentication::Off => proto::Authentication::Off,
            Authentication::Write => proto::Authentication::Write,
            Authentication::Require => proto::Authentication::Require,
        }
        .into(),
    }
}

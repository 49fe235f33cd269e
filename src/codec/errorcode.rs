//! The guideline's texts for `errorcode` (wire format, section 4).

/// Codes 0 to 20 of guidelines v1.2.1 and later, each up to its colon; 21 to 23 are proposed and not released.
const TEXTS: [&str; 24] = [
    "Success",
    "Consent is rejected",
    "Consent not available",
    "Invalid request",
    "User authentication failed",
    "Consent in pending state",
    "Session timeout",
    "Account not discovered",
    "Account not discovered",
    "Account not discovered",
    "Account not linked",
    "Account not linked",
    "Account link OTP not attempted",
    "Account link OTP not attempted",
    "Account link OTP authentication failed",
    "Account link OTP authentication failed",
    "Account link failed",
    "Account link OTP authentication failed for some accounts",
    "Account link OTP authentication failed for some accounts",
    "Account link failed for some accounts",
    "Unknown error",
    "proposed",
    "proposed",
    "proposed",
];

/// The text of `code`, up to its colon; `Unlisted error code N` for one that the table does not have.
pub fn text(code: u32) -> String {
    usize::try_from(code)
        .ok()
        .and_then(|code| TEXTS.get(code))
        .map_or_else(|| format!("Unlisted error code {code}"), |&text| text.to_owned())
}

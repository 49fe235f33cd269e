//! The guideline's texts for `errorcode` (wire format, section 4).

/// Codes 0 to 20 of guidelines v1.2.1 and later. 21 to 23 are proposed and not released.
const TEXTS: [&str; 21] = [
    "Success: the user accepted",
    "Consent is rejected",
    "Consent not available",
    "Invalid request",
    "User authentication failed",
    "Consent in pending state",
    "Session timeout",
    "Account not discovered: the FIP given has no account",
    "Account not discovered: the FIP given failed",
    "Account not discovered: nothing at any FIP",
    "Account not linked: timeout",
    "Account not linked: cancelled",
    "Account link OTP not attempted: cancelled",
    "Account link OTP not attempted: timeout",
    "Account link OTP authentication failed: cancelled",
    "Account link OTP authentication failed: timeout",
    "Account link failed",
    "Account link OTP authentication failed for some accounts: cancelled",
    "Account link OTP authentication failed for some accounts: timeout",
    "Account link failed for some accounts",
    "Unknown error",
];

/// The whole text of `code`, so that 7, 8 and 9 differ. `Unlisted error code N` for every other code.
pub fn text(code: u32) -> String {
    usize::try_from(code)
        .ok()
        .and_then(|code| TEXTS.get(code))
        .map_or_else(|| format!("Unlisted error code {code}"), |&text| text.to_owned())
}

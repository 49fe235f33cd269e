//! The cost of a refusal for the server, compared with the call that it saves: processor time, not waiting time.

use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;

use crate::{
    driver::{ROUNDS, SPAN, drive, drive_to, frame},
    messages::{DECODE, Messages, decode, unopened},
    servers::Server,
    table::Table,
};

/// More bytes than a request may have.
const OVERSIZED: usize = 64 * 1024 + 1;
/// The calls with a derivation in one round.
const DERIVATIONS: usize = 128;

/// A call that is refused.
struct Refused {
    name: &'static str,
    path: &'static str,
    body: Bytes,
    /// Its `grpc-status`.
    status: &'static str,
    costs: Vec<f64>,
}

/// Compares each refusal with a decode with `pbkdf2` and with a decode with `hkdf-iv`.
pub(crate) async fn compare(table: &mut Table, messages: &Messages) {
    let server = Server::service(10, 1);
    let mut refused = refused();
    for refused in &refused {
        // These messages fail here until their budget is used up.
        let bodies = vec![refused.body.clone(); 64];
        drive_to(refused.status, &server, refused.path, bodies, 1, Duration::MAX).await;
    }
    let (mut pbkdf2, mut hkdf) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        pbkdf2.push(drive(&server, DECODE, messages.pbkdf2(DERIVATIONS), 64, Duration::MAX).await.cpu_micros);
        hkdf.push(drive(&server, DECODE, messages.hkdf(&server, DECODE).await, 64, SPAN).await.cpu_micros);
        for Refused { path, body, status, costs, .. } in &mut refused {
            costs.push(drive_to(status, &server, path, vec![body.clone()], 64, SPAN).await.cpu_micros);
        }
    }
    table.figure("DecodeRedirect, pbkdf2: processor time, µs a call", &pbkdf2);
    table.figure("DecodeRedirect, hkdf-iv: processor time, µs a call", &hkdf);
    for Refused { name, costs, .. } in &refused {
        table.row(&format!("processor time a call: a pbkdf2 decode against {name}"), &pbkdf2, costs);
        table.row(&format!("processor time a call: {name} against an hkdf-iv decode"), costs, &hkdf);
    }
}

fn refused() -> Vec<Refused> {
    let fresh = unopened(TimeDelta::zero());
    let of = |name, path, body, status| Refused { name, path, body, status, costs: Vec::new() };
    vec![
        of("a stale date", DECODE, decode("pbkdf2", unopened(TimeDelta::hours(2))), "9"),
        of("an unknown pairing", DECODE, decode("nobody", fresh.clone()), "5"),
        of("a URL without a sender", DECODE, decode("pbkdf2", fresh.replace("fi=", "x=")), "3"),
        of("an ecreq that is no Base64", DECODE, decode("pbkdf2", fresh.replace("ecreq=", "ecreq=!")), "3"),
        of("a spent failure budget", DECODE, decode("pbkdf2", fresh), "3"),
        of("an oversized request", DECODE, frame(&[0; OVERSIZED]), "8"),
    ]
}

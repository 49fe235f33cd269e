//! Metrics: the numbers after known calls, and that callers cannot add labels.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use http::uri::PathAndQuery;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::{Request, client::Grpc};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::support::{
    program::{Client, Files, Program, channel, decode, opened, sealed, text},
    sender::{self, escape},
};

const SECRET: &str = "a-secret-of-32-characters-0123456";

fn start(files: &Files) -> Program {
    let keyring = files.keyring("v1.2", &[("one", SECRET), ("old", "another-secret-of-32-characters-1")]);
    Program::start(&["--keyring", text(&keyring), "--admin-listen", "127.0.0.1:0"])
}

#[tokio::test]
async fn every_metric_is_in_the_table_of_the_chapter_on_operations() {
    let files = Files::new();
    let page = start(&files).metrics().await.0;
    let chapter = include_str!("../../docs/operations.md");
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let own: Vec<&str> = types.filter(|name| !name.starts_with("process_")).collect();
    assert!(own.len() > 30, "{own:?}");
    for name in own {
        assert!(chapter.contains(&format!("`{name}`")), "{name}");
    }
}

#[tokio::test]
async fn known_calls_give_the_expected_numbers() {
    let files = Files::new();
    let program = start(&files);
    let mut client = program.client().await;
    let message = sealed(&mut client, "fiu", "aa").await.unwrap();
    for _ in 0..3 {
        opened(&mut client, "aa", &message.query).await.unwrap();
    }
    let last = message.params.unwrap().ecreq;
    let damaged = message.query.replace(&escape(&last), &escape(&"A".repeat(64)));
    opened(&mut client, "aa", &damaged).await.unwrap_err();
    sealed(&mut client, "fiu", "nobody").await.unwrap_err();
    let metrics = program.metrics().await;
    let of_method = |name: &str, method: &str, more: &str| {
        let labels = "grpc_type=\"unary\",grpc_service=\"aa.redirect.v1.RedirectService\"";
        metrics.of(&format!("grpc_server_{name}{{{labels},grpc_method=\"{method}\"{more}}}"))
    };
    let own = |series: &str| metrics.of(&format!("aa_redirect_{series}"));
    let decodes = |outcome: &str| {
        let labels = format!("fiu=\"fiu\",aa=\"aa\",leg=\"request\",outcome=\"{outcome}\"");
        own(&format!("decodes_total{{{labels}}}"))
    };
    for (found, expected) in [
        (of_method("started_total", "EncodeRedirect", ""), 2.0),
        (of_method("started_total", "DecodeRedirect", ""), 4.0),
        (of_method("handled_total", "EncodeRedirect", ",grpc_code=\"OK\""), 1.0),
        (of_method("handled_total", "EncodeRedirect", ",grpc_code=\"NotFound\""), 1.0),
        (of_method("handled_total", "DecodeRedirect", ",grpc_code=\"OK\""), 3.0),
        (of_method("handled_total", "DecodeRedirect", ",grpc_code=\"InvalidArgument\""), 1.0),
        (of_method("handled_total", "DecodeRedirect", ",grpc_code=\"Internal\""), 0.0),
        (of_method("handling_seconds_count", "DecodeRedirect", ""), 4.0),
        (own("refusals_total{method=\"EncodeRedirect\",reason=\"PAIRING_UNKNOWN\"}"), 1.0),
        (own("refusals_total{method=\"DecodeRedirect\",reason=\"UNDECIPHERABLE\"}"), 1.0),
        (decodes("opened"), 3.0),
        (decodes("undecipherable"), 1.0),
        (own("secret_uses_total{fiu=\"fiu\",aa=\"aa\",secret=\"one\"}"), 3.0),
        (own("date_skew_seconds_count{fiu=\"fiu\",aa=\"aa\"}"), 4.0),
        // Two secrets of one date.
        (own("derivations_total"), 2.0),
        (own("derived_keys"), 2.0),
        (own("derivation_queue"), 0.0),
        (own("derivations_refused_total"), 0.0),
        (own("failure_budget_refused_total"), 0.0),
        (own("log_lines_dropped_total"), 0.0),
        (own("connections"), 1.0),
        (own("connections_accepted_total"), 1.0),
        (own("reloads_total{source=\"keyring\",outcome=\"applied\"}"), 0.0),
        (own("build_info{version=\"0.1.0\"}"), 1.0),
    ] {
        assert_eq!(found, Some(expected), "{}", metrics.0);
    }
}

/// A message whose sender claims to be `fi`.
fn forged(fi: &str) -> String {
    let date = chrono::Utc::now().format("%d%m%Y%H%M000").to_string();
    let fi = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, sender::mask(fi.as_bytes(), &date));
    format!("fi={}&reqdate={date}&ecreq=AAAAAAAAAAAAAAAAAAAAAA%3D%3D", escape(&fi))
}

async fn unknown_method(client: &mut Grpc<tonic::transport::Channel>, path: &str) {
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
    let request = Request::new(HealthCheckRequest::default());
    client.unary(request, PathAndQuery::try_from(path).unwrap(), codec).await.unwrap_err();
}

#[tokio::test]
async fn forged_ids_and_unknown_methods_add_no_series() {
    let files = Files::new();
    let program = start(&files);
    let mut client: Client = program.client().await;
    let mut raw = Grpc::new(channel(&program.address).await);
    let mut round = async |number: usize| {
        let fi = format!("forged-{number}");
        client.decode_redirect(decode("", &forged(&fi))).await.unwrap_err();
        client.decode_redirect(decode(&fi, &forged("fiu"))).await.unwrap_err();
        sealed(&mut client, &fi, "aa").await.unwrap_err();
        unknown_method(&mut raw, &format!("/aa.redirect.v1.RedirectService/{fi}")).await;
        unknown_method(&mut raw, &format!("/{fi}/Check")).await;
    };
    round(0).await;
    let before = program.metrics().await.series();
    for number in 1..=200 {
        round(number).await;
    }
    let after = program.metrics().await;
    assert_eq!(after.series(), before);
    assert!(!after.0.contains("forged"));
    let unknown = "grpc_server_handled_total{grpc_type=\"unary\",grpc_service=\"unknown\",\
                   grpc_method=\"unknown\",grpc_code=\"Unimplemented\"}";
    assert_eq!(after.of(unknown), Some(402.0), "{}", after.0);
}

#[tokio::test]
async fn every_call_is_answered_while_the_admin_port_is_flooded() {
    const PAIRINGS: u32 = 300;
    const FLOODERS: usize = 24;
    /// Metrics are requested at least this many times.
    const ASKED: usize = 500;
    let files = Files::new();
    files.write("secret", SECRET);
    let entry = |number: u32| {
        let pairing = format!("fiu = \"fiu\"\naa = \"aa-{number}\"\nprofile = \"iv\"\n");
        format!("[[pairing]]\n{pairing}secrets = [{{ id = \"one\", file = \"secret\" }}]\n")
    };
    let keyring = files.write("keyring.toml", &(0..PAIRINGS).map(entry).collect::<String>());
    let program = Program::start(&["--keyring", text(&keyring), "--admin-listen", "127.0.0.1:0"]);
    // Each pairing that had a call adds its series to the page.
    let mut client = program.client().await;
    for number in 0..PAIRINGS {
        sealed(&mut client, "fiu", &format!("aa-{number}")).await.unwrap();
    }
    let (asked, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let flooders = (0..FLOODERS).map(|number| {
        let (address, asked, over) = (program.admin.clone(), Arc::clone(&asked), Arc::clone(&over));
        tokio::spawn(async move {
            let mut unread = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let mut stream = TcpStream::connect(&address).await.unwrap();
                // The port may close it in the meantime to make room for others.
                let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: test\r\n\r\n").await;
                asked.fetch_add(1, Ordering::Relaxed);
                if number % 2 == 0 {
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                } else {
                    unread.push(stream);
                    tokio::task::yield_now().await;
                }
                // This process may not have many files open.
                unread.truncate(20);
            }
        })
    });
    let flooders: Vec<_> = flooders.collect();
    let mut calls = PAIRINGS;
    while calls < 2 * PAIRINGS || asked.load(Ordering::Relaxed) < ASKED {
        sealed(&mut client, "fiu", &format!("aa-{}", calls % PAIRINGS)).await.unwrap();
        // A new connection is accepted too.
        sealed(&mut program.client().await, "fiu", "aa-0").await.unwrap();
        calls += 2;
    }
    over.store(true, Ordering::Relaxed);
    futures_util::future::join_all(flooders).await.into_iter().for_each(Result::unwrap);
    let metrics = program.metrics().await;
    let labels = "grpc_type=\"unary\",grpc_service=\"aa.redirect.v1.RedirectService\",grpc_method=\"EncodeRedirect\"";
    let answered = metrics.of(&format!("grpc_server_handled_total{{{labels},grpc_code=\"OK\"}}"));
    assert_eq!(answered, Some(f64::from(calls)));
    assert!(metrics.0.len() > 300_000, "a page that takes time to render: {}", metrics.0.len());
}

//! Three replicas behind HAProxy under load: one is killed, one drains, the store restarts, secrets rotate.

use std::{
    process::{Child, Command},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use aa_redirect::proto::{
    Callback, CallbackStatus, DecodeCallbackRequest, DecodeRedirectRequest, EncodeCallbackRequest, ExpectedCallback,
    decode_callback_request, decode_redirect_request::Source,
};
use tokio::{task::JoinSet, time::sleep};
use tonic::{Code, Response, Status};

use crate::{
    redis::{Redis, free_port},
    support::{
        program::{Client, Files, Program, encode, pairing, text, until},
        reason,
    },
};

/// Three replicas behind a proxy, each with its own keyring file.
struct Fleet {
    programs: Vec<Program>,
    ports: Vec<u16>,
    store: String,
    outage: &'static str,
    files: Files,
    proxy: Child,
    proxy_port: u16,
}

const ONE: &str = "{ id = \"a\", file = \"secret-a\" }";
const ADDED: &str = "{ id = \"a\", file = \"secret-a\" }, { id = \"b\", file = \"secret-b\", use = \"decode\" }";
const MOVED: &str = "{ id = \"b\", file = \"secret-b\" }, { id = \"a\", file = \"secret-a\", use = \"decode\" }";
const REMOVED: &str = "{ id = \"b\", file = \"secret-b\" }";

impl Fleet {
    fn start(store: &Redis, outage: &'static str) -> Self {
        let files = Files::new();
        files.write("secret-a", "0123456789abcdefghijABCDEFGHIJ-_");
        files.write("secret-b", "abcdefghijABCDEFGHIJ-_0123456789");
        let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
        let proxy_port = free_port();
        let servers: String = ports
            .iter()
            .map(|port| format!("    server s{port} 127.0.0.1:{port} proto h2 check inter 100ms\n"))
            .collect();
        let config = files.write(
            "haproxy.cfg",
            &format!(
                "defaults\n    mode http\n    timeout connect 1s\n    timeout client 1m\n    timeout server 1m\n    \
                 option redispatch\n    retries 3\n    retry-on conn-failure empty-response 0rtt-rejected\n\
                 frontend calls\n    bind 127.0.0.1:{proxy_port} proto h2\n    default_backend replicas\n\
                 backend replicas\n    balance roundrobin\n    default-server fall 1 rise 1\n{servers}"
            ),
        );
        let proxy = Command::new("haproxy").arg("-f").arg(config).spawn().unwrap();
        let mut fleet = Self { programs: Vec::new(), ports, store: store.url(), outage, files, proxy, proxy_port };
        for number in 0..3 {
            fleet.keyring(number, ONE);
            let program = fleet.program(number);
            fleet.programs.push(program);
        }
        fleet
    }

    fn keyring(&self, number: usize, secrets: &str) {
        let lines = format!("[[pairing]]\n{}reopen = \"refuse\"\nsecrets = [{secrets}]\n", pairing("iv"));
        self.files.write(&format!("keyring-{number}.toml"), &lines);
    }

    fn program(&self, number: usize) -> Program {
        let keyring = self.files.path(&format!("keyring-{number}.toml"));
        let listen = format!("127.0.0.1:{}", self.ports[number]);
        let more = ["--store", &self.store, "--store-outage", self.outage, "--store-timeout-milliseconds", "2000"];
        Program::start(
            &[&["--listen", &listen, "--admin-listen", "127.0.0.1:0", "--keyring", text(&keyring)][..], &more].concat(),
        )
    }

    async fn client(&self) -> Client {
        let address = format!("127.0.0.1:{}", self.proxy_port);
        until(|| async { tokio::net::TcpStream::connect(&address).await.ok() }).await;
        Client::new(crate::support::program::channel(&address).await)
    }

    /// Gives every replica this keyring, one after another, and waits until all have it.
    async fn rotate(&self, secrets: &str) {
        let before = self.fingerprints().await;
        for (number, program) in self.programs.iter().enumerate() {
            self.keyring(number, secrets);
            program.signal("HUP");
            sleep(Duration::from_millis(500)).await;
        }
        until(|| async {
            let now = self.fingerprints().await;
            (now[0] != before[0] && now.iter().all(|fingerprint| *fingerprint == now[0])).then_some(())
        })
        .await;
    }

    async fn fingerprints(&self) -> Vec<String> {
        let mut all = Vec::new();
        for program in &self.programs {
            let series = program.metrics().await.series();
            all.push(series.into_iter().find(|series| series.starts_with("aa_redirect_keyring_info")).unwrap());
        }
        all
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

/// The answers that the callers under load have seen.
#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    redirects: AtomicU64,
}

/// Callers that each run whole redirects until they are stopped. A wrong answer ends the test.
fn load(client: &Client) -> (Arc<Seen>, JoinSet<()>) {
    let seen = Arc::new(Seen::default());
    let mut callers = JoinSet::new();
    for caller in 0..8 {
        let (client, seen) = (client.clone(), Arc::clone(&seen));
        callers.spawn(async move {
            let mut number = 0;
            while !seen.stop.load(SeqCst) {
                number += 1;
                redirect(&client, &format!("{caller}-{number}")).await;
                seen.redirects.fetch_add(1, SeqCst);
            }
        });
    }
    (seen, callers)
}

async fn stop((seen, mut callers): (Arc<Seen>, JoinSet<()>)) -> u64 {
    seen.stop.store(true, SeqCst);
    while callers.join_next().await.transpose().unwrap().is_some() {}
    seen.redirects.load(SeqCst)
}

/// Request and callback, each opened once and then refused.
async fn redirect(client: &Client, name: &str) {
    let sealed = again(|| {
        let mut client = client.clone();
        async move { client.encode_redirect(encode("fiu", "aa")).await }
    })
    .await
    .unwrap();
    let params = sealed.params.unwrap();
    let request = |attempt: &str| DecodeRedirectRequest {
        aa_id: "aa".into(),
        source: Some(Source::Params(params.clone())),
        attempt_id: format!("{name}-{attempt}"),
    };
    let open = |attempt: &str| {
        let request = request(attempt);
        again(move || {
            let (mut client, request) = (client.clone(), request.clone());
            async move { client.decode_redirect(request).await }
        })
    };
    let opened = open("first").await.unwrap();
    assert!(!opened.reopened);
    assert_eq!(reason(&open("second").await.unwrap_err()), "ALREADY_OPENED");
    let redirect = opened.redirect.clone().unwrap();
    let callback = Callback {
        txnid: redirect.txnid.clone(),
        sessionid: redirect.sessionid.clone(),
        userid: redirect.userid.clone(),
        status: CallbackStatus::Success.into(),
        srcref: redirect.srcref.clone(),
        ..Callback::default()
    };
    let answer = EncodeCallbackRequest {
        fiu_id: "fiu".into(),
        aa_id: "aa".into(),
        callback: Some(callback),
        redirect_url: redirect.redirect.clone(),
        secret_id: opened.secret_id,
        ..EncodeCallbackRequest::default()
    };
    let sealed = again(|| {
        let (mut client, answer) = (client.clone(), answer.clone());
        async move { client.encode_callback(answer).await }
    })
    .await
    .unwrap();
    let expected = ExpectedCallback {
        txnid: redirect.txnid,
        sessionid: redirect.sessionid,
        userid: redirect.userid,
        aa_id: "aa".into(),
    };
    let request = DecodeCallbackRequest {
        fiu_id: "fiu".into(),
        source: Some(decode_callback_request::Source::Params(sealed.params.unwrap())),
        expected: Some(expected),
        attempt_id: format!("{name}-callback"),
    };
    let opened = again(|| {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.decode_callback(request).await }
    })
    .await
    .unwrap();
    assert!(!opened.reopened);
}

/// The answer to a call. Like the client packages, it calls again if no server takes the call, or if the server that
/// took it goes away.
async fn again<T, F>(call: impl Fn() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let mut tries = 0;
    loop {
        match call().await {
            Err(status) if lost(&status) && tries < 50 => tries += 1,
            answer => return answer.map(Response::into_inner),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Whether the service itself did not answer, or asks to try again.
fn lost(status: &Status) -> bool {
    status.code() == Code::Unavailable || status.details().is_empty()
}

#[tokio::test]
async fn a_replica_that_is_killed_drained_or_restarted_fails_no_call_and_opens_no_message_twice() {
    let redis = Redis::start();
    let mut fleet = Fleet::start(&redis, "closed");
    let load = load(&fleet.client().await);
    sleep(Duration::from_secs(2)).await;
    fleet.programs[0].signal("KILL");
    sleep(Duration::from_secs(2)).await;
    fleet.programs[0] = fleet.program(0);
    sleep(Duration::from_secs(1)).await;
    fleet.programs[1].signal("TERM");
    assert_eq!(fleet.programs[1].ended().await, Some(0));
    fleet.programs[1] = fleet.program(1);
    sleep(Duration::from_secs(2)).await;
    let redirects = stop(load).await;
    println!("{redirects} redirects");
    assert!(redirects > 100, "{redirects}");
}

#[tokio::test]
async fn a_store_that_restarts_makes_no_message_open_twice() {
    let mut redis = Redis::start();
    let fleet = Fleet::start(&redis, "closed");
    let load = load(&fleet.client().await);
    for _ in 0..3 {
        sleep(Duration::from_secs(1)).await;
        redis.kill();
        redis.restart();
    }
    sleep(Duration::from_secs(1)).await;
    let redirects = stop(load).await;
    println!("{redirects} redirects");
    assert!(redirects > 50, "{redirects}");
}

#[tokio::test]
async fn a_rotation_in_three_steps_fails_no_call() {
    let redis = Redis::start();
    let fleet = Fleet::start(&redis, "closed");
    let load = load(&fleet.client().await);
    sleep(Duration::from_secs(1)).await;
    for secrets in [ADDED, MOVED, REMOVED] {
        fleet.rotate(secrets).await;
        // All messages that were sealed before are opened now.
        sleep(Duration::from_secs(2)).await;
    }
    let redirects = stop(load).await;
    println!("{redirects} redirects");
    assert!(redirects > 100, "{redirects}");
}

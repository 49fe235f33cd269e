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
    Callback, CallbackStatus, DecodeCallbackRequest, DecodeRedirectRequest, DecodeRedirectResponse,
    EncodeCallbackRequest, ExpectedCallback, RedirectParams, decode_callback_request, decode_redirect_request::Source,
};
use futures_util::future::join_all;
use tokio::{task::JoinSet, time::sleep};
use tonic::{Code, Response, Status};

use crate::{
    redis::{Redis, free_port},
    replicas::broken,
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
    reopen: &'static str,
    files: Files,
    proxy: Child,
    proxy_port: u16,
}

const ONE: &str = "{ id = \"a\", file = \"secret-a\" }";
const ADDED: &str = "{ id = \"a\", file = \"secret-a\" }, { id = \"b\", file = \"secret-b\", use = \"decode\" }";
const MOVED: &str = "{ id = \"b\", file = \"secret-b\" }, { id = \"a\", file = \"secret-a\", use = \"decode\" }";
const REMOVED: &str = "{ id = \"b\", file = \"secret-b\" }";

impl Fleet {
    fn start(store: &Redis, outage: &'static str, reopen: &'static str) -> Self {
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
        let programs = Vec::new();
        let mut fleet = Self { programs, ports, store: store.url(), outage, reopen, files, proxy, proxy_port };
        for number in 0..3 {
            fleet.keyring(number, ONE);
            let program = fleet.program(number);
            fleet.programs.push(program);
        }
        fleet
    }

    fn keyring(&self, number: usize, secrets: &str) {
        let (pairing, reopen) = (pairing("iv"), self.reopen);
        let lines = format!("[[pairing]]\n{pairing}reopen = \"{reopen}\"\nsecrets = [{secrets}]\n");
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

/// What a second opening of a message is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Second {
    Refused,
    /// Opened, and said to be reopened unless the memory of one of both was not that of the other.
    Opened,
}

/// The answers that the callers under load have seen.
#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    redirects: AtomicU64,
}

/// Callers that each run whole redirects until they are stopped. A wrong answer ends the test.
fn load(client: &Client, second: Second) -> (Arc<Seen>, JoinSet<()>) {
    let seen = Arc::new(Seen::default());
    let mut callers = JoinSet::new();
    for caller in 0..8 {
        let (client, seen) = (client.clone(), Arc::clone(&seen));
        callers.spawn(async move {
            let mut number = 0;
            while !seen.stop.load(SeqCst) {
                number += 1;
                redirect(&client, second, &format!("{caller}-{number}")).await;
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

/// Request and callback.
async fn redirect(client: &Client, second: Second, name: &str) {
    let opened = request(client, second, name).await;
    callback(client, second, name, opened).await;
}

/// Seals a request, and opens it twice. Returns the first answer.
async fn request(client: &Client, second: Second, name: &str) -> DecodeRedirectResponse {
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
    assert!(second == Second::Opened || !opened.reopened);
    match (second, open("second").await) {
        (Second::Refused, Err(refused)) => assert_eq!(reason(&refused), "ALREADY_OPENED"),
        (Second::Opened, Ok(_)) => {}
        (second, answer) => panic!("{second:?}: {answer:?}"),
    }
    opened
}

/// Seals the answer to a request that was opened, and opens it.
async fn callback(client: &Client, second: Second, name: &str, request: DecodeRedirectResponse) {
    let redirect = request.redirect.unwrap();
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
        secret_id: request.secret_id,
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
    assert!(second == Second::Opened || !opened.reopened);
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

/// Sends 300 broken copies of a message, over all replicas.
async fn attack(client: &Client) {
    let params = again(|| {
        let mut client = client.clone();
        async move { client.encode_redirect(encode("fiu", "aa")).await }
    });
    let params = params.await.unwrap().params.unwrap();
    let open = |params: RedirectParams| {
        let source = Some(Source::Params(params));
        let request = DecodeRedirectRequest { aa_id: "aa".into(), source, ..DecodeRedirectRequest::default() };
        again(move || {
            let (mut client, request) = (client.clone(), request.clone());
            async move { client.decode_redirect(request).await }
        })
    };
    let answers = join_all((0..300).map(|number| open(broken(&params, number)))).await;
    assert!(answers.iter().all(|answer| reason(answer.as_ref().unwrap_err()) == "UNDECIPHERABLE"));
    assert_eq!(reason(&open(params).await.unwrap_err()), "UNDECIPHERABLE", "the budget is used up");
}

/// The most failures that the store holds for a last block.
fn most_failures(redis: &Redis) -> u32 {
    let keys = redis.cli(&["KEYS", "aar:*:*"]);
    let failures = keys.lines().filter_map(|key| redis.cli(&["HGET", key, "f"]).parse().ok());
    failures.max().unwrap()
}

#[tokio::test]
async fn a_replica_that_is_killed_drained_or_restarted_fails_no_call_and_opens_no_message_twice() {
    let redis = Redis::start();
    let mut fleet = Fleet::start(&redis, "closed", "refuse");
    let client = fleet.client().await;
    let load = load(&client, Second::Refused);
    sleep(Duration::from_secs(2)).await;
    let kill = async {
        sleep(Duration::from_millis(50)).await;
        fleet.programs[0].signal("KILL");
    };
    tokio::join!(attack(&client), kill);
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
    assert_eq!(most_failures(&redis), 32);
}

#[tokio::test]
async fn a_store_that_restarts_makes_no_message_open_twice_and_grants_no_second_budget() {
    let mut redis = Redis::start();
    let fleet = Fleet::start(&redis, "closed", "refuse");
    let client = fleet.client().await;
    let load = load(&client, Second::Refused);
    for _ in 0..3 {
        sleep(Duration::from_secs(1)).await;
        let restart = async {
            sleep(Duration::from_millis(20)).await;
            redis.kill();
            redis.restart();
        };
        tokio::join!(attack(&client), restart);
    }
    sleep(Duration::from_secs(1)).await;
    let redirects = stop(load).await;
    println!("{redirects} redirects");
    assert!(redirects > 50, "{redirects}");
    assert_eq!(most_failures(&redis), 32);
}

#[tokio::test]
async fn with_local_no_call_fails_while_the_store_restarts_or_stands_still() {
    let mut redis = Redis::start();
    let fleet = Fleet::start(&redis, "local", "report");
    let load = load(&fleet.client().await, Second::Opened);
    for _ in 0..3 {
        sleep(Duration::from_secs(1)).await;
        redis.kill();
        sleep(Duration::from_millis(500)).await;
        redis.restart();
        sleep(Duration::from_secs(1)).await;
        redis.signal("STOP");
        sleep(Duration::from_secs(3)).await;
        redis.signal("CONT");
    }
    let redirects = stop(load).await;
    println!("{redirects} redirects");
    assert!(redirects > 100, "{redirects}");
    for program in &fleet.programs {
        let metrics = program.metrics().await;
        for method in ["DecodeRedirect", "DecodeCallback"] {
            let series = format!("aa_redirect_refusals_total{{method=\"{method}\",reason=\"STORE_UNAVAILABLE\"}}");
            assert_eq!(metrics.of(&series), Some(0.0));
        }
    }
}

#[tokio::test]
async fn a_rotation_in_three_steps_fails_no_call() {
    let redis = Redis::start();
    let fleet = Fleet::start(&redis, "closed", "refuse");
    let load = load(&fleet.client().await, Second::Refused);
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

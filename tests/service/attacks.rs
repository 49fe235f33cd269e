//! Attacks on a running server: what an answer gives away, what a padding attack can read within the failure budget,
//! and which messages a flood of failures can lock out.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use crate::support::{MILLIS, NOW, Server, limits, reason, sender, start, start_with};
use aa_redirect::{
    callers::Callers,
    codec::{
        self, Envelope, Parties, cipher,
        kdf::Key,
        profile::{Conventions, PROFILES},
        url::Leg,
    },
    exchange::Exchange,
    files::reload::Reloaded,
    keyring,
    keys::KdfPool,
    memory::{Memory, Subject},
    proto::{
        DecodeRedirectRequest, RedirectParams, decode_redirect_request::Source,
        redirect_service_client::RedirectServiceClient,
    },
    server::{Edges, Listener, Listeners, Services, system_clock},
    service::Redirects,
    telemetry::Telemetry,
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{StreamExt, future::join_all, stream};
use sha2::{Digest, Sha256};
use tonic::{Code, Request, Status, transport::Channel};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};

const PLAIN: &str =
    "txnid=2d04747e-21c6-4c23-955b-d46c2f820140&sessionid=s&userid=u@iv&redirect=https://fiu.example/cb&srcref=a";
const OUTCOME: &str = "txnid=T1234&sessionid=s&userid=u@iv&status=S&errorcode=0";
/// Another date than [`MILLIS`].
const OTHER: &str = "211120261040757";

/// A server whose pairings `iv` and `v1.2` of `fiu@test` have these failure budgets.
async fn start_with_budgets(name: &str, iv: u32, v1_2: u32) -> Server {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("attacks-{name}"));
    fs::create_dir_all(&folder).unwrap();
    let secrets = fs::canonicalize("tests/support/secrets").unwrap();
    let pairing = |aa: &str, profile: &str, budget: u32| {
        format!(
            "[[pairing]]\nfiu = \"fiu@test\"\naa = \"{aa}\"\nprofile = \"{profile}\"\nfailure_budget = {budget}\n\
             redirect_hosts = [\"fiu.example\"]\n\
             secrets = [{{ id = \"new\", file = \"{}/fiu-{aa}-new\" }}]\n",
            secrets.display()
        )
    };
    let keyring = folder.join("keyring.toml");
    fs::write(&keyring, pairing("iv", "iv", iv) + &pairing("v1.2", "v1.2", v1_2)).unwrap();
    start_with(&keyring).await
}

/// A message whose ciphertext is `blocks`.
fn with_blocks(message: &sender::Message, blocks: &[[u8; 16]]) -> sender::Message {
    sender::Message { sealed: URL_SAFE.encode(blocks.concat()), ..message.clone() }
}

fn blocks(message: &sender::Message) -> Vec<[u8; 16]> {
    URL_SAFE.decode(&message.sealed).unwrap().chunks(16).map(|block| block.try_into().unwrap()).collect()
}

fn is_undecipherable(status: &Status) -> bool {
    (reason(status).as_str(), status.code()) == ("UNDECIPHERABLE", Code::InvalidArgument)
}

async fn decode(server: &Server, aa: &str, message: &sender::Message) -> Result<(), Status> {
    let source = Some(Source::Url(message.request_query()));
    let request = DecodeRedirectRequest { aa_id: aa.to_owned(), source, ..Default::default() };
    server.client.clone().decode_redirect(request).await.map(drop)
}

/// Sends messages, many at a time. All of them must fail.
async fn flood(server: &Server, aa: &str, messages: impl IntoIterator<Item = sender::Message>) {
    let calls = messages.into_iter().map(async |message| decode(server, aa, &message).await.unwrap_err());
    let answers = stream::iter(calls).buffer_unordered(150);
    answers.for_each(async |refused| assert!(is_undecipherable(&refused), "{refused:?}")).await;
}

/// `count` messages that nobody has seen, from number `first` on: garbage, each with its own last block.
fn garbage(aa: &str, date: &str, first: u32, count: u32) -> impl Iterator<Item = sender::Message> {
    let message = sender::request(aa, date, "");
    (first..first + count).map(move |number| {
        let mut block = [0x5A; 16];
        block[..4].copy_from_slice(&number.to_be_bytes());
        with_blocks(&message, &[[0; 16], block])
    })
}

/// A whole answer as it comes over HTTP/2: headers, body and trailers, without the date.
async fn raw_answer(server: &Server, method: &str, request: &impl prost::Message) -> String {
    let stream = tokio::net::TcpStream::connect(&server.address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let head = http::Request::post(format!("http://{}/aa.redirect.v1.RedirectService/{method}", server.address))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("x-request-id", "one-and-the-same")
        .body(())
        .unwrap();
    let (response, mut body) = client.send_request(head, false).unwrap();
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(request.encoded_len().try_into().unwrap());
    request.encode(&mut frame).unwrap();
    body.send_data(frame.freeze(), true).unwrap();
    let (mut head, mut body) = response.await.unwrap().into_parts();
    let mut data = BytesMut::new();
    while let Some(chunk) = body.data().await {
        let chunk: Bytes = chunk.unwrap();
        body.flow_control().release_capacity(chunk.len()).unwrap();
        data.put(chunk);
    }
    let trailers = body.trailers().await.unwrap();
    connection.abort();
    head.headers.remove("date");
    format!("{:?} {:?} {:?} {data:?} {trailers:?}", head.status, head.version, head.headers)
}

/// Every kind of failure of the request leg, each with its last block.
fn failing_requests(aa: &str) -> Vec<(&'static str, sender::Message)> {
    let request = |text: &[u8]| sender::request(aa, MILLIS, text);
    let without = |member: &str| PLAIN.replace(member, "x");
    let mut changed = blocks(&request(PLAIN.as_bytes()));
    *changed.last_mut().unwrap() = [0x77; 16];
    let mut garbled = blocks(&request(PLAIN.as_bytes()));
    garbled[0] = [0x33; 16];
    vec![
        ("bad padding", with_blocks(&request(PLAIN.as_bytes()), &changed)),
        ("a garbled first block", with_blocks(&request(PLAIN.as_bytes()), &garbled)),
        ("wrong secret", sender::request_with(b"another secret", aa, MILLIS, PLAIN)),
        ("nothing", request(b"")),
        ("no UTF-8", request(b"txnid=\xFF\xFE")),
        ("bad escape", request(b"txnid=%zz")),
        ("no UTF-8 in an escape", request(PLAIN.replace("sessionid=s", "sessionid=%FF").as_bytes())),
        ("no `=`", request(b"txnid")),
        ("an empty member", request(b"txnid=a&&b=c")),
        ("a repeated member", request(b"txnid=a&txnid=b")),
        ("no txnid", request(without("txnid").as_bytes())),
        ("no userid", request(without("userid").as_bytes())),
        ("no srcref", request(without("srcref").as_bytes())),
        ("no redirect", request(without("redirect").as_bytes())),
        ("a forbidden host", request(PLAIN.replace("fiu.example", "evil.test").as_bytes())),
        ("a forbidden scheme", request(PLAIN.replace("https://fiu.example/cb", "javascript://x").as_bytes())),
        ("a backslash", request(PLAIN.replace("/cb", "\\cb").as_bytes())),
    ]
}

/// Every kind of failure of the callback leg, with another date.
fn failing_callbacks(aa: &str) -> Vec<(&'static str, sender::Message)> {
    let callback = |text: &str| sender::callback(aa, OTHER, text);
    let mut changed = blocks(&callback(OUTCOME));
    *changed.last_mut().unwrap() = [0x77; 16];
    vec![
        ("bad padding", with_blocks(&callback(OUTCOME), &changed)),
        ("bad escape", callback("txnid=%zz")),
        ("no UTF-8", sender::callback(aa, OTHER, b"txnid=\xFF")),
        ("no userid", callback(&OUTCOME.replace("userid", "x"))),
        ("an unknown status", callback(&OUTCOME.replace("status=S", "status=X"))),
        ("a code that is no number", callback(&OUTCOME.replace("errorcode=0", "errorcode=zero"))),
    ]
}

#[tokio::test]
async fn every_failure_answers_with_the_same_bytes_in_headers_body_and_trailers() {
    use aa_redirect::proto::{DecodeCallbackRequest, decode_callback_request};
    let server = start().await;
    let mut kinds = 0;
    // `hosts` allows only fiu.example and has the scheme hkdf-iv. `v1.2` and `v1.5` have pbkdf2, and `v1.5` has two
    // secrets.
    for aa in ["iv", "hosts", "v1.2", "v1.5"] {
        let mut answers = BTreeSet::new();
        let mut requests = failing_requests(aa);
        if aa != "hosts" {
            requests.retain(|(kind, _)| *kind != "a forbidden host");
        }
        let (_, spent) = requests[0].clone();
        for (kind, message) in requests {
            let by_url = Source::Url(message.request_query());
            let by_params = Source::Params(RedirectParams {
                fi: message.fi,
                reqdate: message.date,
                ecreq: message.sealed,
                iv: message.iv,
                requestor_type: String::new(),
            });
            for source in [by_url, by_params] {
                let request =
                    DecodeRedirectRequest { aa_id: aa.to_owned(), source: Some(source), ..Default::default() };
                let answer = raw_answer(&server, "DecodeRedirect", &request).await;
                assert!(answer.contains("\"grpc-status\": \"3\""), "{aa} {kind}: {answer}");
                answers.insert(answer);
                kinds += 1;
            }
        }
        for (kind, message) in failing_callbacks(aa) {
            let source = Some(decode_callback_request::Source::Url(message.callback_query()));
            let request = DecodeCallbackRequest { fiu_id: "fiu@test".to_owned(), source, ..Default::default() };
            let answer = raw_answer(&server, "DecodeCallback", &request).await;
            assert!(answer.contains("\"grpc-status\": \"3\""), "{aa} {kind}: {answer}");
            answers.insert(answer);
            kinds += 1;
        }
        let refused = server.memory.refused();
        flood(&server, aa, vec![spent.clone(); 40]).await;
        assert!(server.memory.refused() > refused);
        let source = Some(Source::Url(spent.request_query()));
        let request = DecodeRedirectRequest { aa_id: aa.to_owned(), source, ..Default::default() };
        answers.insert(raw_answer(&server, "DecodeRedirect", &request).await);
        assert_eq!(answers.len(), 1, "{aa}, after {kinds} failures: {answers:#?}");
    }
}

#[tokio::test]
async fn every_failure_waits_for_its_own_tick() {
    let server = start().await;
    let mut kinds: Vec<_> = failing_requests("hosts").into_iter().map(|(_, message)| ("hosts", message)).collect();
    kinds.extend(failing_requests("v1.2").into_iter().take(2).map(|(_, message)| ("v1.2", message)));
    // About 50 failures. From the 33rd on, the answer comes from the used-up budget.
    kinds.extend(std::iter::repeat_n(("hosts", sender::request("hosts", MILLIS, "txnid")), 50));
    let begin = std::time::Instant::now();
    let count = u32::try_from(kinds.len()).unwrap();
    for (aa, message) in kinds {
        assert!(is_undecipherable(&decode(&server, aa, &message).await.unwrap_err()));
    }
    // The calls come one after another, so each answer leaves at a later tick than the one before it.
    assert!(begin.elapsed() >= Duration::from_millis(5) * (count - 1));
    assert!(server.memory.refused() >= 18);
}

/// Vaudenay's attack on a block of a message that the attacker has seen. It has the best possible oracle: for each
/// query that the service decrypts, the oracle says whether the padding was valid.
struct PaddingAttack<'a> {
    server: &'a Server,
    seen: &'a sender::Message,
    target: [u8; 16],
    key: [u8; 32],
    /// How many queries were decrypted until the block was read.
    decrypted: usize,
    /// All answers of the service, for decrypted and for refused queries.
    answers: BTreeSet<(i32, String, Vec<u8>)>,
}

impl<'a> PaddingAttack<'a> {
    fn new(server: &'a Server, seen: &'a sender::Message, target: [u8; 16]) -> Self {
        let key = sender::key("hkdf-iv", &sender::secret("fiu-iv-new"), &seen.date);
        Self { server, seen, target, key, decrypted: 0, answers: BTreeSet::new() }
    }

    /// Which of the blocks give valid padding before the target; empty if the service no longer decrypts.
    async fn ask(&mut self, befores: &[[u8; 16]]) -> Option<Vec<bool>> {
        let refused = self.server.memory.refused();
        let queries: Vec<_> = befores.iter().map(|before| with_blocks(self.seen, &[*before, self.target])).collect();
        for answer in join_all(queries.iter().map(|query| decode(self.server, "iv", query))).await {
            let answer = answer.unwrap_err();
            assert!(is_undecipherable(&answer));
            self.answers.insert(crate::support::face(&answer));
        }
        let valid = |before: &[u8; 16]| {
            let text = cipher::decrypt(&Key::new(self.key), &[0; 16], &[*before, self.target].concat());
            text.is_some_and(|text| text.text().is_some())
        };
        (self.server.memory.refused() == refused).then(|| befores.iter().map(valid).collect())
    }

    /// The block before the cipher's last step, last byte first: the whole block, or the bytes that were read until the
    /// service decrypted no more queries. Sends many queries at once, and counts them up to the query that showed the
    /// byte.
    async fn read(&mut self, at_once: usize) -> Vec<u8> {
        let mut known: Vec<u8> = Vec::new();
        while known.len() < 16 {
            let at = 15 - known.len();
            let padding = u8::try_from(16 - at).unwrap();
            let mut before = [0; 16];
            for (byte, known) in before[at + 1..].iter_mut().zip(known.iter().rev()) {
                *byte = known ^ padding;
            }
            let guess = |guess: u8| {
                before[at] = guess;
                before
            };
            let guesses: Vec<_> = (0..=255).map(guess).collect();
            let mut found = None;
            'guesses: for guesses in guesses.chunks(at_once) {
                let Some(valid) = self.ask(guesses).await else { return known };
                for (guess, valid) in guesses.iter().zip(valid) {
                    self.decrypted += 1;
                    if !valid {
                        continue;
                    }
                    let mut again = *guess;
                    if at == 15 {
                        // The padding may have been longer than one byte. If so, it is broken now.
                        again[14] ^= 1;
                        let Some(valid) = self.ask(&[again]).await else { return known };
                        self.decrypted += 1;
                        if !valid[0] {
                            continue;
                        }
                    }
                    found = Some(guess[at] ^ padding);
                    break 'guesses;
                }
            }
            known.push(found.expect("one guess is right"));
        }
        known
    }
}

/// The text of a block before it was sealed, computed from the bytes that an attack has read.
fn plaintext(read: &[u8], before: [u8; 16]) -> Vec<u8> {
    read.iter().rev().zip(&before[16 - read.len()..]).map(|(byte, before)| byte ^ before).collect()
}

#[tokio::test]
async fn a_padding_attack_without_a_budget_reads_a_whole_block() {
    let server = start_with_budgets("unlimited", 0, 32).await;
    let seen = sender::request("iv", MILLIS, PLAIN);
    let blocks = blocks(&seen);
    let mut attack = PaddingAttack::new(&server, &seen, blocks[1]);
    let read = attack.read(32).await;
    assert_eq!(plaintext(&read, blocks[0]), PLAIN.as_bytes()[16..32]);
    assert_eq!(attack.answers.len(), 1, "the service itself shows nothing");
    println!("without a budget: 16 bytes in {} queries", attack.decrypted);
    assert!((1000..3000).contains(&attack.decrypted), "some 128 for each byte: {}", attack.decrypted);
}

#[tokio::test]
async fn a_padding_attack_within_the_budget_reads_under_one_byte_of_a_block() {
    let server = start_with_budgets("limited", 32, 32).await;
    let (mut attacked, mut bytes) = (0, 0);
    for message in 0..4 {
        let seen = sender::request("iv", &format!("2111202610407{message:02}"), PLAIN);
        for target in blocks(&seen) {
            let mut attack = PaddingAttack::new(&server, &seen, target);
            bytes += attack.read(1).await.len();
            attacked += 1;
            assert_eq!(attack.decrypted, 32);
            assert_eq!(attack.answers.len(), 1, "a message that is not decrypted gets the same answer as the rest");
        }
    }
    println!("with the budget: {bytes} bytes of {attacked} blocks of 16");
    assert!(attacked > 20 && bytes < attacked / 2, "{bytes} bytes of {attacked} blocks");
}

/// What a caller learns about the ten characters of the `txnid` in the first block if it flips their bits through `iv`
/// and sees whether the message opens: for each character, the `guess` that became an `&` and made the message
/// unreadable. And how many messages opened.
async fn read_by_form(seen: &sender::Message, opens: impl AsyncFn(&sender::Message) -> bool) -> (Vec<Vec<u8>>, usize) {
    let (mut unreadable, mut opened) = (Vec::new(), 0);
    for at in 6..16 {
        let mut guesses = Vec::new();
        for guess in *b"0123456789abcdef-" {
            let mut iv = sender::IV;
            iv[at] ^= guess ^ b'&';
            let changed = sender::Message { iv: STANDARD.encode(iv), ..seen.clone() };
            if opens(&changed).await {
                opened += 1;
            } else {
                guesses.push(guess);
            }
        }
        unreadable.push(guesses);
    }
    (unreadable, opened)
}

/// Whether the service opens a message; else it is UNDECIPHERABLE.
async fn opens(server: &Server, message: &sender::Message) -> bool {
    match decode(server, "iv", message).await {
        Ok(()) => true,
        Err(refused) => {
            assert!(is_undecipherable(&refused));
            false
        }
    }
}

#[tokio::test]
async fn a_format_attack_without_a_memory_reads_characters() {
    let seen = sender::request("iv", MILLIS, PLAIN);
    let key = Key::new(sender::key("hkdf-iv", &sender::secret("fiu-iv-new"), MILLIS));
    let conventions = Conventions::of(&PROFILES[0]);
    let opens = async |message: &sender::Message| {
        let envelope = Envelope::from_url(&message.request_query(), Leg::Request).unwrap();
        codec::open::<codec::members::Redirect>(&envelope, &key, &conventions, Parties { fiu: "fiu@test", aa: "iv" })
            .is_ok()
    };
    let (unreadable, _) = read_by_form(&seen, opens).await;
    for (guesses, real) in unreadable.iter().zip(&PLAIN.as_bytes()[6..16]) {
        assert!(guesses.contains(real) && guesses.len() < 4, "{guesses:?} {real}");
    }
}

#[tokio::test]
async fn only_the_first_that_opens_of_a_message_and_its_changed_copies_is_opened() {
    let server = start_with_budgets("form-limited", 32, 32).await;
    let seen = sender::request("iv", MILLIS, PLAIN);
    assert!(decode(&server, "iv", &seen).await.is_ok());
    let (_, opened) = read_by_form(&seen, async |message| opens(&server, message).await).await;
    assert_eq!((opened, server.memory.spent()), (0, 1), "every other message counts as a failure");

    let seen = sender::request("iv", OTHER, PLAIN);
    let (_, opened) = read_by_form(&seen, async |message| opens(&server, message).await).await;
    assert_eq!((opened, server.memory.spent()), (1, 2), "the first caller learns that a message opened");
    assert!(is_undecipherable(&decode(&server, "iv", &seen).await.unwrap_err()));

    // Without its first blocks, another member stands where `iv` can change it.
    let seen = sender::request("iv", "211120261040758", PLAIN);
    assert!(decode(&server, "iv", &seen).await.is_ok());
    let blocks = blocks(&seen);
    let mut iv = blocks[1];
    let shortened = |iv: [u8; 16]| {
        let sealed = URL_SAFE.encode(blocks[2..].concat());
        sender::Message { iv: STANDARD.encode(iv), sealed, ..seen.clone() }
    };
    let old = &PLAIN.as_bytes()[32..48];
    for (byte, (old, new)) in iv.iter_mut().zip(old.iter().zip(b"txnid=0123456789")) {
        *byte ^= old ^ new;
    }
    assert!(is_undecipherable(&decode(&server, "iv", &shortened(iv)).await.unwrap_err()));
    let other = start_with_budgets("form-shortened", 32, 32).await;
    assert!(
        decode(&other, "iv", &shortened(iv)).await.is_ok(),
        "it opens on a server that has not opened the sound message"
    );
    assert!(is_undecipherable(&decode(&other, "iv", &seen).await.unwrap_err()));
}

#[tokio::test]
async fn every_kind_of_failure_is_counted() {
    let mut server = start_with_budgets("kinds", 1, 1).await;
    for aa in ["iv", "v1.2"] {
        for (kind, message) in failing_requests(aa) {
            for expected in [0, 1] {
                let refused = server.memory.refused();
                assert!(is_undecipherable(&decode(&server, aa, &message).await.unwrap_err()));
                assert_eq!(server.memory.refused() - refused, expected, "{aa} {kind}");
            }
        }
        for (kind, message) in failing_callbacks(aa) {
            for expected in [0, 1] {
                let refused = server.memory.refused();
                assert!(is_undecipherable(&server.decode_callback(&message.callback_query()).await.unwrap_err()));
                assert_eq!(server.memory.refused() - refused, expected, "{aa} {kind}");
            }
        }
    }
}

#[tokio::test]
async fn a_message_in_another_form_or_on_the_other_leg_has_no_separate_budget() {
    let mut server = start_with_budgets("forms", 32, 32).await;
    let sound = sender::request("iv", MILLIS, PLAIN);
    let mut changed = blocks(&sound);
    changed[0] = [0x33; 16];
    let failing = with_blocks(&sound, &changed);
    for _ in 0..4 {
        let swapped = failing.sealed.replace('-', "+").replace('_', "/");
        let forms = [
            failing.clone(),
            sender::Message { sealed: swapped, ..failing.clone() },
            sender::Message { sealed: failing.sealed.trim_end_matches('=').to_owned(), ..failing.clone() },
            sender::Message { date: format!(" {MILLIS}\r\n"), ..failing.clone() },
            with_blocks(&failing, &[&[[9; 16]; 7], &changed[..]].concat()),
            sender::Message { iv: "AAAAAAAAAAAAAAAAAAAAAA==".to_owned(), ..failing.clone() },
        ];
        for message in &forms {
            assert!(is_undecipherable(&decode(&server, "iv", message).await.unwrap_err()));
        }
        let other = sender::callback("iv", MILLIS, OUTCOME);
        for message in [failing.clone(), forms[4].clone()] {
            let callback = sender::Message { fi: other.fi.clone(), ..message };
            let refused = server.decode_callback(&callback.callback_query()).await.unwrap_err();
            assert!(is_undecipherable(&refused));
        }
    }
    assert_eq!((server.memory.spent(), server.memory.refused()), (1, 0), "32 failures in eight forms");
    assert!(is_undecipherable(&decode(&server, "iv", &sound).await.unwrap_err()));
    assert_eq!(server.memory.refused(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_simultaneous_failures_are_decrypted_only_up_to_the_budget() {
    for aa in ["iv", "v1.2"] {
        let server = start_with_budgets("at-once", 32, 32).await;
        let failing = sender::request(aa, MILLIS, "txnid");
        flood(&server, aa, vec![failing; 1000]).await;
        assert_eq!((server.memory.spent(), server.memory.refused()), (1, 968), "{aa}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_message_opens_a_thousand_times_at_once() {
    let server = start_with_budgets("sound", 1, 1).await;
    for aa in ["iv", "v1.2"] {
        let sound = sender::request(aa, MILLIS, PLAIN);
        let answers = join_all((0..1000).map(|_| decode(&server, aa, &sound))).await;
        assert!(answers.iter().all(Result::is_ok), "{aa}");
    }
    assert_eq!((server.memory.spent(), server.memory.refused()), (0, 0));
}

#[tokio::test]
async fn an_attacker_who_has_seen_a_message_can_lock_out_only_that_message() {
    let server = start_with_budgets("seen", 32, 32).await;
    let seen = sender::request("iv", MILLIS, PLAIN);
    let unseen = sender::request("iv", MILLIS, PLAIN.replace("srcref=a", "srcref=b"));
    let (last, other_last) = (blocks(&seen).pop().unwrap(), blocks(&unseen).pop().unwrap());
    assert_ne!(last, other_last);
    flood(&server, "iv", (0..100).map(|number| with_blocks(&seen, &[[number; 16], last]))).await;
    assert!(is_undecipherable(&decode(&server, "iv", &seen).await.unwrap_err()), "the message that was seen");
    assert!(decode(&server, "iv", &unseen).await.is_ok(), "another one with the same date");
    assert!(decode(&server, "iv", &sender::request("iv", OTHER, PLAIN)).await.is_ok(), "the same with another date");
    assert!(decode(&server, "v1.2", &sender::request("v1.2", MILLIS, PLAIN)).await.is_ok(), "another pairing");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attacker_without_a_message_can_lock_out_one_date_after_4096_failures() {
    let server = start_with_budgets("unseen", 32, 32).await;
    let sound = sender::request("iv", MILLIS, PLAIN);
    flood(&server, "iv", garbage("iv", MILLIS, 0, 4095)).await;
    assert!(decode(&server, "iv", &sound).await.is_ok(), "4,095 failures shut nobody out");
    flood(&server, "iv", garbage("iv", MILLIS, 4095, 500)).await;
    assert_eq!((server.memory.spent(), server.memory.refused()), (1, 499));
    assert!(is_undecipherable(&decode(&server, "iv", &sound).await.unwrap_err()));
    assert!(decode(&server, "iv", &sender::request("iv", OTHER, PLAIN)).await.is_ok(), "another date");
    assert!(decode(&server, "v1.2", &sender::request("v1.2", MILLIS, PLAIN)).await.is_ok(), "another pairing");
}

#[tokio::test]
async fn a_call_that_is_cancelled_before_decryption_does_not_use_the_budget() {
    let server = start_with_budgets("given-up", 32, 1).await;
    let sound = sender::request("v1.2", MILLIS, PLAIN);
    for _ in 0..50 {
        let call = decode(&server, "v1.2", &sound);
        // The key usually takes longer than that. If it does not, the message has opened.
        let _ = tokio::time::timeout(Duration::from_millis(1), call).await;
    }
    assert!(decode(&server, "v1.2", &sound).await.is_ok());
    assert_eq!(server.memory.spent(), 0);
}

#[tokio::test]
async fn a_failure_whose_answer_nobody_awaits_is_counted() {
    let server = start_with_budgets("unawaited", 32, 32).await;
    let sound = sender::request("iv", MILLIS, PLAIN);
    let failing = with_blocks(&sound, &[[0x33; 16], blocks(&sound).pop().unwrap()]);
    for _ in 0..10_000 {
        if server.memory.spent() == 1 {
            break;
        }
        // The answer waits for its tick, and usually the caller has gone before.
        let _ = tokio::time::timeout(Duration::from_millis(2), decode(&server, "iv", &failing)).await;
    }
    assert!(is_undecipherable(&decode(&server, "iv", &sound).await.unwrap_err()));
}

#[tokio::test]
async fn refusals_that_need_no_key_derive_no_key() {
    let mut server = start().await;
    let fresh = sender::request("v1.5", MILLIS, PLAIN);
    let query = fresh.request_query();
    let cases = [
        ("stale", sender::request("v1.5", "211120261020756", PLAIN).request_query(), "DATE_EXPIRED"),
        ("ahead", sender::request("v1.5", "211120261120756", PLAIN).request_query(), "DATE_IN_FUTURE"),
        (
            "with an iv",
            sender::Message { iv: "AAAAAAAAAAAAAAAAAAAAAA==".into(), ..fresh.clone() }.request_query(),
            "SCHEME_MISMATCH",
        ),
        (
            "cut short",
            sender::Message { sealed: "AAAA".into(), ..fresh.clone() }.request_query(),
            "PARAMETER_MALFORMED",
        ),
        ("of no calendar", query.replace(MILLIS, "310220261040756"), "DATE_MALFORMED"),
        ("without a sender", query.replace("fi=", "x="), "URL_MALFORMED"),
        ("from nobody", sender::Message { fi: "AAAA".into(), ..fresh.clone() }.request_query(), "PAIRING_UNKNOWN"),
        ("empty", String::new(), "FIELD_INVALID"),
    ];
    for (kind, query, expected) in &cases {
        let refused = server.decode_redirect_for("v1.5", query).await.unwrap_err();
        assert_eq!(reason(&refused), *expected, "{kind}");
    }
    let refused = server.decode_redirect_for("nobody", &query).await.unwrap_err();
    assert_eq!(reason(&refused), "PAIRING_UNKNOWN");
    let refused = server.decode_redirect(&query).await.unwrap_err();
    assert_eq!(reason(&refused), "PAIRING_AMBIGUOUS");
    assert_eq!(server.pool.derivations(), 0);

    // The test uses up the budget directly, without calls, so that no call has derived the key.
    let (keyring, _) = keyring::load("tests/support/keyring.toml".as_ref()).unwrap();
    let pairing = keyring.of_fiu("fiu@test", "v1.5", |_| true).unwrap();
    let envelope = Envelope::from_url(&query, Leg::Request).unwrap();
    let conventions = &pairing.conventions;
    let instants = envelope.date.instants(conventions.date, conventions.read_date).unwrap();
    let (now, end, call) = (NOW.parse().unwrap(), None, None);
    let subject = Subject { pairing, envelope: &envelope, instants: &instants, end, now, call };
    let account = server.memory.account(subject);
    for _ in 0..32 {
        drop(account.begin().await.unwrap());
    }
    let refused = server.decode_redirect_for("v1.5", &query).await.unwrap_err();
    assert!(is_undecipherable(&refused));
    assert_eq!(server.pool.derivations(), 0);

    let other = sender::request("v1.5", OTHER, PLAIN).request_query();
    assert!(server.decode_redirect_for("v1.5", &other).await.is_ok());
    assert_eq!(server.pool.derivations(), 2, "a key for each of the two secrets, and the counter counts");
}

#[tokio::test]
async fn a_changed_iv_changes_only_the_first_ten_characters_of_the_txnid() {
    let mut server = start().await;
    let sound = sender::request("iv", MILLIS, PLAIN).request_query();
    let sound = server.decode_redirect_for("iv", &sound).await.unwrap().redirect.unwrap();
    for at in 0..16 {
        // Each has its own date, since only one of the messages with the same last block opens.
        let seen = sender::request("iv", &format!("2111202610402{at:02}"), PLAIN);
        let mut iv = sender::IV;
        iv[at] ^= 1;
        let changed = sender::Message { iv: STANDARD.encode(iv), ..seen.clone() };
        let answer = server.decode_redirect_for("iv", &changed.request_query()).await;
        // `txnid=` is 6 bytes long. A message whose first name is changed has no txnid.
        if at < 6 {
            assert!(is_undecipherable(&answer.unwrap_err()), "{at}");
            continue;
        }
        let mut opened = answer.unwrap().redirect.unwrap();
        let mut txnid = sound.txnid.clone().into_bytes();
        txnid[at - 6] ^= 1;
        assert_eq!(opened.txnid.as_bytes(), txnid, "{at}");
        opened.txnid.clone_from(&sound.txnid);
        assert_eq!(opened, sound, "{at}");
    }
}

#[tokio::test]
async fn a_message_that_gains_or_loses_its_iv_is_refused_on_both_legs_before_any_key() {
    let mut server = start().await;
    for (aa, iv) in [("iv", ""), ("v1.2", "AAAAAAAAAAAAAAAAAAAAAA==")] {
        let change = |message: sender::Message| sender::Message { iv: iv.to_owned(), ..message };
        let request = change(sender::request(aa, MILLIS, PLAIN)).request_query();
        let callback = change(sender::callback(aa, MILLIS, OUTCOME)).callback_query();
        let refused = [
            server.decode_redirect_for(aa, &request).await.unwrap_err(),
            server.decode_callback(&callback).await.unwrap_err(),
        ];
        for refused in refused {
            assert_eq!(reason(&refused), "SCHEME_MISMATCH", "{aa}");
        }
    }
    assert_eq!((server.pool.derivations(), server.memory.spent()), (0, 0));
}

#[tokio::test]
async fn a_pairing_that_the_caller_may_not_use_answers_like_an_unknown_pairing() {
    let token = "0123456789abcdefghijABCDEFGHIJ-_";
    let hash = Sha256::digest(token).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("attacks-callers.toml");
    fs::write(&file, format!("[[caller]]\nname = \"one\"\ntoken_sha256 = \"{hash}\"\naa = [\"v1.0\"]\n")).unwrap();
    let (callers, _) = Reloaded::load("callers", move |read| Callers::load_with(&file, read)).unwrap();
    let load =
        |read: &aa_redirect::files::ReadFile<'_>| keyring::load_with("tests/support/keyring.toml".as_ref(), read);
    let (keyring, _) = Reloaded::load("keyring", load).unwrap();
    let exchange = Exchange::new(Arc::new(KdfPool::new(1).unwrap()), Arc::new(Memory::default()));
    let redirects = Redirects::new(Arc::new(keyring), Arc::new(exchange), system_clock());
    let listener = Listener::bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.address().unwrap();
    let edges = Edges { tls: None, callers: Some(Arc::new(callers)), telemetry: Telemetry::new(None) };
    let services = Services::new(redirects, edges).unwrap();
    let listeners = Listeners { calls: vec![listener], admin: None };
    tokio::spawn(services.run(listeners, std::future::pending(), async {}, limits()));
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut client = RedirectServiceClient::new(channel);
    let sound = sender::request("iv", MILLIS, PLAIN);
    let mut answers = BTreeSet::new();
    // The keyring has a pairing with `iv`, but not for this caller. It has no pairing with `hh`, an id of the same
    // length.
    for aa in ["iv", "hh"] {
        let source = Some(Source::Url(sound.request_query()));
        let mut request = Request::new(DecodeRedirectRequest { aa_id: aa.to_owned(), source, ..Default::default() });
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let refused = client.decode_redirect(request).await.unwrap_err();
        assert_eq!(reason(&refused), "PAIRING_UNKNOWN", "{aa}");
        assert_eq!(crate::support::metadata(&refused, "aa_id").as_deref(), Some(aa));
        let pairs = refused.details().len();
        answers.insert((refused.message().replace(aa, "?"), pairs));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn no_message_or_header_can_write_a_line_of_the_log() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_aa-redirect"))
        .args(["--listen", "127.0.0.1:0", "--log", "text", "--keyring", "tests/support/keyring.toml"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let address = lines
        .find_map(|line| Some(line.split_once("serving listen=\"")?.1.split_once('"')?.0.to_owned()))
        .expect("the server starts");
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut client = RedirectServiceClient::new(channel);
    let forged = [
        "x\n2026-11-21T10:40:23.756Z  INFO call request_id=\"forged\"",
        "x\" reason=\"forged",
        "x\u{2028}forged",
        "\u{1b}[2Kforged",
    ];
    // With a correct `aa_id`, the sender's id is read.
    for (forged, aa_id) in forged.into_iter().flat_map(|forged| [(forged, forged), (forged, "iv")]) {
        let sound = sender::request("iv", MILLIS, PLAIN);
        let fi = STANDARD.encode(sender::mask(forged.as_bytes(), MILLIS));
        let source = Some(Source::Url(sender::Message { fi, ..sound }.request_query()));
        let mut request = Request::new(DecodeRedirectRequest { aa_id: aa_id.to_owned(), source, ..Default::default() });
        if let Ok(value) = forged.parse() {
            request.metadata_mut().insert("x-request-id", value);
        }
        client.decode_redirect(request).await.unwrap_err();
    }
    let told: Vec<String> = lines.take(2 * forged.len()).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    for line in told {
        assert!(line.contains(" call request_id=") && line.contains("DecodeRedirect"), "{line}");
        assert!(!line.contains("forged") && !line.contains('\u{1b}'), "{line}");
    }
}

#[tokio::test]
async fn a_reflection_request_over_64_kib_is_refused() {
    let server = start().await;
    let mut client = ServerReflectionClient::new(server.channel.clone());
    let mut ask = async |name: String| {
        let message_request = Some(MessageRequest::FileByFilename(name));
        let request = ServerReflectionRequest { message_request, ..ServerReflectionRequest::default() };
        let mut answers = client.server_reflection_info(futures_util::stream::iter([request])).await?.into_inner();
        answers.message().await
    };
    assert_eq!(ask("none".to_owned()).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(ask("x".repeat(64 * 1024)).await.unwrap(), None, "the stream ends, and the name is not searched for");
}

#[tokio::test]
async fn a_date_in_indian_time_is_ahead_and_never_shifted() {
    let mut server = start().await;
    // Five and a half hours ahead of UTC.
    let date = "211120261610756";
    let refused = [
        server.decode_redirect_for("iv", &sender::request("iv", date, PLAIN).request_query()).await.unwrap_err(),
        server.decode_callback(&sender::callback("iv", date, OUTCOME).callback_query()).await.unwrap_err(),
    ];
    for refused in refused {
        assert_eq!(reason(&refused), "DATE_IN_FUTURE");
        assert!(refused.message().contains("local time"), "{refused:?}");
    }
}

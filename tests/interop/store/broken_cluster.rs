//! A cluster whose nodes tell nonsense: maps that lead nowhere, redirections without end, errors and garbage. With
//! `closed` no message opens, with `local` all do, and the nodes are asked seldom.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::replicas::{Replicas, answer, open};

/// What a node answers to the question for the map, and to every script, which never answers 7. `PORT` is its own port.
#[derive(Clone, Copy)]
struct Nonsense {
    map: &'static str,
    script: &'static str,
}

const WHOLE: &str = "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:PORT\r\n";

const KINDS: [Nonsense; 20] = [
    Nonsense { map: "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:1\r\n", script: ":7\r\n" },
    Nonsense { map: "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$12\r\nhost.invalid\r\n:1\r\n", script: ":7\r\n" },
    Nonsense { map: "*1\r\n*3\r\n:0\r\n:99\r\n*2\r\n$9\r\n127.0.0.1\r\n:PORT\r\n", script: ":7\r\n" },
    Nonsense { map: "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$1\r\n?\r\n:1\r\n", script: ":7\r\n" },
    Nonsense { map: "*0\r\n", script: ":7\r\n" },
    Nonsense { map: "*1\r\n*0\r\n", script: ":7\r\n" },
    Nonsense { map: ":1\r\n", script: ":7\r\n" },
    Nonsense { map: "+OK\r\n", script: ":7\r\n" },
    Nonsense { map: "-ERR This instance has cluster support disabled\r\n", script: ":7\r\n" },
    Nonsense { map: "garbage\r\n", script: ":7\r\n" },
    Nonsense { map: "", script: ":7\r\n" },
    Nonsense { map: WHOLE, script: ":7\r\n" },
    Nonsense { map: WHOLE, script: "-MOVED 1 127.0.0.1:PORT\r\n" },
    Nonsense { map: WHOLE, script: "-MOVED 1 127.0.0.1:1\r\n" },
    Nonsense { map: WHOLE, script: "-MOVED 1 :7\r\n" },
    Nonsense { map: WHOLE, script: "-MOVED\r\n" },
    Nonsense { map: WHOLE, script: "-ASK 1 127.0.0.1:PORT\r\n" },
    Nonsense { map: WHOLE, script: "-TRYAGAIN\r\n" },
    Nonsense { map: WHOLE, script: "-CLUSTERDOWN Hash slot not served\r\n" },
    Nonsense { map: WHOLE, script: "-CLUSTERDOWN The cluster is down\r\n" },
];

/// Starts a node. Returns its port and how many commands it has answered.
async fn node(nonsense: Nonsense, proves: bool) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client, port, nonsense, proves, Arc::clone(&counted)));
        }
    });
    (port, count)
}

async fn serve(client: TcpStream, port: u16, nonsense: Nonsense, proves: bool, count: Arc<AtomicUsize>) {
    let mut client = BufReader::new(client);
    while let Some(words) = command(&mut client).await {
        count.fetch_add(1, Relaxed);
        let is_proof = words.iter().any(|word| word.ends_with(b":probe"));
        let given = match &*words[0] {
            b"CLUSTER" => nonsense.map,
            b"ASKING" => "+OK\r\n",
            _ if is_proof && proves => ":1\r\n",
            _ => nonsense.script,
        };
        if client.write_all(given.replace("PORT", &port.to_string()).as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The words of the next command.
async fn command(client: &mut BufReader<TcpStream>) -> Option<Vec<Vec<u8>>> {
    let count = number(client).await?;
    let mut words = Vec::new();
    for _ in 0..count {
        let length = number(client).await?;
        let mut word = vec![0; length + 2];
        client.read_exact(&mut word).await.ok()?;
        word.truncate(length);
        words.push(word);
    }
    Some(words)
}

async fn number(client: &mut BufReader<TcpStream>) -> Option<usize> {
    let mut line = String::new();
    client.read_line(&mut line).await.ok()?;
    line.get(1..)?.trim_end().parse().ok()
}

#[tokio::test]
async fn a_cluster_that_tells_nonsense_opens_no_message_with_closed_and_stops_none_with_local() {
    let limit = ["--store-timeout-milliseconds", "100"];
    for (kind, proves) in (0..KINDS.len()).flat_map(|kind| [(kind, false), (kind, true)]) {
        let (port, count) = node(KINDS[kind], proves).await;
        let urls = vec![format!("redis://127.0.0.1:{port}"); 2];
        for (outage, expected) in [("closed", "STORE_UNAVAILABLE"), ("local", "OK")] {
            let more = [&["--store-outage", outage][..], &limit].concat();
            let replicas = Replicas::start(1, "", &urls, &more).await;
            for _ in 0..5 {
                let params = replicas.message().await.params.unwrap();
                let given = open(&replicas.clients[0], &params, "").await;
                assert_eq!(answer(&given), expected, "kind {kind}, proof {proves}");
            }
        }
        let asked = count.load(Relaxed);
        println!("kind {kind}, proof {proves}: {asked} commands");
        assert!(asked < 3000, "kind {kind}, proof {proves}: {asked} commands");
    }
}

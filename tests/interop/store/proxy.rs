//! A proxy in front of a store. It delays answers, closes connections and damages answers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Duration, sleep},
};

/// What the proxy does to answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Pass,
    Delay(Duration),
    /// Brings the scripts to the store one after another, with this time between two.
    OneByOne(Duration),
    /// Takes all bytes and answers nothing.
    Hang,
    /// Loses the answer to the end of a decryption.
    LoseEnd,
    /// Closes the connection in place of the answer to the end of a decryption.
    CutEnd,
    /// Loses what confirms an opening or gives a reservation back, and all behind it.
    LoseRelease,
    /// Brings the end of a decryption to the store this much later.
    LateEnd(Duration),
    /// Brings a reservation to the store this much later.
    LateReservation(Duration),
    /// Closes existing and new connections.
    Cut,
    /// Replaces each answer with another one.
    Answer(&'static [u8]),
    /// Lets the proof of a new connection pass, and replaces every other answer.
    AnswerAfterProof(&'static [u8]),
}

pub struct Proxy {
    pub port: u16,
    connections: Arc<AtomicUsize>,
    mode: Arc<watch::Sender<Mode>>,
}

impl Proxy {
    pub async fn start(store: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = Arc::new(watch::Sender::new(Mode::Pass));
        let modes = Arc::clone(&mode);
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counted.fetch_add(1, Relaxed);
                tokio::spawn(serve(client, store, modes.subscribe()));
            }
        });
        Self { port, connections, mode }
    }

    /// How many connections have been made.
    pub fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Closes the existing connections once.
    pub async fn cut(&self) {
        self.set(Mode::Cut);
        sleep(Duration::from_millis(5)).await;
        self.set(Mode::Pass);
    }
}

async fn serve(mut client: TcpStream, store: u16, mut modes: watch::Receiver<Mode>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", store)).await else { return };
    client.set_nodelay(true).unwrap();
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    let (mut is_proof, mut is_lost) = (false, false);
    loop {
        let mode = *modes.borrow_and_update();
        if mode == Mode::Cut {
            return;
        }
        tokio::select! {
            _ = modes.changed() => {}
            read = client.read(&mut asked) => match read {
                Ok(0) | Err(_) => return,
                Ok(length) => {
                    is_proof = asked[..length].windows(6).any(|word| word == b":probe");
                    match mode {
                        Mode::LateEnd(time) if asked.starts_with(b"*17\r\n") => sleep(time).await,
                        Mode::OneByOne(time) => {
                            let scripts = asked[..length].windows(7).filter(|word| *word == b"EVALSHA").count();
                            sleep(time * u32::try_from(scripts).unwrap()).await;
                        }
                        Mode::LoseRelease if asked.starts_with(b"*9\r\n") => is_lost = true,
                        Mode::LateReservation(time) if asked.starts_with(b"*10\r\n") => sleep(time).await,
                        _ => {}
                    }
                    if is_lost { continue }
                    if server.write_all(&asked[..length]).await.is_err() { return }
                }
            },
            read = server.read(&mut answered) => match (read, mode) {
                (Ok(0) | Err(_), _) => return,
                (Ok(_), Mode::CutEnd) if answered.starts_with(b"*4\r\n") => return,
                (Ok(_), Mode::Hang) => {}
                (Ok(_), Mode::LoseEnd) if answered.starts_with(b"*4\r\n") => {}
                (Ok(_), Mode::AnswerAfterProof(answer)) if !is_proof => {
                    if client.write_all(answer).await.is_err() { return }
                }
                (Ok(_), Mode::Answer(answer)) => if client.write_all(answer).await.is_err() { return },
                (Ok(length), mode) => {
                    if let Mode::Delay(time) = mode {
                        sleep(time).await;
                    }
                    if client.write_all(&answered[..length]).await.is_err() { return }
                }
            },
        }
    }
}

//! Both sides of a redirect in a browser, offline: an FIU desk, an AA desk, faults on purpose, and a record of
//! everything that happened.
//!
//! It is for developers, on loopback, beside the real service. The pages call the service as every caller does
//! ([`Calls`]) and show what [`crate::diagnosis`] says. They show no secret, but they show every member of every
//! message. So `serve` does not have them. maud makes the HTML and escapes every value. axum, a dependency of tonic,
//! serves it.

use std::{net::SocketAddr, sync::Arc};

use chrono::Utc;
use tokio::{net::TcpListener, runtime::Handle, sync::Semaphore, task::spawn_blocking};

use crate::{
    diagnosis::{Asked, Report, diagnose},
    exchange::Exchange,
    keyring::Served,
    keys::KdfPool,
    memory::Memory,
};

mod calls;
mod check;
mod decision;
mod desks;
mod draft;
mod fault;
mod form;
mod guard;
mod journeys;
mod pages;
mod samples;
mod view;

pub use calls::Calls;
pub use check::{Checked, check};
pub use decision::help;
use pages::router;

use desks::Desks;

/// How many searches for the cause of an unopened message run at a time: each may take seconds of a core.
const SEARCHES: usize = 1;

/// The addresses of a rehearsal, and the files and services that it works with.
#[derive(Clone, Debug)]
pub struct Site {
    /// The origin of the pages, such as `http://127.0.0.1:8080`.
    pub pages: String,
    /// The address of the service.
    pub grpc: String,
    /// The web view of the developer's own AA.
    pub aa_url: Option<String>,
    /// The keyring file; `None` for the sandbox.
    pub keyring: Option<String>,
}

impl Site {
    /// The origin of pages at this address.
    pub fn origin(address: SocketAddr) -> String {
        format!("http://{address}")
    }

    /// The web view of an AA's desk.
    pub fn webview(pages: &str, aa: &str) -> String {
        format!("{pages}/aa/{}/webview", view::segment(aa))
    }

    fn desk(&self, aa: &str) -> String {
        Self::webview(&self.pages, aa)
    }
}

/// Serves the pages on `socket` until the program ends.
pub async fn serve(socket: TcpListener, rehearsal: Rehearsal) {
    // It ends only when the runtime ends.
    drop(axum::serve(socket, router(Arc::new(rehearsal))).await);
}

/// A rehearsal: the desks, and everything else that its pages need.
pub struct Rehearsal {
    desks: Desks,
    site: Site,
    keys: Arc<KdfPool>,
    searches: Semaphore,
    /// Whether pages search for the cause if a message does not open.
    explains: bool,
}

impl Rehearsal {
    /// The rehearsal of `keyring`. `calls` reaches the service.
    pub fn new(calls: Calls, keyring: Arc<Served>, keys: Arc<KdfPool>, site: Site) -> Self {
        Self { desks: Desks::new(calls, keyring), site, keys, searches: Semaphore::new(SEARCHES), explains: true }
    }

    /// Everything about a message that has arrived; `None` if these pages explain nothing.
    async fn explain(&self, text: String, fiu: Option<String>, aa: Option<String>) -> Option<Report> {
        if !self.explains {
            return None;
        }
        Some(self.diagnose(text, fiu, aa).await)
    }

    /// Everything about a message. Nothing of it is stored.
    #[expect(clippy::expect_used, reason = "the semaphore is never closed, and a panic of the diagnosis is a bug")]
    async fn diagnose(&self, text: String, fiu: Option<String>, aa: Option<String>) -> Report {
        let _one = self.searches.acquire().await.expect("never closed");
        let (keyring, keys) = (self.desks.keyring.current().clone(), Arc::clone(&self.keys));
        let runtime = Handle::current();
        let search = move || {
            // A separate memory: a diagnosis must not count as an opening.
            let exchange = Exchange::new(keys, Arc::new(Memory::default()));
            let asked = Asked { text: &text, fiu: fiu.as_deref(), aa: aa.as_deref(), now: Utc::now() };
            runtime.block_on(diagnose(&exchange, &keyring, asked))
        };
        spawn_blocking(search).await.expect("the diagnosis does not panic")
    }
}

//! Both sides of a redirect in a browser, offline: an FIU desk, an AA desk, faults on purpose, and a record of
//! everything that happened.
//!
//! It is for developers, on loopback, beside the real service. The pages call the service as every caller does
//! ([`Calls`]) and show what [`crate::diagnosis`] says. They show no secret, but they show every member of every
//! message. So `serve` does not have them. maud makes the HTML and escapes every value. axum, a dependency of tonic,
//! finds the page of a request.

use std::{net::SocketAddr, sync::Arc};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::net::TcpStream;

use crate::{keyring::Served, keys::KdfPool};

mod calls;
mod check;
mod decision;
mod desks;
mod draft;
mod explanations;
mod fault;
mod form;
mod guard;
mod journeys;
mod pages;
mod samples;
mod socket;
mod view;

pub use calls::Calls;
pub use check::{Checked, check};
pub use decision::help;
use pages::router;

use desks::Desks;
use explanations::Explanations;

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

/// The most connections to the pages. A browser opens six, and scripts beside it need some more.
pub const MAX_CONNECTIONS: usize = 128;

/// Serves the pages of a rehearsal on each connection that the function gets.
pub fn serve_pages(rehearsal: Rehearsal) -> impl Fn(TcpStream) -> BoxFuture<'static, ()> {
    let router = router(Arc::new(rehearsal));
    move |stream| socket::serve(router.clone(), stream).boxed()
}

/// A rehearsal: the desks, and everything else that its pages need.
pub struct Rehearsal {
    desks: Desks,
    site: Site,
    explanations: Explanations,
}

impl Rehearsal {
    /// The rehearsal of `keyring`. `calls` reaches the service.
    pub fn new(calls: Calls, keyring: Arc<Served>, keys: Arc<KdfPool>, site: Site) -> Self {
        let explanations = Explanations::new(Arc::clone(&keyring), keys);
        Self { desks: Desks::new(calls, keyring), site, explanations }
    }
}

//! `/metrics` of the admin port. A separate thread renders one page at a time, and all scrapers of one second share it.
//! So many scrapers, or scrapers that do not read their answer, cost no more than a few copies.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{sync::Mutex, task::spawn_blocking};

use crate::telemetry::metrics::Format;

/// How long a page is used before it is rendered again. Scrapers come every few seconds.
const SHARED: Duration = Duration::from_secs(1);
/// The most pages in memory, the latest one too. At this number readers get the latest page, even if it is older than a
/// second. A page that is not read is freed soon, since connections end after about a minute.
const MAX_ALIVE: usize = 2;

/// Renders all metrics.
pub(crate) type Render = Arc<dyn Fn(Format) -> String + Send + Sync>;

/// The pages of metrics.
pub(super) struct Pages {
    render: Render,
    /// The latest page of each format. Locked while a page is rendered.
    latest: Arc<Mutex<[Option<Rendered>; 2]>>,
    /// The pages in memory.
    alive: Arc<AtomicUsize>,
}

/// A page, and when it was rendered.
type Rendered = (Instant, Bytes);

/// A page. It counts while it is the latest, or a reader holds it.
struct Page {
    text: String,
    alive: Arc<AtomicUsize>,
}

impl Pages {
    pub(super) fn new(render: Render) -> Self {
        Self { render, latest: Arc::default(), alive: Arc::default() }
    }

    /// The metrics in this format, at most one second old unless too many pages are unread.
    #[expect(clippy::expect_used, reason = "a panic while metrics are rendered is a bug, and ends this connection")]
    pub(super) async fn page(&self, format: Format) -> Bytes {
        let mut latest = Arc::clone(&self.latest).lock_owned().await;
        let at = usize::from(format == Format::OpenMetrics);
        if let Some((rendered, page)) = &latest[at]
            && (rendered.elapsed() < SHARED || self.alive.load(Ordering::Relaxed) >= MAX_ALIVE)
        {
            return page.clone();
        }
        let (render, alive) = (Arc::clone(&self.render), Arc::clone(&self.alive));
        // The thread has the lock: rendering goes on if the reader that asked for it goes away.
        let rendered = spawn_blocking(move || {
            let text = render(format);
            alive.fetch_add(1, Ordering::Relaxed);
            let page = Bytes::from_owner(Page { text, alive });
            latest[at] = Some((Instant::now(), page.clone()));
            page
        });
        rendered.await.expect("metrics can be rendered")
    }
}

impl AsRef<[u8]> for Page {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn counting() -> (Pages, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let rendered = Arc::clone(&count);
        let render = move |_| format!("page {}", rendered.fetch_add(1, Ordering::Relaxed));
        (Pages::new(Arc::new(render)), count)
    }

    async fn age(pages: &Pages) {
        for (rendered, _) in pages.latest.lock().await.iter_mut().flatten() {
            *rendered = rendered.checked_sub(2 * SHARED).unwrap();
        }
    }

    #[tokio::test]
    async fn many_scrapers_of_one_second_share_one_page() {
        let (pages, count) = counting();
        let all = futures_util::future::join_all((0..100).map(|_| pages.page(Format::Plain))).await;
        assert_eq!(count.load(Ordering::Relaxed), 1);
        assert!(all.iter().all(|page| page.as_ptr() == all[0].as_ptr()), "the same bytes");
        age(&pages).await;
        assert_eq!(pages.page(Format::Plain).await, "page 1", "a later page is rendered again");
        assert_eq!(pages.page(Format::OpenMetrics).await, "page 2", "each format has its own pages");
    }

    #[tokio::test]
    async fn pages_are_rendered_one_at_a_time_also_for_readers_that_go_away() {
        let running = Arc::new(AtomicUsize::new(0));
        let render = move |_: Format| {
            let before = running.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(50));
            running.fetch_sub(1, Ordering::Relaxed);
            format!("page beside {before}")
        };
        let pages = Arc::new(Pages::new(Arc::new(render)));
        for format in [Format::Plain, Format::OpenMetrics].into_iter().cycle().take(20) {
            let gone = tokio::spawn({
                let pages = Arc::clone(&pages);
                async move { pages.page(format).await }
            });
            tokio::task::yield_now().await;
            gone.abort();
            age(&pages).now_or_never();
        }
        for format in [Format::Plain, Format::OpenMetrics] {
            assert_eq!(pages.page(format).await, "page beside 0");
            age(&pages).await;
            assert_eq!(pages.page(format).await, "page beside 0");
        }
    }

    #[tokio::test]
    async fn answers_that_nobody_reads_hold_few_pages() {
        let (pages, count) = counting();
        let mut unread = Vec::new();
        for _ in 0..50 {
            unread.push(pages.page(Format::Plain).await);
            age(&pages).await;
        }
        assert_eq!(count.load(Ordering::Relaxed), MAX_ALIVE);
        drop(unread);
        assert_eq!(pages.page(Format::Plain).await, format!("page {MAX_ALIVE}"), "new pages are rendered again");
    }
}

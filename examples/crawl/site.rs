//! The site to crawl: pages that link to each other, on a web server in this process.

use std::fmt::Write;
use std::io;
use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::get;
use fastrand::Rng;
use reqwest::Url;
use tokio::net::TcpListener;
use tokio::time;

use crate::args::Args;
use crate::common::exit;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Number of pages of the site
    #[arg(short, long, value_name = "N", default_value_t = 5000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pages: u32,

    /// Number of random links per page, besides those that make all pages reachable
    #[arg(short, long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u32).range(..=1000))]
    links: u32,

    /// Seed of the random links: the same seed gives the same site
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Percentage of pages that answer 503 at first
    #[arg(long, value_name = "PERCENT", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(..=100))]
    flaky: u32,

    /// Number of times that these pages answer 503
    #[arg(long, value_name = "N", default_value_t = 2)]
    refusals: u32,

    /// Number of pages that always answer 503
    #[arg(long, value_name = "N", default_value_t = 0)]
    down: u32,

    /// Number of pages that answer 404
    #[arg(long, value_name = "N", default_value_t = 0)]
    missing: u32,

    /// Time that the site takes to answer a request, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=10_000))]
    latency: u64,
}

impl Options {
    /// Ends the program if no such site is possible.
    pub(crate) fn check(&self) {
        let broken = self.down.saturating_add(self.missing);
        if broken >= self.pages {
            exit::bad_argument::<Args>(
                "page 0 is always available, so --down and --missing must leave one page",
            );
        }
    }
}

/// How a page answers.
#[derive(Clone, Copy)]
enum Manner {
    /// Answers 503 this often, and then with the page.
    Refuses(u32),
    Missing,
}

struct Page {
    manner: Manner,
    links: Vec<u32>,
    requests: AtomicU32,
    /// The number of requests that were answered with the page.
    served: AtomicU32,
}

pub(crate) struct Site {
    pages: Vec<Page>,
    latency: Duration,
}

impl Site {
    /// A site in which a crawler that makes this many attempts per page finds all available pages.
    pub(crate) fn new(options: &Options, max_attempts: NonZeroU32) -> Self {
        let mut rng = Rng::with_seed(options.seed);
        let mut pages: Vec<Page> = manners(options, &mut rng)
            .into_iter()
            .map(|manner| Page {
                manner,
                links: (0..options.links)
                    .map(|_| rng.u32(..options.pages))
                    .collect(),
                requests: AtomicU32::new(0),
                served: AtomicU32::new(0),
            })
            .collect();
        make_reachable(&mut pages, max_attempts.get(), &mut rng);
        Self {
            pages,
            latency: Duration::from_millis(options.latency),
        }
    }

    /// Serves the site while the program runs. Returns the address of page 0.
    pub(crate) async fn serve(self: Arc<Self>) -> io::Result<Url> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let router = Router::new()
            .route("/page/{number}", get(answer))
            .with_state(self);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Url::parse(&format!("http://{address}/page/0")).map_err(io::Error::other)
    }

    /// The site's own count of pages served.
    pub(crate) fn account(&self) -> String {
        let served = |least| {
            let times = |page: &Page| page.served.load(Ordering::Relaxed);
            self.pages
                .iter()
                .filter(|page| times(page) >= least)
                .count()
        };
        format!(
            "{} of {} pages served, {} of them more than once",
            served(1),
            self.pages.len(),
            served(2)
        )
    }
}

/// Assigns each page the way it answers, at random. Page 0 is always available.
fn manners(options: &Options, rng: &mut Rng) -> Vec<Manner> {
    let others = options.pages as usize - 1;
    let flaky = u64::from(options.pages) * u64::from(options.flaky) / 100;
    let mut manners: Vec<Manner> = [
        (u64::from(options.down), Manner::Refuses(u32::MAX)),
        (u64::from(options.missing), Manner::Missing),
        (flaky, Manner::Refuses(options.refusals)),
        (u64::MAX, Manner::Refuses(0)),
    ]
    .into_iter()
    .flat_map(|(count, manner)| (0..count).map(move |_| manner))
    .take(others)
    .collect();
    rng.shuffle(&mut manners);
    manners.insert(0, Manner::Refuses(0));
    manners
}

/// Adds a link to each page from an earlier one that will be fetched, so that all pages are
/// reachable from page 0.
fn make_reachable(pages: &mut [Page], max_attempts: u32, rng: &mut Rng) {
    let mut reached = Vec::new();
    for number in 0..pages.len() {
        if let Some(from) = rng.choice(&reached) {
            let from: &mut Page = &mut pages[*from];
            // At a random position among the other links.
            let place = rng.usize(..=from.links.len());
            from.links.insert(place, number as u32);
        }
        match pages[number].manner {
            Manner::Refuses(times) if times < max_attempts => reached.push(number),
            Manner::Refuses(_) | Manner::Missing => {}
        }
    }
}

async fn answer(
    State(site): State<Arc<Site>>,
    Path(number): Path<usize>,
) -> Result<Html<String>, StatusCode> {
    time::sleep(site.latency).await;
    let page = site.pages.get(number).ok_or(StatusCode::NOT_FOUND)?;
    let before = page.requests.fetch_add(1, Ordering::Relaxed);
    match page.manner {
        Manner::Missing => Err(StatusCode::NOT_FOUND),
        Manner::Refuses(times) if before < times => Err(StatusCode::SERVICE_UNAVAILABLE),
        Manner::Refuses(_) => {
            page.served.fetch_add(1, Ordering::Relaxed);
            Ok(Html(html(number, &page.links)))
        }
    }
}

fn html(number: usize, links: &[u32]) -> String {
    let mut html = format!("<!DOCTYPE html>\n<title>Page {number}</title>\n<ul>\n");
    for link in links {
        let _ = writeln!(html, r#"<li><a href="/page/{link}">Page {link}</a>"#);
    }
    html.push_str("</ul>\n");
    html
}

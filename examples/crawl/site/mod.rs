//! The site to crawl: pages that link to each other, on a web server in this process.

mod answer;
mod html;

use std::io;
use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fastrand::Rng;
use reqwest::Url;
use tokio::net::TcpListener;

use crate::args::Args;
use crate::common::exit;

#[derive(clap::Args)]
#[command(next_help_heading = "The built-in site")]
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

    /// Number of times that these pages answer 503, and busy ones 429
    #[arg(long, value_name = "N", default_value_t = 2)]
    refusals: u32,

    /// Number of pages that answer 429 at first, and want to be asked again after a second
    #[arg(long, value_name = "N", default_value_t = 0)]
    busy: u32,

    /// Number of pages whose connection breaks at the first request
    #[arg(long, value_name = "N", default_value_t = 0)]
    broken: u32,

    /// Number of pages that redirect to another address
    #[arg(long, value_name = "N", default_value_t = 0)]
    moved: u32,

    /// Number of pages that always answer 503
    #[arg(long, value_name = "N", default_value_t = 0)]
    down: u32,

    /// Number of pages that answer 404
    #[arg(long, value_name = "N", default_value_t = 0)]
    missing: u32,

    /// Number of pages that redirect to themselves
    #[arg(long, value_name = "N", default_value_t = 0)]
    looping: u32,

    /// Number of pages that never answer
    #[arg(long, value_name = "N", default_value_t = 0)]
    hanging: u32,

    /// Link page 0 to pages without end, each of which links to the next
    #[arg(long)]
    trap: bool,

    /// Time that the site takes to answer a request, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=10_000))]
    latency: u64,
}

impl Options {
    /// Ends the program if no such site is possible.
    pub(crate) fn check(&self) {
        let broken = [self.down, self.missing, self.looping, self.hanging];
        let broken: u64 = broken.into_iter().map(u64::from).sum();
        if broken >= u64::from(self.pages) {
            exit::bad_argument::<Args>(
                "page 0 is always available, so --down, --missing, --looping and --hanging must \
                 leave one page",
            );
        }
    }
}

/// How a page answers.
#[derive(Clone, Copy)]
enum Manner {
    /// Answers 503 this often, and then with the page.
    Refuses(u32),
    /// Answers 429 this often, and then with the page.
    Busy(u32),
    /// Breaks the first connection.
    Breaks,
    /// Redirects to an address where the page is.
    Moved,
    Missing,
    /// Redirects to itself.
    Loops,
    /// Never answers.
    Hangs,
}

impl Manner {
    /// How many attempts a crawler makes before it has the page.
    fn refusals(self) -> u32 {
        match self {
            Self::Refuses(times) | Self::Busy(times) => times,
            Self::Breaks => 1,
            Self::Moved => 0,
            Self::Missing | Self::Loops | Self::Hangs => u32::MAX,
        }
    }
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
    has_trap: bool,
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
            has_trap: options.trap,
            latency: Duration::from_millis(options.latency),
        }
    }

    /// Serves the site while the program runs. Returns the address of page 0.
    pub(crate) async fn serve(self: Arc<Self>) -> io::Result<Url> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let router = answer::router(self);
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
        (u64::from(options.looping), Manner::Loops),
        (u64::from(options.hanging), Manner::Hangs),
        (u64::from(options.busy), Manner::Busy(options.refusals)),
        (u64::from(options.broken), Manner::Breaks),
        (u64::from(options.moved), Manner::Moved),
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
        if pages[number].manner.refusals() < max_attempts {
            reached.push(number);
        }
    }
}

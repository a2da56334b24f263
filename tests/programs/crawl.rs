//! The program `crawl`, on its own site, and on sites that the tests serve. The latter count the
//! requests, and can hold answers back.

#[path = "../../examples/crawl/backoff.rs"]
mod backoff;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use axum::response::Response;
use tempfile::tempdir;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::contract::Case;
use crate::contract::Contract;
use crate::contract::Interrupts;
use crate::contract::Progress;
use crate::contract::Started;
use crate::contract::interrupt_once;
use crate::program::Invocation;
use crate::program::Output;
use crate::program::PATIENCE;
use crate::program::Run;
use crate::program::command;
use crate::program::eventually;
use crate::program::example;
use crate::program::example_on_terminal;

pub(crate) const CONTRACT: Contract = Contract {
    name: "crawl",
    directory: || tempdir().unwrap(),
    help: "--pages --links --seed --flaky --refusals --down --missing --latency --url \
           --workers --capacity --max-attempts --backoff --quiet 130",
    refused: &[
        (&["--pages=0"], "0 is not in 1..="),
        (&["--workers=0"], "0 is not in 1..="),
        (&["--capacity=0"], "0 is not in 1..="),
        (&["--max-attempts=0"], "invalid value '0'"),
        (&["--flaky=101"], "101 is not in"),
        (
            &["--pages=5", "--down=3", "--missing=2"],
            "must leave one page",
        ),
        (&["--url=https://localhost/"], "only http://"),
        (&["--url=here"], "invalid value 'here'"),
        (
            &["--url=http://localhost/", "--pages=5"],
            "cannot be used with",
        ),
        (&["5000"], "unexpected argument"),
    ],
    success: Case {
        args: &["--pages=50"],
        code: 0,
        stdout: "start     http://127.0.0.1:*/page/0\npages     50 fetched, 0 failed, 0 left\n*",
        stderr: &[],
    },
    failure: Case {
        args: &["--pages=4", "--missing=3"],
        code: 1,
        stdout: "start     *\npages     1 fetched, 3 failed, 0 left\n*",
        stderr: &["crawl: http://*/page/*: 404 Not Found"; 3],
    },
    missing_input: Some(Case {
        // No server listens on this port, which is reserved.
        args: &["--url=http://127.0.0.1:1/"],
        code: 1,
        stdout: "start     http://127.0.0.1:1/\npages     0 fetched, 1 failed, 0 left\n*",
        stderr: &["crawl: http://127.0.0.1:1/: *Connection refused*"],
    }),
    unprinted: &[],
    progress: Progress {
        args: "--pages=3 --latency=10000",
        is_shown: |shown| shown.contains("0/1 pages, 0 queued, 1 in hand"),
    },
    lasting: &["--latency=10000", "--workers=1"],
    interrupts: Interrupts {
        orderly: || {
            let site = Served::new(&[("/", UNAVAILABLE)]);
            let run = crawl()
                // The pause before the second attempt is longer than the test waits.
                .args(["--backoff=1000000", "--url", &site.url("/")])
                .start();
            eventually("the first attempt", || {
                (site.requests().len() == 1).then_some(())
            });
            Started::new(run, site)
        },
        endless: || {
            let (site, run) = held_crawl();
            Started::new(run, site)
        },
        stdout: "start     http://127.0.0.1:*/\n",
    },
};

#[test]
fn many_workers_with_capacity_one_fetch_pages_once() {
    let output = crawl()
        .args(["--pages=5000", "--workers=16", "--capacity=1"])
        .args(["--flaky=10", "--refusals=2"])
        .run();

    output.assert_code(0);
    assert_eq!(output.stderr.text(), "");
    // 500 pages answer 503 twice. Each page has 4 random links, and each page except page 0 has one
    // more link to it.
    assert_eq!(
        summary(&output),
        "\
pages     5000 fetched, 0 failed, 0 left
links     24999 found, 20000 of them to pages seen before
requests  6000 made, 1000 of them retried
queued    1 sent + 4999 followed up + 1000 retried = 6000 received + 0 discarded
received  6000 = 5000 done + 0 failed + 0 abandoned + 0 panicked + 1000 retried
site      5000 of 5000 pages served, 0 of them more than once
"
    );
}

#[test]
fn one_worker_feeds_its_own_queue() {
    for (capacity, pages) in [(1, 1), (1, 2), (1, 300), (1000, 300)] {
        let output = crawl()
            .args(["--workers=1", "--backoff=0"])
            .arg(format!("--capacity={capacity}"))
            .arg(format!("--pages={pages}"))
            .run();

        output.assert_code(0);
        let served = format!("site      {pages} of {pages} pages served, 0 of them more than once");
        assert_eq!(summary(&output).lines().last(), Some(&*served));
    }
}

#[test]
fn seed_determines_site() {
    // The crawl takes minutes, so the site is available during the test.
    let first_page = |seed: &str| {
        let run = crawl()
            .args(["--latency=100", "--workers=1", "--seed", seed])
            .start();
        get(&start(&run))
    };
    assert_eq!(first_page("7"), first_page("7"));
    assert_ne!(first_page("7"), first_page("8"));
}

#[test]
fn unavailable_page_fails_after_last_attempt() {
    let output = crawl()
        .args(["--pages=200", "--flaky=0", "--down=3", "--max-attempts=4"])
        .run();

    output.assert_code(1);
    let failures = failures(&output);
    assert_eq!(failures.len(), 3, "{failures:?}");
    for (page, reason) in failures {
        assert!(page > 0, "page 0 is always available");
        assert_eq!(reason, "503 Service Unavailable, at attempt 4");
    }
    let summary = summary(&output);
    for part in [
        "pages     197 fetched, 3 failed, 0 left\n",
        // Three pages were requested four times each, of which three requests were retries.
        "requests  209 made, 9 of them retried\n",
        "received  209 = 197 done + 3 failed + 0 abandoned + 0 panicked + 9 retried\n",
        "site      197 of 200 pages served, 0 of them more than once\n",
    ] {
        assert!(summary.contains(part), "no {part:?} in {summary}");
    }
}

#[test]
fn pages_are_found_behind_pages_that_fail() {
    for (attempts, fetched) in [(5, 1), (6, 100)] {
        let output = crawl()
            .args(["--pages=100", "--flaky=100", "--refusals=5"])
            .arg(format!("--max-attempts={attempts}"))
            .run();

        let summary = summary(&output);
        let failed = 100 - fetched;
        let pages = format!("pages     {fetched} fetched, {failed} failed, 0 left\n");
        assert!(summary.starts_with(&pages), "{summary}");
    }
}

#[test]
fn pause_doubles_before_each_attempt() {
    let pauses = (2..=5).map(|attempt| backoff::pause(Duration::from_millis(3), attempt));
    let millis: Vec<_> = pauses.map(|pause| pause.as_millis()).collect();
    assert_eq!(millis, [3, 6, 12, 24]);
    assert_eq!(backoff::pause(Duration::ZERO, u32::MAX), Duration::ZERO);
    assert!(backoff::pause(PATIENCE, u32::MAX) > PATIENCE * 1000);
}

#[test]
fn too_few_descriptors_fail_no_page() {
    let crawl = |limit: &str| {
        let prlimit = command("prlimit", Path::new("/")).arg(limit);
        let program = prlimit.arg(example("crawl"));
        program
            .args(["--workers=512", "--pages=1000", "--latency=5"])
            .run()
    };
    let output = crawl("--nofile=256:256");
    output.assert_code(0);
    let stderr = output.stderr.text();
    let end = " of 512 workers, because at most 256 files may be open (ulimit -n)\n";
    assert!(stderr.starts_with("crawl: only "), "{stderr}");
    assert!(stderr.ends_with(end), "{stderr}");

    // A soft limit is raised.
    let output = crawl("--nofile=256:4096");
    output.assert_code(0);
    assert_eq!(output.stderr.text(), "");
}

#[test]
fn single_attempt_is_no_retry() {
    let output = crawl()
        .args(["--pages=50", "--flaky=0", "--down=2", "--max-attempts=1"])
        .run();

    output.assert_code(1);
    for (_, reason) in failures(&output) {
        assert_eq!(reason, "503 Service Unavailable");
    }
    assert!(summary(&output).contains("requests  50 made, 0 of them retried\n"));
}

#[test]
fn missing_pages_fail_and_ten_are_named() {
    let output = crawl().args(["--pages=100", "--missing=13"]).run();

    output.assert_code(1);
    let text = output.stderr.text();
    let named = text
        .lines()
        .filter(|line| line.ends_with(": 404 Not Found"));
    assert_eq!(named.count(), 10, "{text}");
    assert!(text.ends_with("crawl: and 3 more\n"), "{text}");
    let summary = summary(&output);
    let pages = "pages     87 fetched, 13 failed, 0 left\n";
    assert!(summary.starts_with(pages), "{summary}");
}

#[test]
fn foreign_site_gets_one_request_per_page() {
    let other = Served::new(&[("/", "")]);
    let elsewhere = format!(r#"<a href="{}">"#, other.url("/"));
    let site = Served::new(&[
        (
            "/",
            r##"<a href="/a"><a href="a#top"><a href="/"><a href="">"##,
        ),
        ("/a", r#"<a href="b/c"><a title="no link" href="/?query">"#),
        ("/b/c", r#"<a href="../a"><a href="d"><a href="mailto:me">"#),
        ("/b/d", &elsewhere),
        ("/?query", r#"<a href="not closed"#),
    ]);
    let output = crawl().arg("--url").arg(site.url("/")).run();

    output.assert_code(0);
    let once = ["/", "/?query", "/a", "/b/c", "/b/d"].map(|page| (page.to_owned(), 1));
    assert_eq!(site.requests(), BTreeMap::from(once));
    assert_eq!(other.requests(), BTreeMap::new());
    assert!(summary(&output).starts_with("pages     5 fetched, 0 failed, 0 left\n"));
}

#[test]
fn redirect_is_not_followed() {
    let site = Served::new(&[("/", "moved to /elsewhere"), ("/elsewhere", "")]);
    let url = site.url("/");
    let output = crawl().args(["--url", &url]).run();

    output.assert_code(1);
    assert_eq!(output.stderr.text(), format!("crawl: {url}: 302 Found\n"));
    assert_eq!(site.requests(), BTreeMap::from([("/".to_owned(), 1)]));
}

#[test]
fn page_of_more_than_four_mebibytes_fails() {
    let fits = " ".repeat(4 << 20);
    let too_long = format!("{fits} ");
    let links = r#"<a href="/fits"><a href="/long">"#;
    let site = Served::new(&[("/", links), ("/fits", &fits), ("/long", &too_long)]);
    let output = crawl().args(["--url", &site.url("/")]).run();

    output.assert_code(1);
    let failure = format!("crawl: {}: more than 4194304 bytes\n", site.url("/long"));
    assert_eq!(output.stderr.text(), failure);
    assert!(summary(&output).starts_with("pages     2 fetched, 1 failed, 0 left\n"));
}

#[test]
fn missing_server_is_named() {
    // No server listens on a port that was free just now.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let url = format!("http://{}/", free.unwrap());
    let output = crawl().args(["--url", &url]).run();

    output.assert_code(1);
    let text = output.stderr.text();
    assert!(text.starts_with(&format!("crawl: {url}: ")), "{text}");
    assert!(text.contains("Connection refused"), "{text}");
    assert!(summary(&output).starts_with("pages     0 fetched, 1 failed, 0 left\n"));
}

#[test]
fn interrupt_finishes_pages_in_hand_and_counts_rest() {
    let (site, mut run) = held_crawl();

    interrupt_once(&mut run);
    site.release();
    let output = run.finish();
    output.assert_code(130);

    // Three of the 20 pages that page 0 links to were in hand. Two of them had a link to a new
    // page, which the channel refused.
    assert_eq!(
        output.stderr.text(),
        "crawl: 17 pages are left in the queue; finishing the pages in hand; Ctrl-C again quits at once\n\
         crawl: interrupted: 19 pages found and not fetched\n"
    );
    let summary = summary(&output);
    for part in [
        "pages     4 fetched, 0 failed, 19 left\n",
        "queued    1 sent + 20 followed up + 0 retried = 4 received + 17 discarded\n",
    ] {
        assert!(summary.contains(part), "no {part:?} in {summary}");
    }
    assert_eq!(site.requests().len(), 4, "{:?}", site.requests());
}

#[test]
fn progress_counts_pages_found() {
    let terminal =
        |options: &str| example_on_terminal("crawl", &format!("{options} >/dev/null")).start();

    let site = Served::new(&[
        ("/", r#"<a href="/1"><a href="/2">"#),
        ("/1", ""),
        ("/2", ""),
    ]);
    site.hold();
    let run = terminal(&format!("--workers=2 --url {}", site.url("/")));
    eventually("progress", || {
        let progress = run.captured("stdout").text();
        let shown = progress.contains("1/3 pages, 0 queued, 2 in hand");
        shown.then_some(())
    });
    site.release();
    run.finish().assert_code(0);
}

// Sites that the tests serve.

/// The text of a page that is unavailable.
const UNAVAILABLE: &str = "503";

/// The prefix of a page that redirects.
const MOVED: &str = "moved to ";

/// A site that counts requests. It is served until it is dropped.
struct Served {
    address: String,
    state: Arc<Pages>,
    _runtime: Runtime,
}

struct Pages {
    html: BTreeMap<String, String>,
    requests: Mutex<BTreeMap<String, usize>>,
    /// While this is true, only `/` is answered.
    held: watch::Sender<bool>,
}

impl Served {
    fn new(pages: &[(&str, &str)]) -> Self {
        let html = pages
            .iter()
            .map(|(path, html)| (path.to_string(), html.to_string()));
        let state = Arc::new(Pages {
            html: html.collect(),
            requests: Mutex::default(),
            held: watch::Sender::new(false),
        });
        let runtime = Runtime::new().unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&state));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            state,
            _runtime: runtime,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The number of requests for each page.
    fn requests(&self) -> BTreeMap<String, usize> {
        self.state.requests.lock().unwrap().clone()
    }

    fn hold(&self) {
        self.state.held.send_replace(true);
    }

    fn release(&self) {
        self.state.held.send_replace(false);
    }
}

async fn answer(State(pages): State<Arc<Pages>>, uri: Uri) -> Response {
    let path = uri.path_and_query().unwrap().to_string();
    *pages
        .requests
        .lock()
        .unwrap()
        .entry(path.clone())
        .or_default() += 1;
    if path != "/" {
        let mut held = pages.held.subscribe();
        held.wait_for(|held| !held).await.unwrap();
    }
    match pages.html.get(&path) {
        None => StatusCode::NOT_FOUND.into_response(),
        Some(html) if html == UNAVAILABLE => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(html) => match html.strip_prefix(MOVED) {
            Some(path) => (StatusCode::FOUND, [(LOCATION, path.to_owned())]).into_response(),
            None => html.clone().into_response(),
        },
    }
}

/// A crawl with three workers, which has fetched page `/` with links to twenty pages, and waits for
/// the answers to the first three of them. Two of these have a link to a new page.
fn held_crawl() -> (Served, Run) {
    let links = (1..=20).map(|number| format!(r#"<a href="/{number}">"#));
    let site = Served::new(&[
        ("/", &links.collect::<String>()),
        ("/1", r#"<a href="/21">"#),
        ("/2", r#"<a href="/22">"#),
        ("/3", r#"<a href="/2">"#),
    ]);
    site.hold();
    let run = crawl()
        .args(["--workers=3", "--url", &site.url("/")])
        .start();
    eventually("the workers to be busy", || {
        (site.requests().len() == 4).then_some(())
    });
    (site, run)
}

// The output.

fn crawl() -> Invocation {
    command(example("crawl"), Path::new("/"))
}

/// Waits until the program has printed its first page, and returns that.
fn start(run: &Run) -> String {
    eventually("the first line", || {
        let stdout = run.captured("stdout").text();
        let (first, _) = stdout.split_once('\n')?;
        Some(first.strip_prefix("start     ").unwrap().to_owned())
    })
}

/// The output after the first line.
fn summary(output: &Output) -> String {
    let text = output.stdout.text();
    let (first, rest) = text.split_once('\n').expect("the output has a first line");
    assert!(first.starts_with("start     http://127.0.0.1:"), "{first}");
    rest.to_owned()
}

/// The number of each page of the program's own site that failed, and why.
fn failures(output: &Output) -> Vec<(u32, String)> {
    let text = output.stderr.text();
    let parse = |line: &str| {
        let (_, rest) = line.strip_prefix("crawl: http://")?.split_once("/page/")?;
        let (page, reason) = rest.split_once(": ")?;
        Some((page.parse().ok()?, reason.to_owned()))
    };
    text.lines()
        .map(|line| parse(line).unwrap_or_else(|| panic!("no failure in {line:?}")))
        .collect()
}

fn get(url: &str) -> String {
    let get = async { reqwest::get(url).await?.error_for_status()?.text().await };
    Runtime::new().unwrap().block_on(get).unwrap()
}

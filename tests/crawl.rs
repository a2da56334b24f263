//! The example `crawl`, run as its users run it: on its own site, and on sites that are served
//! here, which count the requests themselves and answer when the test wants.
//!
//! Nothing here is timed. A test that interrupts the program holds back the answers meanwhile.

#![cfg(all(target_os = "linux", not(loom)))]

#[path = "../examples/crawl/backoff.rs"]
mod backoff;
mod program;

use std::collections::BTreeMap;
use std::fs::File;
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
use tokio::runtime::Runtime;
use tokio::sync::watch;

use program::Invocation;
use program::Output;
use program::PATIENCE;
use program::Run;
use program::command;
use program::eventually;
use program::example;
use program::example_on_terminal;

#[test]
fn sixteen_workers_and_a_queue_of_one_fetch_every_page_exactly_once() {
    let output = crawl()
        .args(["--pages=5000", "--workers=16", "--capacity=1"])
        .args(["--flaky=10", "--refusals=2"])
        .run();

    output.assert_code(0);
    assert_eq!(output.stderr.text(), "");
    // 500 pages answered 503 twice. Each page has 4 links, and each but page 0 one that leads to
    // it.
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
fn one_worker_feeds_itself() {
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
fn the_seed_decides_what_the_site_looks_like() {
    // A crawl that takes minutes: the site is there as long as it is looked at.
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
fn a_page_that_stays_unavailable_fails_after_the_last_attempt() {
    let output = crawl()
        .args(["--pages=200", "--flaky=0", "--down=3", "--max-attempts=4"])
        .run();

    output.assert_code(1);
    let failures = failures(&output);
    assert_eq!(failures.len(), 3, "{failures:?}");
    for (page, reason) in failures {
        assert!(page > 0, "page 0 is always there");
        assert_eq!(reason, "503 Service Unavailable, at attempt 4");
    }
    let summary = summary(&output);
    for part in [
        "pages     197 fetched, 3 failed, 0 left\n",
        // Three pages were asked for four times, of which all but the last were tried again.
        "requests  209 made, 9 of them retried\n",
        "received  209 = 197 done + 3 failed + 0 abandoned + 0 panicked + 9 retried\n",
        "site      197 of 200 pages served, 0 of them more than once\n",
    ] {
        assert!(summary.contains(part), "no {part:?} in {summary}");
    }
}

#[test]
fn all_pages_are_found_though_some_refuse_too_often() {
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
fn the_pause_is_doubled_before_each_further_attempt() {
    let pauses = (2..=5).map(|attempt| backoff::pause(Duration::from_millis(3), attempt));
    let millis: Vec<_> = pauses.map(|pause| pause.as_millis()).collect();
    assert_eq!(millis, [3, 6, 12, 24]);
    assert_eq!(backoff::pause(Duration::ZERO, u32::MAX), Duration::ZERO);
    assert!(backoff::pause(PATIENCE, u32::MAX) > PATIENCE * 1000);
}

#[test]
fn a_single_attempt_is_no_retry() {
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
fn a_page_that_is_missing_fails_at_once_and_the_first_ten_are_named() {
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
fn a_foreign_site_is_asked_for_each_page_once_and_left_alone_otherwise() {
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
fn a_redirect_is_not_followed() {
    let site = Served::new(&[("/", "moved to /elsewhere"), ("/elsewhere", "")]);
    let url = site.url("/");
    let output = crawl().args(["--url", &url]).run();

    output.assert_code(1);
    assert_eq!(output.stderr.text(), format!("crawl: {url}: 302 Found\n"));
    assert_eq!(site.requests(), BTreeMap::from([("/".to_owned(), 1)]));
}

#[test]
fn a_page_may_have_four_mebibytes_and_no_more() {
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
fn a_server_that_is_not_there_is_named() {
    // Nobody listens at a port that was free a moment ago.
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
fn ctrl_c_ends_the_pages_in_hand_and_counts_the_ones_left() {
    let (site, run) = held_crawl();

    run.interrupt();
    eventually("word of the first Ctrl-C", || {
        run.stderr().text().contains("Ctrl-C again").then_some(())
    });
    site.release();
    let output = run.finish();
    output.assert_code(130);

    // Of the 20 pages behind page 0, three were in hand. Two of the pages in hand had a new link
    // each.
    assert_eq!(
        output.stderr.text(),
        "crawl: 17 pages are left in the queue; ending the pages in hand; Ctrl-C again quits at once\n\
         crawl: interrupted: 19 pages found and not fetched\n"
    );
    let summary = summary(&output);
    for part in [
        "pages     4 fetched, 0 failed, 19 left\n",
        "queued    1 sent + 22 followed up + 0 retried = 4 received + 19 discarded\n",
    ] {
        assert!(summary.contains(part), "no {part:?} in {summary}");
    }
    assert_eq!(site.requests().len(), 4, "{:?}", site.requests());
}

#[test]
fn ctrl_c_need_not_wait_for_a_page_that_is_to_be_tried_again() {
    let site = Served::new(&[("/", UNAVAILABLE)]);
    let run = crawl()
        // The pause would take longer than the test waits.
        .args(["--backoff=1000000", "--url", &site.url("/")])
        .start();
    eventually("the first attempt", || {
        (site.requests().len() == 1).then_some(())
    });

    run.interrupt();
    run.finish().assert_code(130);
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_the_pages_in_hand() {
    let (_site, mut run) = held_crawl();

    run.interrupt();
    eventually("word of the first Ctrl-C", || {
        run.stderr().text().contains("Ctrl-C again").then_some(())
    });
    assert_eq!(run.child.try_wait().unwrap(), None, "it is not over yet");
    run.interrupt();

    let output = run.finish();
    output.assert_code(130);
    assert_eq!(summary(&output), "");
}

#[test]
fn help_tells_the_arguments_and_the_exit_status() {
    let output = crawl().arg("--help").run();

    output.assert_code(0);
    let help = output.stdout.text();
    for part in [
        "--pages",
        "--links",
        "--seed",
        "--flaky",
        "--refusals",
        "--down",
        "--missing",
        "--latency",
        "--url",
        "--workers",
        "--capacity",
        "--max-attempts",
        "--backoff",
        "--quiet",
        "Exit status:",
        "130",
    ] {
        assert!(help.contains(part), "no {part} in:\n{help}");
    }
}

#[test]
fn wrong_arguments_are_refused() {
    for (options, complaint) in [
        (&["--pages=0"][..], "0 is not in 1..="),
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
    ] {
        let output = crawl().args(options).run();
        output.assert_code(2);
        let text = output.stderr.text();
        assert!(text.contains(complaint), "{options:?}: {text}");
    }
}

#[test]
fn a_summary_that_cannot_be_written_fails() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = crawl().arg("--pages=1").stdout(full).run();

    output.assert_code(1);
    assert_eq!(
        output.stderr.text(),
        "crawl: No space left on device (os error 28)\n"
    );
}

#[test]
fn a_message_is_written_in_one_piece() {
    let pieces = crawl()
        .args(["--pages=4", "--missing=3"])
        .pieces_of_stderr();
    assert_eq!(pieces.len(), 3, "{pieces:?}");
    assert!(
        pieces
            .iter()
            .all(|piece| piece.ends_with(": 404 Not Found\n")),
        "{pieces:?}"
    );
}

#[test]
fn a_terminal_shows_progress_unless_quiet() {
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

    let output = terminal("--pages=50 --quiet").finish();
    output.assert_code(0);
    assert_eq!(output.stdout.text(), "");
}

// Sites of our own.

/// A page that is there, but not now.
const UNAVAILABLE: &str = "503";

/// What the text of a page begins with that is to be looked for elsewhere.
const MOVED: &str = "moved to ";

/// A site that counts what it is asked for. It is gone when dropped.
struct Served {
    address: String,
    state: Arc<Pages>,
    _runtime: Runtime,
}

struct Pages {
    html: BTreeMap<String, String>,
    requests: Mutex<BTreeMap<String, usize>>,
    /// Answers to all but `/` wait for it to become false.
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

    /// How often each page was asked for.
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

/// A crawl with three workers, that has fetched page `/` with links to twenty pages, and is waiting
/// for the answers to three of them. Two of the twenty, among the first, have a link to a further
/// page.
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

// What the program says.

fn crawl() -> Invocation {
    command(example("crawl"), Path::new("/"))
}

/// Waits until the program has said where it starts, and returns that.
fn start(run: &Run) -> String {
    eventually("the first line", || {
        let stdout = run.captured("stdout").text();
        let (first, _) = stdout.split_once('\n')?;
        Some(first.strip_prefix("start     ").unwrap().to_owned())
    })
}

/// What follows the line that tells the start.
fn summary(output: &Output) -> String {
    let text = output.stdout.text();
    let (first, rest) = text.split_once('\n').expect("there is a first line");
    assert!(first.starts_with("start     http://127.0.0.1:"), "{first}");
    rest.to_owned()
}

/// Number and reason of each page of the program's own site that failed.
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

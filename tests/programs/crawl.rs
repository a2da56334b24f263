//! The program `crawl`, on its own site, and on sites that the tests serve.

mod errors;
mod links;
mod served;

use std::path::Path;

use tempfile::tempdir;
use tokio::runtime::Runtime;

use self::served::Answer;
use self::served::Served;
use self::served::page;
use self::served::status;
use crate::contract::Case;
use crate::contract::Contract;
use crate::contract::Interrupts;
use crate::contract::Progress;
use crate::contract::Started;
use crate::contract::interrupt_once;
use crate::program::Invocation;
use crate::program::Output;
use crate::program::Run;
use crate::program::command;
use crate::program::eventually;
use crate::program::example;
use crate::program::example_on_terminal;

pub(crate) const CONTRACT: Contract = Contract {
    name: "crawl",
    directory: || tempdir().unwrap(),
    help: "--pages --links --seed --flaky --refusals --busy --broken --moved --down --missing \
           --looping --hanging --trap --latency --url --workers --capacity --max-attempts \
           --backoff --max-backoff --timeout --depth --max-pages --max-redirects --grace --quiet 130 \
           143",
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
        (
            &["--pages=5", "--looping=3", "--hanging=2"],
            "must leave one page",
        ),
        (&["--max-pages=0"], "invalid value '0'"),
        (&["--timeout=-1"], "invalid value '-1'"),
        (&["--grace=soon"], "invalid value 'soon'"),
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
        // No server can listen on this port.
        args: &["--url=http://127.0.0.1:0/"],
        code: 1,
        stdout: "start     http://127.0.0.1:0/\npages     0 fetched, 1 failed, 0 left\n*",
        stderr: &["crawl: http://127.0.0.1:0/: *Connection refused*"],
    }),
    unprinted: &[],
    progress: Progress {
        args: "--pages=3 --latency=10000",
        is_shown: |shown| shown.contains("0/1 pages, 0 queued, 1 in hand"),
    },
    lasting: &["--latency=10000", "--workers=1"],
    interrupts: Interrupts {
        orderly: || {
            // The pages in hand never answer.
            let (site, run) = held_crawl(&["--grace=0.1"], page(""));
            Started::new(run, site)
        },
        endless: || {
            let (site, run) = held_crawl(&["--grace=1000000"], page(""));
            Started::new(run, site)
        },
        summary: " pages found and not fetched",
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
links     24999 found, 20000 of them to pages found before
redirects 0 found, 0 of them to pages found before, 0 to other sites
left out  0 links beyond --depth, 0 beyond --max-pages
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
        let url = start(&run);
        let (host, _) = url.trim_start_matches("http://").split_once('/').unwrap();
        // It differs.
        get(&url).replace(host, "HOST")
    };
    assert_eq!(first_page("7"), first_page("7"));
    assert_ne!(first_page("7"), first_page("8"));
}

#[test]
fn unavailable_page_fails_after_last_attempt() {
    let output = crawl()
        .args(["--pages=200", "--flaky=0", "--down=3", "--max-attempts=4"])
        .arg("--backoff=1")
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
            .args(["--pages=100", "--flaky=100", "--refusals=5", "--backoff=1"])
            .arg(format!("--max-attempts={attempts}"))
            .run();

        let summary = summary(&output);
        let failed = 100 - fetched;
        let pages = format!("pages     {fetched} fetched, {failed} failed, 0 left\n");
        assert!(summary.starts_with(&pages), "{summary}");
    }
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
fn site_has_pages_of_many_kinds() {
    let output = crawl()
        .args(["--pages=100", "--flaky=5", "--busy=2", "--broken=3"])
        .args(["--moved=4", "--looping=1", "--refusals=1", "--backoff=1"])
        .run();

    output.assert_code(1);
    let failures = failures(&output);
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0].1, "redirects in a circle");
    let summary = summary(&output);
    for part in [
        "pages     99 fetched, 1 failed, 0 left\n",
        "redirects 4 found, 0 of them to pages found before, 0 to other sites\n",
        "requests  114 made, 10 of them retried\n",
        "site      99 of 100 pages served, 0 of them more than once\n",
    ] {
        assert!(summary.contains(part), "no {part:?} in {summary}");
    }
}

#[test]
fn hanging_page_times_out() {
    let output = crawl()
        .args(["--pages=2", "--flaky=0", "--hanging=1"])
        .args(["--timeout=1", "--backoff=1"])
        .run();

    output.assert_code(1);
    let reason = "error sending request: operation timed out, at attempt 5";
    assert_eq!(failures(&output), [(1, reason.to_owned())]);
    let summary = summary(&output);
    let pages = "pages     1 fetched, 1 failed, 0 left\n";
    assert!(summary.starts_with(pages), "{summary}");
}

#[test]
fn interrupt_finishes_pages_in_hand_and_counts_rest() {
    let (site, mut run) = held_crawl(&["--grace=1000000"], page("<a href=/21>"));

    interrupt_once(&mut run);
    site.release();
    let output = run.finish();
    output.assert_code(130);

    // Three of the 20 pages that page 0 links to were in hand. Two of them had a link to a new
    // page, which the channel refused.
    assert_eq!(
        output.stderr.text(),
        "crawl: 17 pages are left in the queue; finishing the pages in hand within 1000000s; Ctrl-C \
         again quits at once\n\
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
fn page_that_would_be_retried_is_left_after_a_stop() {
    let (site, mut run) = held_crawl(&["--grace=1000000"], status(503));

    interrupt_once(&mut run);
    site.release();
    let output = run.finish();
    output.assert_code(130);
    // One of the pages in hand, and a link of another.
    let end = "\ncrawl: interrupted: 19 pages found and not fetched\n";
    assert!(
        output.stderr.text().ends_with(end),
        "{}",
        output.stderr.text()
    );
    let summary = summary(&output);
    assert!(
        summary.starts_with("pages     3 fetched, 0 failed, 19 left\n"),
        "{summary}"
    );
}

#[test]
fn pages_that_hang_are_given_up_after_the_grace_period() {
    let (_site, mut run) = held_crawl(&["--grace=0.3", "--timeout=1000000"], page(""));

    interrupt_once(&mut run);
    let output = run.finish();
    output.assert_code(130);
    assert_eq!(
        output.stderr.text(),
        "crawl: 17 pages are left in the queue; finishing the pages in hand within 300ms; Ctrl-C \
         again quits at once\n\
         crawl: gave up 3 pages in hand after 300ms\n\
         crawl: interrupted: 20 pages found and not fetched\n"
    );
    let summary = summary(&output);
    for part in [
        "pages     1 fetched, 0 failed, 20 left\n",
        "received  4 = 1 done + 0 failed + 3 abandoned + 0 panicked + 0 retried\n",
    ] {
        assert!(summary.contains(part), "no {part:?} in {summary}");
    }
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

/// A crawl with three workers, which has fetched page `/` with links to twenty pages, and waits for
/// the answers to the first three of them. The first answer is `first`, and the second one has a link to
/// a new page.
fn held_crawl(options: &[&str], first: Answer) -> (Served, Run) {
    let links = (1..=20).map(|number| format!(r#"<a href="/{number}">"#));
    let site = Served::answering([
        ("/", page(&links.collect::<String>())),
        ("/1", first),
        ("/2", page(r#"<a href="/22">"#)),
        ("/3", page(r#"<a href="/2">"#)),
    ]);
    site.hold();
    let run = crawl()
        .arg("--workers=3")
        .args(options)
        .args(["--url", &site.url("/")])
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

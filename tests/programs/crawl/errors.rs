//! Pages that cannot be fetched, at first or at all.

#[path = "../../../examples/crawl/backoff.rs"]
mod backoff;

use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

use axum::http::header::CONNECTION;
use axum::response::Html;
use axum::response::IntoResponse;

use self::backoff::Backoff;
use super::crawl;
use super::served::Answer;
use super::served::Served;
use super::served::at_first;
use super::served::page;
use super::served::status;
use super::served::status_after;
use super::summary;
use crate::program::command;
use crate::program::eventually;
use crate::program::example;

#[test]
fn pause_doubles_up_to_its_limit() {
    let backoff = |most| Backoff {
        first: Duration::from_millis(300),
        most: Duration::from_millis(most),
    };
    let assert_between = |pause: Duration, least, most| {
        let millis = pause.as_millis();
        assert!((least..=most).contains(&millis), "{pause:?}");
    };
    for (attempt, least, most) in [(1, 150, 300), (2, 300, 600), (4, 1200, 2400)] {
        let backoff = backoff(10_000);
        let pauses: Vec<_> = (0..100).map(|_| backoff.pause(attempt, None)).collect();
        for &pause in &pauses {
            assert_between(pause, least, most);
        }
        assert!(pauses.iter().any(|&pause| pause != pauses[0]), "at random");
    }
    assert_between(backoff(10_000).pause(u32::MAX, None), 5000, 10_000);
    // What the server asks for, within the same limit.
    let second = Some(Duration::from_secs(1));
    assert_between(backoff(10_000).pause(1, second), 1000, 1000);
    assert_between(backoff(10_000).pause(4, second), 1200, 2400);
    assert_between(backoff(700).pause(1, second), 700, 700);
    assert_eq!(backoff(0).pause(1, second), Duration::ZERO);
}

#[test]
fn passing_errors_are_retried() {
    let codes = [408, 429, 500, 502, 503, 504];
    let paths = codes.map(|code| format!("/{code}"));
    let links: String = paths
        .iter()
        .map(|path| format!("<a href={path}>"))
        .collect();
    let flaky = codes.map(|code| at_first(status(code), page("")));
    let pages = paths.iter().map(|path| &**path).zip(flaky);
    let site = Served::answering(pages.chain([("/", page(&links))]));
    let output = crawl().args(["--backoff=1", "--url", &site.url("/")]).run();

    output.assert_code(0);
    let summary = summary(&output);
    assert!(
        summary.contains("requests  13 made, 6 of them retried\n"),
        "{summary}"
    );
    for path in paths {
        assert_eq!(site.requests()[&path], 2, "{path}");
    }
}

#[test]
fn lasting_errors_are_final() {
    let codes = [400, 401, 403, 404, 410, 501, 304];
    let paths = codes.map(|code| format!("/{code}"));
    let links: String = paths
        .iter()
        .map(|path| format!("<a href={path}>"))
        .collect();
    let pages = paths.iter().map(|path| &**path).zip(codes.map(status));
    let site = Served::answering(pages.chain([("/", page(&links))]));
    let output = crawl().args(["--url", &site.url("/")]).run();

    output.assert_code(1);
    let summary = summary(&output);
    assert!(
        summary.starts_with("pages     1 fetched, 7 failed, 0 left\n"),
        "{summary}"
    );
    assert!(
        summary.contains("requests  8 made, 0 of them retried\n"),
        "{summary}"
    );
    assert!(!output.stderr.text().contains("at attempt"));
}

#[test]
fn broken_connections_are_retried() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    // It ends with the test program.
    thread::spawn(move || {
        let whole = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nend";
        // A connection that is closed before the request is read is reset.
        let ends = [None, Some(""), Some(&whole[..whole.len() - 1]), Some(whole)];
        for (connection, end) in listener.incoming().zip(ends) {
            break_connection(&mut connection.unwrap(), end);
        }
    });
    let output = crawl().args(["--backoff=1", "--url", &url]).run();

    output.assert_code(0);
    let summary = summary(&output);
    assert!(
        summary.contains("requests  4 made, 3 of them retried\n"),
        "{summary}"
    );
}

/// Waits for a request. Unless `answer` is `None`, reads it and answers.
fn break_connection(connection: &mut TcpStream, answer: Option<&str>) {
    let mut request = [0; 4096];
    match answer {
        None => connection.peek(&mut request).map(drop).unwrap(),
        Some(answer) => {
            assert_ne!(connection.read(&mut request).unwrap(), 0);
            connection.write_all(answer.as_bytes()).unwrap();
        }
    }
}

#[test]
fn page_that_does_not_answer_in_time_is_retried() {
    let site = Served::answering([("/", page("<a href=/slow>")), ("/slow", page(""))]);
    site.hold();
    let run = crawl()
        .args(["--timeout=0.5", "--backoff=1", "--max-attempts=1000"])
        .args(["--url", &site.url("/")])
        .start();
    eventually("the second request", || {
        (*site.requests().get("/slow")? > 1).then_some(())
    });
    site.release();
    run.finish().assert_code(0);
}

#[test]
fn page_that_waits_holds_no_worker() {
    let more_than_64_bits = "99999999999999999999";
    for after in [
        "1000000",
        more_than_64_bits,
        "Fri, 31 Dec 9999 23:59:59 GMT",
    ] {
        let site = Served::answering([
            ("/", page("<a href=/later><a href=/now>")),
            ("/later", status_after(503, after)),
            ("/now", page("")),
        ]);
        let run = crawl()
            .args(["--workers=1", "--backoff=0", "--max-backoff=1000000"])
            .args(["--url", &site.url("/")])
            .start();
        eventually("the page behind it", || {
            site.requests().get("/now").copied()
        });
        run.interrupt();
        let output = run.finish();

        output.assert_code(130);
        assert_eq!(site.requests()["/later"], 1);
        let summary = summary(&output);
        assert!(summary.contains(" 0 failed, "), "{summary}");
        // It was in the queue.
        assert!(
            summary.contains(" + 1 retried = 3 received + 1 discarded\n"),
            "{summary}"
        );
    }
}

#[test]
fn pause_that_a_server_asks_for_is_limited() {
    let later = || at_first(status_after(429, "1000000"), page(""));
    let site = Served::answering([("/", later())]);
    let output = crawl()
        .args(["--max-backoff=0.01", "--url", &site.url("/")])
        .run();
    output.assert_code(0);
    assert_eq!(site.requests()["/"], 2);
}

#[test]
fn page_of_more_than_four_mebibytes_fails() {
    let fits = " ".repeat(4 << 20);
    let too_long = format!("{fits} ");
    let links = "<a href=/fits><a href=/long><a href=/picture>";
    let picture = too_long.clone();
    let site = Served::answering([
        ("/", page(links)),
        ("/fits", page(&fits)),
        ("/long", page(&too_long)),
        // Not read, because it has no links.
        (
            "/picture",
            Box::new(move |_| ([("content-type", "image/png")], picture.clone()).into_response()),
        ),
    ]);
    let output = crawl().args(["--url", &site.url("/")]).run();

    output.assert_code(1);
    let failure = format!("crawl: {}: more than 4194304 bytes\n", site.url("/long"));
    assert_eq!(output.stderr.text(), failure);
    assert!(summary(&output).starts_with("pages     3 fetched, 1 failed, 0 left\n"));
}

#[test]
fn missing_server_is_named() {
    // No server listens on a port that was free just now.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let url = format!("http://{}/", free.unwrap());
    let output = crawl().args(["--backoff=1", "--url", &url]).run();

    output.assert_code(1);
    let text = output.stderr.text();
    assert!(text.starts_with(&format!("crawl: {url}: ")), "{text}");
    let end = "Connection refused (os error 111), at attempt 5\n";
    assert!(text.ends_with(end), "{text}");
    assert!(summary(&output).starts_with("pages     0 fetched, 1 failed, 0 left\n"));
}

#[test]
fn too_few_descriptors_fail_no_page() {
    let crawl = |limit: &str| {
        let prlimit = command("prlimit", Path::new("/")).arg(limit);
        let program = prlimit.arg(example("crawl"));
        program
            .args(["--workers=512", "--pages=1000", "--latency=5"])
            .args(["--backoff=1"])
            .run()
    };
    let output = crawl("--nofile=256:256");
    output.assert_code(0);
    let stderr = output.stderr.text();
    let end = " of 512 workers, because at most 256 files may be open (ulimit -n)\n";
    assert!(stderr.starts_with("crawl: only "), "{stderr}");
    assert!(stderr.ends_with(end), "{stderr}");
    // No request was in vain.
    let summary = summary(&output);
    let requests = "requests  1200 made, 200 of them retried\n";
    assert!(summary.contains(requests), "{summary}");

    // A soft limit is raised.
    let output = crawl("--nofile=256:4096");
    output.assert_code(0);
    assert_eq!(output.stderr.text(), "");
}

#[test]
fn shortage_of_open_files_passes() {
    let closed = |html: &str| -> Answer {
        let html = html.to_owned();
        Box::new(move |_| ([(CONNECTION, "close")], Html(html.clone())).into_response())
    };
    let site = Served::answering([
        ("/", closed("<a href=/1>")),
        ("/1", closed("<a href=/2>")),
        ("/2", closed("")),
    ]);
    site.hold();
    let run = crawl()
        .args(["--max-attempts=1", "--url", &site.url("/")])
        .start();
    eventually("the second page", || site.requests().get("/1").copied());
    let set_limit = |files: &str| {
        let prlimit =
            command("prlimit", Path::new("/")).args(["--pid", &run.child.id().to_string()]);
        prlimit
            .arg(format!("--nofile={files}:"))
            .run()
            .assert_code(0);
    };
    set_limit("3");
    site.release();
    let shortage = "crawl: Too many open files (os error 24): waiting until some are closed\n";
    eventually("the shortage", || {
        (run.stderr().text() == shortage).then_some(())
    });
    set_limit("100");
    let output = run.finish();

    output.assert_code(0);
    assert!(summary(&output).contains("requests  3 made, 0 of them retried\n"));
}

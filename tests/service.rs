//! The example `service`, under the load of real HTTP clients.

#![cfg(all(target_os = "linux", not(loom)))]

mod program;
#[allow(dead_code)] // Other programs use the rest.
#[path = "common/watchdog.rs"]
mod watchdog;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io::BufRead;
use std::io::BufReader;
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use nix::sys::signal::Signal;
use program::Invocation;
use program::Output;
use program::Pipe;
use program::Run;
use program::command;
use program::dev_full;
use program::eventually;
use program::example;
use reqwest::Client;
use reqwest::Response;
use reqwest::StatusCode;
use reqwest::header::CONNECTION;
use reqwest::header::CONTENT_TYPE;
use reqwest::header::RETRY_AFTER;
use serde_json::Value;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;
use watchdog::Watchdog;

/// The first line of the log of a service that SIGTERM stops.
const TERMINATED: &str = "terminated: ending the jobs; a second signal quits at once\n";

/// The pause between two looks.
const POLL: Duration = Duration::from_millis(2);

struct Service {
    run: Run,
    url: String,
    client: Client,
    _watchdog: Watchdog,
}

/// The answers that clients received.
#[derive(Default)]
struct Told {
    accepted: BTreeSet<u64>,
    refused: usize,
}

impl Extend<Self> for Told {
    fn extend<I: IntoIterator<Item = Self>>(&mut self, others: I) {
        for other in others {
            self.accepted.extend(other.accepted);
            self.refused += other.refused;
        }
    }
}

impl Service {
    #[track_caller]
    fn start(options: &[&str]) -> Self {
        Self::start_with(
            options,
            |service| service,
            |run| run.captured("stdout").text(),
        )
    }

    /// Starts it with its stdout where `stdout` finds it.
    #[track_caller]
    fn start_with(
        options: &[&str],
        redirect: impl FnOnce(Invocation) -> Invocation,
        mut stdout: impl FnMut(&Run) -> String,
    ) -> Self {
        let watchdog = Watchdog::start();
        let service = command(example("service"), Path::new("/"));
        let service = service.args(["--listen=127.0.0.1:0"]).args(options);
        let run = redirect(service).start();
        let address = eventually("the service to listen", || {
            let stdout = stdout(&run);
            let address = stdout.strip_prefix("listening on ")?.split_once('\n')?.0;
            Some(address.to_owned())
        });
        let url = format!("http://{address}");
        let client = Client::new();
        Self {
            run,
            url,
            client,
            _watchdog: watchdog,
        }
    }

    /// Starts it with both its streams in a pipe, from which only the first line has been read.
    #[track_caller]
    fn start_into(pipe: &Pipe, options: &[&str]) -> Self {
        let end = || pipe.write.try_clone().unwrap();
        let first = |_: &Run| {
            let mut line = String::new();
            BufReader::new(&pipe.read).read_line(&mut line).unwrap();
            line
        };
        let redirect = |service: Invocation| service.stdout(end()).stderr(end());
        Self::start_with(options, redirect, first)
    }

    async fn post(&self, job: Value) -> reqwest::Result<Response> {
        post(&self.client, &self.url, &job).await
    }

    async fn get(&self, path: &str) -> String {
        let response = self.client.get(format!("{}{path}", self.url)).send().await;
        let response = response.unwrap().error_for_status().unwrap();
        response.text().await.unwrap()
    }

    async fn stats(&self) -> Value {
        serde_json::from_str(&self.get("/stats").await).unwrap()
    }

    /// Waits until a figure of the ledger has a value.
    async fn wait_for(&self, name: &str, value: u64) {
        while self.stats().await[name] != value {
            sleep(POLL).await;
        }
    }

    /// Posts a job that must be accepted.
    async fn accept(&self, job: Value) {
        let response = self.post(job).await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
    }

    fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    fn signal(&self, signal: Signal) {
        self.run.kill(signal);
    }

    /// Signals until the service has ended, because what follows the first signal closely is not a second
    /// one.
    fn signal_until_ended(mut self, signal: Signal) -> Output {
        eventually("the end of the service", || {
            self.signal(signal);
            self.run.child.try_wait().unwrap()
        });
        self.finish()
    }

    fn finish(self) -> Output {
        let Self { run, _watchdog, .. } = self;
        run.finish()
    }
}

async fn post(client: &Client, url: &str, job: &Value) -> reqwest::Result<Response> {
    let request = client.post(format!("{url}/jobs"));
    request.body(job.to_string()).send().await
}

async fn id_of(accepted: Response) -> u64 {
    let body: Value = serde_json::from_str(&accepted.text().await.unwrap()).unwrap();
    body["id"].as_u64().unwrap()
}

/// Posts jobs until no service answers, or the service has accepted `enough`. `accepted` counts for all
/// clients.
async fn load(url: String, accepted: &AtomicUsize, enough: usize) -> Told {
    let client = Client::new();
    let mut told = Told::default();
    while accepted.load(Relaxed) < enough {
        let job = json!({ "name": "load", "millis": 1 });
        let Ok(response) = post(&client, &url, &job).await else {
            break;
        };
        match response.status() {
            StatusCode::ACCEPTED => {
                told.accepted.insert(id_of(response).await);
                accepted.fetch_add(1, Relaxed);
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                let seconds = response.headers()[RETRY_AFTER].to_str().unwrap();
                assert!(seconds.parse::<u32>().unwrap() > 0);
                told.refused += 1;
            }
            other => panic!("{other}"),
        }
    }
    told
}

fn hangs() -> Value {
    json!({ "name": "hangs", "millis": 1_000_000_000 })
}

fn bug() -> Value {
    json!({ "name": "bug", "ends": "panics" })
}

/// A job with a bug that ends its worker.
fn ends_worker() -> Value {
    json!({ "name": "bug", "ends": "worker" })
}

/// The counters of Prometheus, with their names.
fn counters(metrics: &str) -> Vec<(String, u64)> {
    let samples = metrics.lines().filter(|it| !it.starts_with('#'));
    let counters = samples.filter_map(|it| it.split_once("_total "));
    let counter = |(name, value): (&str, &str)| (name.to_owned(), value.parse().unwrap());
    counters.map(counter).collect()
}

/// The ids in lines such as `done: job 17 ("load")`.
fn ids(text: &str, what: &str) -> Vec<u64> {
    let lines = text.lines().filter_map(|line| {
        let id = line.strip_prefix(what)?.strip_prefix(": job ")?;
        Some(id.split(' ').next().unwrap().parse().unwrap())
    });
    lines.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_accepted_job_is_lost() {
    const CLIENTS: usize = 16;
    const JOBS: usize = 2_000;
    static ACCEPTED: AtomicUsize = AtomicUsize::new(0);

    // Jobs are queued when it stops. The grace period is longer than they take.
    let service = Service::start(&["--workers=4", "--capacity=16", "--grace=60000"]);
    let clients = |enough| {
        let load = || load(service.url.clone(), &ACCEPTED, enough);
        JoinSet::from_iter((0..CLIENTS).map(|_| load()))
    };
    let mut told = Told::default();
    told.extend(clients(JOBS / 2).join_all().await);
    // As long as it runs, it answers each request.
    let stats = service.stats().await;
    assert_eq!(stats["accepted"], told.accepted.len());
    assert_eq!(stats["refused"], told.refused);
    assert!(told.refused > 0, "the queue was never full");

    let mut clients = clients(usize::MAX);
    while ACCEPTED.load(Relaxed) < JOBS {
        if let Some(ended) = clients.try_join_next() {
            panic!("a client ended early: {:?}", ended.err());
        }
        sleep(POLL).await;
    }
    service.terminate();
    told.extend(clients.join_all().await);

    let output = service.finish();
    output.assert_code(0);
    let log = output.stderr.text();
    let done = ids(&log, "done");
    assert_eq!(done.len(), told.accepted.len());
    assert_eq!(BTreeSet::from_iter(done), told.accepted);
    let summary = format!("{} done, 0 failed\n", told.accepted.len());
    assert!(log.ends_with(&summary), "{log}");
    assert_eq!(log.lines().count(), told.accepted.len() + 2);
}

#[tokio::test]
async fn a_connection_ends_with_the_service() {
    let service = Service::start(&["--grace=60000"]);
    service.accept(hangs()).await;
    service.terminate();
    while service.stats().await["closed"] != true {
        sleep(POLL).await;
    }
    let refused = service.post(hangs()).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()[CONNECTION], "close");
}

#[tokio::test]
async fn clients_wait_while_too_many_files_are_open() {
    let service = Service::start(&[]);
    let prlimit = command("prlimit", Path::new("/")).arg("--nofile=40:40");
    let prlimit = prlimit.arg(format!("--pid={}", service.run.child.id()));
    prlimit.run().assert_code(0);
    let address = service.url.strip_prefix("http://").unwrap();
    let clients: Vec<_> = (0..60)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    eventually("the shortage to be logged", || {
        let message = "clients must wait: Too many open files (os error 24)\n";
        (service.run.stderr().text() == message).then_some(())
    });
    drop(clients);
    service.accept(json!({ "name": "later" })).await;
    service.wait_for("done", 1).await;
}

#[tokio::test]
async fn a_long_request_is_refused() {
    let service = Service::start(&[]);
    let order = json!({ "name": "n".repeat(5000) });
    let answer = service.post(order).await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(service.stats().await["accepted"], 0);
}

#[test]
fn an_address_that_cannot_be_printed_is_an_error() {
    let Pipe { read, write, .. } = Pipe::new();
    drop(read);
    let service = || command(example("service"), Path::new("/")).arg("--listen=127.0.0.1:0");
    service().stdout(write).run().assert_code(141);
    let output = service().stdout(dev_full()).run();
    output.assert_code(1);
    let message =
        "service: cannot write to standard output: No space left on device (os error 28)\n";
    assert_eq!(output.stderr.text(), message);
}

#[tokio::test]
async fn jobs_that_do_not_end_are_named() {
    let service = Service::start(&["--workers=1", "--capacity=2", "--grace=1"]);
    service.accept(hangs()).await;
    service.wait_for("in_hand", 1).await;
    for name in ["mail", "report"] {
        service.accept(json!({ "name": name })).await;
    }
    service.terminate();
    let output = service.finish();
    output.assert_code(1);
    let expected = "\
handed back: job 2 (\"mail\")
handed back: job 3 (\"report\")
aborted: job 1 (\"hangs\")
0 done, 0 failed
";
    assert_eq!(output.stderr.text(), format!("{TERMINATED}{expected}"));
}

#[tokio::test]
async fn the_ledger_is_public() {
    let service = Service::start(&["--workers=1", "--capacity=1"]);
    for (ends, count) in [("done", "done"), ("fails", "failed")] {
        service.accept(json!({ "name": ends, "ends": ends })).await;
        service.wait_for(count, 1).await;
    }
    let order = service.post(json!({ "name": 7 })).await.unwrap();
    assert_eq!(order.status(), StatusCode::BAD_REQUEST);
    // The worker survives a panic.
    service.accept(bug()).await;
    service.wait_for("failed", 2).await;

    service.accept(hangs()).await;
    service.wait_for("in_hand", 1).await;
    service.accept(hangs()).await;
    let refused = service.post(hangs()).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()[RETRY_AFTER], "1");
    assert!(!refused.headers().contains_key(CONNECTION));
    assert_eq!(
        refused.text().await.unwrap(),
        r#"{"error":"the queue is full"}"#
    );

    let expected = json!({
        "queued": 1, "delayed": 0, "in_hand": 1, "closed": false, "accepted": 5, "refused": 1,
        "begun": 4, "done": 1, "failed": 2, "panicked": 0, "abandoned": 0, "handed_back": 0,
    });
    assert_eq!(service.stats().await, expected);
    let metrics = service.get("/metrics").await;
    let samples: Vec<_> = metrics.lines().filter(|it| !it.starts_with('#')).collect();
    let expected = [
        "jobs_queued 1",
        "jobs_delayed 0",
        "jobs_in_hand 1",
        "jobs_accepted_total 5",
        "jobs_refused_total 1",
        "jobs_begun_total 4",
        "jobs_done_total 1",
        "jobs_failed_total 2",
        "jobs_panicked_total 0",
        "jobs_abandoned_total 0",
        "jobs_handed_back_total 0",
    ];
    assert_eq!(samples, expected);

    // While the service stops, it still answers, and refuses jobs.
    service.terminate();
    while service.stats().await["closed"] != true {
        sleep(POLL).await;
    }
    let refused = service.post(json!({ "name": "late" })).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()[RETRY_AFTER], "5");
}

#[tokio::test]
async fn metrics_have_the_content_type_of_prometheus() {
    let service = Service::start(&[]);
    let metrics = service.client.get(format!("{}/metrics", service.url));
    let response = metrics.send().await.unwrap();
    let expected = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(response.headers()[CONTENT_TYPE], expected);
}

/// As in `service | head -1`.
#[tokio::test]
async fn workers_survive_streams_whose_reader_has_ended() {
    let pipe = Pipe::new();
    let service = Service::start_into(&pipe, &["--workers=1"]);
    drop(pipe);
    for count in 1..=2 {
        service.accept(json!({ "name": "mail" })).await;
        service.wait_for("done", count).await;
        service.accept(bug()).await;
        service.wait_for("failed", count).await;
    }
    service.terminate();
    service.finish().assert_code(0);
}

#[tokio::test]
async fn a_log_that_is_never_read_holds_up_nothing() {
    let pipe = Pipe::new();
    let service = Service::start_into(&pipe, &["--workers=1", "--grace=1"]);
    pipe.fill();
    for count in 1..=2 {
        service.accept(json!({ "name": "mail" })).await;
        service.wait_for("done", count).await;
        service.accept(bug()).await;
        service.wait_for("failed", count).await;
    }
    service.accept(hangs()).await;
    service.wait_for("in_hand", 1).await;
    service.terminate();
    service.finish().assert_code(1);
}

#[tokio::test]
async fn a_name_cannot_forge_a_line_of_the_log() {
    let service = Service::start(&["--workers=1"]);
    let name = "mail)\ndone: job 7 (\u{1b}[2J";
    service.accept(json!({ "name": name })).await;
    service
        .accept(json!({ "name": name, "ends": "panics" }))
        .await;
    service.wait_for("failed", 1).await;
    service.terminate();
    let output = service.finish();
    output.assert_code(0);
    let log = output.stderr.text();
    assert_eq!(ids(&log, "done"), [1]);
    assert_eq!(ids(&log, "failed"), [2]);
    // The panic, and the two lines about the end.
    assert_eq!(log.lines().count(), 5, "{log}");
    assert!(!log.contains('\u{1b}'), "{log}");
}

#[tokio::test]
async fn a_second_signal_ends_the_service_at_once() {
    for (second, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let service = Service::start(&["--grace=1000000000"]);
        service.accept(hangs()).await;
        service.terminate();
        while service.stats().await["closed"] != true {
            sleep(POLL).await;
        }
        service.signal_until_ended(second).assert_code(code);
    }
}

#[tokio::test]
async fn a_service_that_has_lost_a_worker_refuses_jobs() {
    let service = Service::start(&["--workers=2", "--grace=1000000000"]);
    service.accept(hangs()).await;
    service.accept(ends_worker()).await;
    while service.stats().await["closed"] != true {
        sleep(POLL).await;
    }
    let refused = service.post(json!({ "name": "late" })).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()[RETRY_AFTER], "5");
    let stats = service.stats().await;
    assert_eq!(
        (&stats["in_hand"], &stats["panicked"]),
        (&json!(1), &json!(1))
    );
    // Its orderly stop has begun already.
    let output = service.signal_until_ended(Signal::SIGTERM);
    output.assert_code(143);
    let again = "service: already ending; a second SIGTERM quits at once\n";
    assert!(output.stderr.text().contains(again));
    let log = output.stderr.text();
    assert!(log.contains("job 2 (\"bug\") ends its worker"), "{log}");
    assert!(
        log.contains("\na worker ended by itself: ending the jobs\n"),
        "{log}"
    );
}

#[tokio::test]
async fn a_service_that_has_lost_all_workers_accounts_for_its_jobs() {
    // Without its only worker, no job can end: it does not wait for that.
    let service = Service::start(&["--workers=1", "--grace=1000000000"]);
    service.accept(ends_worker()).await;
    let client = service.client.clone();
    let url = service.url.clone();
    let mut accepted = BTreeSet::from([1]);
    while let Ok(response) = post(&client, &url, &json!({ "name": "load" })).await {
        if response.status() == StatusCode::ACCEPTED {
            accepted.insert(id_of(response).await);
        }
    }
    let output = service.finish();
    output.assert_code(1);
    let log = output.stderr.text();
    assert_eq!(ids(&log, "aborted"), [1]);
    let mut known = BTreeSet::from_iter(ids(&log, "handed back"));
    known.insert(1);
    assert_eq!(known, accepted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_counter_decreases() {
    const SAMPLES: usize = 4_000;
    let service = Service::start(&["--workers=4"]);
    let mut clients = JoinSet::new();
    for ends in ["done", "fails", "fails", "fails"] {
        let (client, url) = (service.client.clone(), service.url.clone());
        let job = json!({ "name": "load", "ends": ends });
        clients.spawn(async move { while post(&client, &url, &job).await.is_ok() {} });
    }
    let mut shown = BTreeMap::new();
    for _ in 0..SAMPLES / 2 {
        let mut counters = counters(&service.get("/metrics").await);
        let done = service.stats().await["done"].as_u64().unwrap();
        counters.push(("jobs_done".to_owned(), done));
        for (name, value) in counters {
            let before = shown.insert(name.clone(), value).unwrap_or(0);
            assert!(before <= value, "{name} was {before}, and is {value}");
        }
    }
    assert!(shown["jobs_done"] > 0 && shown["jobs_failed"] > 0);
    service.terminate();
    clients.join_all().await;
    service.finish().assert_code(0);
}

#[test]
fn too_little_memory_for_the_queue_is_explained() {
    let service = command(example("service"), Path::new("/"));
    let output = service
        .arg("--listen=127.0.0.1:0")
        .arg("--capacity=99999999999999")
        .run();
    output.assert_code(1);
    let stderr = output.stderr.text();
    // It has not promised to listen.
    assert_eq!(output.stdout.text(), "");
    let message = "service: cannot allocate memory for a channel: ";
    assert!(
        stderr.starts_with(message) && stderr.contains("; lower --capacity, "),
        "{stderr}"
    );
}

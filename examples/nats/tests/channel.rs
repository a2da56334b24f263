//! The same worker function, with jobs from a channel of its process.

use std::io::Write;
use std::process::Command;
use std::process::Stdio;

use nats_worker::work::First;
use nats_worker::work::Job;

#[test]
fn each_outcome_reaches_the_channel() {
    let firsts = [
        (First::Succeeds, 1),
        (First::Fails, 1),
        (First::IsRetried, 2),
        (First::IsDelayed, 2),
        (First::Panics, 1),
    ];
    let mut jobs = String::from("no job\n");
    let mut expected = Vec::new();
    for (id, (first, attempts)) in (1..).zip(firsts) {
        let job = Job {
            id,
            first,
            ..Job::default()
        };
        jobs += &serde_json::to_string(&job).unwrap();
        jobs += "\n";
        expected.extend((1..=attempts).map(|attempt| format!("worked {id} {attempt}")));
    }

    let mut process = Command::new(env!("CARGO_BIN_EXE_nats-worker"))
        .arg("channel")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Fewer bytes than a pipe holds.
    let mut stdin = process.stdin.take().unwrap();
    stdin.write_all(jobs.as_bytes()).unwrap();
    stdin.write_all(b"\xff\n").unwrap(); // It ends the input, but no job that was accepted before.
    drop(stdin);
    let output = process.wait_with_output().unwrap();

    let stdout = String::from_utf8(output.stdout).unwrap();
    // Without the time.
    let worked = stdout.lines().map(|line| line.rsplit_once(' ').unwrap().0);
    let mut worked: Vec<_> = worked.collect();
    worked.sort_unstable();
    assert_eq!(worked, expected);
    assert!(!output.status.success());
    let stderr = String::from_utf8(output.stderr).unwrap();
    let ledger = "2 failed, 0 abandoned, 1 panicked, 0 discarded";
    assert!(stderr.contains(ledger), "{stderr}");
    assert!(stderr.contains("UTF-8"), "{stderr}");
}

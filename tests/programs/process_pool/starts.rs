//! Workers that cannot be started.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Uid;
use tempfile::tempdir;

use super::ENDLESS;
use super::account::Account;
use super::account::lines_with;
use super::program::Program;
use super::program::copy_into;
use super::program::replace;
use super::program::run_with_changed_program;
use super::program::wait_for_starts;
use crate::contract::limited;
use crate::program::command;
use crate::program::example;

#[test]
fn too_few_descriptors_fail_no_item() {
    let pool = Program::new();
    let prlimit = command("prlimit", Path::new("/")).arg("--nofile=256:256");
    let program = prlimit.arg(example("process_pool")).arg(&pool.mark);
    let output = program.args(["-w256", "--items=3000"]).run();
    output.assert_code(0);
    let stderr = output.stderr.text();
    let end = " of 256 workers, because at most 256 files may be open (ulimit -n)";
    assert!(stderr.lines().next().unwrap().ends_with(end), "{stderr}");
    assert_eq!(Account::of(&output, 1..3001).done, 3000);
    pool.assert_gone();
}

#[test]
fn too_few_processes_fail_no_item() {
    if !Uid::effective().is_root() {
        // Other processes of this user count as well, so no limit is right.
        return;
    }
    let pool = Program::new();
    let directory = tempdir().unwrap();
    let run = limited("process_pool", directory.path(), "--nproc=30");
    let output = run
        .arg(&pool.mark)
        .args(["-w64", "--items=300", "--pause=20"])
        .run();
    output.assert_code(0);
    let stderr = output.stderr.text();
    let message = "process_pool: cannot start all 64 workers: Resource temporarily unavailable";
    assert!(stderr.starts_with(message), "{stderr}");
    let account = Account::of(&output, 1..301);
    assert_eq!(
        (account.done, account.received, account.died),
        (300, 300, 0)
    );
    pool.assert_gone();
}

#[test]
fn deleted_program_cannot_start_workers() {
    let (output, pool) = run_with_changed_program(|program| fs::remove_file(program).unwrap());

    output.assert_code(3);
    let error = "/copy\": No such file or directory (os error 2)";
    assert_eq!(lines_with(&output.stderr, error), 1);
    pool.assert_gone();
}

#[test]
fn worker_that_never_starts_ends_program() {
    for (script, error) in [
        (
            "exit 7",
            "5 processes in a row exited before they were ready: exit status: 7",
        ),
        (
            "kill -s KILL $$",
            "100 processes in a row were killed before they were ready: signal: 9 (SIGKILL)",
        ),
    ] {
        let (output, pool) = run_with_changed_program(|program| replace(program, script));

        output.assert_code(3);
        assert_eq!(lines_with(&output.stderr, &format!("worker: {error}")), 1);
        pool.assert_gone();
    }
}

/// What to lower or raise is said once.
#[test]
fn lack_is_explained_once() {
    // As a worker without enough threads.
    let directory = tempdir().unwrap();
    let worker = limited("process_pool", directory.path(), "--nproc=1");
    let reply = worker.arg("--worker").run().stdout.text();
    let expected = r#"{"lacking":"Resource temporarily unavailable (os error 11)"}"#;
    assert_eq!(reply.trim_end(), expected);

    for workers in 1..=2 {
        let directory = tempdir().unwrap();
        let copy = copy_into(&directory);
        let pool = Program::new();
        let options = [ENDLESS, &format!("-w{workers}"), "-v"];
        let run = pool.invoke_at(&copy).args(options).start();
        wait_for_starts(&run, workers);
        let running = pool.workers();
        replace(&copy, r#"echo '{"lacking":"something"}'"#);
        running
            .iter()
            .for_each(|&worker| kill(worker, Signal::SIGKILL).unwrap());

        let output = run.finish();
        output.assert_code(3);
        let error = "100 processes in a row could not be started: something";
        assert_eq!(lines_with(&output.stderr, error), 1);
        assert_eq!(lines_with(&output.stderr, "raise the limit"), 1);
        pool.assert_gone();
    }
}

#[test]
fn worker_that_ends_early_is_restarted() {
    let directory = tempfile::tempdir().unwrap();
    let copy = copy_into(&directory);
    let pool = Program::new();
    // Enough time to stop the worker before it answers.
    let options = ["--items=1", "--crash-on=1", "--pause=1000", "-w1", "-v"];
    let run = pool.invoke_at(&copy).args(options).start();
    wait_for_starts(&run, 1);
    let worker = pool.workers()[0];
    kill(worker, Signal::SIGSTOP).unwrap();
    // Each time before it starts, it is killed 20 times and exits 4 times.
    let script = r#"cd "${0%/*}"; echo >>starts
        number=$(($(wc -l <starts) % 25))
        [ $number = 0 ] && exec ./former "$@"
        [ $number -gt 4 ] && kill -s KILL $$
        exit 7"#;
    replace(&copy, script);
    kill(worker, Signal::SIGKILL).unwrap();

    let output = run.finish();
    output.assert_code(1);
    let account = Account::of(&output, 1..2);
    assert_eq!((account.received, account.failed), (3, 1));
    assert_eq!((account.started, account.died), (3, 3));
    let early = |status| {
        lines_with(
            &output.stderr,
            &format!("ended before it was ready: {status}"),
        )
    };
    assert_eq!(
        (early("signal: 9 (SIGKILL)"), early("exit status: 7")),
        (40, 8)
    );
    pool.assert_gone();
}

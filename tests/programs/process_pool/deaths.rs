//! Workers that die or hang in the middle of an item.
//!
//! Three tests stop a worker with SIGSTOP there. Items take seconds in them, because the signal must
//! arrive before the answer.

use std::collections::BTreeMap;
use std::path::Path;

use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::ENDLESS;
use super::account::Account;
use super::account::failures;
use super::account::lines_with;
use super::program::Program;
use super::program::busy_workers;
use super::program::pid_of;
use super::program::run_with_kills;
use super::program::wait_for_starts;
use crate::program::command;
use crate::program::eventually;
use crate::program::example;

#[test]
fn crashing_item_fails_after_all_attempts() {
    for attempts in [1, 3, 8] {
        let pool = Program::new();
        let limit = format!("--max-attempts={attempts}");
        let options = ["--crash-on=13", "--items=500", "--verbose", &limit];
        let output = pool.invoke().args(options).run();

        output.assert_code(1);
        let account = Account::of(&output, 1..501);
        assert_eq!((account.done, account.failed), (499, 1));
        assert_eq!((account.retried, account.died), (attempts - 1, attempts));
        let reason = format!("the worker died in attempt {attempts}, the last");
        assert_eq!(failures(&output), BTreeMap::from([(13, reason)]));

        let lost: Vec<u64> = (1..=attempts)
            .filter(|attempt| {
                lines_with(
                    &output.stderr,
                    &format!("lost attempt {attempt} at item 13"),
                ) == 1
            })
            .collect();
        assert_eq!(lost.len() as u64, attempts, "{}", output.stderr.text());
        assert_eq!(
            lines_with(&output.stderr, ": lost attempt") as u64,
            attempts
        );
        assert_eq!(lines_with(&output.stderr, "SIGABRT") as u64, attempts);
        pool.assert_gone();
    }
}

#[test]
fn killed_workers_lose_and_repeat_no_result() {
    let items = 10_000;
    let (output, kills) = run_with_kills(items, "--max-attempts=3", 50);

    let account = Account::of(&output, 1..items + 1);
    assert!(kills >= 100, "only {kills} kills");
    assert!(account.died >= 100, "only {} of {kills} died", account.died);
    assert!(account.retried > 0, "no worker was killed at work");
    output.assert_code((account.failed > 0).into());
}

#[test]
fn killed_workers_fail_items_with_one_attempt() {
    let items = 2000;
    let (output, _) = run_with_kills(items, "--max-attempts=1", 20);

    let account = Account::of(&output, 1..items + 1);
    assert!(account.failed > 0, "no worker was killed at work");
    assert_eq!((account.retried, account.received), (0, items));
    output.assert_code(1);
}

#[test]
fn kill_every_loses_no_result() {
    let pool = Program::new();
    let options = ["--items=3000", "--kill-every=9", "--max-attempts=100"];
    let output = pool.invoke().args(options).run();

    output.assert_code(0);
    let account = Account::of(&output, 1..3001);
    assert!(account.died > 100, "only {} died", account.died);
    assert_eq!(account.done, 3000);
    pool.assert_gone();
}

#[test]
fn idle_worker_that_dies_costs_no_attempt() {
    let pool = Program::new();
    // Enough time to stop one of the two before it answers.
    let options = ["--workers=2", "--items=2", "--pause=3000", "--verbose"];
    let run = pool.invoke().args(options).start();
    let busy = eventually("a worker", || pool.workers().first().copied());
    kill(busy, Signal::SIGSTOP).unwrap();
    eventually("the result of the other one", || {
        (run.captured("stdout").text().lines().count() == 1).then_some(())
    });
    let others = pool.workers().into_iter().filter(|pid| *pid != busy);
    let idle: Vec<Pid> = others.collect();
    assert_eq!(idle.len(), 1);
    kill(idle[0], Signal::SIGKILL).unwrap();
    eventually("the report of its death", || {
        let died = format!("process {} died", idle[0]);
        (lines_with(&run.stderr(), &died) == 1).then_some(())
    });
    kill(busy, Signal::SIGCONT).unwrap();

    let output = run.finish();
    output.assert_code(0);
    let account = Account::of(&output, 1..3);
    assert_eq!((account.retried, account.died), (0, 1));
    assert_eq!(
        account.started, 2,
        "no item was left to start another worker for"
    );
    pool.assert_gone();
}

#[test]
fn stopped_worker_is_killed_after_time_limit() {
    let pool = Program::new();
    let options = [
        "--items=1",
        "--pause=1500",
        "-w1",
        "-v",
        "--timeout=2",
        "-a100",
    ];
    let run = pool.invoke().args(options).start();
    wait_for_starts(&run, 1);
    kill(pool.workers()[0], Signal::SIGSTOP).unwrap();

    let output = run.finish();
    output.assert_code(0);
    let account = Account::of(&output, 1..2);
    // A machine that is busy may stop the next worker, too.
    assert_eq!((account.done, account.retried), (1, account.died));
    let lost = "lost attempt 1 at item 1: the worker took longer than 2s";
    assert_eq!(lines_with(&output.stderr, lost), 1);
    pool.assert_gone();
}

#[test]
fn item_that_takes_too_long_fails_after_all_attempts() {
    let pool = Program::new();
    let options = [ENDLESS, "--items=2", "--timeout=0.1", "-w2", "-a3"];
    let output = pool.invoke().args(options).run();
    output.assert_code(1);
    let account = Account::of(&output, 1..3);
    assert_eq!((account.failed, account.retried, account.died), (2, 4, 6));
    let reason = "the worker took longer than 100ms in attempt 3, the last";
    assert_eq!(failures(&output)[&1], reason);
    pool.assert_gone();
}

#[test]
fn stopped_idle_worker_does_not_delay_end() {
    let pool = Program::new();
    // Time to stop one of the two before it answers. Otherwise it is idle as well.
    let options = ["--workers=2", "--items=2", "--pause=1000", "--verbose"];
    let run = pool.invoke().args(options).start();
    let busy = eventually("a worker", || pool.workers().first().copied());
    kill(busy, Signal::SIGSTOP).unwrap();
    eventually("the result of the other one", || {
        (run.captured("stdout").text().lines().count() >= 1).then_some(())
    });
    for idle in pool.workers().into_iter().filter(|pid| *pid != busy) {
        kill(idle, Signal::SIGSTOP).unwrap();
    }
    // The item is finished, and the idle worker is still stopped.
    kill(busy, Signal::SIGCONT).unwrap();

    let output = run.finish();
    output.assert_code(0);
    assert_eq!(Account::of(&output, 1..3).died, 0);
    pool.assert_gone();
}

/// As a program may be that starts this one.
#[test]
fn ignored_sigchld_changes_nothing() {
    let pool = Program::new();
    let env = command("env", Path::new("/")).arg("--ignore-signal=CHLD");
    let program = env.arg(example("process_pool")).arg(&pool.mark);
    let output = program.args(["-n20", "-w2"]).run();
    output.assert_code(0);
    assert_eq!(output.stderr.text().lines().count(), 1);
    assert_eq!(Account::of(&output, 1..21).done, 20);
}

#[test]
fn workers_end_when_parent_is_killed() {
    let (pool, run) = busy_workers();

    kill(pid_of(&run), Signal::SIGKILL).unwrap();
    assert_eq!(run.finish().code, None);
    pool.wait_until_gone();
}

//! The program `process_pool`, whose workers the tests kill.

mod account;
mod deaths;
mod program;
mod starts;

use std::path::Path;

use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tempfile::tempdir;

use self::account::Account;
use self::account::failures;
use self::account::lines_with;
use self::account::results;
use self::account::without_last_line;
use self::program::Program;
use self::program::busy_workers;
use self::program::pid_of;
use self::program::wait_for_results;
use self::program::wait_for_starts;
use crate::contract::Case;
use crate::contract::Contract;
use crate::contract::Interrupts;
use crate::contract::Progress;
use crate::contract::Started;
use crate::contract::interrupt_again;
use crate::contract::interrupt_once;
use crate::program::Pipe;
use crate::program::command;
use crate::program::dev_full;
use crate::program::eventually;
use crate::program::example;
use crate::program::example_on_terminal;

pub(crate) const CONTRACT: Contract = Contract {
    name: "process_pool",
    directory: || tempdir().unwrap(),
    help: "--workers --items --from --max-attempts --timeout --capacity --pause --crash-on \
           --kill-every --verbose --quiet 130",
    refused: &[
        (&["--workers=0"], "0 is not in 1..="),
        (&["--capacity=0"], "0 is not in 1..="),
        (&["--max-attempts=0"], "invalid value '0'"),
        (&["--timeout=0"], "too short"),
        (&["--timeout=soon"], "invalid float"),
        (&["--kill-every=0"], "invalid value '0'"),
        (&["--items=many"], "invalid value 'many'"),
        (&["13"], "unexpected argument '13'"),
        (
            &["--from=18446744073709551615", "--items=2"],
            "exceeds 64 bits",
        ),
    ],
    success: Case {
        args: &["--items=1000"],
        code: 0,
        stdout: "*1 0\n*",
        stderr: &["process_pool: 1000 items: 1000 done, 0 failed, 0 left; \
             1000 deliveries, 0 retried; * workers started, 0 died"],
    },
    failure: Case {
        args: &["--from=0", "--items=5", "-w1", "-v"],
        code: 1,
        stdout: "1 0\n2 1\n3 7\n4 2\n",
        stderr: &[
            "process_pool: lane 0: process * started",
            "process_pool: 0: never reaches 1",
            "process_pool: 5 items: 4 done, 1 failed, 0 left; \
             5 deliveries, 0 retried; 1 workers started, 0 died",
        ],
    },
    missing_input: None,
    unprinted: &["process_pool: 1000 items: 0 done, 0 failed, 1000 left; *"],
    progress: Progress {
        args: "--items=1 --pause=3600000",
        // The bar moves before any item has ended.
        is_shown: |shown| shown.matches("0/1 items").count() > 1,
    },
    lasting: &[ENDLESS],
    interrupts: Interrupts {
        orderly: || {
            let pool = Program::new();
            let run = pool.invoke().args(LONG).start();
            wait_for_results(&run, 6);
            Started::new(run, pool)
        },
        endless: || {
            let (pool, run) = busy_workers();
            Started::new(run, pool)
        },
        summary: " deliveries, ",
        stdout: "",
    },
};

/// More items than a test waits for, of which each takes little time.
const LONG: [&str; 5] = ["--pause=50", "-n1000000", "-w3", "-c100000", "-v"];

/// An item that takes longer than any test.
const ENDLESS: &str = "--pause=3600000";

#[test]
fn help_states_start_limits_and_hides_worker_option() {
    let help = Program::new().invoke().arg("--help").run().stdout.text();
    for limit in ["5 workers in", "100 were killed"] {
        assert!(help.contains(limit), "{help}");
    }
    assert!(!help.contains("--worker "), "{help}");
}

#[test]
fn items_have_one_result_each() {
    for options in [
        &[][..],
        &["--workers=1", "--capacity=1"],
        &["-w7", "-c2", "-a1"],
    ] {
        let pool = Program::new();
        let output = pool.invoke().args(options).arg("--items=2000").run();

        output.assert_code(0);
        let account = Account::of(&output, 1..2001);
        assert_eq!((account.done, account.died), (2000, 0), "with {options:?}");
        assert_eq!(account.received, 2000);
        assert_eq!(output.stderr.lines().count(), 1, "only the summary");
        pool.assert_gone();
    }
}

#[test]
fn no_items_succeed() {
    let output = Program::new().invoke().arg("--items=0").run();

    output.assert_code(0);
    let account = Account::of(&output, 0..0);
    assert_eq!((account.done, account.started), (0, 0));
}

#[test]
fn largest_items_have_results() {
    // 2^63 halved 63 times is 1.
    let first = 1_u64 << 63;
    let pool = Program::new();
    let output = pool
        .invoke()
        .args(["-n1", &format!("--from={first}")])
        .run();
    output.assert_code(0);
    assert_eq!(output.stdout.text(), format!("{first} 63\n"));

    let last = u64::MAX;
    let output = pool.invoke().args(["-n1", &format!("--from={last}")]).run();
    output.assert_code(0);
    assert_eq!(results(&output.stdout).len(), 1);
}

#[test]
fn item_that_job_fails_is_not_retried() {
    let pool = Program::new();
    let output = pool.invoke().args(["--from=0", "--items=50"]).run();

    output.assert_code(1);
    let account = Account::of(&output, 0..50);
    assert_eq!((account.done, account.failed), (49, 1));
    assert_eq!((account.received, account.died), (50, 0));
    assert_eq!(failures(&output)[&0], "never reaches 1");
}

#[test]
fn interrupt_finishes_items_in_hand_and_counts_rest() {
    let pool = Program::new();
    let items = 1_000_000;
    let run = pool.invoke().args(LONG).start();
    wait_for_results(&run, 6);

    // A terminal sends the signal to the process group of the program.
    kill(Pid::from_raw(-pid_of(&run).as_raw()), Signal::SIGINT).unwrap();
    let output = run.finish();
    pool.assert_gone();

    output.assert_code(130);
    let account = Account::of(&output, 1..items + 1);
    assert_eq!((account.failed, account.died), (0, 0));
    assert_eq!(account.received, account.done, "items in hand are done");
    assert!(account.left > items / 2, "{} left", account.left);
}

#[test]
fn termination_of_all_processes_finishes_items_in_hand() {
    let pool = Program::new();
    let run = pool.invoke().args(LONG).start();
    // A worker ignores the signal before it is ready.
    wait_for_starts(&run, 3);
    let workers = pool.workers();
    run.signal("TERM");
    for worker in workers {
        // It fails if the worker has ended already.
        let _ = kill(worker, Signal::SIGTERM);
    }
    let output = run.finish();
    output.assert_code(143);
    let account = Account::of(&output, 1..1_000_001);
    assert_eq!((account.failed, account.died), (0, 0));
    assert_eq!(account.received, account.done);
    pool.assert_gone();
}

#[test]
fn item_is_not_retried_after_interrupt() {
    let pool = Program::new();
    let options = ["--crash-on=1", "--pause=3000", "-n9", "-w1"];
    let mut run = pool.invoke().args(options).start();
    let worker = eventually("the worker", || pool.workers().pop());
    kill(worker, Signal::SIGSTOP).unwrap();
    interrupt_once(&mut run);
    kill(worker, Signal::SIGCONT).unwrap();
    let output = run.finish();

    output.assert_code(130);
    let account = Account::of(&output, 1..10);
    assert_eq!((account.received, account.retried), (1, 0));
    assert_eq!((account.failed, account.died), (1, 1));
    assert_eq!((account.done, account.left), (0, 8));
    pool.assert_gone();
}

#[test]
fn second_interrupt_ends_workers() {
    let (pool, mut run) = busy_workers();

    interrupt_once(&mut run);
    assert_eq!(pool.workers().len(), 3, "no worker was killed");
    interrupt_again(&run);

    run.finish().assert_code(130);
    pool.wait_until_gone();
}

#[test]
fn full_stdout_ends_program() {
    let pool = Program::new();
    let output = pool
        .invoke()
        .arg("--items=1000000")
        .stdout(dev_full())
        .run();

    output.assert_code(1);
    let error = "cannot write to standard output: No space left on device (os error 28)";
    assert_eq!(lines_with(&output.stderr, error), 1);
    let output = without_last_line(output);
    // Items that were computed but not printed are neither done nor failed.
    let account = Account::of(&output, 1..1_000_001);
    assert_eq!((account.done, account.failed), (0, 0));
    assert!(account.received > 0);
    pool.assert_gone();

    // Failures are reported all the same.
    let crashes = (2..100).map(|item| format!("--crash-on={item}"));
    let options = ["--items=100", "--workers=4", "--max-attempts=1"];
    let output = pool
        .invoke()
        .args(options)
        .args(crashes)
        .stdout(dev_full())
        .run();
    output.assert_code(1);
    assert_eq!(Account::of(&without_last_line(output), 1..101).done, 0);
    pool.assert_gone();
}

#[test]
fn closed_pipe_ends_program() {
    let pool = Program::new();
    let script = r#"{ "$0" "$@"; echo "exit code $?" >&2; } | head -n 1"#;
    let shell = command("sh", Path::new("/")).args(["-c", script]);
    let program = shell.arg(example("process_pool")).arg(&pool.mark);
    let output = program.args(["--items=1000000", "-w1"]).run();

    assert_eq!(output.stdout.text(), "1 0\n");
    assert_eq!(lines_with(&output.stderr, "exit code 141"), 1);
    assert_eq!(output.stderr.lines().count(), 2, "no error message");
    assert_eq!(lines_with(&output.stderr, " done, 0 failed, "), 1);
    pool.assert_gone();
}

#[test]
fn blocked_stdout_does_not_block_second_interrupt() {
    let pool = Program::new();
    let pipe = Pipe::new();
    pipe.fill();
    let options = ["--items=1000000", "-w2", "-v"];
    let mut run = pool.invoke().args(options).stdout(pipe.write).start();
    wait_for_starts(&run, 2);
    interrupt_once(&mut run);
    interrupt_again(&run);

    run.finish().assert_code(130);
    drop(pipe.read);
}

#[test]
fn blocked_stderr_does_not_block_second_interrupt() {
    let pool = Program::new();
    let pipe = Pipe::new();
    pipe.fill();
    // Reporting a start blocks the only thread of the runtime, and so all lanes.
    let run = pool.invoke().env("TOKIO_WORKER_THREADS", "1");
    let run = run.args([ENDLESS, "-w2", "-v"]).stderr(pipe.write);
    let mut run = run.start();
    eventually("a thread to block", || {
        run.is_held_up_by(2).unwrap_or(true).then_some(())
    });

    // Repeated, because two signals count as one if the first is still pending.
    let status = eventually("the end", || {
        run.interrupt();
        run.child.try_wait().unwrap()
    });
    assert_eq!(status.code(), Some(130));
    drop(pipe.read);
}

#[test]
fn progress_is_hidden_next_to_other_output() {
    let pool = Program::new();
    let terminal =
        |options: &str| example_on_terminal("process_pool", &format!("{} {options}", pool.mark));
    let run = terminal(&format!("--items=1 {ENDLESS} >/dev/null")).start();
    eventually("progress", || {
        let shown = run.captured("stdout").text();
        shown.contains("0/1 items").then_some(())
    });
    drop(run);
    pool.wait_until_gone();

    for options in [">/dev/null --quiet", ">/dev/null --verbose", ""] {
        let output = terminal(options).run();
        output.assert_code(0);
        let text = output.stdout.text();
        assert!(!text.contains("/1000 items"), "with {options:?}: {text:?}");
    }
}

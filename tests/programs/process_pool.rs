//! The program `process_pool`, whose workers the tests kill.
//!
//! Three tests stop a worker with SIGSTOP in the middle of an item. Items take seconds there,
//! because the signal must arrive before the answer.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use nix::unistd::Uid;
use tempfile::TempDir;
use tempfile::tempdir;

use crate::contract::Case;
use crate::contract::Contract;
use crate::contract::Interrupts;
use crate::contract::Progress;
use crate::contract::Started;
use crate::contract::interrupt_again;
use crate::contract::interrupt_once;
use crate::contract::limited;
use crate::program::Bytes;
use crate::program::Invocation;
use crate::program::Output;
use crate::program::Pipe;
use crate::program::Run;
use crate::program::command;
use crate::program::dev_full;
use crate::program::eventually;
use crate::program::example;
use crate::program::example_on_terminal;
use crate::program::lines_of;
use crate::program::next;

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
fn workers_end_when_parent_is_killed() {
    let (pool, run) = busy_workers();

    kill(pid_of(&run), Signal::SIGKILL).unwrap();
    assert_eq!(run.finish().code, None);
    pool.wait_until_gone();
}

#[test]
fn deleted_program_cannot_start_workers() {
    let (output, pool) = run_with_changed_program(|program| fs::remove_file(program).unwrap());

    output.assert_code(3);
    let error = "No such file or directory (os error 2)";
    assert_eq!(lines_with(&output.stderr, &format!("worker: {error}")), 1);
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

// The program and its workers.

/// Runs of the program whose workers differ from those of all other tests.
struct Program {
    /// An option that the program passes on to its workers, with an item that no run has.
    mark: String,
}

impl Program {
    fn new() -> Self {
        static PROGRAMS: AtomicU64 = AtomicU64::new(0);
        let number = PROGRAMS.fetch_add(1, Ordering::Relaxed);
        let item = (1 << 62) + (u64::from(process::id()) << 16) + number;
        let mark = format!("--crash-on={item}");
        Self { mark }
    }

    /// The program in a new process group, as a shell starts it.
    fn invoke(&self) -> Invocation {
        self.invoke_at(&example("process_pool"))
    }

    fn invoke_at(&self, program: &Path) -> Invocation {
        let setsid = command("setsid", Path::new("/"));
        setsid.arg(program).arg(&self.mark)
    }

    /// All worker processes. One that is being started may be missing.
    fn workers(&self) -> Vec<Pid> {
        let is_worker = |process: &Path| {
            // Empty for a zombie.
            let line = fs::read(process.join("cmdline")).unwrap_or_default();
            let has = |arg: &str| line.split(|byte| *byte == 0).any(|a| a == arg.as_bytes());
            has("--worker") && has(&self.mark)
        };
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| {
                let process = entry.ok()?.path();
                let pid = process.file_name()?.to_str()?.parse().ok()?;
                is_worker(&process).then_some(Pid::from_raw(pid))
            })
            .collect()
    }

    #[track_caller]
    fn assert_gone(&self) {
        assert_eq!(self.workers(), [], "workers are left");
    }

    /// Waits until all workers have ended, which they do soon after their parent.
    #[track_caller]
    fn wait_until_gone(&self) {
        eventually("the workers to end", || {
            self.workers().is_empty().then_some(())
        });
    }
}

fn pid_of(run: &Run) -> Pid {
    Pid::from_raw(run.child.id().try_into().unwrap())
}

/// A run with three workers at items that take longer than any test.
fn busy_workers() -> (Program, Run) {
    let pool = Program::new();
    let run = pool.invoke().args([ENDLESS, "-w3", "-v"]).start();
    wait_for_starts(&run, 3);
    (pool, run)
}

fn wait_for_results(run: &Run, number: usize) {
    eventually("results", || {
        (run.captured("stdout").text().lines().count() >= number).then_some(())
    });
}

fn wait_for_starts(run: &Run, number: usize) {
    eventually("the workers", || {
        (lines_with(&run.stderr(), " started") == number).then_some(())
    });
}

/// Starts a copy of the program, changes it by `change`, and kills its busy worker.
fn run_with_changed_program(change: impl FnOnce(&Path)) -> (Output, Program) {
    let directory = tempfile::tempdir().unwrap();
    let copy = copy_into(&directory);
    let pool = Program::new();
    let run = pool.invoke_at(&copy).args([ENDLESS, "-w1", "-v"]).start();
    wait_for_starts(&run, 1);
    change(&copy);
    kill(pool.workers()[0], Signal::SIGKILL).unwrap();

    let output = run.finish();
    let account = Account::of(&output, 1..1001);
    // The item had two attempts left.
    assert_eq!((account.received, account.failed), (2, 0));
    assert_eq!((account.retried, account.left), (1, 1000));
    (output, pool)
}

/// A copy of the program, which can be replaced.
fn copy_into(directory: &TempDir) -> PathBuf {
    let copy = directory.path().join("copy");
    // Not copied by this process, for the same reason as in `replace`.
    let cp = command("cp", directory.path()).arg(example("process_pool"));
    cp.arg(&copy).run().assert_code(0);
    copy
}

/// Replaces a program by a script, and renames the program to `former`.
fn replace(program: &Path, script: &str) {
    // Not written by this process: a child that another test starts at the same time would inherit
    // the open file, and a file that is open for writing cannot be executed.
    let replace = r#"printf '#!/bin/sh\n%s\n' "$1" >new && chmod +x new &&
        ln "$0" former && mv new "$0""#;
    let sh = command("sh", program.parent().unwrap()).args(["-c", replace]);
    sh.arg(program).arg(script).run().assert_code(0);
}

/// Kills a worker after every `every` results. Also returns the number of kills.
///
/// The results are read from a pipe that cannot hold all of them, so the program cannot end before
/// most kills, however slow the test is.
fn run_with_kills(items: u64, limit: &str, every: usize) -> (Output, usize) {
    let seed = fastrand::u64(..);
    eprintln!("seed: {seed}");
    let mut random = fastrand::Rng::with_seed(seed);

    let pool = Program::new();
    let pipe = Pipe::new();
    let items = format!("--items={items}");
    let options = ["--workers=4", "--pause=1", "--verbose", &items, limit];
    let run = pool.invoke().args(options).stdout(pipe.write).start();
    let results = lines_of(pipe.read);

    let mut killed = BTreeSet::new();
    let mut stdout = String::new();
    for number in 1.. {
        let Some(line) = next(&results) else {
            break;
        };
        stdout.push_str(&line);
        stdout.push('\n');
        if number % every == 0 {
            killed.extend(kill_one(&pool, &killed, &mut random));
        }
    }
    let mut output = run.finish();
    pool.assert_gone();
    output.stdout = Bytes(stdout.into_bytes());
    eprintln!(
        "{} kills; {:?}",
        killed.len(),
        output.stderr.text().lines().last()
    );
    (output, killed.len())
}

/// Kills a worker that has not been killed before, if there is one. It need not be ready.
fn kill_one(pool: &Program, killed: &BTreeSet<Pid>, random: &mut fastrand::Rng) -> Option<Pid> {
    let mut alive = pool.workers();
    alive.retain(|pid| !killed.contains(pid));
    let pid = random.choice(alive)?;
    kill(pid, Signal::SIGKILL).is_ok().then_some(pid)
}

// The output.

/// The last line of stderr.
struct Account {
    done: u64,
    failed: u64,
    left: u64,
    received: u64,
    retried: u64,
    started: u64,
    died: u64,
}

impl Account {
    /// Checks what holds for every run that ends in order: the summary adds up, each result is
    /// correct, and each item has a result, is reported as failed, or is left.
    #[track_caller]
    fn of(output: &Output, items: Range<u64>) -> Self {
        let text = output.stderr.text();
        let account = text.lines().last().unwrap_or_default();
        let words = account.split(|c: char| !c.is_ascii_digit());
        let numbers: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
        let [count, done, failed, left, received, retried, started, died] = numbers[..] else {
            panic!("no summary in {text:?}");
        };

        let results = results(&output.stdout);
        let failures = failures(output);
        assert_eq!(results.len() as u64, done, "results, of {account}");
        assert_eq!(failures.len() as u64, failed, "failures, of {account}");
        assert_eq!(count, items.end - items.start, "{account}");
        assert_eq!(done + failed + left, count, "{account}");
        for (item, steps) in &results {
            assert!(items.contains(item), "{item} is not an item");
            assert_eq!(*steps, collatz(*item), "the steps of {item}");
            assert!(!failures.contains_key(item), "{item} is done and failed");
        }
        for item in failures.keys() {
            assert!(items.contains(item), "{item} is not an item");
        }
        // Each lost attempt is the death of a worker.
        assert!(died >= retried, "{account}");
        assert!(started >= died, "{account}");
        Self {
            done,
            failed,
            left,
            received,
            retried,
            started,
            died,
        }
    }
}

/// The results by item. Fails if there are two for one.
#[track_caller]
fn results(stdout: &Bytes) -> BTreeMap<u64, u32> {
    let mut results = BTreeMap::new();
    for line in stdout.lines() {
        let line = String::from_utf8_lossy(line);
        let (item, steps) = line.split_once(' ').unwrap();
        let (item, steps) = (item.parse().unwrap(), steps.parse().unwrap());
        let twice = results.insert(item, steps);
        assert_eq!(twice, None, "a second result for {item}");
    }
    results
}

/// The failure of each item. Fails if there are two for one.
#[track_caller]
fn failures(output: &Output) -> BTreeMap<u64, String> {
    let mut failures = BTreeMap::new();
    for line in output.stderr.text().lines() {
        let failure = line.strip_prefix("process_pool: ");
        let Some((item, why)) = failure.and_then(|failure| failure.split_once(": ")) else {
            continue;
        };
        if let Ok(item) = item.parse() {
            let twice = failures.insert(item, why.to_owned());
            assert_eq!(twice, None, "{item} failed twice");
        }
    }
    failures
}

/// The same output without the line behind the summary.
fn without_last_line(mut output: Output) -> Output {
    let text = output.stderr.text();
    let (rest, _) = text.trim_end().rsplit_once('\n').unwrap();
    output.stderr = Bytes(rest.as_bytes().to_vec());
    output
}

/// The number of lines that contain this text.
fn lines_with(stderr: &Bytes, what: &str) -> usize {
    let text = stderr.text();
    text.lines().filter(|line| line.contains(what)).count()
}

fn collatz(item: u64) -> u32 {
    let next = |number: &u128| match number {
        1 => None,
        number if number % 2 == 0 => Some(number / 2),
        number => Some(3 * number + 1),
    };
    let steps = std::iter::successors(Some(u128::from(item)), next);
    steps.skip(1).count().try_into().unwrap()
}

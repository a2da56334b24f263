//! The example `process_pool`, run as its users run it, and its workers killed from outside.
//!
//! A test that needs the program to be in the middle of its work makes each item take longer than
//! [`PATIENCE`](program::PATIENCE), or has more of them than can be done in it. Three that stop
//! a worker in the middle of an item give themselves seconds for that.

#![cfg(all(target_os = "linux", not(loom)))]

mod program;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tempfile::TempDir;

use program::Bytes;
use program::Invocation;
use program::Output;
use program::Pipe;
use program::Run;
use program::command;
use program::eventually;
use program::example;
use program::example_on_terminal;
use program::lines_of;
use program::next;

/// Milliseconds of work that no test waits for.
const ENDLESS: &str = "--pause=3600000";

#[test]
fn every_item_has_its_result_once() {
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
        assert_eq!(output.stderr.lines().count(), 1, "only the account");
        pool.assert_gone();
    }
}

#[test]
fn no_items_are_done_at_once() {
    let output = Program::new().invoke().arg("--items=0").run();

    output.assert_code(0);
    let account = Account::of(&output, 0..0);
    assert_eq!((account.done, account.started), (0, 0));
}

#[test]
fn the_largest_items_have_results() {
    // Halved 63 times, 2^63 is 1.
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
fn an_item_that_the_job_fails_is_not_tried_again() {
    let pool = Program::new();
    let output = pool.invoke().args(["--from=0", "--items=50"]).run();

    output.assert_code(1);
    let account = Account::of(&output, 0..50);
    assert_eq!((account.done, account.failed), (49, 1));
    assert_eq!((account.received, account.died), (50, 0));
    assert_eq!(failures(&output)[&0], "never comes to 1");
}

#[test]
fn an_item_that_always_crashes_its_worker_fails_after_all_attempts_and_the_others_are_done() {
    for attempts in [1, 3, 8] {
        let pool = Program::new();
        let limit = format!("--max-attempts={attempts}");
        let options = ["--crash-on=13", "--items=500", "--verbose", &limit];
        let output = pool.invoke().args(options).run();

        output.assert_code(1);
        let account = Account::of(&output, 1..501);
        assert_eq!((account.done, account.failed), (499, 1));
        assert_eq!((account.retried, account.died), (attempts - 1, attempts));
        let reason = format!("its worker died at attempt {attempts}, the last");
        assert_eq!(failures(&output), BTreeMap::from([(13, reason)]));

        let lost: Vec<u64> = (1..=attempts)
            .filter(|attempt| said(&output.stderr, &format!("attempt {attempt} at 13 lost")) == 1)
            .collect();
        assert_eq!(lost.len() as u64, attempts, "{}", output.stderr.text());
        assert_eq!(said(&output.stderr, " lost") as u64, attempts);
        assert_eq!(said(&output.stderr, "SIGABRT") as u64, attempts);
        pool.assert_gone();
    }
}

#[test]
fn workers_killed_at_random_cost_no_result_and_give_none_twice() {
    let items = 10_000;
    let (output, kills) = massacre(items, "--max-attempts=3", 50);

    let account = Account::of(&output, 1..items + 1);
    assert!(kills >= 100, "only {kills} kills");
    assert!(account.died >= 100, "only {} of {kills} died", account.died);
    assert!(account.retried > 0, "no worker was killed at work");
    output.assert_code((account.failed > 0).into());
}

#[test]
fn workers_killed_at_random_with_one_attempt_each_fail_their_items() {
    let items = 2000;
    let (output, _) = massacre(items, "--max-attempts=1", 20);

    let account = Account::of(&output, 1..items + 1);
    assert!(account.failed > 0, "no worker was killed at work");
    assert_eq!((account.retried, account.received), (0, items));
    output.assert_code(1);
}

#[test]
fn workers_that_the_program_kills_itself_are_no_different() {
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
fn a_worker_that_dies_idle_costs_no_item_an_attempt() {
    let pool = Program::new();
    // Time enough to stop one of the two before it answers.
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
    eventually("word of its death", || {
        let word = format!("process {} died", idle[0]);
        (said(&run.stderr(), &word) == 1).then_some(())
    });
    kill(busy, Signal::SIGCONT).unwrap();

    let output = run.finish();
    output.assert_code(0);
    let account = Account::of(&output, 1..3);
    assert_eq!((account.retried, account.died), (0, 1));
    assert_eq!(account.started, 2, "nothing was left to start another for");
    pool.assert_gone();
}

#[test]
fn ctrl_c_finishes_the_items_in_hand_and_counts_those_that_are_left() {
    let pool = Program::new();
    let items = 1_000_000;
    let options = ["--pause=50", "-n1000000", "-w3", "-c100000", "-v"];
    let run = pool.invoke().args(options).start();
    eventually("some results", || {
        (run.captured("stdout").text().lines().count() > 5).then_some(())
    });

    // As a terminal does: to all in the group of the program, not to the program alone.
    kill(Pid::from_raw(-pid_of(&run).as_raw()), Signal::SIGINT).unwrap();
    let output = run.finish();
    pool.assert_gone();

    output.assert_code(130);
    let account = Account::of(&output, 1..items + 1);
    assert_eq!((account.failed, account.died), (0, 0));
    assert_eq!(account.received, account.done, "what was in hand was done");
    assert!(account.left > items / 2, "{} left", account.left);
}

#[test]
fn an_item_is_tried_again_after_ctrl_c_too() {
    let pool = Program::new();
    let options = ["--crash-on=1", "--pause=1000", "-n9", "-w1"];
    let run = pool.invoke().args(options).start();
    let worker = eventually("the worker", || pool.workers().pop());
    kill(worker, Signal::SIGSTOP).unwrap();
    run.interrupt();
    wait_for_word_of_ctrl_c(&run);
    kill(worker, Signal::SIGCONT).unwrap();
    let output = run.finish();

    output.assert_code(130);
    let account = Account::of(&output, 1..10);
    assert_eq!((account.received, account.failed), (3, 1));
    assert_eq!((account.done, account.left), (0, 8));
    pool.assert_gone();
}

#[test]
fn a_second_ctrl_c_quits_at_once_and_the_workers_go() {
    let pool = Program::new();
    let mut run = pool.invoke().args([ENDLESS, "-w3", "-v"]).start();
    wait_for_starts(&run, 3);

    run.interrupt();
    wait_for_word_of_ctrl_c(&run);
    assert_eq!(run.child.try_wait().unwrap(), None, "it is not over yet");
    assert_eq!(pool.workers().len(), 3, "and no worker was killed");
    run.interrupt();

    let output = run.finish();
    output.assert_code(130);
    assert_eq!(output.stdout.text(), "");
    assert_eq!(said(&output.stderr, "Ctrl-C again"), 1);
    // They go when their parent does, a little later.
    eventually("the workers to go", || {
        pool.workers().is_empty().then_some(())
    });
}

#[test]
fn workers_do_not_outlive_a_parent_that_is_killed() {
    let pool = Program::new();
    let run = pool.invoke().args([ENDLESS, "-w3", "-v"]).start();
    wait_for_starts(&run, 3);

    kill(pid_of(&run), Signal::SIGKILL).unwrap();
    assert_eq!(run.finish().code, None);
    eventually("the workers to go", || {
        pool.workers().is_empty().then_some(())
    });
}

#[test]
fn a_program_that_is_gone_cannot_be_started_again() {
    let (output, pool) = after_its_program(|program| fs::remove_file(program).unwrap());

    output.assert_code(3);
    let error = "No such file or directory (os error 2)";
    assert_eq!(said(&output.stderr, &format!("worker: {error}")), 1);
    pool.assert_gone();
}

#[test]
fn a_worker_that_never_comes_up_is_not_started_for_ever() {
    for (script, error) in [
        (
            "exit 7",
            "5 in a row ended before they were ready: exit status: 7",
        ),
        (
            "kill -s KILL $$",
            "100 in a row were killed before they were ready: signal: 9 (SIGKILL)",
        ),
    ] {
        let (output, pool) = after_its_program(|program| replace(program, script));

        output.assert_code(3);
        assert_eq!(said(&output.stderr, &format!("worker: {error}")), 1);
        pool.assert_gone();
    }
}

#[test]
fn a_worker_that_ends_before_it_is_ready_is_started_again() {
    let directory = tempfile::tempdir().unwrap();
    let copy = copy_into(&directory);
    let pool = Program::new();
    // Time enough to stop the worker before it answers.
    let options = ["--items=1", "--crash-on=1", "--pause=1000", "-w1", "-v"];
    let run = pool.invoke_at(&copy).args(options).start();
    wait_for_starts(&run, 1);
    let worker = pool.workers()[0];
    kill(worker, Signal::SIGSTOP).unwrap();
    // Killed 20 times, and ended 4 times, for each time that it comes up.
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
        said(
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
fn output_that_cannot_be_written_ends_it() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let pool = Program::new();
    let output = pool.invoke().arg("--items=1000000").stdout(full).run();

    output.assert_code(3);
    let error = "cannot print: No space left on device (os error 28)";
    assert_eq!(said(&output.stderr, error), 1);
    // What was computed and not printed is neither done nor failed.
    let account = Account::of(&output, 1..1_000_001);
    assert_eq!((account.done, account.failed), (0, 0));
    assert!(account.received > 0);
    pool.assert_gone();

    // What fails meanwhile is told nevertheless.
    let full = File::options().write(true).open("/dev/full").unwrap();
    let crashes = (2..100).map(|item| format!("--crash-on={item}"));
    let options = ["--items=100", "--workers=4", "--max-attempts=1"];
    let output = pool.invoke().args(options).args(crashes).stdout(full).run();
    output.assert_code(3);
    assert_eq!(Account::of(&output, 1..101).done, 0);
    pool.assert_gone();
}

#[test]
fn a_reader_that_leaves_early_ends_it() {
    let pool = Program::new();
    let script = r#"{ "$0" "$@"; echo "exit code $?" >&2; } | head -n 1"#;
    let shell = command("sh", Path::new("/")).args(["-c", script]);
    let program = shell.arg(example("process_pool")).arg(&pool.mark);
    let output = program.args(["--items=1000000", "-w1"]).run();

    assert_eq!(output.stdout.text(), "1 0\n");
    assert_eq!(said(&output.stderr, "exit code 3"), 1);
    assert_eq!(said(&output.stderr, " done, 0 failed, "), 1);
    pool.assert_gone();
}

#[test]
fn a_reader_that_does_not_read_holds_it_up_but_not_against_ctrl_c() {
    let pool = Program::new();
    let pipe = Pipe::new();
    pipe.fill();
    let options = ["--items=1000000", "-w2", "-v"];
    let mut run = pool.invoke().args(options).stdout(pipe.write).start();
    wait_for_starts(&run, 2);
    run.interrupt();
    wait_for_word_of_ctrl_c(&run);
    assert_eq!(run.child.try_wait().unwrap(), None, "it is not over yet");
    run.interrupt();

    run.finish().assert_code(130);
    drop(pipe.read);
}

#[test]
fn a_reader_of_stderr_that_does_not_read_does_not_keep_a_second_ctrl_c_away() {
    let pool = Program::new();
    let pipe = Pipe::new();
    pipe.fill();
    // A start is to be told: that holds up all lanes, as one by one would many threads.
    let run = pool.invoke().env("TOKIO_WORKER_THREADS", "1");
    let run = run.args([ENDLESS, "-w2", "-v"]).stderr(pipe.write);
    let mut run = run.start();
    eventually("a lane to be held up", || {
        run.is_held_up_by_stderr().then_some(())
    });

    // Not twice alone: one may be sent before another has been noticed, and be the same then.
    let status = eventually("the end", || {
        run.interrupt();
        run.child.try_wait().unwrap()
    });
    assert_eq!(status.code(), Some(130));
    drop(pipe.read);
}

#[test]
fn stderr_that_cannot_be_written_does_not_panic() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = Program::new()
        .invoke()
        .args(["--from=0", "-n5", "-v"])
        .stderr(full)
        .run();

    output.assert_code(1);
    assert_eq!(results(&output.stdout).len(), 4);
}

#[test]
fn a_message_is_written_in_one_piece() {
    let pieces = Program::new()
        .invoke()
        .args(["--from=0", "-n1", "-w1"])
        .pieces_of_stderr();
    assert_eq!(pieces.len(), 2, "{pieces:?}");
    assert_eq!(pieces[0], "process_pool: 0: never comes to 1\n");
    assert!(
        pieces[1].ends_with(" 1 workers started, 0 died\n"),
        "{pieces:?}"
    );
}

#[test]
fn help_tells_the_arguments_and_the_exit_status() {
    let output = command(example("process_pool"), Path::new("/"))
        .arg("--help")
        .run();

    output.assert_code(0);
    let help = output.stdout.text();
    for part in [
        "--workers",
        "--items",
        "--from",
        "--max-attempts",
        "--capacity",
        "--pause",
        "--crash-on",
        "--kill-every",
        "--verbose",
        "--quiet",
        "Exit status:",
        "5 in a row ended",
        "100 were killed",
        "130",
    ] {
        assert!(help.contains(part), "no {part} in:\n{help}");
    }
    assert!(!help.contains("--worker "), "that is not for users");
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let past_the_end = ["--from=18446744073709551615", "--items=2"];
    for (options, complaint) in [
        (&["--workers=0"][..], "0 is not in 1..="),
        (&["--capacity=0"], "0 is not in 1..="),
        (&["--max-attempts=0"], "invalid value '0'"),
        (&["--kill-every=0"], "invalid value '0'"),
        (&["--items=many"], "invalid value 'many'"),
        (&["13"], "unexpected argument '13'"),
        (&past_the_end, "past 64 bits"),
    ] {
        let output = Program::new().invoke().args(options).run();
        output.assert_code(2);
        assert_eq!(output.stdout.text(), "");
        let text = output.stderr.text();
        assert!(text.contains(complaint), "no {complaint:?} in {text}");
    }
}

#[test]
fn a_terminal_shows_progress_unless_the_results_go_there_too() {
    let pool = Program::new();
    let terminal =
        |options: &str| example_on_terminal("process_pool", &format!("{} {options}", pool.mark));
    // Also before any item has ended.
    let run = terminal(&format!("--items=1 {ENDLESS} >/dev/null")).start();
    eventually("a bar that moves", || {
        let shown = run.captured("stdout").text();
        (shown.matches("0/1 items").count() > 1).then_some(())
    });
    drop(run);
    eventually("its worker to go", || {
        pool.workers().is_empty().then_some(())
    });

    for options in [">/dev/null --quiet", ">/dev/null --verbose", ""] {
        let output = terminal(options).run();
        output.assert_code(0);
        let text = output.stdout.text();
        assert!(!text.contains("/1000 items"), "with {options:?}: {text:?}");
    }
}

// The program and its workers.

/// Runs of the program whose workers can be told from those of all other tests.
struct Program {
    /// An option that the program passes on to its workers, and that no item comes up to.
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

    /// The program, in a group of its own as a shell would start it.
    fn invoke(&self) -> Invocation {
        self.invoke_at(&example("process_pool"))
    }

    fn invoke_at(&self, program: &Path) -> Invocation {
        let setsid = command("setsid", Path::new("/"));
        setsid.arg(program).arg(&self.mark)
    }

    /// All worker processes there are. One that is being started may not be there yet.
    fn workers(&self) -> Vec<Pid> {
        let is_worker = |process: &Path| {
            // Empty for a process that has ended and not been waited for.
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
        assert_eq!(self.workers(), [], "left behind");
    }
}

fn pid_of(run: &Run) -> Pid {
    Pid::from_raw(run.child.id().try_into().unwrap())
}

fn wait_for_starts(run: &Run, number: usize) {
    eventually("the workers", || {
        (said(&run.stderr(), " started") == number).then_some(())
    });
}

fn wait_for_word_of_ctrl_c(run: &Run) {
    eventually("word of the first Ctrl-C", || {
        (said(&run.stderr(), "Ctrl-C again") == 1).then_some(())
    });
}

/// Starts a copy of the program, does something to it, and kills its worker, which is at an item.
fn after_its_program(change: impl FnOnce(&Path)) -> (Output, Program) {
    let directory = tempfile::tempdir().unwrap();
    let copy = copy_into(&directory);
    let pool = Program::new();
    let run = pool.invoke_at(&copy).args([ENDLESS, "-w1", "-v"]).start();
    wait_for_starts(&run, 1);
    change(&copy);
    kill(pool.workers()[0], Signal::SIGKILL).unwrap();

    let output = run.finish();
    let account = Account::of(&output, 1..1001);
    // The item might have been tried twice more.
    assert_eq!((account.received, account.failed), (2, 0));
    assert_eq!((account.retried, account.left), (1, 1000));
    (output, pool)
}

/// A copy of the program, which can be replaced.
fn copy_into(directory: &TempDir) -> PathBuf {
    let copy = directory.path().join("copy");
    // Not copied from here: see where a script is written.
    let cp = command("cp", directory.path()).arg(example("process_pool"));
    cp.arg(&copy).run().assert_code(0);
    copy
}

/// Puts a script in the place of a program, which is `former` from then on.
fn replace(program: &Path, script: &str) {
    // Not written from here: a process that another test starts meanwhile would have it open, and
    // what is open for writing cannot be run.
    let replace = r#"printf '#!/bin/sh\n%s\n' "$1" >new && chmod +x new &&
        ln "$0" former && mv new "$0""#;
    let sh = command("sh", program.parent().unwrap()).args(["-c", replace]);
    sh.arg(program).arg(script).run().assert_code(0);
}

/// Kills a worker for every so many results, from outside. Also returns how many.
///
/// The results are read from a pipe that cannot hold them all, so the program is not done before
/// most of the workers have been killed, however slow this is.
fn massacre(items: u64, limit: &str, every: usize) -> (Output, usize) {
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

/// Kills one of the workers, ready or not, if there is one that has not been killed before.
fn kill_one(pool: &Program, killed: &BTreeSet<Pid>, random: &mut fastrand::Rng) -> Option<Pid> {
    let mut alive = pool.workers();
    alive.retain(|pid| !killed.contains(pid));
    let pid = random.choice(alive)?;
    kill(pid, Signal::SIGKILL).is_ok().then_some(pid)
}

// What it says.

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
    /// Checks all that holds of any run that was not cut short: it adds up, each result is right,
    /// and every item has one, or is told to have failed, or is left.
    #[track_caller]
    fn of(output: &Output, items: Range<u64>) -> Self {
        let text = output.stderr.text();
        let account = text.lines().last().unwrap_or_default();
        let words = account.split(|c: char| !c.is_ascii_digit());
        let numbers: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
        let [count, done, failed, left, received, retried, started, died] = numbers[..] else {
            panic!("no account in {text:?}");
        };

        let results = results(&output.stdout);
        let failures = failures(output);
        assert_eq!(results.len() as u64, done, "results, of {account}");
        assert_eq!(failures.len() as u64, failed, "failures, of {account}");
        assert_eq!(count, items.end - items.start, "{account}");
        assert_eq!(done + failed + left, count, "{account}");
        for (item, steps) in &results {
            assert!(items.contains(item), "{item} was not asked for");
            assert_eq!(*steps, collatz(*item), "the steps of {item}");
            assert!(!failures.contains_key(item), "{item} is done and failed");
        }
        for item in failures.keys() {
            assert!(items.contains(item), "{item} was not asked for");
        }
        // Each attempt that was lost took a worker with it.
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

/// Why items failed. Fails if one does twice.
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

/// In how many lines.
fn said(stderr: &Bytes, what: &str) -> usize {
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

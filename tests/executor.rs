//! The example `executor`: its type by itself, and the program around it, run as its users run it.
//!
//! Nothing here is timed. Jobs that must not end before something else has happened wait for it.

#![cfg(all(target_os = "linux", not(loom)))]

#[path = "../examples/executor/job.rs"]
mod job;
#[path = "../examples/executor/pool.rs"]
mod pool;
mod program;

use std::cell::RefCell;
use std::fs::File;
use std::num::NonZeroUsize;
use std::panic;
use std::path::Path;
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use job::JobError;
use pool::Executor;
use program::Invocation;
use program::Output;
use program::PATIENCE;
use program::command;
use program::eventually;
use program::example;
use program::example_on_terminal;

// The type.

#[test]
fn the_executor_is_short_without_sentinels_polling_or_timeouts() {
    let pool = include_str!("../examples/executor/pool.rs");
    let job = include_str!("../examples/executor/job.rs");
    assert!(pool.lines().count() < 150);
    let is_code = |line: &&str| {
        let line = line.trim_start();
        !(line.is_empty() || line.starts_with("//"))
    };
    let code = pool.lines().chain(job.lines()).filter(is_code).count();
    assert!(code < 150, "{code} lines of code in all that it is made of");
    for word in ["sleep", "timeout", "try_recv", "yield", "park"] {
        assert!(!pool.contains(word) && !job.contains(word), "{word}");
    }
}

#[test]
fn a_handle_gives_the_result_of_its_job() {
    in_time(|| {
        let executor = executor(2, 8);
        let sum = executor.submit(|| 40 + 2).unwrap();
        let name = executor.submit(|| thread::current().name().map(str::to_owned));
        assert_eq!(sum.result(), Ok(42));
        let name = name.unwrap().result().unwrap().unwrap();
        assert!(name.starts_with("worker-"), "it ran on {name}");
    });
}

#[test]
fn all_threads_work_at_once() {
    in_time(|| {
        let executor = executor(4, 1);
        let together = Arc::new(Barrier::new(4));
        let results = executor.map(0..4, move |_| together.wait().is_leader());
        assert_eq!(results.filter(|leader| *leader == Ok(true)).count(), 1);
    });
}

#[test]
fn map_gives_results_in_the_order_of_the_items() {
    in_time(|| {
        let executor = executor(2, 1);
        let (second_is_done, wait) = mpsc::channel();
        let (wait, second_is_done) = (Mutex::new(wait), Mutex::new(second_is_done));
        let results = executor.map(1..=5, move |item| {
            match item {
                1 => wait.lock().unwrap().recv().unwrap(),
                2 => second_is_done.lock().unwrap().send(()).unwrap(),
                _ => {}
            }
            item * item
        });
        let squares: Result<Vec<_>, _> = results.collect();
        assert_eq!(squares, Ok(vec![1, 4, 9, 16, 25]));
    });
}

#[test]
fn map_takes_an_endless_iterator() {
    in_time(|| {
        let executor = executor(2, 3);
        let doubled: Result<Vec<_>, _> = executor.map(1.., |item| item * 2).take(4).collect();
        assert_eq!(doubled, Ok(vec![2, 4, 6, 8]));
        executor.shutdown(true, false);
        assert!(executor.report().sent <= 2 + 3 + 4);
    });
}

#[test]
fn a_panic_reaches_the_handle_and_the_thread_goes_on() {
    in_time(|| {
        let executor = executor(1, 8);
        let id = executor.submit(|| thread::current().id()).unwrap();
        let text = executor.submit(|| panic!("at the disco")).unwrap();
        let formatted = executor.submit(|| panic!("number {}", 5)).unwrap();
        let odd = executor.submit(|| panic::panic_any(5)).unwrap();
        let same_id = executor.submit(|| thread::current().id()).unwrap();

        let panicked = |message: &str| Err::<(), _>(JobError::Panicked(message.to_owned()));
        assert_eq!(text.result(), panicked("at the disco"));
        assert_eq!(formatted.result(), panicked("number 5"));
        assert_eq!(odd.result(), panicked("with no message"));
        assert_eq!(id.result(), same_id.result());

        executor.shutdown(true, false);
        assert_eq!((executor.report().done, executor.report().failed), (2, 3));
    });
}

#[test]
fn a_result_that_nobody_wants_and_that_panics_when_dropped_does_not_kill_the_thread() {
    struct Grenade;
    impl Drop for Grenade {
        fn drop(&mut self) {
            panic!("bang");
        }
    }
    in_time(|| {
        let executor = executor(1, 8);
        let gate = Gate::default();
        drop(executor.submit(gate.job(|| Grenade)).unwrap());
        let next = executor.submit(|| "alive").unwrap();
        gate.open();
        assert_eq!(next.result(), Ok("alive"));
    });
}

#[test]
fn cancel_pending_hands_back_what_has_not_begun_and_leaves_the_rest() {
    in_time(|| {
        let executor = executor(1, 8);
        let gate = Gate::default();
        let begun = executor.submit(gate.job(|| "begun")).unwrap();
        gate.wait_for_a_job();
        let pending: Vec<_> = (0..5)
            .map(|_| executor.submit(|| "pending").unwrap())
            .collect();

        assert_eq!(executor.shutdown(false, true), 5);
        for handle in pending {
            assert_eq!(handle.result(), Err(JobError::Cancelled));
        }
        gate.open();
        assert_eq!(begun.result(), Ok("begun"));

        executor.shutdown(true, false);
        let report = executor.report();
        assert_eq!((report.sent, report.done, report.discarded), (6, 1, 5));
    });
}

#[test]
fn shutdown_without_cancelling_runs_all_that_was_submitted() {
    in_time(|| {
        let executor = executor(1, 8);
        let gate = Gate::default();
        let mut handles = vec![executor.submit(gate.job(|| 0)).unwrap()];
        handles.extend((1..5).map(|number| executor.submit(move || number).unwrap()));

        assert_eq!(executor.shutdown(false, false), 0);
        gate.open();
        executor.shutdown(true, false);
        assert_eq!(executor.report().done, 5, "it waited for all");
        let results: Result<Vec<_>, _> =
            handles.into_iter().map(|handle| handle.result()).collect();
        assert_eq!(results, Ok(vec![0, 1, 2, 3, 4]));
    });
}

#[test]
fn all_who_shut_it_down_wait() {
    in_time(|| {
        let executor = executor(1, 1);
        let gate = Gate::default();
        executor.submit(gate.job(|| ())).unwrap();
        let together = Barrier::new(3);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    together.wait();
                    executor.shutdown(true, false);
                    assert_eq!(executor.report().done, 1);
                });
            }
            together.wait();
            // Time for one that does not wait to be found out.
            (0..1000).for_each(|_| thread::yield_now());
            gate.open();
        });
    });
}

#[test]
fn submit_after_the_shutdown_is_an_error() {
    in_time(|| {
        let executor = executor(1, 1);
        executor.shutdown(false, false);
        let error = executor.submit(|| ()).unwrap_err();
        assert_eq!(error, JobError::Cancelled);
        assert_eq!(
            error.to_string(),
            "the executor was shut down before it began"
        );
        assert_eq!(executor.map(0..3, |item| item).count(), 0);
    });
}

#[test]
fn dropped_it_waits_for_all_that_was_submitted_as_with_does() {
    in_time(|| {
        let executor = executor(1, 8);
        let gate = Gate::default();
        let (sender, ran) = mpsc::channel();
        executor.submit(gate.job(|| ())).unwrap();
        for number in 0..5 {
            let sender = sender.clone();
            executor.submit(move || sender.send(number)).unwrap();
        }
        gate.open();
        drop(executor);
        assert_eq!(ran.try_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    });
}

#[test]
fn dropped_after_a_shutdown_that_did_not_wait_it_does_not_wait_either() {
    in_time(|| {
        let gate = Gate::default();
        let executor = executor(1, 1);
        let handle = executor.submit(gate.job(|| "all the same")).unwrap();
        executor.shutdown(false, false);
        drop(executor);
        gate.open();
        assert_eq!(handle.result(), Ok("all the same"));
    });
}

#[test]
fn a_job_that_shuts_its_executor_down_or_drops_it_does_not_wait_for_itself() {
    in_time(|| {
        let executor = Arc::new(executor(1, 1));
        let own = Arc::clone(&executor);
        let handle = executor.submit(move || own.shutdown(true, true)).unwrap();
        assert_eq!(handle.result(), Ok(0));
    });
    in_time(|| {
        let executor = Arc::new(executor(1, 1));
        let (own, gate) = (Arc::clone(&executor), Gate::default());
        let handle = executor.submit(gate.job(move || drop(own))).unwrap();
        drop(executor);
        gate.open();
        assert_eq!(handle.result(), Ok(()));
    });
}

#[test]
fn its_threads_have_ended_when_it_is_dropped() {
    struct Farewell(mpsc::Sender<()>);
    impl Drop for Farewell {
        fn drop(&mut self) {
            // A long goodbye, for which somebody must wait.
            thread::sleep(Duration::from_millis(100));
            let _ = self.0.send(());
        }
    }
    thread_local! {
        static FAREWELL: RefCell<Option<Farewell>> = const { RefCell::new(None) };
    }
    in_time(|| {
        let executor = executor(3, 1);
        let (sender, farewells) = mpsc::channel();
        let together = Barrier::new(3);
        let results = executor.map(0..3, move |_| {
            FAREWELL.set(Some(Farewell(sender.clone())));
            together.wait();
        });
        assert_eq!(results.filter(Result::is_ok).count(), 3);
        assert_eq!(farewells.try_iter().count(), 0, "they still live");
        drop(executor);
        assert_eq!(farewells.try_iter().count(), 3);
    });
}

// The program.

#[test]
fn all_primes_are_counted_however_the_work_is_divided() {
    for (below, primes) in [("0", 0), ("2", 0), ("3", 1), ("10000", 1229)] {
        for options in [
            &[][..],
            &["-w1", "-j1"],
            &["-w8", "-j7", "-c1"],
            &["-j3000"],
        ] {
            let output = program(options).arg(below).run();
            output.assert_code(0);
            let expected = format!("{primes} primes below {below}\n");
            assert_eq!(output.stdout.text(), expected, "with {options:?}");
            assert_eq!(output.stderr.text(), "");
        }
    }
}

#[test]
fn a_job_that_panics_fails_and_the_others_are_run() {
    let output = program(&["--jobs=10", "--panic-at=4", "--workers=1", "10000"]).run();
    output.assert_code(1);

    // 168 primes below 1000, and so on: those from 3000 to 4000 are missing.
    assert_eq!(
        output.stdout.text(),
        format!("at least {} primes below 10000\n", 1229 - (550 - 430))
    );
    let stderr = output.stderr.text();
    let line = "executor: job 4 of 10 panicked: told to by --panic-at\n";
    assert!(stderr.contains(line), "{stderr}");
    assert_eq!(counts(&output), [9, 1, 0, 0]);
}

#[test]
fn cancelling_after_some_results_accounts_for_every_job() {
    for after in [0, 1, 3] {
        let option = format!("--cancel-after={after}");
        let output = program(&["-j100", "-w2", "-c4", &option, "10000"]).run();
        output.assert_code(3);

        assert!(output.stdout.text().starts_with("at least "));
        let [done, panicked, cancelled, not_submitted] = counts(&output);
        assert!(done >= after);
        assert_eq!(panicked, 0);
        assert_eq!(done + cancelled + not_submitted, 100);
        // It is ahead by what fits into the queue and the hands.
        assert!(not_submitted >= 100 - (after + 2 + 4));
    }
}

#[test]
fn cancelling_cancels_what_is_queued() {
    // Unless the machine is so busy elsewhere that all jobs are run before the first result is
    // seen.
    eventually("a run that cancels jobs", || {
        let output = program(&["-j10", "-w1", "-c9", "--cancel-after=1", "100000"]).run();
        let [done, _, cancelled, _] = match output.code {
            Some(0) => return None,
            _ => counts(&output),
        };
        assert_eq!(done + cancelled, 10);
        (cancelled > 0).then_some(())
    });
}

#[test]
fn cancelling_after_the_last_result_is_no_failure() {
    for after in ["--cancel-after=10", "--cancel-after=11"] {
        let output = program(&["--jobs=10", after, "100"]).run();
        output.assert_code(0);
        assert_eq!(output.stdout.text(), "25 primes below 100\n");
    }
}

#[test]
fn help_tells_the_arguments_and_the_exit_status() {
    let output = program(&["--help"]).run();
    output.assert_code(0);
    let help = output.stdout.text();
    for part in [
        "[N]",
        "--workers",
        "--jobs",
        "--cancel-after",
        "--panic-at",
        "Exit status:",
    ] {
        assert!(help.contains(part), "no {part} in:\n{help}");
    }
}

#[test]
fn wrong_arguments_are_refused() {
    let refused = |args: &[&str], message: &str| {
        let output = program(args).run();
        output.assert_code(2);
        let stderr = output.stderr.text();
        assert!(stderr.contains(message), "{stderr}");
    };
    refused(&["--workers=0"], "0 is not in 1..=");
    refused(&["--jobs=0"], "0 is not in 1..=");
    refused(&["--capacity=0"], "0 is not in 1..=");
    refused(&["--panic-at=0"], "0 is not in 1..");
    refused(&["many"], "invalid digit");
    refused(
        &["--jobs=10", "--panic-at=11"],
        "no job to panic beyond the last, 10",
    );
}

#[test]
fn output_that_cannot_be_written_fails() {
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let output = program(&["100"]).stdout(full()).run();
    output.assert_code(1);
    assert_eq!(
        output.stderr.text(),
        "executor: No space left on device (os error 28)\n"
    );
    program(&["--cancel-after=0", "100"])
        .stderr(full())
        .run()
        .assert_code(3);
}

#[test]
fn a_message_is_written_in_one_piece() {
    let pieces = program(&["--cancel-after=0", "-w1", "-c1"]).pieces_of_stderr();
    assert_eq!(pieces.len(), 1, "{pieces:?}");
    assert!(pieces[0].ends_with(" not submitted\n"), "{pieces:?}");
}

#[test]
fn a_terminal_shows_progress_unless_quiet() {
    let terminal =
        |options: &str| example_on_terminal("executor", &format!("{options} >/dev/null"));
    // Also before any job has ended.
    let run = terminal("1000000000000000 --jobs=1").start();
    eventually("a bar that moves", || {
        let shown = run.captured("stdout").text();
        (shown.matches("0/1 jobs").count() > 1).then_some(())
    });
    let output = terminal("--quiet 100").run();
    output.assert_code(0);
    assert_eq!(output.stdout.text(), "");
}

// Helpers.

fn executor(workers: usize, capacity: usize) -> Executor {
    let number = |number| NonZeroUsize::new(number).unwrap();
    Executor::new(number(workers), number(capacity)).unwrap()
}

/// Runs a test on a thread of its own, so that one that hangs fails.
#[track_caller]
fn in_time(test: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    thread::spawn(move || done.send(panic::catch_unwind(panic::AssertUnwindSafe(test))));
    match wait.recv_timeout(PATIENCE) {
        Ok(result) => result.unwrap_or_else(|payload| panic::resume_unwind(payload)),
        Err(_) => panic!("it hangs"),
    }
}

/// Holds jobs back until it is opened.
#[derive(Default)]
struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Default)]
struct GateState {
    begun: bool,
    open: bool,
}

impl Gate {
    /// A job that waits at the gate before it calls `then`.
    fn job<R, F: FnOnce() -> R>(&self, then: F) -> impl FnOnce() -> R + use<R, F> {
        let gate = Arc::clone(&self.0);
        move || {
            let (state, changed) = &*gate;
            let mut state = state.lock().unwrap();
            state.begun = true;
            changed.notify_all();
            drop(changed.wait_while(state, |state| !state.open).unwrap());
            then()
        }
    }

    fn wait_for_a_job(&self) {
        let (state, changed) = &*self.0;
        let state = state.lock().unwrap();
        drop(changed.wait_while(state, |state| !state.begun).unwrap());
    }

    fn open(&self) {
        let (state, changed) = &*self.0;
        state.lock().unwrap().open = true;
        changed.notify_all();
    }
}

fn program(args: &[&str]) -> Invocation {
    command(example("executor"), Path::new("/")).args(args)
}

/// How many jobs are done, panicked, cancelled and not submitted: the last line says so.
fn counts(output: &Output) -> [u64; 4] {
    let text = output.stderr.text();
    let last = text.lines().last().unwrap_or_default();
    let numbers = last.split(|c: char| !c.is_ascii_digit());
    let numbers: Vec<u64> = numbers.filter_map(|number| number.parse().ok()).collect();
    let [done, panicked, cancelled, not_submitted] = numbers[..] else {
        panic!("no counts in {text:?}");
    };
    assert_eq!(
        last,
        format!(
            "executor: {done} jobs done, {panicked} panicked, {cancelled} cancelled, \
             {not_submitted} not submitted"
        )
    );
    [done, panicked, cancelled, not_submitted]
}

//! The type `Executor`, and the program `executor` that uses it.

#[path = "../../examples/executor/job.rs"]
mod job;
#[path = "../../examples/executor/pool.rs"]
mod pool;

use std::cell::RefCell;
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

use tempfile::tempdir;

use self::job::JobError;
use self::pool::Executor;
use crate::contract::Case;
use crate::contract::Contract;
use crate::contract::Interrupts;
use crate::contract::Progress;
use crate::contract::Started;
use crate::program::Invocation;
use crate::program::Output;
use crate::program::PATIENCE;
use crate::program::Run;
use crate::program::command;
use crate::program::eventually;
use crate::program::example;

pub(crate) const CONTRACT: Contract = Contract {
    name: "executor",
    directory: || tempdir().unwrap(),
    help: "[N] --workers --jobs --capacity --cancel-after --panic-at --quiet 130",
    refused: &[
        (&["--workers=0"], "0 is not in 1..="),
        (&["--jobs=0"], "0 is not in 1..="),
        (&["--capacity=0"], "0 is not in 1..="),
        (&["--panic-at=0"], "0 is not in 1.."),
        (&["many"], "invalid digit"),
        (
            &["--jobs=10", "--panic-at=11"],
            "--panic-at is larger than --jobs, which is 10",
        ),
    ],
    success: Case {
        args: &["100"],
        code: 0,
        stdout: "25 primes below 100\n",
        stderr: &[],
    },
    failure: Case {
        args: &["--cancel-after=0", "-w1", "-c1"],
        code: 3,
        stdout: "at least * primes below 1000000\n",
        stderr: &["executor: * jobs done, 0 panicked, * cancelled, * not submitted"],
    },
    missing_input: None,
    unprinted: &[],
    progress: Progress {
        args: "1000000000000000 --jobs=1",
        // The bar moves before any job has ended.
        is_shown: |shown| shown.matches("0/1 jobs").count() > 1,
    },
    lasting: LONG_JOB,
    interrupts: Interrupts {
        orderly: || {
            let args = ["100000000000", "--jobs=1000000", "--workers=1"];
            Started::new(working_run(&args), ())
        },
        endless: || Started::new(working_run(LONG_JOB), ()),
        summary: " jobs done, ",
        stdout: "",
    },
};

// The type.

#[test]
fn handle_returns_result_of_job() {
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
fn all_threads_run_at_once() {
    in_time(|| {
        let executor = executor(4, 1);
        let together = Arc::new(Barrier::new(4));
        let results = executor.map(0..4, move |_| together.wait().is_leader());
        assert_eq!(results.filter(|leader| *leader == Ok(true)).count(), 1);
    });
}

#[test]
fn map_returns_results_in_item_order() {
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
fn map_accepts_endless_iterator() {
    in_time(|| {
        let executor = executor(2, 3);
        let doubled: Result<Vec<_>, _> = executor.map(1.., |item| item * 2).take(4).collect();
        assert_eq!(doubled, Ok(vec![2, 4, 6, 8]));
        executor.shutdown(true, false);
        assert!(executor.report().sent <= 2 + 3 + 4);
    });
}

#[test]
fn panic_reaches_handle_and_thread_continues() {
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
        assert_eq!(odd.result(), panicked("no message"));
        assert_eq!(id.result(), same_id.result());

        executor.shutdown(true, false);
        assert_eq!((executor.report().done, executor.report().failed), (2, 3));
    });
}

#[test]
fn dropped_result_that_panics_leaves_thread_alive() {
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
fn cancel_pending_cancels_only_queued_jobs() {
    in_time(|| {
        let executor = executor(1, 8);
        let gate = Gate::default();
        let running = executor.submit(gate.job(|| "running")).unwrap();
        gate.wait_for_a_job();
        let pending: Vec<_> = (0..5)
            .map(|_| executor.submit(|| "pending").unwrap())
            .collect();

        assert_eq!(executor.shutdown(false, true), 5);
        for handle in pending {
            assert_eq!(handle.result(), Err(JobError::Cancelled));
        }
        gate.open();
        assert_eq!(running.result(), Ok("running"));

        executor.shutdown(true, false);
        let report = executor.report();
        assert_eq!((report.sent, report.done, report.discarded), (6, 1, 5));
    });
}

#[test]
fn shutdown_without_cancelling_runs_all_jobs() {
    in_time(|| {
        let executor = executor(1, 8);
        let gate = Gate::default();
        let mut handles = vec![executor.submit(gate.job(|| 0)).unwrap()];
        handles.extend((1..5).map(|number| executor.submit(move || number).unwrap()));

        assert_eq!(executor.shutdown(false, false), 0);
        gate.open();
        executor.shutdown(true, false);
        assert_eq!(executor.report().done, 5, "shutdown waited for all jobs");
        let results: Result<Vec<_>, _> =
            handles.into_iter().map(|handle| handle.result()).collect();
        assert_eq!(results, Ok(vec![0, 1, 2, 3, 4]));
    });
}

#[test]
fn concurrent_shutdowns_all_wait() {
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
            // Gives a shutdown that does not wait the time to return too early.
            (0..1000).for_each(|_| thread::yield_now());
            gate.open();
        });
    });
}

#[test]
fn submit_after_shutdown_is_error() {
    in_time(|| {
        let executor = executor(1, 1);
        executor.shutdown(false, false);
        let error = executor.submit(|| ()).unwrap_err();
        assert_eq!(error, JobError::Cancelled);
        assert_eq!(
            error.to_string(),
            "the executor was shut down before the job started"
        );
        assert_eq!(executor.map(0..3, |item| item).count(), 0);
    });
}

#[test]
fn drop_waits_for_submitted_jobs() {
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
fn drop_after_shutdown_without_wait_returns() {
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
fn job_may_shut_down_or_drop_its_executor() {
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
fn drop_joins_threads() {
    struct OnExit(mpsc::Sender<()>);
    impl Drop for OnExit {
        fn drop(&mut self) {
            // If drop did not join the threads, it would return during this time.
            thread::sleep(Duration::from_millis(100));
            let _ = self.0.send(());
        }
    }
    thread_local! {
        static ON_EXIT: RefCell<Option<OnExit>> = const { RefCell::new(None) };
    }
    in_time(|| {
        let executor = executor(3, 1);
        let (sender, exits) = mpsc::channel();
        let together = Barrier::new(3);
        let results = executor.map(0..3, move |_| {
            ON_EXIT.set(Some(OnExit(sender.clone())));
            together.wait();
        });
        assert_eq!(results.filter(Result::is_ok).count(), 3);
        assert_eq!(exits.try_iter().count(), 0, "no thread has ended");
        drop(executor);
        assert_eq!(exits.try_iter().count(), 3);
    });
}

// The program.

#[test]
fn all_primes_are_counted_for_every_division() {
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
fn panicking_job_fails_and_others_run() {
    let output = program(&["--jobs=10", "--panic-at=4", "--workers=1", "10000"]).run();
    output.assert_code(1);

    // The primes from 3000 to 4000 are missing: 430 are below 3000, and 550 below 4000.
    assert_eq!(
        output.stdout.text(),
        format!("at least {} primes below 10000\n", 1229 - (550 - 430))
    );
    let stderr = output.stderr.text();
    let line = "executor: job 4 of 10 panicked: requested by --panic-at\n";
    assert!(stderr.contains(line), "{stderr}");
    assert_eq!(counts(&output), [9, 1, 0, 0]);
}

#[test]
fn cancelling_accounts_for_every_job() {
    for after in [0, 1, 3] {
        let option = format!("--cancel-after={after}");
        let output = program(&["-j100", "-w2", "-c4", &option, "10000"]).run();
        output.assert_code(3);

        assert!(output.stdout.text().starts_with("at least "));
        let [done, panicked, cancelled, not_submitted] = counts(&output);
        assert!(done >= after);
        assert_eq!(panicked, 0);
        assert_eq!(done + cancelled + not_submitted, 100);
        // `map` is ahead by what can be queued and in hand.
        assert!(not_submitted >= 100 - (after + 2 + 4));
    }
}

#[test]
fn cancelling_cancels_queued_jobs() {
    // On a busy machine, all jobs may have run before the first result is seen.
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
fn cancelling_after_last_result_succeeds() {
    for after in ["--cancel-after=10", "--cancel-after=11"] {
        let output = program(&["--jobs=10", after, "100"]).run();
        output.assert_code(0);
        assert_eq!(output.stdout.text(), "25 primes below 100\n");
    }
}

#[test]
fn interrupt_cancels_what_has_not_started() {
    let run = working_run(&["1000000000", "--jobs=10000", "--workers=2", "--capacity=4"]);
    run.interrupt();
    let output = run.finish();
    output.assert_code(130);

    assert!(output.stdout.text().starts_with("at least "));
    let [done, panicked, cancelled, not_submitted] = counts(&output);
    assert_eq!((panicked, done + cancelled + not_submitted), (0, 10_000));
    assert!(cancelled <= 4);
}

// Helpers.

fn executor(workers: usize, capacity: usize) -> Executor {
    let number = |number| NonZeroUsize::new(number).unwrap();
    Executor::new(number(workers), number(capacity)).unwrap()
}

/// Runs a test on a separate thread, so that it fails if it hangs.
#[track_caller]
fn in_time(test: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    thread::spawn(move || done.send(panic::catch_unwind(panic::AssertUnwindSafe(test))));
    match wait.recv_timeout(PATIENCE) {
        Ok(result) => result.unwrap_or_else(|payload| panic::resume_unwind(payload)),
        Err(_) => panic!("the test hangs"),
    }
}

/// Blocks jobs until it is opened.
#[derive(Default)]
struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Default)]
struct GateState {
    job_waits: bool,
    open: bool,
}

impl Gate {
    /// A job that waits for the gate to open, and then calls `then`.
    fn job<R, F: FnOnce() -> R>(&self, then: F) -> impl FnOnce() -> R + use<R, F> {
        let gate = Arc::clone(&self.0);
        move || {
            let (state, changed) = &*gate;
            let mut state = state.lock().unwrap();
            state.job_waits = true;
            changed.notify_all();
            drop(changed.wait_while(state, |state| !state.open).unwrap());
            then()
        }
    }

    fn wait_for_a_job(&self) {
        let (state, changed) = &*self.0;
        let state = state.lock().unwrap();
        drop(changed.wait_while(state, |state| !state.job_waits).unwrap());
    }

    fn open(&self) {
        let (state, changed) = &*self.0;
        state.lock().unwrap().open = true;
        changed.notify_all();
    }
}

/// A job that lasts longer than any test.
const LONG_JOB: &[&str] = &["1000000000000000", "--jobs=1", "--workers=1"];

/// A run with jobs in hand.
fn working_run(args: &[&str]) -> Run {
    let run = program(args).start();
    eventually("a thread to work on a job", || {
        run.has_thread_computed("worker-1").then_some(())
    });
    run
}

fn program(args: &[&str]) -> Invocation {
    command(example("executor"), Path::new("/")).args(args)
}

/// The numbers of jobs done, panicked, cancelled and not submitted, from the last line.
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

//! The program `pipeline`.
//!
//! The tests see how full a queue was in many lines of `--stats`.

use std::fs;
use std::fs::File;
use std::path::Path;

use tempfile::tempdir;

use crate::contract::Case;
use crate::contract::Contract;
use crate::contract::Interrupts;
use crate::contract::Progress;
use crate::contract::Started;
use crate::contract::interrupt_again;
use crate::contract::interrupt_once;
use crate::program::Invocation;
use crate::program::Output;
use crate::program::Run;
use crate::program::command;
use crate::program::eventually;
use crate::program::example;
use crate::program::make_fifo;

pub(crate) const CONTRACT: Contract = Contract {
    name: "pipeline",
    directory: || tempdir().unwrap(),
    help: "--items --capacity --workers-b --delay-a --delay-b --delay-c --fail-every \
           --output --stats --quiet 130",
    refused: &[
        (&["--capacity=0"], "0 is not in 1..="),
        (&["--workers-b=0"], "0 is not in 1..="),
        (&["--stats=0"], "0 is not in 1..="),
        (&["--fail-every=0"], "0 is not in 1.."),
        (&["--items=-1"], "invalid"),
        (&["--delay-b=soon"], "invalid"),
        (&["--stats=5", "--quiet"], "cannot be used with"),
        (&["out"], "unexpected argument"),
    ],
    success: Case {
        args: &["--items=5"],
        code: 0,
        stdout: "A    5 of 5 made\n*\nC    5 out, their sum 55\n",
        stderr: &[],
    },
    failure: Case {
        args: &["--items=1", "--fail-every=1"],
        code: 1,
        stdout: "A    1 of 1 made\n*\nC    0 out, their sum 0\n",
        stderr: &["pipeline: A→B: *; first: B cannot square 1"],
    },
    missing_input: Some(Case {
        args: &["--output=missing/out"],
        code: 1,
        stdout: "",
        stderr: &[
            "pipeline: cannot create \"missing/out\": No such file or directory (os error 2)",
        ],
    }),
    unprinted: &[],
    progress: Progress {
        // The program ends with its terminal, long before the first number is squared.
        args: "--items=20 --capacity=8 --delay-b=60000",
        is_shown: |shown| {
            shown.contains("8/8 queued, 1 in hand of B")
                && shown.contains("0/8 queued, 0 in hand of C, 0 out")
        },
    },
    lasting: &["--delay-b=60000"],
    interrupts: Interrupts {
        orderly: || Started::new(run_with_slow_a(), ()),
        endless: || {
            let args = ["--items=1000", "--delay-b=60000", "--stats=5"];
            let run = pipeline(Path::new("/")).args(args).start();
            eventually("work in hand", || {
                run.stderr().text().contains("in hand B 1").then_some(())
            });
            Started::new(run, ())
        },
        summary: " numbers",
        stdout: "",
    },
};

#[test]
fn numbers_come_out_once_in_order() {
    let directory = tempfile::tempdir().unwrap();
    for capacity in ["1", "3", "1000"] {
        let output = pipeline(directory.path())
            .args(["--items=300", "--delay-b=0", "--output=out", "--capacity"])
            .arg(capacity)
            .run();

        output.assert_code(0);
        assert_eq!(output.stderr.text(), "");
        assert_eq!(
            output.stdout.text(),
            "\
A    300 of 300 made
A→B  300 sent = 300 done + 0 failed + 0 abandoned + 0 panicked + 0 discarded
B→C  300 sent = 300 done + 0 failed + 0 abandoned + 0 panicked + 0 discarded
C    300 out, their sum 9045050
"
        );
        assert_eq!(written(directory.path()), squares(1..=300));
    }
}

#[test]
fn many_workers_lose_no_number() {
    let directory = tempfile::tempdir().unwrap();
    let options = [
        "--items=300",
        "--workers-b=8",
        "--delay-b=1",
        "--capacity=2",
    ];
    let output = pipeline(directory.path())
        .args(options)
        .arg("--output=out")
        .run();

    output.assert_code(0);
    assert!(last_line(&output).contains("300 out, their sum 9045050"));
    let mut lines = written(directory.path());
    lines.sort_by_key(|line| line.0);
    assert_eq!(lines, squares(1..=300));
}

#[test]
fn no_items_succeed() {
    let output = pipeline(Path::new("/")).arg("--items=0").run();

    output.assert_code(0);
    assert_eq!(last_line(&output), "C    0 out, their sum 0");
}

#[test]
fn slow_stage_fills_queue_before_it() {
    let slow_b = ["--items=100", "--delay-b=10", "--capacity=8"];
    let seen = queues_seen(&slow_b);

    let full = seen.iter().filter(|queues| queues.to_b == 8).count();
    assert!(full * 2 > seen.len(), "mostly full: {seen:?}");
    let empty = seen.iter().filter(|queues| queues.to_c <= 1).count();
    assert!(empty * 2 > seen.len(), "mostly empty: {seen:?}");
}

#[test]
fn slow_last_stage_fills_both_queues() {
    let slow_c = ["--items=100", "--delay-b=0", "--delay-c=10", "--capacity=8"];
    let seen = queues_seen(&slow_c);

    let both = |queues: &&Queues| queues.to_b == 8 && queues.to_c == 8;
    let full = seen.iter().filter(both).count();
    assert!(full * 2 > seen.len(), "mostly full, both: {seen:?}");
}

#[test]
fn slow_first_stage_leaves_both_queues_empty() {
    let slow_a = ["--items=50", "--delay-a=10", "--delay-b=0", "--capacity=8"];
    let seen = queues_seen(&slow_a);

    let both = |queues: &&Queues| queues.to_b <= 1 && queues.to_c <= 1;
    let empty = seen.iter().filter(both).count();
    assert!(empty * 2 > seen.len(), "mostly empty, both: {seen:?}");
}

#[test]
fn failed_number_is_reported_and_others_come_out() {
    let directory = tempfile::tempdir().unwrap();
    let options = ["--items=20", "--delay-b=0", "--fail-every=7"];
    let output = pipeline(directory.path())
        .args(options)
        .arg("--output=out")
        .run();

    output.assert_code(1);
    assert_eq!(
        output.stderr.text(),
        "pipeline: A→B: not all work ended well: 2 failed, 0 abandoned, 0 panicked, 0 discarded; \
         first: B cannot square 7\n"
    );
    let accounts = Accounts::of(&output);
    assert_eq!(accounts.to_b, [20, 18, 2, 0, 0, 0]);
    assert_eq!(accounts.to_c, [18, 18, 0, 0, 0, 0]);
    let expected: Vec<_> = squares(1..=20)
        .into_iter()
        .filter(|(number, _)| number % 7 != 0)
        .collect();
    assert_eq!(written(directory.path()), expected);
}

#[test]
fn full_output_file_stops_all_stages() {
    let output = pipeline(Path::new("/"))
        // If the error of C did not reach A, the test would time out.
        .args(["--items=1000000000", "--delay-b=1", "--capacity=4"])
        .arg("--output=/dev/full")
        .run();

    output.assert_code(1);
    let text = output.stderr.text();
    for part in [
        "A→B: not all work ended well",
        "first: sending into a closed channel\n",
        "first: C cannot write 1: No space left on device (os error 28)\n",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    let accounts = Accounts::of(&output);
    accounts.assert_add_up();
    assert_eq!((accounts.to_c[DONE], accounts.out), (0, 0));
}

#[test]
fn output_file_is_replaced_only_when_complete() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    fs::write(&out, "old").unwrap();
    let run = |args: &[&str]| pipeline(directory.path()).args(args).arg("--output=out");

    let mut endless = run(&["--delay-c=60000", "--delay-b=0", "--stats=5"]).start();
    eventually("work in hand", || {
        endless.stderr().text().contains("C 1").then_some(())
    });
    interrupt_once(&mut endless);
    interrupt_again(&endless);
    endless.finish().assert_code(130);
    assert_eq!(fs::read_to_string(&out).unwrap(), "old");

    // A file may not be longer than this.
    let limit = command("prlimit", directory.path()).arg("--fsize=1000");
    let limited = limit.arg(example("pipeline"));
    let output = limited.args(["--delay-b=0", "--output=out"]).run();
    output.assert_code(1);
    let text = output.stderr.text();
    assert!(text.contains("File too large (os error 27)"), "{text}");
    assert_eq!(fs::read_to_string(&out).unwrap(), "old");

    // A device, a pipe or a directory is not replaced.
    let stream = |file: &str| {
        let args = ["--items=2", "--delay-b=0", "-o", file];
        pipeline(directory.path()).args(args).run()
    };
    stream("/dev/null").assert_code(0);
    let script = r#""$0" --items=2 --delay-b=0 -o /dev/stdout | head -n 2"#;
    let shell = command("sh", directory.path()).args(["-c", script]);
    assert_eq!(
        shell.arg(example("pipeline")).run().stdout.text(),
        "1 1\n2 4\n"
    );
    stream(".").assert_code(1);

    run(&["--items=3", "--delay-b=0"]).run().assert_code(0);
    assert_eq!(written(directory.path()), squares(1..=3));
    let names = fs::read_dir(directory.path()).unwrap();
    assert_eq!(names.count(), 1, "nothing else is left");
}

#[test]
fn output_file_is_not_that_of_stdout() {
    let directory = tempfile::tempdir().unwrap();
    let stdout = File::create(directory.path().join("out")).unwrap();
    let output = pipeline(directory.path())
        .args(["--items=2", "--delay-b=0", "--output=out"])
        .stdout(stdout)
        .run();
    output.assert_code(2);
    let message = "standard output or standard error goes to \"out\" too";
    assert!(output.stderr.text().contains(message));
    let out = fs::read_to_string(directory.path().join("out")).unwrap();
    assert_eq!(out, "");
}

#[test]
fn interrupt_stops_first_stage_and_drains_others() {
    let directory = tempfile::tempdir().unwrap();
    let options = ["--items=1000000", "--delay-b=5", "--capacity=20"];
    let run = pipeline(directory.path())
        .args(options)
        .args(["--stats=1", "--output=out"])
        .start();
    eventually("a full queue to drain", || {
        let full = |line: &[u8]| line.starts_with("queued A→B 20/20".as_bytes());
        whole_lines(&run)
            .split(|byte| *byte == b'\n')
            .any(full)
            .then_some(())
    });

    run.interrupt();
    let output = run.finish();
    output.assert_code(130);

    let accounts = Accounts::of(&output);
    let made = accounts.made;
    assert!((20..1_000_000).contains(&made), "{made} made");
    let all_done = [made, made, 0, 0, 0, 0];
    assert_eq!((accounts.to_b, accounts.to_c), (all_done, all_done));
    assert_eq!(written(directory.path()), squares(1..=made));
    let last_line = format!("pipeline: interrupted after {made} of 1000000 numbers\n");
    assert!(output.stderr.text().ends_with(&last_line));
}

#[test]
fn interrupt_does_not_wait_for_first_stage() {
    let run = run_with_slow_a();
    run.interrupt();
    let output = run.finish();
    output.assert_code(130);
    assert_eq!(Accounts::of(&output).made, 0);
}

/// Opening a fifo blocks until it has a reader.
#[test]
fn interrupt_ends_program_while_output_opens() {
    let directory = tempfile::tempdir().unwrap();
    make_fifo(&directory.path().join("fifo"));
    let mut run = pipeline(directory.path()).args(["-o", "fifo"]).start();
    // Repeated, because the test cannot see when the program opens it.
    let status = eventually("the end", || {
        run.interrupt();
        run.child.try_wait().unwrap()
    });
    assert!(matches!(status.code(), None | Some(130)), "{status}");
}

// The output.

/// A line of `--stats`.
#[derive(Debug)]
struct Queues {
    to_b: usize,
    to_c: usize,
}

/// Runs the program with `--stats`, and returns the state of the queues in each line. It asserts
/// that no queue exceeds its capacity.
fn queues_seen(options: &[&str]) -> Vec<Queues> {
    const CAPACITY: usize = 8;
    let run = pipeline(Path::new("/")).args(options).arg("--stats=2");
    let output = run.run();
    output.assert_code(0);

    let stderr = output.stderr.text();
    let seen: Vec<Queues> = stderr.lines().map(queues).collect();
    for queues in &seen {
        assert!(queues.to_b <= CAPACITY, "{queues:?}");
        assert!(queues.to_c <= CAPACITY, "{queues:?}");
    }
    let last = seen.last().expect("the end is always shown");
    assert_eq!((last.to_b, last.to_c), (0, 0));
    seen
}

fn queues(line: &str) -> Queues {
    let parse = || {
        let (to_b, rest) = line.strip_prefix("queued A→B ")?.split_once("/8, B→C ")?;
        let (to_c, _) = rest.split_once("/8; in hand B ")?;
        Some(Queues {
            to_b: to_b.parse().ok()?,
            to_c: to_c.parse().ok()?,
        })
    };
    parse().unwrap_or_else(|| panic!("no queues in {line:?}"))
}

/// The summary. The counts of a queue: sent, done, failed, abandoned, panicked, discarded.
struct Accounts {
    made: u64,
    to_b: [u64; 6],
    to_c: [u64; 6],
    out: u64,
}

const SENT: usize = 0;
const DONE: usize = 1;

impl Accounts {
    fn of(output: &Output) -> Self {
        let text = output.stdout.text();
        let numbers = |line: &str| -> Vec<u64> {
            let words = line.split(|character: char| !character.is_ascii_digit());
            words.filter_map(|word| word.parse().ok()).collect()
        };
        let lines: Vec<Vec<u64>> = text.lines().map(numbers).collect();
        let [a, to_b, to_c, c] = &lines[..] else {
            panic!("not a summary: {text}");
        };
        Self {
            made: a[0],
            to_b: to_b[..].try_into().unwrap(),
            to_c: to_c[..].try_into().unwrap(),
            out: c[0],
        }
    }

    /// Asserts that each queue accounts for all its items, and that C's queue got what B has done.
    #[track_caller]
    fn assert_add_up(&self) {
        for queue in [self.to_b, self.to_c] {
            assert_eq!(queue[SENT], queue[DONE..].iter().sum());
        }
        assert_eq!(self.made, self.to_b[SENT]);
        assert_eq!(self.to_b[DONE], self.to_c[SENT]);
        assert_eq!(self.to_c[DONE], self.out);
    }
}

fn last_line(output: &Output) -> String {
    let text = output.stdout.text();
    text.lines().last().unwrap_or_default().to_owned()
}

/// The complete lines of stderr so far.
fn whole_lines(run: &Run) -> Vec<u8> {
    let mut stderr = run.stderr().0;
    let end = stderr.iter().rposition(|byte| *byte == b'\n');
    stderr.truncate(end.map_or(0, |end| end + 1));
    stderr
}

fn squares(numbers: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
    numbers.map(|number| (number, number * number)).collect()
}

/// The numbers and squares in the file `out`.
fn written(directory: &Path) -> Vec<(u64, u64)> {
    let text = fs::read_to_string(directory.join("out")).unwrap();
    let pair = |line: &str| {
        let (number, square) = line.split_once(' ')?;
        Some((number.parse().ok()?, square.parse().ok()?))
    };
    text.lines()
        .map(|line| pair(line).unwrap_or_else(|| panic!("no square in {line:?}")))
        .collect()
}

/// A run in which A takes longer for a number than the test waits.
fn run_with_slow_a() -> Run {
    let run = pipeline(Path::new("/"))
        .args(["--items=10", "--delay-a=60000", "--stats=5"])
        .start();
    eventually("the pipeline to run", || {
        (!run.stderr().0.is_empty()).then_some(())
    });
    run
}

fn pipeline(directory: &Path) -> Invocation {
    command(example("pipeline"), directory)
}

//! The program `coordinator`, and the types `Coordinator` and `Reader` that it uses.
//!
//! A grace period is either 0 or longer than [`PATIENCE`], so that no result depends on time.

#[allow(clippy::module_inception)] // It is the program's module of that name.
#[allow(dead_code)] // The program uses all of it.
#[path = "../../examples/coordinator/coordinator.rs"]
mod coordinator;
mod crew;
mod inputs;
mod left;
#[allow(dead_code)] // The program uses all of it.
#[path = "../../examples/coordinator/lines.rs"]
mod lines;
mod pipes;
#[allow(dead_code)] // The program uses all of it.
#[path = "../../examples/coordinator/reader.rs"]
mod reader;
#[allow(dead_code)] // The program uses all of it.
#[path = "../../examples/coordinator/shard.rs"]
mod shard;
#[allow(dead_code)] // The program uses all of it.
#[path = "../../examples/coordinator/source.rs"]
mod source;
#[allow(dead_code)] // The program uses all of it.
#[path = "../../examples/coordinator/unread.rs"]
mod unread;

use std::fs;
use std::fs::File;
use std::io;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::contract::Case;
use crate::contract::Contract;
use crate::contract::Interrupts;
use crate::contract::Progress;
use crate::contract::Started;
use crate::contract::limited;
use crate::program::Invocation;
use crate::program::Output;
use crate::program::Pipe;
use crate::program::Run;
use crate::program::command;
use crate::program::eventually;
use crate::program::example;
use crate::program::lines_of;
use crate::program::make_fifo;
use crate::program::next;
use crate::program::on_terminal;

pub(crate) const CONTRACT: Contract = Contract {
    name: "coordinator",
    directory: || tree(&[("numbers", "1\n2\n3\n")]),
    help: "[FILE]... --records --readers --workers --capacity --grace --enough --left \
           --fail-at --hang-at --quiet 130",
    refused: &[
        (&["--readers=0"], "0 is not in 1.."),
        (&["--workers=0"], "0 is not in 1.."),
        (&["--capacity=0"], "0 is not in 1.."),
        (&["--enough=0"], "0 is not in 1.."),
        (&["--grace=-1"], "negative"),
        (&["--grace=soon"], "invalid float"),
        (&["file", "--records=5"], "cannot be used with"),
    ],
    success: Case {
        args: &["numbers"],
        code: 0,
        stdout: "sum 6 of 3 records\n",
        stderr: &[],
    },
    failure: Case {
        args: &["--records=1", "--fail-at=1"],
        code: 1,
        stdout: "sum 0 of 0 records\n",
        stderr: &[
            "coordinator: 1 records read: 0 summed up, 1 failed, 0 handed back, 0 abandoned",
            "coordinator: bad record at shard 1:1: \"1\": failed as requested by --fail-at",
        ],
    },
    missing_input: Some(Case {
        args: &["missing"],
        code: 1,
        stdout: "sum 0 of 0 records\n",
        stderr: &["coordinator: cannot read \"missing\": No such file or directory (os error 2)"],
    }),
    unprinted: &[],
    progress: Progress {
        args: "--records=1 --hang-at=1 -w1",
        // The bar moves while a worker hangs.
        is_shown: |shown| {
            let after = shown.split_once(" hangs on ");
            after.is_some_and(|(_, after)| after.matches("0 records summed up").count() > 2)
        },
    },
    lasting: &["-"],
    interrupts: Interrupts {
        orderly: || hanging_run(&["--grace=0", ENDLESS]),
        endless: || hanging_run(&[PATIENT]),
        summary: " records read: ",
        stdout: "",
    },
};

fn hanging_run(args: &[&str]) -> Started {
    let run = program(args).arg("--hang-at=1").start();
    wait_for_hang(&run);
    Started::new(run, ())
}

// Clean ends.

#[test]
fn generated_numbers_are_summed_up() {
    for records in [0, 1, 1000] {
        for options in [&[][..], &["-r1", "-w1", "-c1"], &["-r5", "-w9", "-c2"]] {
            let output = program(options).arg(format!("--records={records}")).run();
            output.assert_code(0);
            let sum = records * (records + 1) / 2;
            let expected = format!("sum {sum} of {records} records\n");
            assert_eq!(output.stdout.text(), expected, "with {options:?}");
            assert_eq!(output.stderr.text(), "");
        }
    }
}

#[test]
fn files_are_summed_up_by_any_reader_count() {
    let tree = tree(&[
        ("one", "1\n2\n3\n"),
        ("empty", ""),
        ("two", " 40 \r\n50"),
        ("three", "18446744073709551615\n18446744073709551615\n"),
    ]);
    for readers in ["-r1", "-r3", "-r20"] {
        let files = ["one", "empty", "two", "three"];
        let output = program_in(&tree, &[readers]).args(files).run();
        output.assert_code(0);
        assert_eq!(
            output.stdout.text(),
            "sum 36893488147419103326 of 7 records\n"
        );
        assert_eq!(output.stderr.text(), "");
    }
}

#[test]
fn enough_is_clean_stop() {
    let output = program(&["--enough=10", ENDLESS, PATIENT]).run();
    output.assert_code(0);
    let counts = counts(&output);
    assert!(counts.summed_up >= 10);
    assert_eq!((counts.failed, counts.in_hand), (0, 0));
    assert_eq!(counts.summed_up + counts.handed_back, counts.read);
}

// Failures.

#[test]
fn failed_record_stops_all_and_records_add_up() {
    let lines: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
    let tree = tree(&[("numbers", &lines)]);
    let output = program_in(&tree, &["numbers", "--fail-at=50", "--left=left", PATIENT]).run();
    output.assert_code(1);

    let stderr = output.stderr.text();
    let message =
        r#"coordinator: bad record at "numbers":50: "50": failed as requested by --fail-at"#;
    assert_eq!(stderr.lines().last(), Some(message));
    let counts = counts(&output);
    assert_eq!((counts.failed, counts.in_hand), (1, 0));
    assert_eq!(counts.summed_up + 1 + counts.handed_back, counts.read);

    // What was handed back or not read is exactly what is missing, and can be summed up later.
    let left = fs::read_to_string(tree.path().join("left")).unwrap();
    assert_eq!(left.lines().count() as u128 + counts.summed_up + 1, 100_000);
    let rest = program_in(&tree, &["left"]).run();
    rest.assert_code(0);
    assert_eq!(sum(&output) + 50 + sum(&rest), 100_000 * 100_001 / 2);
}

// Stragglers.

#[test]
fn hanging_worker_is_named_and_records_add_up() {
    // Repeated, because the records are at random places when the grace period ends.
    for _ in 0..30 {
        let args = ["--hang-at=3", "--fail-at=5000", "--grace=0", "-r1", "-w8"];
        let output = program(&args).args(["-c1000", ENDLESS]).run();
        output.assert_code(1);

        let stderr = output.stderr.text();
        let hanging = hanging(&stderr).expect("a worker hangs");
        assert!(stragglers(&output).contains(&hanging));
        assert!(
            stderr.ends_with(": failed as requested by --fail-at\n"),
            "{stderr}"
        );
        let counts = counts(&output);
        assert_eq!(counts.failed, 1);
        assert!(counts.in_hand >= 1);
        let dealt_with = counts.summed_up + counts.failed + counts.handed_back;
        assert_eq!(dealt_with + counts.in_hand, counts.read);
    }
}

#[test]
fn only_hanging_worker_is_named() {
    // How long the other workers take to stop depends on the machine.
    let mut grace = 0.1;
    eventually("all but one to stop within the grace period", || {
        let option = format!("--grace={grace}");
        grace *= 2.0;
        let args = ["--hang-at=3", "--fail-at=50", "-r1", ENDLESS];
        let output = program(&args).arg(option).run();
        output.assert_code(1);
        let hanging = hanging(&output.stderr.text()).expect("a worker hangs");
        (stragglers(&output) == [hanging] && counts(&output).in_hand == 1).then_some(())
    });
}

#[test]
fn straggler_after_clean_stop_is_failure() {
    let args = ["--hang-at=1", "--enough=10", "--grace=0", "-r1", ENDLESS];
    let output = program(&args).run();
    output.assert_code(1);
    let hanging = hanging(&output.stderr.text()).expect("a worker hangs");
    assert!(stragglers(&output).contains(&hanging));
}

// Ctrl-C.

#[test]
fn interrupt_stops_all_and_records_add_up() {
    // Repeated, because the order in which threads write messages is random.
    for _ in 0..30 {
        let run = program(&["--hang-at=1", "--grace=0", ENDLESS]).start();
        wait_for_hang(&run);
        run.interrupt();
        let output = run.finish();
        output.assert_code(130);

        let counts = counts(&output);
        let dealt_with = counts.summed_up + counts.handed_back + counts.in_hand;
        assert_eq!(dealt_with, counts.read);
        assert!(counts.in_hand >= 1);
        let stderr = output.stderr.text();
        assert!(stderr.ends_with("coordinator: interrupted\n"), "{stderr}");
        assert_eq!(stderr.lines().nth(1), Some(CTRL_C), "{stderr}");
    }
}

#[test]
fn termination_ends_program_with_few_threads() {
    const SIGTERM: u32 = 15;
    let tree = tree(&[]);
    let fifos = ["one", "two", "three", "four"];
    for fifo in fifos {
        make_fifo(&tree.path().join(fifo));
    }
    for limit in 3..=14 {
        let limited = limited("coordinator", tree.path(), &format!("--nproc={limit}"));
        let mut run = limited.args(fifos).args(["-r4", "--grace=0"]).start();
        // It ends by itself if there are too few threads.
        let has_ended = eventually("the handler of SIGTERM, or the end", || {
            let has_ended = run.child.try_wait().unwrap().is_some();
            (has_ended || run.has_signal("SigCgt", SIGTERM)).then_some(has_ended)
        });
        if !has_ended {
            run.signal("TERM");
        }
        let output = run.finish();
        let code = output.code.unwrap();
        assert!([1, 143].contains(&code), "{}", output.stderr.text());
    }
}

#[test]
fn interrupt_stops_all_while_stderr_is_blocked() {
    let tree = tree(&[]);
    make_fifo(&tree.path().join("fifo"));
    let input = tree.path().join("fifo");
    let pipe = Pipe::new();
    pipe.fill();
    let invocation = program_in(&tree, &["fifo", PATIENT]);
    let run = invocation.stderr(pipe.write).start();
    // Opening it fails until the reader has opened it.
    let mut records = eventually("the reader", || {
        let mut options = File::options();
        options.write(true).custom_flags(libc::O_NONBLOCK);
        options.open(&input).ok()
    });

    run.interrupt();
    eventually("the reader to leave", || {
        let written = records.write_all(b"1\n");
        (written.err()?.kind() == io::ErrorKind::BrokenPipe).then_some(())
    });

    // The pipe was filled with zeros, which do not end with a line feed.
    let stderr = lines_of(pipe.read);
    let first = next(&stderr).unwrap_or_default();
    assert_eq!(first.trim_start_matches('\0'), CTRL_C);
    while next(&stderr).is_some() {}
    run.finish().assert_code(130);
}

#[test]
fn warning_of_interrupt_agrees_with_exit_code() {
    let ending = "coordinator: already ending; Ctrl-C again quits at once";
    for _ in 0..5 {
        let tree = tree(&[]);
        let pipe = Pipe::new();
        // The program waits for the end of the line, but not for long.
        (&pipe.write).write_all(b"1\n22").unwrap();
        let run = program_in(&tree, &["-", "--enough=1", "-r1"]);
        let run = run.stdin(pipe.read.try_clone().unwrap()).start();
        pipe.wait_until_empty();
        run.interrupt();
        let output = run.finish();
        let stderr = output.stderr.text();
        let has = |warning| stderr.lines().any(|line| line == warning);
        let is_interrupted = stderr.contains("coordinator: interrupted\n");
        assert_eq!(has(CTRL_C), is_interrupted, "{stderr}");
        assert_ne!(has(CTRL_C), has(ending), "{stderr}");
        output.assert_code(if is_interrupted { 130 } else { 0 });
    }
}

#[test]
fn interrupt_warning_has_own_line_on_terminal() {
    let tree = tree(&[]);
    let options = "--records=5000 --hang-at=5000 -r1 -w1 --grace=0";
    let program = example("coordinator");
    let line = format!("echo $$ >pid; exec '{}' {options} >out", program.display());
    let run = on_terminal(&line, tree.path()).start();
    eventually("the bar after the message of the hang", || {
        let shown = run.captured("stdout").text();
        let (_, after) = shown.split_once(" hangs on ")?;
        after.contains(" records summed up").then_some(())
    });
    let pid = fs::read_to_string(tree.path().join("pid")).unwrap();
    let pid = Pid::from_raw(pid.trim().parse().unwrap());
    kill(pid, Signal::SIGINT).unwrap();

    let output = run.finish();
    output.assert_code(130);
    let shown = output.stdout.text();
    let hangs = "coordinator: worker-1 hangs on ";
    for message in [hangs, CTRL_C] {
        let (before, _) = shown.split_once(message).expect(message);
        let is_clear = before.ends_with('\n') || before.ends_with("\x1b[2K");
        assert!(is_clear, "{message:?} after {before:?}");
    }
}

#[test]
fn interrupt_is_handled_under_full_load() {
    let run = program(&["-r4", "-w4", "-c1000000", ENDLESS, PATIENT]).start();
    // The handler is installed when SIGINT, which is signal 2, is among the caught signals.
    eventually("the handler of SIGINT", || {
        run.has_signal("SigCgt", 2).then_some(())
    });
    run.interrupt();
    let output = run.finish();
    output.assert_code(130);
    assert!(!output.stderr.text().contains("still running"));
}

// Helpers.

/// More records than a test waits for.
const ENDLESS: &str = "--records=1000000000000000";

/// The warning at the first Ctrl-C.
const CTRL_C: &str = "coordinator: finishing what is in hand; Ctrl-C again quits at once";

/// A grace period that is longer than any test.
const PATIENT: &str = "--grace=1000000";

fn tree(files: &[(&str, &str)]) -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    for (name, contents) in files {
        fs::write(tree.path().join(name), contents).unwrap();
    }
    tree
}

fn program(args: &[&str]) -> Invocation {
    command(example("coordinator"), Path::new("/")).args(args)
}

fn program_in(tree: &TempDir, args: &[&str]) -> Invocation {
    command(example("coordinator"), tree.path()).args(args)
}

/// Waits until a worker hangs, so that the program is in the middle of its work.
fn wait_for_hang(run: &Run) {
    eventually("a worker to hang", || hanging(&run.stderr().text()));
}

/// The worker that reports that it hangs.
fn hanging(stderr: &str) -> Option<String> {
    let mut lines = stderr.lines();
    lines.find_map(|line| {
        let (name, _) = line
            .strip_prefix("coordinator: ")?
            .split_once(" hangs on ")?;
        Some(name.to_owned())
    })
}

fn stragglers(output: &Output) -> Vec<String> {
    let stderr = output.stderr.text();
    let mut lines = stderr.lines();
    let names = lines
        .find_map(|line| line.strip_prefix("coordinator: still running after the grace period: "))
        .unwrap_or_else(|| panic!("no stragglers in {stderr}"));
    names.split(", ").map(str::to_owned).collect()
}

fn sum(output: &Output) -> u128 {
    word(output, 1)
}

/// The sum of the numbers in a text.
fn total(lines: &str) -> u128 {
    lines
        .lines()
        .map(|line| line.parse::<u128>().unwrap())
        .sum()
}

/// The word of stdout with this index, which is a number.
fn word(output: &Output, index: usize) -> u128 {
    let stdout = output.stdout.text();
    let word = stdout.split(' ').nth(index);
    let number = word.and_then(|word| word.parse().ok());
    number.unwrap_or_else(|| panic!("no word {index} in {stdout:?}"))
}

struct Counts {
    read: u128,
    summed_up: u128,
    failed: u128,
    handed_back: u128,
    in_hand: u128,
}

fn counts(output: &Output) -> Counts {
    let stderr = output.stderr.text();
    let Some(line) = stderr.lines().find(|line| line.contains(" records read: ")) else {
        // Without this line, all records that were read have been summed up.
        let summed_up = word(output, 3);
        return Counts {
            read: summed_up,
            summed_up,
            failed: 0,
            handed_back: 0,
            in_hand: 0,
        };
    };
    let numbers = line.split(|c: char| !c.is_ascii_digit());
    let numbers: Vec<u128> = numbers.filter_map(|number| number.parse().ok()).collect();
    let [read, summed_up, failed, handed_back, in_hand] = numbers[..] else {
        panic!("not five counts in {line}");
    };
    let expected = format!(
        "coordinator: {read} records read: {summed_up} summed up, {failed} failed, {handed_back} handed \
         back, {in_hand} abandoned"
    );
    assert_eq!(line, expected);
    Counts {
        read,
        summed_up,
        failed,
        handed_back,
        in_hand,
    }
}

//! The example `coordinator`: its type by itself, and the program around it, run as its users run
//! it.
//!
//! Nothing here is timed: a grace period is either 0, or longer than
//! [`PATIENCE`](program::PATIENCE).

#![cfg(all(target_os = "linux", not(loom)))]

#[allow(dead_code)] // The program uses all of it.
#[path = "../examples/coordinator/coordinator.rs"]
mod coordinator;
mod program;
#[allow(dead_code)] // As above.
#[path = "../examples/coordinator/reader.rs"]
mod reader;

use std::fs;
use std::fs::File;
use std::future;
use std::io;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::time::timeout;

use coordinator::Cause;
use coordinator::Coordinator;
use coordinator::Crew;
use coordinator::Ended;
use coordinator::Left;
use coordinator::lock;
use program::Invocation;
use program::Output;
use program::PATIENCE;
use program::Pipe;
use program::Run;
use program::command;
use program::eventually;
use program::example;
use program::example_on_terminal;
use program::lines_of;
use program::next;
use program::on_terminal;
use reader::Reader;
use reader::Shard;

// The type.

#[tokio::test]
async fn a_crew_that_ends_by_itself_is_a_clean_stop() {
    let coordinator = Coordinator::default();
    let mut crew = Crew::default();
    crew.spawn(&coordinator, "reader".into(), async { Ok(()) });
    assert!(!coordinator.should_stop());

    let ended = join(&coordinator, crew, PATIENCE * 2).await;
    assert!(ended.result.is_ok());
    assert!(coordinator.should_stop());
    assert!(ended.stragglers.names.is_empty());
}

#[tokio::test]
async fn the_first_error_is_kept_and_further_ones_are_counted() {
    let coordinator = Coordinator::default();
    for text in ["first", "second", "third"] {
        coordinator.request_stop(Some(error(text)));
    }
    coordinator.request_stop(None);

    let ended = join(&coordinator, Crew::default(), PATIENCE * 2).await;
    assert_eq!(ended.result.unwrap_err().to_string(), "first");
    assert_eq!(ended.further_errors, 2);
}

#[tokio::test]
async fn an_error_after_a_clean_stop_is_not_lost() {
    let coordinator = Coordinator::default();
    let (mut crew, own) = (Crew::default(), coordinator.clone());
    crew.spawn(&coordinator, "late".into(), async move {
        own.stopped().await;
        Err(error("late"))
    });
    coordinator.request_stop(None);

    let ended = join(&coordinator, crew, PATIENCE * 2).await;
    assert_eq!(ended.result.unwrap_err().to_string(), "late");
}

#[tokio::test]
async fn an_error_of_one_member_stops_the_others() {
    let coordinator = Coordinator::default();
    let (mut crew, own) = (Crew::default(), coordinator.clone());
    crew.spawn(&coordinator, "waits".into(), async move {
        own.stopped().await;
        Ok(())
    });
    crew.spawn(&coordinator, "fails".into(), async {
        Err(error("no more"))
    });

    let ended = join(&coordinator, crew, PATIENCE * 2).await;
    assert_eq!(ended.result.unwrap_err().to_string(), "no more");
    assert!(ended.stragglers.names.is_empty());
}

#[tokio::test]
async fn a_panic_of_the_last_worker_is_an_error_and_what_is_queued_is_handed_back() {
    let coordinator = Coordinator::default();
    let (sender, receiver) = tollgate::tasks(4);
    for number in 1..=4 {
        sender.try_send(number).unwrap();
    }
    let (mut crew, left) = (Crew::default(), Left::default());
    crew.hand_back_at_stop(receiver.clone(), Arc::clone(&left));
    crew.spawn(&coordinator, "worker".into(), async move {
        let task = receiver.recv().await;
        panic!("cannot stand {task:?}");
    });

    let ended = join(&coordinator, crew, PATIENCE * 2).await;
    let panicked = ended.result.unwrap_err();
    assert_eq!(panicked.to_string(), "worker did not end by itself");
    let source = panicked.source().unwrap().to_string();
    assert!(source.contains("cannot stand Ok(Task(1))"), "{source}");
    assert_eq!(*lock(&left), [2, 3, 4]);

    let monitor = sender.monitor();
    let report = in_time(monitor.finished()).await.unwrap_err().report;
    assert_eq!((report.panicked, report.discarded), (1, 3));
}

#[tokio::test]
async fn a_straggler_is_named_and_keeps_its_task_until_it_is_aborted() {
    let coordinator = Coordinator::default();
    let (sender, receiver) = tollgate::tasks(4);
    let (mut crew, left) = (Crew::default(), Left::default());
    crew.hand_back_at_stop(receiver.clone(), Arc::clone(&left));
    crew.spawn(&coordinator, "sleeper".into(), async move {
        let _task = receiver.recv().await;
        future::pending().await
    });
    sender.send(1).await.unwrap();
    let monitor = sender.monitor();
    in_time(async {
        while monitor.stats().in_hand == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    sender.send(2).await.unwrap();
    coordinator.request_stop(Some(error("enough")));

    let ended = join(&coordinator, crew, Duration::ZERO).await;
    assert_eq!(ended.result.unwrap_err().to_string(), "enough");
    assert_eq!(ended.stragglers.names, ["sleeper"]);
    assert_eq!(*lock(&left), [2]);
    assert_eq!(monitor.stats().in_hand, 1);

    assert_eq!(in_time(ended.stragglers.abort()).await, ["sleeper"]);
    let report = in_time(monitor.finished()).await.unwrap_err().report;
    assert_eq!((report.abandoned, report.discarded), (1, 1));
}

#[tokio::test]
async fn the_last_queue_is_handed_back_only_if_there_are_stragglers() {
    for straggle in [false, true] {
        let coordinator = Coordinator::default();
        let (sender, _receiver) = tollgate::tasks(1);
        sender.send("result").await.unwrap();
        let (mut crew, left) = (Crew::default(), Left::default());
        crew.hand_back_at_last(sender.monitor(), Arc::clone(&left));
        if straggle {
            crew.spawn(&coordinator, "straggler".into(), future::pending());
        }
        coordinator.request_stop(None);

        join(&coordinator, crew, Duration::ZERO).await;
        assert_eq!(sender.is_closed(), straggle);
        assert_eq!(lock(&left).len(), usize::from(straggle));
    }
}

// A reader.

#[tokio::test]
async fn a_reader_lets_others_run_though_it_need_not_wait_for_them() {
    let records = 10_000;
    let (sender, receiver) = tollgate::tasks(records);
    let reader = Reader {
        coordinator: Coordinator::default(),
        records: sender,
        read: Arc::default(),
        left: Left::default(),
    };
    let numbers = Shard::Numbers {
        first: 1,
        last: records as u64,
        step: 1,
    };
    let read = Arc::clone(&reader.read);
    let running = tokio::spawn(reader.run(numbers));
    // There is one thread, and the reader is before this in its queue.
    let meanwhile = tokio::spawn(async move { read.load(Ordering::Relaxed) });
    let meanwhile = in_time(meanwhile).await.unwrap();
    assert!((1..10_000).contains(&meanwhile), "{meanwhile} read by then");

    assert!(in_time(running).await.unwrap().is_ok());
    assert_eq!(receiver.close_now().count(), records);
}

// The program: clean ends.

#[test]
fn made_up_numbers_are_summed_up_however_many_do_it() {
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
fn files_are_summed_up_by_fewer_or_more_readers() {
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
fn enough_is_a_clean_stop() {
    let output = program(&["--enough=10", ENDLESS, PATIENT]).run();
    output.assert_code(0);
    let counts = counts(&output);
    assert!(counts.summed_up >= 10);
    assert_eq!((counts.failed, counts.in_hand), (0, 0));
    assert_eq!(counts.summed_up + counts.handed_back, counts.read);
}

// The program: failures.

#[test]
fn a_record_that_fails_stops_all_and_every_record_is_accounted_for() {
    let lines: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
    let tree = tree(&[("numbers", &lines)]);
    let output = program_in(&tree, &["numbers", "--fail-at=50", "--left=left", PATIENT]).run();
    output.assert_code(1);

    let stderr = output.stderr.text();
    let message = r#"coordinator: bad record at "numbers":50: "50": told to fail by --fail-at"#;
    assert_eq!(stderr.lines().last(), Some(message));
    let counts = counts(&output);
    assert_eq!((counts.failed, counts.in_hand), (1, 0));
    assert_eq!(counts.summed_up + 1 + counts.handed_back, counts.read);

    // What was handed back is just what is missing, and can be summed up another time.
    let left = fs::read_to_string(tree.path().join("left")).unwrap();
    assert_eq!(left.lines().count() as u128, counts.handed_back);
    let rest = program_in(&tree, &["left"]).run();
    rest.assert_code(0);
    let read = counts.read;
    assert_eq!(sum(&output) + 50 + sum(&rest), read * (read + 1) / 2);
}

#[test]
fn a_line_that_is_no_number_fails_with_the_cause() {
    let tree = tree(&[("file", "1\nmany\u{1b}\n3\n")]);
    let output = program_in(&tree, &["file"]).run();
    output.assert_code(1);
    let stderr = output.stderr.text();
    let message =
        r#"coordinator: bad record at "file":2: "many\u{1b}": invalid digit found in string"#;
    assert_eq!(stderr.lines().last(), Some(message));
}

#[test]
fn further_errors_are_counted() {
    let tree = tree(&[("file", &"bad\n".repeat(1000))]);
    let output = program_in(&tree, &["file", "-c1000", "-r1"]).run();
    output.assert_code(1);
    let counts = counts(&output);
    assert_eq!(counts.failed + counts.handed_back, counts.read);
    let stderr = output.stderr.text();
    let further = format!("coordinator: {} further errors\n", counts.failed - 1);
    assert_eq!(stderr.contains(&further), counts.failed > 1, "{stderr}");
}

#[test]
fn a_file_that_cannot_be_read_stops_all_with_the_error_of_the_system() {
    let tree = tree(&[("binary", "")]);
    fs::write(tree.path().join("binary"), b"1\n\xff\n").unwrap();
    let failed = |file, message: &str| {
        let output = program_in(&tree, &[file]).run();
        output.assert_code(1);
        let expected = format!("coordinator: cannot read {file:?}: {message}");
        let stderr = output.stderr.text();
        assert!(
            stderr.lines().last().unwrap().starts_with(&expected),
            "{stderr}"
        );
    };
    failed("missing", "No such file or directory (os error 2)");
    failed("binary", "invalid utf-8 sequence");
    failed(".", "Is a directory (os error 21)");
}

#[test]
fn a_reader_that_waits_for_its_input_does_not_hold_up_the_end() {
    let tree = tree(&[("bad", "bad\n")]);
    make_fifo(&tree);
    let output = program_in(&tree, &["fifo", "bad", PATIENT]).run();
    output.assert_code(1);
    assert!(!output.stderr.text().contains("still running"));
}

// The program: stragglers.

#[test]
fn a_worker_that_hangs_is_named_and_its_record_is_accounted_for() {
    // Often, since where the records are when the grace period ends, in which queue or hand, is by
    // chance.
    for _ in 0..30 {
        let args = ["--hang-at=3", "--fail-at=5000", "--grace=0", "-r1", "-w8"];
        let output = program(&args).args(["-c1000", ENDLESS]).run();
        output.assert_code(1);

        let stderr = output.stderr.text();
        let hanging = hanging(&stderr).expect("a worker hangs");
        assert!(stragglers(&output).contains(&hanging));
        assert!(
            stderr.ends_with(": told to fail by --fail-at\n"),
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
fn those_who_are_not_to_blame_are_not_named() {
    // How long the others take to stop is the machine's affair.
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
fn a_straggler_after_a_clean_stop_is_a_failure() {
    let args = ["--hang-at=1", "--enough=10", "--grace=0", "-r1", ENDLESS];
    let output = program(&args).run();
    output.assert_code(1);
    let hanging = hanging(&output.stderr.text()).expect("a worker hangs");
    assert!(stragglers(&output).contains(&hanging));
}

// The program: Ctrl-C.

#[test]
fn ctrl_c_stops_all_and_every_record_is_accounted_for() {
    // Often, since it is by chance which of its threads is the first to speak.
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
fn ctrl_c_stops_all_though_nobody_reads_that_it_does() {
    let tree = tree(&[]);
    make_fifo(&tree);
    let input = tree.path().join("fifo");
    let pipe = Pipe::new();
    pipe.fill();
    let invocation = program_in(&tree, &["fifo", PATIENT]);
    let run = invocation.stderr(pipe.write).start();
    // It cannot be opened before the reader has done so.
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

    // What it was filled with is no line.
    let stderr = lines_of(pipe.read);
    let first = next(&stderr).unwrap_or_default();
    assert_eq!(first.trim_start_matches('\0'), CTRL_C);
    while next(&stderr).is_some() {}
    run.finish().assert_code(130);
}

#[test]
fn ctrl_c_on_a_terminal_is_told_on_a_line_of_its_own() {
    let tree = tree(&[]);
    let options = "--records=5000 --hang-at=5000 -r1 -w1 --grace=0";
    let program = example("coordinator");
    let line = format!("echo $$ >pid; exec '{}' {options} >out", program.display());
    let run = on_terminal(&line, tree.path()).start();
    eventually("the bar to be back after word of the hang", || {
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
fn ctrl_c_is_heard_while_everybody_is_busy() {
    let run = program(&["-r4", "-w4", "-c1000000", ENDLESS, PATIENT]).start();
    // The handler is there once SIGINT, the second signal, is among those caught.
    eventually("the program to listen", || {
        let status = fs::read_to_string(format!("/proc/{}/status", run.child.id())).ok()?;
        let caught = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))?;
        let caught = u64::from_str_radix(caught.trim(), 16).ok()?;
        (caught & 0b10 != 0).then_some(())
    });
    run.interrupt();
    let output = run.finish();
    output.assert_code(130);
    assert!(!output.stderr.text().contains("still running"));
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_the_grace_period() {
    let run = program(&["--hang-at=1", PATIENT]).start();
    wait_for_hang(&run);
    run.interrupt();
    eventually("word of the first Ctrl-C", || {
        run.stderr().text().contains("Ctrl-C again").then_some(())
    });
    run.interrupt();
    let output = run.finish();
    output.assert_code(130);
    assert_eq!(output.stdout.text(), "");
}

// The program: its surface.

#[test]
fn help_tells_the_arguments_and_the_exit_status() {
    let output = program(&["--help"]).run();
    output.assert_code(0);
    let help = output.stdout.text();
    let options = [
        "[FILE]...",
        "--readers",
        "--workers",
        "--capacity",
        "--grace",
    ];
    let more = ["--fail-at", "--hang-at", "--left", "Exit status:", "130"];
    for part in options.into_iter().chain(more) {
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
    for option in ["--readers=0", "--workers=0", "--capacity=0", "--enough=0"] {
        refused(&[option], "0 is not in 1..");
    }
    refused(&["--grace=-1"], "negative");
    refused(&["--grace=soon"], "invalid float");
    refused(&["file", "--records=5"], "cannot be used with");
}

#[test]
fn output_that_cannot_be_written_fails() {
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let output = program(&[]).stdout(full()).run();
    output.assert_code(1);
    let message = "coordinator: No space left on device (os error 28)\n";
    assert_eq!(output.stderr.text(), message);

    program(&["--fail-at=1"])
        .stderr(full())
        .run()
        .assert_code(1);

    let output = program(&["--left=/dev/full", "--enough=1", ENDLESS, "-c1000"]).run();
    let left = counts(&output).handed_back > 0;
    output.assert_code(i32::from(left));
    let message = r#"cannot write "/dev/full": No space left on device"#;
    assert_eq!(output.stderr.text().contains(message), left);
}

#[test]
fn a_message_is_written_in_one_piece() {
    let pieces = program(&["--records=1", "--fail-at=1"]).pieces_of_stderr();
    let account = "1 records read: 0 summed up, 1 failed, 0 handed back, 0 in stragglers' hands";
    let error = r#"bad record at shard 1:1: "1": told to fail by --fail-at"#;
    let expected = [account, error].map(|line| format!("coordinator: {line}\n"));
    assert_eq!(pieces, expected);
}

#[test]
fn a_terminal_shows_progress_unless_quiet() {
    let terminal =
        |options: &str| example_on_terminal("coordinator", &format!("{options} >/dev/null"));
    // Also while a worker hangs.
    let run = terminal("--records=1 --hang-at=1 -w1").start();
    eventually("a bar that moves after word of the hang", || {
        let shown = run.captured("stdout").text();
        let (_, after) = shown.split_once(" hangs on ")?;
        (after.matches("0 records summed up").count() > 2).then_some(())
    });
    let output = terminal("--quiet").run();
    output.assert_code(0);
    assert_eq!(output.stdout.text(), "");
}

// Helpers.

/// More records than any test waits for.
const ENDLESS: &str = "--records=1000000000000000";

/// What it says to a first Ctrl-C.
const CTRL_C: &str = "coordinator: finishing what is in hand; Ctrl-C again quits at once";

/// A grace period that no test waits for.
const PATIENT: &str = "--grace=1000000";

fn error(text: &str) -> Cause {
    Arc::new(io::Error::other(text.to_owned()))
}

/// A join that fails rather than hang.
async fn join(coordinator: &Coordinator, crew: Crew, grace: Duration) -> Ended {
    in_time(coordinator.join(crew, grace)).await
}

async fn in_time<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("it hangs")
}

fn tree(files: &[(&str, &str)]) -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    for (name, contents) in files {
        fs::write(tree.path().join(name), contents).unwrap();
    }
    tree
}

fn make_fifo(tree: &TempDir) {
    let mkfifo = command("mkfifo", tree.path()).arg("fifo");
    mkfifo.run().assert_code(0);
}

fn program(args: &[&str]) -> Invocation {
    command(example("coordinator"), Path::new("/")).args(args)
}

fn program_in(tree: &TempDir, args: &[&str]) -> Invocation {
    command(example("coordinator"), tree.path()).args(args)
}

/// Waits until a worker hangs, which says that the program is in the middle of its work.
fn wait_for_hang(run: &Run) {
    eventually("a worker to hang", || hanging(&run.stderr().text()));
}

/// The worker that says that it hangs.
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

/// The number that is this word of stdout.
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
        // Nothing to be told: all that was read has been summed up.
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
         back, {in_hand} in stragglers' hands"
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

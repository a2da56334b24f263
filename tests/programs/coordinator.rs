//! The types `Coordinator` and `Reader`, and the program `coordinator` that uses them.
//!
//! A grace period is either 0 or longer than [`PATIENCE`], so that no result depends on time.

#[allow(clippy::module_inception)] // It is the program's module of that name.
#[allow(dead_code)] // The program uses all of it.
#[path = "../../examples/coordinator/coordinator.rs"]
mod coordinator;
#[allow(dead_code)] // The program uses all of it.
#[path = "../../examples/coordinator/lines.rs"]
mod lines;
#[allow(dead_code)] // The program uses all of it.
#[path = "../../examples/coordinator/reader.rs"]
mod reader;
#[allow(dead_code)] // The program uses all of it.
#[path = "../../examples/coordinator/source.rs"]
mod source;
#[allow(dead_code)] // The program uses all of it.
#[path = "../../examples/coordinator/unread.rs"]
mod unread;

use std::fs;
use std::fs::File;
use std::fs::Permissions;
use std::future;
use std::io;
use std::io::Read;
use std::io::Write;
use std::ops::RangeInclusive;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use futures_lite::future::poll_once;
use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use nix::unistd::Uid;
use tempfile::TempDir;
use tokio::runtime;
use tokio::task;
use tokio::time::Instant;
use tokio::time::timeout;

use self::coordinator::Cause;
use self::coordinator::Coordinator;
use self::coordinator::Crew;
use self::coordinator::Ended;
use self::coordinator::Left;
use self::reader::Reader;
use self::reader::Shard;
use self::source::Next;
use self::source::Source;
use crate::common::threads::lock;
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
use crate::program::PATIENCE;
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

// The type.

#[tokio::test]
async fn crew_that_ends_is_clean_stop() {
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
async fn first_error_is_kept_and_others_counted() {
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
async fn error_after_clean_stop_is_kept() {
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
async fn error_of_one_task_stops_others() {
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
async fn panic_of_last_worker_hands_back_queued_items() {
    let coordinator = Coordinator::default();
    let (sender, receiver) = tollgate::tasks(4);
    for number in 1..=4 {
        sender.try_send(number).unwrap();
    }
    let (mut crew, left) = (Crew::default(), Left::default());
    crew.hand_back_at_stop(receiver.clone(), Arc::clone(&left));
    crew.spawn(&coordinator, "worker".into(), async move {
        let task = receiver.recv().await;
        panic!("cannot process {task:?}");
    });

    let ended = join(&coordinator, crew, PATIENCE * 2).await;
    let panicked = ended.result.unwrap_err();
    assert_eq!(panicked.to_string(), "worker panicked");
    let source = panicked.source().unwrap().to_string();
    assert!(source.contains("cannot process Ok(Task(1))"), "{source}");
    assert_eq!(*lock(&left), [2, 3, 4]);

    let monitor = sender.monitor();
    let report = in_time(monitor.finished()).await.unwrap_err().report;
    assert_eq!((report.panicked, report.discarded), (1, 3));
}

#[tokio::test]
async fn straggler_is_named_and_keeps_task_until_aborted() {
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
async fn last_queue_is_handed_back_only_with_stragglers() {
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
async fn reader_that_never_waits_lets_others_run() {
    let records = 10_000;
    let (sender, receiver) = tollgate::tasks(records);
    let reader = Reader {
        coordinator: Coordinator::default(),
        records: sender,
        read: Arc::default(),
        left: Left::default(),
        unread: Left::default(),
    };
    let numbers = Shard::Numbers {
        first: 1,
        last: records as u64,
        step: 1,
    };
    let read = Arc::clone(&reader.read);
    let running = tokio::spawn(reader.run(numbers));
    // The runtime has one thread, and the reader is before this task in its queue.
    let meanwhile = tokio::spawn(async move { read.load(Ordering::Relaxed) });
    let meanwhile = in_time(meanwhile).await.unwrap();
    assert!((1..10_000).contains(&meanwhile), "{meanwhile} read by then");

    assert!(in_time(running).await.unwrap().is_ok());
    assert_eq!(receiver.close_now().count(), records);
}

// The program: clean ends.

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

// The program: failures.

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

#[test]
fn nothing_is_lost_by_stop() {
    let numbers = |range: RangeInclusive<u64>| -> String {
        range.map(|number| format!("{number}\r\n")).collect()
    };
    let one = numbers(1..=20_000);
    let two = format!("\u{feff}{}", numbers(20_001..=40_000).trim_end());
    let tree = tree(&[("one", &one), ("two", &two), ("three", &two)]);
    for stop in ["--enough=10", "--fail-at=50"] {
        for readers in ["-r1", "-r3"] {
            let args = ["one", "two", "three", "--left=left", PATIENT, stop, readers];
            let output = program_in(&tree, &args).run();
            assert!(!output.stderr.text().contains("not read"));
            let rest = program_in(&tree, &["left"]).run();
            rest.assert_code(0);
            let failed = if stop == "--fail-at=50" { 50 } else { 0 };
            let all = 20_000 * 20_001 / 2 + 2 * 20_000 * 60_001 / 2;
            assert_eq!(sum(&output) + failed + sum(&rest), all, "{stop} {readers}");
            assert_eq!(fs::read_dir(tree.path()).unwrap().count(), 4);
        }
    }
}

#[test]
fn place_where_reading_stopped_is_told() {
    let lines: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
    let tree = tree(&[("numbers", &lines), ("more", "1\n")]);
    let args = ["numbers", "more", "-r1", "--enough=10", PATIENT];
    let output = program_in(&tree, &args).run();
    output.assert_code(0);
    let stderr = output.stderr.text();
    let (_, place) = stderr
        .split_once("coordinator: not read: \"numbers\" after byte ")
        .unwrap();
    let (byte, place) = place.split_once(", in line ").unwrap();
    let (line, rest) = place.split_once('\n').unwrap();
    assert_eq!(rest, "coordinator: not read: \"more\"\n");
    let (before, _) = lines.split_at(byte.parse().unwrap());
    assert!(before.ends_with('\n'));
    assert_eq!(before.lines().count() + 1, line.parse().unwrap());
    assert_eq!(before.lines().count() as u128, counts(&output).read);

    let output = program(&["--enough=10", "-r1", ENDLESS, PATIENT]).run();
    let next = counts(&output).read + 1;
    let message = format!("not read: the numbers from {next} to 1000000000000000 by 1\n");
    assert!(
        output.stderr.text().ends_with(&message),
        "{}",
        output.stderr.text()
    );
}

#[test]
fn pipe_is_accounted_for() {
    let tree = tree(&[]);
    let pipe = Pipe::new();
    // The last line is not complete.
    (&pipe.write).write_all(b"1\n2\n3\n5\n6\n78").unwrap();
    let args = ["-", "--hang-at=3", "--left=left", "-w1", "-c1", "--grace=0"];
    let run = program_in(&tree, &args);
    let run = run.stdin(pipe.read.try_clone().unwrap()).start();
    wait_for_hang(&run);
    pipe.wait_until_empty();
    run.interrupt();
    let output = run.finish();
    output.assert_code(130);
    let left = fs::read_to_string(tree.path().join("left")).unwrap();
    assert_eq!(left, "5\n6\n");
    let message = "coordinator: not read: \"-\" after byte 10, in line 6\n";
    assert!(
        output.stderr.text().contains(message),
        "{}",
        output.stderr.text()
    );
    assert_eq!(counts(&output).in_hand, 1);
}

#[test]
fn pipe_keeps_what_comes_after_stop() {
    for input in ["-", "/dev/stdin"] {
        let tree = tree(&[]);
        let pipe = Pipe::new();
        (&pipe.write).write_all(b"1\n2\n").unwrap();
        // The program waits until the sum is read, so that it has time to read more.
        let full = Pipe::new();
        full.fill();
        let run = program_in(&tree, &[input, "--left=left", PATIENT])
            .stdin(pipe.read.try_clone().unwrap())
            .stdout(full.write)
            .start();
        pipe.wait_until_empty();
        run.interrupt();
        eventually("the stop", || {
            run.stderr().text().contains(CTRL_C).then_some(())
        });
        (&pipe.write).write_all(b"3\n").unwrap();

        let stdout = next(&lines_of(full.read)).unwrap();
        let summed_up = stdout.trim_start_matches(|c: char| c == '\0' || c.is_alphabetic());
        let summed_up = summed_up.trim_start().split(' ').next().unwrap();
        run.finish().assert_code(130);
        let left = fs::read_to_string(tree.path().join("left")).unwrap();
        let all = summed_up.parse::<u128>().unwrap() + total(&left) + total(&rest(pipe));
        assert_eq!(all, 6, "{input}");
    }
}

#[tokio::test]
async fn input_that_waits_takes_nothing() {
    let pipe = Pipe::new();
    let mut source = Source::new(pipe.read.try_clone().unwrap());
    assert!(poll_once(source.fill()).await.is_none());
    (&pipe.write).write_all(b"1\n").unwrap();
    let settled = source.settle(Instant::now() + PATIENCE).await;
    assert_eq!(settled, (Vec::new(), Next::Unknown));
    assert_eq!(rest(pipe), "1\n");
}

#[test]
fn call_that_hangs_is_given_up() {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let pipe = Pipe::new();
    (&pipe.write).write_all(b"1\n").unwrap();
    let source = || Source::new(pipe.read.try_clone().unwrap());
    let (mut one, mut two) = (source(), source());
    runtime.block_on(async {
        // No call begins before both sources have found that there are bytes.
        let (go_on, wait) = mpsc::channel::<()>();
        let busy = task::spawn_blocking(move || wait.recv());
        assert!(poll_once(one.fill()).await.is_none());
        assert!(poll_once(two.fill()).await.is_none());
        drop(go_on);
        assert!(in_time(busy).await.unwrap().is_err());

        let deadline = Instant::now() + PATIENCE;
        assert_eq!(one.settle(deadline).await, (b"1\n".into(), Next::Unknown));
        assert_eq!(two.settle(Instant::now()).await, (Vec::new(), Next::Hangs));
    });
    drop(pipe.write);
}

#[test]
fn end_of_pipe_is_found() {
    let lines: String = (1..=1000).map(|number| format!("{number}\n")).collect();
    let tree = tree(&[]);
    let pipe = Pipe::new();
    // The last line lacks its line feed.
    (&pipe.write)
        .write_all(lines.trim_end().as_bytes())
        .unwrap();
    drop(pipe.write);
    let args = ["-", "--left=left", "--enough=1", "-w1", "-c1", PATIENT];
    let output = program_in(&tree, &args).stdin(pipe.read).run();
    output.assert_code(0);
    assert!(!output.stderr.text().contains("not read"));
    let left = fs::read_to_string(tree.path().join("left")).unwrap();
    assert_eq!(sum(&output) + total(&left), 1000 * 1001 / 2);
}

#[test]
fn input_that_was_read_is_not_named() {
    let tree = tree(&[("numbers", "1\n2\n3\n")]);
    // Repeated, because the reader may find the end before the stop.
    for _ in 0..10 {
        let pipe = Pipe::new();
        (&pipe.write).write_all(b"1\n2\n3\n").unwrap();
        drop(pipe.write);
        for (input, stdin) in [("numbers", None), ("-", Some(pipe.read))] {
            let mut run = program_in(&tree, &[input, "--enough=3", PATIENT]);
            if let Some(stdin) = stdin {
                run = run.stdin(stdin);
            }
            let output = run.run();
            output.assert_code(0);
            assert_eq!(output.stderr.text(), "", "{input}");
        }
    }
}

/// By its type, it is a regular file.
#[test]
fn kernel_messages_are_not_waited_for() {
    let messages = "/proc/kmsg";
    if File::open(messages).is_err() {
        // Only root may read it.
        return;
    }
    let lines: String = (1..=1000).map(|number| format!("{number}\n")).collect();
    let tree = tree(&[("numbers", &lines)]);
    let args = ["numbers", messages, "--enough=1", "-r1", "-w1", "-c1"];
    let output = program_in(&tree, &args)
        .args(["--left=left", PATIENT])
        .run();
    output.assert_code(0);
    let message = format!("coordinator: not read: {messages:?}\n");
    let stderr = output.stderr.text();
    assert!(stderr.ends_with(&message), "{stderr}");
    let left = fs::read_to_string(tree.path().join("left")).unwrap();
    assert!(left.contains("\n1000\n"));
}

#[test]
fn pipe_is_refused_twice() {
    let tree = tree(&[("numbers", "1\n")]);
    make_fifo(&tree.path().join("fifo"));
    symlink("fifo", tree.path().join("link")).unwrap();
    for files in [
        ["-", "-"],
        ["-", "/dev/stdin"],
        ["/dev/fd/0", "-"],
        ["fifo", "./fifo"],
        ["fifo", "link"],
    ] {
        let stdin = File::open(tree.path().join("numbers")).unwrap();
        let output = program_in(&tree, &files).stdin(stdin).run();
        output.assert_code(2);
        let message = "is a pipe or standard input, which can be read only once";
        assert!(output.stderr.text().contains(message), "{files:?}");
        assert_eq!(output.stdout.text(), "");
    }
}

#[test]
fn input_is_not_overwritten_by_what_is_left() {
    let tree = tree(&[("numbers", "1\n2\n"), ("other", "3\n")]);
    fs::hard_link(tree.path().join("numbers"), tree.path().join("hard")).unwrap();
    symlink("numbers", tree.path().join("soft")).unwrap();
    for left in ["numbers", "./numbers", "hard", "soft"] {
        for inputs in [["other", "numbers"], ["numbers", "other"], ["-", "other"]] {
            let stdin = File::open(tree.path().join("numbers")).unwrap();
            let left = format!("--left={left}");
            let run = program_in(&tree, &inputs).arg(left).stdin(stdin);
            let output = run.run();
            output.assert_code(2);
            assert_eq!(output.stdout.text(), "");
            assert!(output.stderr.text().contains("--left would overwrite"));
            assert_eq!(fs::read(tree.path().join("numbers")).unwrap(), b"1\n2\n");
        }
    }
    // Not even if it does not exist yet.
    for left in ["missing", "./missing"] {
        let left = format!("--left={left}");
        let output = program_in(&tree, &["numbers", "missing", &left]).run();
        output.assert_code(2);
        assert!(output.stderr.text().contains("--left would overwrite"));
        assert!(!tree.path().join("missing").exists());
    }
}

#[test]
fn left_file_is_replaced_only_when_complete() {
    let tree = tree(&[("old", "77\n"), ("numbers", "1\nbad\n2\n")]);
    let old = tree.path().join("old");
    fs::set_permissions(&old, Permissions::from_mode(0o640)).unwrap();
    symlink("old", tree.path().join("link")).unwrap();
    let hanging = |args: &[&str]| {
        let run = program_in(&tree, args).arg("--left=link").start();
        wait_for_hang(&run);
        run
    };
    // Quits at once, and leaves nothing behind.
    let mut run = hanging(&["--hang-at=1", PATIENT]);
    interrupt_once(&mut run);
    interrupt_again(&run);
    run.finish().assert_code(130);
    assert_eq!(fs::read_to_string(&old).unwrap(), "77\n");
    assert_eq!(fs::read_dir(tree.path()).unwrap().count(), 3);

    let output = program_in(&tree, &["numbers", "-c1", "-r1", "-w1", "--left=link"]).run();
    output.assert_code(1);
    let rest = fs::read_to_string(&old).unwrap();
    assert!(["2\n", ""].contains(&&*rest), "{rest:?}");
    assert!(tree.path().join("link").is_symlink());
    assert_eq!(old.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::read_dir(tree.path()).unwrap().count(), 3);

    // Not in a directory that does not exist, and that is found before anything is read.
    let output = program(&["--left=missing/left", ENDLESS]).run();
    output.assert_code(1);
    let message =
        "coordinator: cannot create \"missing/left\": No such file or directory (os error 2)\n";
    assert_eq!(output.stderr.text(), message);
}

#[test]
fn unwritable_left_file_is_found_before_reading() {
    let tree = tree(&[("file", "1\n"), ("protected", "2\n")]);
    let protected = tree.path().join("protected");
    fs::set_permissions(tree.path(), Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(&protected, Permissions::from_mode(0o444)).unwrap();
    let long = "n".repeat(300);
    for (left, error) in [
        ("file/", "Not a directory"),
        ("new/", "is a directory"),
        ("new/.", "is a directory"),
        (".", "Is a directory"),
        (&long, "File name too long"),
        ("protected", "Permission denied"),
    ] {
        let limited = limited("coordinator", tree.path(), "--core=0");
        let output = limited.arg(format!("--left={left}")).arg(ENDLESS).run();
        output.assert_code(1);
        let stderr = output.stderr.text();
        let message = format!("coordinator: cannot create {left:?}: {error}");
        assert!(stderr.starts_with(&message), "{stderr} is not {message}");
        assert_eq!(output.stdout.text(), "");
    }
    assert_eq!(fs::read_to_string(protected).unwrap(), "2\n");
    assert_eq!(fs::read_dir(tree.path()).unwrap().count(), 2);
}

#[test]
fn left_file_is_not_that_of_a_standard_stream() {
    let tree = tree(&[]);
    for (left, redirection) in [
        ("out", ">out"),
        ("./out", ">>out"),
        ("out", "2>>out >/dev/null"),
        ("/dev/stdout", ">out"),
    ] {
        let script = format!(r#""$0" --left={left} {redirection}"#);
        let shell = command("sh", tree.path()).args(["-c", &script]);
        let output = shell.arg(example("coordinator")).run();
        output.assert_code(2);
        let out = fs::read_to_string(tree.path().join("out")).unwrap();
        let message = format!("standard output or standard error goes to {left:?} too");
        let messages = output.stderr.text() + &out;
        assert!(messages.contains(&message), "{messages}");
        fs::remove_file(tree.path().join("out")).unwrap();
    }
}

/// As the target of a mount, the file of another user in such a directory cannot be replaced.
#[test]
fn irreplaceable_left_file_is_overwritten() {
    if !Uid::effective().is_root() {
        // It has no other user to give the file to.
        return;
    }
    let tree = tree(&[("left", &"old\n".repeat(1000)), ("numbers", "1\nbad\n5\n")]);
    let left = tree.path().join("left");
    fs::set_permissions(&left, Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(tree.path(), Permissions::from_mode(0o1777)).unwrap();
    let limited = limited("coordinator", tree.path(), "--core=0");
    let output = limited
        .args(["numbers", "-r1", "-w1", "-c1", "--left=left"])
        .run();
    output.assert_code(1);
    assert!(!output.stderr.text().contains("cannot write"));
    let rest = fs::read_to_string(left).unwrap();
    assert!(["5\n", ""].contains(&&*rest), "{rest:?}");
    assert_eq!(fs::read_dir(tree.path()).unwrap().count(), 2);
}

#[test]
fn left_records_are_kept_if_file_cannot_be_created() {
    let tree = tree(&[]);
    let args = ["--hang-at=1", "--left=left", "--grace=0", ENDLESS];
    let run = program_in(&tree, &args).start();
    wait_for_hang(&run);
    fs::create_dir(tree.path().join("left")).unwrap();
    run.interrupt();
    let output = run.finish();
    output.assert_code(1);
    let stderr = output.stderr.text();
    let (_, kept) = stderr.split_once("; what was written is in \"").unwrap();
    let (kept, _) = kept.split_once('"').unwrap();
    let kept = fs::read_to_string(tree.path().join(kept)).unwrap();
    assert_eq!(kept.lines().count() as u128, counts(&output).handed_back);
}

#[test]
fn files_of_editors_are_summed_up() {
    for (contents, sum) in [
        ("\u{feff}1\r\n2\r\n", "sum 3 of 2 records\n"),
        ("\u{feff}", "sum 0 of 0 records\n"),
        ("\n\n1\n \t\n\r\n2\n\n", "sum 3 of 2 records\n"),
        ("\t4 \u{a0}\n+5", "sum 9 of 2 records\n"),
        (&format!("{}7", " ".repeat(4095)), "sum 7 of 1 records\n"),
    ] {
        let output = program_in(&tree(&[("file", contents)]), &["file"]).run();
        output.assert_code(0);
        assert_eq!(output.stdout.text(), sum, "{contents:?}");
        assert_eq!(output.stderr.text(), "");
    }
}

#[test]
fn bad_lines_are_named() {
    let long = format!("1\n{}\n", "0".repeat(4097));
    let shown = format!("\"{}\"...", "0".repeat(100));
    // A number behind more spaces than are kept of a line.
    let far = format!("{}7\n", " ".repeat(5000));
    let marked = format!("\u{feff}{far}");
    let blank = format!("\"{}\"...", " ".repeat(100));
    for (contents, line, text, why) in [
        (&b"1\n\xff\n"[..], 2, r#""\xff""#, "invalid utf-8 sequence"),
        (b"1\0\n", 1, r#""1\0""#, "invalid digit found in string"),
        (b"\xff\xfe1\0\n\0", 1, r#""\xff\xfe1\x00""#, "invalid utf-8"),
        (b"1\r2\r", 1, r#""1\r2\r""#, "invalid digit found in string"),
        (
            b"1\n\n\xef\xbb\xbf2\n",
            3,
            "\"\\u{feff}2\"",
            "invalid digit found in string",
        ),
        (
            b"18446744073709551616",
            1,
            r#""18446744073709551616""#,
            "number too large",
        ),
        (long.as_bytes(), 2, &shown, "longer than 4096 bytes"),
        (far.as_bytes(), 1, &blank, "longer than 4096 bytes"),
        (marked.as_bytes(), 1, "\"\\u{feff}", ""),
    ] {
        let tree = tree(&[]);
        fs::write(tree.path().join("file"), contents).unwrap();
        let output = program_in(&tree, &["file"]).run();
        output.assert_code(1);
        let stderr = output.stderr.text();
        let mut message = format!("coordinator: bad record at \"file\":{line}: {text}");
        if !why.is_empty() {
            message = format!("{message}: {why}");
        }
        let last = stderr.lines().last().unwrap();
        assert!(last.starts_with(&message), "{last} is not {message}");
    }
}

#[test]
fn format_of_file_is_guessed() {
    let utf_16 = "; the file seems to be UTF-16, and must be UTF-8";
    let cr = "; the lines seem to end with CR, and must end with LF or CR LF";
    for (contents, hint) in [
        (&b"\xff\xfe1\0\n\0"[..], utf_16),
        (b"\xfe\xff\x001\0\n", utf_16),
        (b"1\0\n\x002\0", utf_16),
        (b"1\r2\r", cr),
        (&b"1234567\r".repeat(1000), cr),
        (b"one\r\n", "invalid digit found in string"),
        (b"\0\0\0", "invalid digit found in string"),
    ] {
        let tree = tree(&[]);
        fs::write(tree.path().join("file"), contents).unwrap();
        let output = program_in(&tree, &["file"]).run();
        output.assert_code(1);
        let stderr = output.stderr.text();
        assert!(stderr.trim_end().ends_with(hint), "{stderr}");
    }
}

#[test]
fn endless_line_is_bad_record() {
    let prlimit = command("prlimit", Path::new("/")).arg("--as=2000000000");
    let output = prlimit.arg(example("coordinator")).arg("/dev/zero").run();
    output.assert_code(1);
    let stderr = output.stderr.text();
    let last = stderr.lines().last().unwrap();
    let message = "coordinator: bad record at \"/dev/zero\":1: \"\\0\\0";
    assert!(last.starts_with(message), "{last}");
    assert!(last.ends_with("\"...: longer than 4096 bytes"), "{last}");
}

#[test]
fn long_line_is_skipped_in_what_is_left() {
    let long = "9".repeat(1_000_000);
    let tree = tree(&[("file", &format!("1\n{long}\n2\n3"))]);
    let output = program_in(&tree, &["file", "-r1", "--left=left"]).run();
    output.assert_code(1);
    let rest = program_in(&tree, &["left"]).run();
    rest.assert_code(0);
    assert_eq!(sum(&output) + sum(&rest), 6);
}

#[test]
fn too_few_descriptors_fail_no_file() {
    let tree = tree(&[]);
    let names: Vec<String> = (0..200).map(|number| format!("file{number}")).collect();
    for name in &names {
        fs::write(tree.path().join(name), "1\n").unwrap();
    }
    let prlimit = command("prlimit", tree.path()).arg("--nofile=64:64");
    let program = prlimit.arg(example("coordinator")).arg("-r200");
    let output = program.args(&names).run();
    output.assert_code(0);
    assert_eq!(output.stdout.text(), "sum 200 of 200 records\n");
    let stderr = output.stderr.text();
    let end = " of 200 readers, because at most 64 files may be open (ulimit -n)\n";
    assert!(stderr.ends_with(end), "{stderr}");
    assert_eq!(stderr.lines().count(), 1);
}

#[test]
fn bad_line_fails_with_cause() {
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
fn unreadable_file_stops_all() {
    let tree = tree(&[]);
    let failed = |file, message: &str| {
        let output = program_in(&tree, &[file]).run();
        output.assert_code(1);
        let expected = format!("coordinator: cannot read {file:?}: {message}\n");
        assert_eq!(output.stderr.text(), expected);
    };
    failed("missing", "No such file or directory (os error 2)");
    failed(".", "is a directory");
}

#[test]
fn reader_without_input_does_not_delay_end() {
    let tree = tree(&[("bad", "bad\n")]);
    make_fifo(&tree.path().join("fifo"));
    let output = program_in(&tree, &["fifo", "bad", PATIENT]).run();
    output.assert_code(1);
    assert!(!output.stderr.text().contains("still running"));
}

// The program: stragglers.

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

// The program: Ctrl-C.

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
fn interrupt_while_left_is_written_changes_nothing() {
    const LEFT: u128 = 200_000;
    let tree = tree(&[(
        "numbers",
        &("1\nbad\n".to_owned() + &"7\n".repeat(LEFT as usize)),
    )]);
    let fifo = tree.path().join("fifo");
    make_fifo(&fifo);
    let mut options = File::options();
    let mut left = options
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&fifo)
        .unwrap();
    let args = [
        "numbers",
        "--left=fifo",
        "-r1",
        "-w1",
        "-c1",
        "--grace=1000000",
    ];
    let run = program_in(&tree, &args).start();
    // Not all of it fits into a fifo.
    let mut first = [0];
    eventually("the first byte", || {
        (left.read(&mut first).ok()? == 1).then_some(())
    });
    run.interrupt();
    eventually("a warning", || {
        let warning = "coordinator: already ending; Ctrl-C again quits at once\n";
        run.stderr().text().contains(warning).then_some(())
    });
    let mut rest = first.to_vec();
    eventually("the end of what is left", || {
        match left.read_to_end(&mut rest) {
            Ok(_) => Some(()),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                None
            }
        }
    });
    let output = run.finish();
    output.assert_code(1);
    let counts = counts(&output);
    let left = Bytes(rest).lines().filter(|line| *line == b"7").count() as u128;
    assert_eq!(counts.failed, 1);
    assert_eq!(left + counts.summed_up + counts.in_hand, LEFT + 1);
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

// The program: output.

#[test]
fn full_left_file_fails() {
    let output = program(&["--left=/dev/full", "--enough=1", ENDLESS, "-c1000"]).run();
    let left = counts(&output).handed_back > 0;
    output.assert_code(i32::from(left));
    let message = r#"cannot write "/dev/full": No space left on device"#;
    assert_eq!(output.stderr.text().contains(message), left);
}

#[test]
fn input_is_unread_after_failed_copy() {
    // Few enough bytes that all fit in the program's buffer.
    let lines: String = (1..=1000).map(|number| format!("{number}\n")).collect();
    let tree = tree(&[("numbers", &lines)]);
    let args = ["numbers", "--enough=1", "-r1", "-w1", "-c1"];
    let output = program_in(&tree, &args).arg("--left=/dev/full").run();
    output.assert_code(1);
    let stderr = output.stderr.text();
    let message = "coordinator: not read: \"numbers\" after byte ";
    assert!(stderr.contains(message), "{stderr}");
}

// Helpers.

/// More records than a test waits for.
const ENDLESS: &str = "--records=1000000000000000";

/// The warning at the first Ctrl-C.
const CTRL_C: &str = "coordinator: finishing what is in hand; Ctrl-C again quits at once";

/// A grace period that is longer than any test.
const PATIENT: &str = "--grace=1000000";

fn error(text: &str) -> Cause {
    Arc::new(io::Error::other(text.to_owned()))
}

/// Joins, but fails if that hangs.
async fn join(coordinator: &Coordinator, crew: Crew, grace: Duration) -> Ended {
    in_time(coordinator.join(crew, grace)).await
}

async fn in_time<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("the test hangs")
}

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

/// What is still in a pipe.
fn rest(pipe: Pipe) -> String {
    drop(pipe.write);
    io::read_to_string(pipe.read).unwrap()
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

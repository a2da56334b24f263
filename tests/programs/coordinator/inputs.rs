//! Input files, in the shapes that editors and other tools leave them.

use std::fs;
use std::future::poll_fn;
use std::mem;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use tokio::task;
use tokio::task::coop;
use tollgate::Sender;

use super::PATIENT;
use super::coordinator::Coordinator;
use super::coordinator::Left;
use super::counts;
use super::crew::in_time;
use super::program_in;
use super::reader::Reader;
use super::reader::Record;
use super::shard::Shard;
use super::tree;
use super::unread;
use crate::common::threads::lock;
use crate::program::command;
use crate::program::example;
use crate::program::make_fifo;

#[tokio::test]
async fn reader_that_never_waits_lets_others_run() {
    let records = 10_000;
    let (sender, receiver) = tollgate::tasks(records);
    let reader = reader(sender);
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
    let further = format!("coordinator: further errors: {}\n", counts.failed - 1);
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

/// As after a grace period.
#[tokio::test]
async fn reader_that_is_dropped_leaves_what_it_has_not_begun() {
    let tree = tree(&[("one", "1\n2\n3\n"), ("two", "4\n")]);
    let path = |name| tree.path().join(name);
    let files = Shard::Files(vec![path("one"), path("two")]);
    let one = format!("{:?} after byte 4, in line 3", path("one"));
    let two = format!("{:?}", path("two"));
    let numbers = Shard::Numbers {
        first: 1,
        last: 10,
        step: 2,
    };
    let rest = "the numbers from 5 to 10 by 2".to_owned();
    for (shard, expected) in [(files, vec![one, two]), (numbers, vec![rest])] {
        // The first record fills the queue, and the second waits.
        let dropped = drop_reader(shard, 1, 2, 0).await;
        assert_eq!((dropped.read, dropped.queued, dropped.left), (2, 1, 1));
        assert_eq!(dropped.unread, expected);
    }
}

#[tokio::test]
async fn reader_that_is_dropped_while_others_run_loses_nothing() {
    let lines: String = (1..=1000).map(|number| format!("{number}\n")).collect();
    let tree = tree(&[("numbers", &lines)]);
    let file = || Shard::Files(vec![tree.path().join("numbers")]);
    let numbers = || Shard::Numbers {
        first: 1,
        last: 1000,
        step: 1,
    };
    // The reader gives way to others wherever its budget happens to end.
    for (shard, spent) in [(file(), 0), (file(), 1), (numbers(), 0), (numbers(), 1)] {
        // The queue has room for all, so the reader does not wait for it.
        let dropped = drop_reader(shard, 1000, 1, spent).await;
        assert!((1..1000).contains(&dropped.queued));
        assert_eq!((dropped.queued, dropped.left), (dropped.read, 0));
        let next = dropped.read + 1;
        let [unread] = &*dropped.unread else {
            panic!("{:?}", dropped.unread);
        };
        let places = [format!("in line {next}"), format!("numbers from {next} to")];
        assert!(
            places.iter().any(|place| unread.contains(place)),
            "{unread}"
        );
    }
}

fn reader(records: Sender<Record>) -> Reader {
    Reader {
        coordinator: Coordinator::default(),
        records,
        read: Arc::default(),
        left: Left::default(),
        unread: Left::default(),
    }
}

/// What there is after a reader was dropped.
struct Dropped {
    read: usize,
    queued: usize,
    left: usize,
    unread: Vec<String>,
}

/// Runs a reader until it waits, and has read at least some records. Then drops it. It is polled when
/// some of the task's budget is spent.
async fn drop_reader(shard: Shard, capacity: usize, least: u64, spent: usize) -> Dropped {
    let (sender, receiver) = tollgate::tasks(capacity);
    let reader = reader(sender);
    let (read, left) = (Arc::clone(&reader.read), Arc::clone(&reader.left));
    let unread = Arc::clone(&reader.unread);
    let mut running = pin!(Some(reader.run(shard)));
    let read = || read.load(Ordering::Relaxed);
    // The next poll has a new budget.
    task::yield_now().await;
    in_time(poll_fn(|context| {
        for _ in 0..spent {
            assert!(pin!(coop::consume_budget()).poll(context).is_ready());
        }
        let running = running.as_mut().as_pin_mut().unwrap();
        assert!(running.poll(context).is_pending());
        if read() >= least {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }))
    .await;
    running.set(None);
    let stopped = mem::take(&mut *lock(&unread));
    let unread = unread::settle(stopped).await;
    Dropped {
        read: read() as usize,
        queued: receiver.close_now().count(),
        left: lock(&left).len(),
        unread: unread.iter().map(ToString::to_string).collect(),
    }
}

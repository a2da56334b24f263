//! What a stop leaves: the file of `--left`, and what was not read.

use std::fs;
use std::fs::File;
use std::fs::Permissions;
use std::io;
use std::io::Read;
use std::io::Write;
use std::ops::RangeInclusive;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::libc;
use nix::unistd::Uid;

use super::ENDLESS;
use super::PATIENT;
use super::counts;
use super::program;
use super::program_in;
use super::sum;
use super::tree;
use super::wait_for_hang;
use crate::contract::interrupt_again;
use crate::contract::interrupt_once;
use crate::contract::limited;
use crate::program::Bytes;
use crate::program::Pipe;
use crate::program::command;
use crate::program::eventually;
use crate::program::example;
use crate::program::make_fifo;

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
    symlink("missing", tree.path().join("link")).unwrap();
    for [input, left] in [
        ["missing", "missing"],
        ["missing", "./missing"],
        ["missing", "link"],
        ["link", "missing"],
    ] {
        let left = format!("--left={left}");
        let output = program_in(&tree, &["numbers", input, &left]).run();
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
fn full_left_file_fails() {
    let run = program(&["--left=/dev/full", "--enough=1", ENDLESS, "-c1000"]);
    let output = run.env("TMPDIR", "missing").run();
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
    let run = program_in(&tree, &args).arg("--left=/dev/full");
    let output = run.env("TMPDIR", "missing").run();
    output.assert_code(1);
    let stderr = output.stderr.text();
    let message = "coordinator: not read: \"numbers\" after byte ";
    assert!(stderr.contains(message), "{stderr}");
}

#[test]
fn file_that_becomes_an_input_is_not_overwritten() {
    let tree = tree(&[("numbers", "1\n2\n3\n")]);
    let path = |name| tree.path().join(name);
    let run = program_in(
        &tree,
        &["numbers", "--left=left", "--hang-at=1", "--grace=0"],
    )
    .start();
    wait_for_hang(&run);
    fs::hard_link(path("numbers"), path("left")).unwrap();
    run.interrupt();
    let output = run.finish();
    output.assert_code(1);
    assert_eq!(fs::read(path("numbers")).unwrap(), b"1\n2\n3\n");
    let error =
        r#"cannot write "left": it is "numbers" now, which is an input; what was written is in "#;
    assert!(output.stderr.text().contains(error), "{:?}", output.stderr);
}

#[test]
fn what_is_left_is_written_elsewhere_if_its_file_is_full() {
    let tree = tree(&[]);
    let pipe = Pipe::new();
    (&pipe.write).write_all(b"1\n2\n3\n4\n5\n").unwrap();
    let run = |temporary: &str| {
        let args = [
            "-",
            "--hang-at=1",
            "--left=/dev/full",
            "-w1",
            "-c1",
            "--grace=0",
        ];
        let run = program_in(&tree, &args).env("TMPDIR", temporary);
        let run = run.stdin(pipe.read.try_clone().unwrap()).start();
        wait_for_hang(&run);
        pipe.wait_until_empty();
        run.interrupt();
        let output = run.finish();
        output.assert_code(1);
        let error = r#"cannot write "/dev/full": No space left on device (os error 28)"#;
        let stderr = output.stderr.text();
        let (before, after) = stderr.split_once(error).unwrap();
        (before.to_owned(), after.to_owned())
    };
    let (_, kept) = run(".");
    let kept = kept.strip_prefix("; what was written is in \"").unwrap();
    let kept = fs::read_to_string(tree.path().join(kept.trim_end().trim_end_matches('"'))).unwrap();
    assert_eq!(kept, "2\n3\n4\n5\n");

    // Not even there. The first number is in hand, and one is queued.
    (&pipe.write).write_all(b"1\n2\n3\n4\n").unwrap();
    let (messages, _) = run("missing");
    let records = messages.matches("not written: \"-\":").count();
    let (before, _) = messages.split_once(" bytes that \"-\" gave out\n").unwrap();
    let bytes: usize = before.rsplit(' ').next().unwrap().parse().unwrap();
    assert_eq!(records + bytes / "2\n".len(), 3, "{messages}");
}

/// As editors and the rotation of logs do it.
#[test]
fn input_that_changes_is_read_to_its_own_end() {
    let numbers: String = (1..=20_000).map(|number| format!("{number}\n")).collect();
    let replace = |path: &Path| {
        fs::write(path.with_extension("new"), "7\n".repeat(100_000)).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    };
    let remove = |path: &Path| fs::remove_file(path).unwrap();
    let truncate = |path: &Path| {
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_len(100)
            .unwrap()
    };
    type Change = fn(&Path);
    let rewrite = |path: &Path| fs::write(path, "1234567\n".repeat(100_000)).unwrap();
    let changes: [(Change, bool); 4] = [
        (replace, true),
        (remove, true),
        (truncate, false),
        (rewrite, false),
    ];
    for (change, is_whole) in changes {
        let tree = tree(&[("numbers", &numbers)]);
        let args = [
            "numbers",
            "--left=left",
            "--hang-at=10",
            "-r1",
            "-w1",
            "-c1",
            "--grace=0",
        ];
        let run = program_in(&tree, &args).start();
        wait_for_hang(&run);
        change(&tree.path().join("numbers"));
        run.interrupt();
        let output = run.finish();
        output.assert_code(130);
        let left = fs::read_to_string(tree.path().join("left")).unwrap();
        let place = "not read: \"numbers\" after byte ";
        assert_eq!(output.stderr.text().contains(place), !is_whole);
        let expected = numbers.lines().skip_while(|number| *number != "11");
        let expected = expected.take(left.lines().count());
        assert!(left.lines().eq(expected), "{left}");
        // What was taken before the file was truncated is at least the rest of a block.
        assert!(left.lines().count() > if is_whole { 20_000 - 11 } else { 1000 });
    }
}

#[test]
fn fifo_that_is_replaced_by_file_is_not_taken_for_it() {
    let tree = tree(&[]);
    let path = tree.path().join("fifo");
    make_fifo(&path);
    let mut fifo = File::options().read(true).write(true).open(&path).unwrap();
    fifo.write_all(b"1\n2\n3\n4\n").unwrap();
    let args = [
        "fifo",
        "--left=left",
        "--hang-at=1",
        "-w1",
        "-c1",
        "--grace=0",
    ];
    let run = program_in(&tree, &args).start();
    wait_for_hang(&run);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "7\n".repeat(1000)).unwrap();
    run.interrupt();
    run.finish().assert_code(130);
    let left = fs::read_to_string(tree.path().join("left")).unwrap();
    assert_eq!(left, "2\n3\n4\n");
}

//! Input that the system gives out only once.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::symlink;
use std::pin::pin;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;

use futures_lite::future::poll_once;
use nix::libc;
use nix::sys::signal::Signal;
use tempfile::tempdir;
use tokio::runtime;
use tokio::task;
use tokio::time::Instant;

use super::CTRL_C;
use super::PATIENT;
use super::counts;
use super::crew::in_time;
use super::lines::Lines;
use super::program_in;
use super::source::Next;
use super::source::Source;
use super::sum;
use super::total;
use super::tree;
use super::unread;
use super::unread::Stopped;
use super::wait_for_hang;
use crate::contract::interrupt_again;
use crate::contract::interrupt_once;
use crate::program::PATIENCE;
use crate::program::Pipe;
use crate::program::Run;
use crate::program::eventually;
use crate::program::lines_of;
use crate::program::make_fifo;
use crate::program::next;

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

#[test]
fn no_byte_of_pipe_is_lost_by_stop() {
    for seed in 0..30 {
        let tree = tree(&[]);
        let pipe = Pipe::new();
        let run = program_in(&tree, &["-", "--left=left", PATIENT]);
        let run = run.stdin(pipe.read.try_clone().unwrap()).start();
        let chunks = fastrand::Rng::with_seed(seed).usize(1..200);
        let has_ended = AtomicBool::new(false);
        let (numbers, output, rest) = thread::scope(|scope| {
            let (written, wait) = mpsc::channel();
            let mut write = pipe.write.try_clone().unwrap();
            let has_ended = &has_ended;
            let writer = scope.spawn(move || {
                let mut numbers = 1..;
                while !has_ended.load(Ordering::Relaxed) {
                    // A pipe takes up to 4096 bytes as a whole.
                    let chunk: String = numbers
                        .by_ref()
                        .take(64)
                        .map(|n| format!("{n}\n"))
                        .collect();
                    write.write_all(chunk.as_bytes()).unwrap();
                    let _ = written.send(());
                }
                1..numbers.start
            });
            (0..chunks).for_each(|_| wait.recv_timeout(PATIENCE).unwrap());
            eventually("the handler of SIGINT", || {
                run.has_signal("SigCgt", Signal::SIGINT as u32)
                    .then_some(())
            });
            run.interrupt();
            let output = run.finish();
            has_ended.store(true, Ordering::Relaxed);
            // Without this, the writer may wait for room.
            let rest = rest(pipe);
            (writer.join().unwrap(), output, rest)
        });
        output.assert_code(130);
        let left = fs::read_to_string(tree.path().join("left")).unwrap();
        let all = sum(&output) + total(&left) + total(&rest);
        assert_eq!(all, numbers.sum(), "seed {seed}");
    }
}

/// Otherwise a writer that comes during the grace period would succeed, and what it writes be lost.
#[test]
fn fifo_has_no_reader_after_stop() {
    let tree = tree(&[("numbers", "1\n")]);
    let fifo = tree.path().join("fifo");
    make_fifo(&fifo);
    let args = ["numbers", "fifo", "--hang-at=1", "-r2", PATIENT];
    let mut run = program_in(&tree, &args).start();
    wait_for_hang(&run);
    let has_opened = |run: &Run| {
        let mut files = run.proc("fd").filter_map(|file| fs::read_link(file).ok());
        files.any(|file| file.ends_with("fifo"))
    };
    eventually("the reader", || has_opened(&run).then_some(()));
    interrupt_once(&mut run);
    eventually("the reader to leave", || (!has_opened(&run)).then_some(()));
    let mut options = File::options();
    options.write(true).custom_flags(libc::O_NONBLOCK);
    let error = options.open(&fifo).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENXIO));
    interrupt_again(&run);
    run.finish().assert_code(130);
}

#[tokio::test]
async fn input_that_waits_takes_nothing() {
    let pipe = Pipe::new();
    let mut source = Source::new(pipe.read.try_clone().unwrap());
    assert!(poll_once(source.fill()).await.is_none());
    (&pipe.write).write_all(b"1\n").unwrap();
    let settled = source.settle(Instant::now() + PATIENCE).await;
    assert_eq!((&*settled.bytes, settled.next), (&b""[..], Next::Unknown));
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
        let (one, two) = (one.settle(deadline).await, two.settle(Instant::now()).await);
        assert_eq!((&*one.bytes, one.next), (&b"1\n"[..], Next::Unknown));
        assert_eq!((&*two.bytes, two.next), (&b""[..], Next::Hangs));
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

#[tokio::test]
async fn line_that_has_begun_is_read_to_its_end() {
    let pipe = Pipe::new();
    (&pipe.write).write_all(b"1\n2").unwrap();
    let mut source = Source::new(pipe.read.try_clone().unwrap());
    assert_eq!(in_time(source.fill()).await.unwrap(), b"1\n2");
    let deadline = Instant::now() + PATIENCE;
    let mut settled = source.settle(deadline).await;
    {
        let mut ending = pin!(settled.end_line(3, deadline));
        assert!(poll_once(&mut ending).await.is_none());
        (&pipe.write).write_all(b"3\n4\n5").unwrap();
        in_time(ending).await;
    }
    assert_eq!(settled.bytes, b"1\n23\n");
    // A line that has ended is not continued.
    in_time(settled.end_line(3, deadline)).await;
    assert_eq!(settled.bytes, b"1\n23\n");
    // A line that is too long is not read to its end.
    settled.bytes.clear();
    settled.bytes.push(b'4');
    in_time(settled.end_line(1, deadline)).await;
    assert_eq!(settled.bytes, b"44");
    assert_eq!(rest(pipe), "\n5");
}

#[tokio::test]
async fn line_is_not_read_to_its_end_after_the_deadline() {
    let pipe = Pipe::new();
    (&pipe.write).write_all(b"1\n2").unwrap();
    let mut source = Source::new(pipe.read.try_clone().unwrap());
    in_time(source.fill()).await.unwrap();
    (&pipe.write).write_all(b"3\n").unwrap();
    let mut settled = source.settle(Instant::now()).await;
    in_time(settled.end_line(3, Instant::now())).await;
    assert_eq!(
        (&*settled.bytes, settled.next),
        (&b"1\n2"[..], Next::Unknown)
    );
    assert_eq!(rest(pipe), "3\n");
}

/// One that has not ended its line takes all the time that there is.
#[tokio::test]
async fn each_input_has_time_to_end_its_line() {
    let directory = tempdir().unwrap();
    let mut lines = Vec::new();
    let mut ends = Vec::new();
    for name in ["silent", "other"] {
        let path = directory.path().join(name);
        make_fifo(&path);
        let mut both = File::options().read(true).write(true).open(&path).unwrap();
        both.write_all(b"1\n2").unwrap();
        let mut input = Lines::new(File::open(&path).unwrap(), 0);
        in_time(input.next()).await.unwrap().unwrap();
        lines.push(Stopped::File {
            path,
            lines: Some(input),
        });
        ends.push(both);
    }
    ends[1].write_all(b"3\n").unwrap();
    let mut copies = Vec::new();
    for mut unread in in_time(unread::settle(lines)).await {
        let mut copy = Vec::new();
        unread.copy_to(&mut copy).unwrap();
        copies.push(copy);
    }
    assert_eq!(copies, [&b""[..], b"23\n"]);
}

/// On a terminal, each Ctrl-D is an end of the input.
#[tokio::test]
async fn input_is_not_read_after_its_end() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("fifo");
    make_fifo(&path);
    let mut lines = {
        // To open one end waits for the other.
        let mut both = File::options().read(true).write(true).open(&path).unwrap();
        both.write_all(b"1\n2").unwrap();
        Lines::new(File::open(&path).unwrap(), 0)
    };
    assert_eq!(in_time(lines.next()).await.unwrap().unwrap().text, b"1");
    assert_eq!(in_time(lines.next()).await.unwrap().unwrap().text, b"2");
    let mut writer = File::options().write(true).open(&path).unwrap();
    writer.write_all(b"3\n").unwrap();
    assert!(in_time(lines.next()).await.unwrap().is_none());
}

/// What is still in a pipe.
pub(super) fn rest(pipe: Pipe) -> String {
    drop(pipe.write);
    io::read_to_string(pipe.read).unwrap()
}

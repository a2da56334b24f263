//! What the tests of the examples share: running a program as its users do, with its output
//! captured, and never waiting for it without end.

#![allow(dead_code)] // Each test binary uses a part.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::io::ErrorKind;
use std::iter;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use tempfile::TempDir;

/// How long any wait may take before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An example, built by `cargo test` beside the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let example = profile.join("examples").join(name);
    assert!(
        example.exists(),
        "{} is not built; `cargo test` does it; before `--test` run `cargo build --examples`",
        example.display()
    );
    example
}

pub(crate) fn command(program: impl AsRef<OsStr>, directory: &Path) -> Invocation {
    let captured = tempfile::tempdir().unwrap();
    let capture = |name| File::create(captured.path().join(name)).unwrap();
    let mut command = Command::new(program);
    command
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(capture("stdout"))
        .stderr(capture("stderr"));
    Invocation { command, captured }
}

/// A shell's line on a terminal of its own, which is its stdin, stdout and stderr. What it shows is
/// captured as stdout.
///
/// When the test has done with it, all that runs there goes with the terminal: by SIGHUP, also
/// where the test was started with that signal ignored.
pub(crate) fn on_terminal(line: &str, directory: &Path) -> Invocation {
    let env = command("env", directory).args(["--default-signal=HUP", "script"]);
    env.args(["--quiet", "--return", "--command", line, "/dev/null"])
}

/// An example on a terminal of its own, but for what `options` lead elsewhere.
pub(crate) fn example_on_terminal(name: &str, options: &str) -> Invocation {
    let line = format!("'{}' {options}", example(name).display());
    on_terminal(&line, Path::new("/"))
}

/// A program about to be started, with its output captured in files: no pipe can fill up.
pub(crate) struct Invocation {
    command: Command,
    captured: TempDir,
}

impl Invocation {
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn stdout(mut self, file: File) -> Self {
        self.command.stdout(file);
        self
    }

    pub(crate) fn stderr(mut self, file: File) -> Self {
        self.command.stderr(file);
        self
    }

    pub(crate) fn start(mut self) -> Run {
        let child = self.command.spawn().unwrap();
        Run {
            child,
            captured: self.captured,
        }
    }

    pub(crate) fn run(self) -> Output {
        self.start().finish()
    }

    /// Runs it, and gives what it wrote to stderr, each piece by itself. Few of them: nobody reads
    /// meanwhile.
    pub(crate) fn pieces_of_stderr(self) -> Vec<String> {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        self.stderr(File::from(OwnedFd::from(theirs))).run();
        ours.set_nonblocking(true).unwrap();
        let mut piece = [0; 4096];
        iter::from_fn(|| {
            let length = ours.recv(&mut piece).ok()?;
            Some(String::from_utf8_lossy(&piece[..length]).into_owned())
        })
        .collect()
    }
}

/// A program that runs. It is killed if the test fails meanwhile.
pub(crate) struct Run {
    pub(crate) child: Child,
    captured: TempDir,
}

impl Run {
    pub(crate) fn finish(mut self) -> Output {
        let what = format!("process {} to end", self.child.id());
        let status = eventually(&what, || self.child.try_wait().unwrap());
        Output {
            code: status.code(),
            stdout: self.captured("stdout"),
            stderr: self.captured("stderr"),
        }
    }

    pub(crate) fn stderr(&self) -> Bytes {
        self.captured("stderr")
    }

    pub(crate) fn captured(&self, name: &str) -> Bytes {
        Bytes(fs::read(self.captured.path().join(name)).unwrap())
    }

    pub(crate) fn proc(&self, directory: &str) -> impl Iterator<Item = PathBuf> {
        let path = format!("/proc/{}/{directory}", self.child.id());
        let entries = fs::read_dir(path).expect("the program has ended too early");
        entries.filter_map(|entry| Some(entry.ok()?.path()))
    }

    /// Whether a thread waits in the system for somebody to read stderr.
    pub(crate) fn is_held_up_by_stderr(&self) -> bool {
        let is_held_up = |task: &Path| {
            match fs::read_to_string(task.join("syscall")) {
                // The number of the call, and its arguments.
                Ok(call) => call.split(' ').nth(1) == Some("0x2"),
                // Where that is not to be known, who asks learns a little less.
                Err(error) => error.kind() == ErrorKind::PermissionDenied,
            }
        };
        self.proc("task").any(|task| is_held_up(&task))
    }

    pub(crate) fn interrupt(&self) {
        let kill = command("sh", Path::new("/")).args(["-c", r#"kill -s INT "$0""#]);
        kill.arg(self.child.id().to_string()).run().assert_code(0);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Bytes,
    pub(crate) stderr: Bytes,
}

impl Output {
    #[track_caller]
    pub(crate) fn assert_code(&self, code: i32) {
        assert_eq!(self.code, Some(code), "stderr: {}", self.stderr.text());
    }
}

/// Output as it is: names need not be text.
#[derive(PartialEq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Bytes {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.0
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\n").expect("the last line ends, too"))
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

/// A pipe of which both ends are at hand.
pub(crate) struct Pipe {
    directory: TempDir,
    pub(crate) read: File,
    pub(crate) write: File,
}

impl Pipe {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        let mkfifo = command("mkfifo", directory.path());
        mkfifo.arg(&path).run().assert_code(0);
        // Opening one end waits for the other, unless both are there.
        let both = File::options().read(true).write(true).open(&path).unwrap();
        let read = File::open(&path).unwrap();
        let write = File::options().write(true).open(&path).unwrap();
        drop(both);
        Self {
            directory,
            read,
            write,
        }
    }

    /// Leaves no room for another byte.
    pub(crate) fn fill(&self) {
        let dd = command("dd", self.directory.path());
        let options = ["if=/dev/zero", "of=fifo", "bs=4096", "oflag=nonblock"];
        let output = dd.args(options).run();
        output.assert_code(1);
        let why = output.stderr.text();
        assert!(why.contains("temporarily unavailable"), "{why}");
    }
}

/// Lines that can be waited for with patience, and are not read ahead beyond a buffer.
pub(crate) fn lines_of(file: File) -> mpsc::Receiver<String> {
    let (lines, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || {
        for line in BufReader::new(file).lines() {
            if lines.send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// None at the end.
pub(crate) fn next(lines: &mpsc::Receiver<String>) -> Option<String> {
    match lines.recv_timeout(PATIENCE) {
        Ok(line) => Some(line),
        Err(mpsc::RecvTimeoutError::Disconnected) => None,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("waited too long for a line"),
    }
}

/// Polls until there is an answer. Fails, rather than hang, when there is none.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = poll() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited too long for {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

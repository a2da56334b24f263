//! Support for tests that run programs: their output is captured, and every wait has a limit.

#![allow(dead_code)] // Each test program uses a part.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::io::ErrorKind;
use std::iter;
use std::os::fd::AsFd;
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

use nix::libc;
use nix::poll::PollFd;
use nix::poll::PollFlags;
use nix::poll::PollTimeout;
use nix::poll::poll;
use nix::sys::signal::SigHandler;
use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::sys::signal::signal;
use nix::unistd::Pid;
use tempfile::TempDir;

/// The longest wait before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The tests may have been started with these signals ignored, which their programs would inherit.
#[ctor::ctor(unsafe)]
fn default_signals() {
    for number in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: no handler is installed that could do anything wrong.
        let _ = unsafe { signal(number, SigHandler::SigDfl) };
    }
}

/// The path of an example, which `cargo test` builds along with the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let example = profile.join("examples").join(name);
    assert!(
        example.exists(),
        "{} is not built: run `cargo test`, or `cargo build --examples` before `cargo test --test`",
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
    Invocation {
        command,
        captured,
        kept: None,
    }
}

/// A shell command on a new terminal, which is its stdin, stdout and stderr. What the terminal
/// shows is captured as stdout.
///
/// When this is dropped, the shell is killed. So is what it has replaced itself with by `exec`.
pub(crate) fn on_terminal(line: &str, directory: &Path) -> Invocation {
    let shell = r#"exec setpriv --pdeathsig KILL sh -c "$LINE""#;
    let script = command("script", directory).env("LINE", line);
    script.args(["--quiet", "--return", "--command", shell, "/dev/null"])
}

/// An example on a new terminal, except for what `options` redirect.
pub(crate) fn example_on_terminal(name: &str, options: &str) -> Invocation {
    let line = format!("exec '{}' {options}", example(name).display());
    on_terminal(&line, Path::new("/"))
}

/// A program to start. Its output is captured in files, because pipes can fill up.
pub(crate) struct Invocation {
    command: Command,
    captured: TempDir,
    kept: Option<TempDir>,
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

    pub(crate) fn stdin(mut self, file: File) -> Self {
        self.command.stdin(file);
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

    /// Keeps a directory as long as the program runs.
    pub(crate) fn keep(mut self, directory: TempDir) -> Self {
        self.kept = Some(directory);
        self
    }

    pub(crate) fn start(mut self) -> Run {
        let child = self.command.spawn().unwrap();
        Run {
            child,
            captured: self.captured,
            kept: self.kept,
        }
    }

    pub(crate) fn run(self) -> Output {
        self.start().finish()
    }

    /// Runs the program, and returns what each of its writes to stderr wrote. There must be only a
    /// few writes, because they are read after the program has ended.
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

/// A program that runs. It is killed on drop.
pub(crate) struct Run {
    pub(crate) child: Child,
    captured: TempDir,
    kept: Option<TempDir>,
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
        let entries = fs::read_dir(path).expect("the program has ended");
        entries.filter_map(|entry| Some(entry.ok()?.path()))
    }

    /// Whether the program has a thread with this name.
    pub(crate) fn has_thread(&self, name: &str) -> bool {
        self.proc("task").any(|task| {
            fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim_end() == name)
        })
    }

    /// Whether the thread with this name sleeps, which it does only in a system call.
    pub(crate) fn is_thread_asleep(&self, name: &str) -> bool {
        self.proc("task").any(|task| {
            let stat = fs::read_to_string(task.join("stat")).unwrap_or_default();
            stat.contains(&format!("({name}) S"))
        })
    }

    /// Whether the thread with this name has computed for a while.
    pub(crate) fn has_thread_computed(&self, name: &str) -> bool {
        /// In ticks, of which a second has a hundred.
        const A_WHILE: u64 = 3;
        self.proc("task").any(|task| {
            let stat = fs::read_to_string(task.join("stat")).unwrap_or_default();
            let fields = stat.split_once(&format!("({name}) "));
            // The time in user mode, counted from the state.
            let time = fields.and_then(|(_, fields)| fields.split(' ').nth(11)?.parse().ok());
            time.is_some_and(|time: u64| time >= A_WHILE)
        })
    }

    /// Whether a thread is blocked in a write to a descriptor. `None` if the system does not permit to
    /// look, as it may if the test is not run by root. The test then checks less.
    pub(crate) fn is_held_up_by(&self, descriptor: u8) -> Option<bool> {
        if !Path::new("/proc/self/syscall").exists() {
            return None;
        }
        // The number of the system call, and its first argument. A running thread has neither.
        let write = format!("{} {descriptor:#x} ", libc::SYS_write);
        for task in self.proc("task") {
            match fs::read_to_string(task.join("syscall")) {
                Ok(call) if call.starts_with(&write) => return Some(true),
                Err(error) if error.kind() == ErrorKind::PermissionDenied => return None,
                // The thread may have ended.
                Ok(_) | Err(_) => {}
            }
        }
        Some(false)
    }

    pub(crate) fn kill(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    pub(crate) fn interrupt(&self) {
        self.signal("INT");
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = command("sh", Path::new("/")).args(["-c", r#"kill -s "$0" "$1""#]);
        let kill = kill.arg(name).arg(self.child.id().to_string());
        kill.run().assert_code(0);
    }

    /// Whether a signal with this number is in a set of `/proc/PID/status`, such as `SigIgn`.
    pub(crate) fn has_signal(&self, set: &str, number: u32) -> bool {
        let status = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(set));
        let signals = line.and_then(|line| line.strip_prefix(':'));
        let signals = signals.and_then(|signals| u64::from_str_radix(signals.trim(), 16).ok());
        signals.is_some_and(|signals| signals >> (number - 1) & 1 == 1)
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

/// Output as bytes, because file names need not be UTF-8.
#[derive(PartialEq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Bytes {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split_inclusive(|byte| *byte == b'\n').map(|line| {
            line.strip_suffix(b"\n")
                .expect("the last line ends with a line feed")
        })
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

/// A file that cannot be written because the device is full.
pub(crate) fn dev_full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

pub(crate) fn make_fifo(path: &Path) {
    let mkfifo = command("mkfifo", Path::new("/")).arg(path);
    mkfifo.run().assert_code(0);
}

/// A pipe with both its ends.
pub(crate) struct Pipe {
    directory: TempDir,
    pub(crate) read: File,
    pub(crate) write: File,
}

impl Pipe {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        make_fifo(&path);
        // Opening one end blocks until the other is open, unless the same process opens both.
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

    /// Waits until all has been read that was written.
    pub(crate) fn wait_until_empty(&self) {
        eventually("the pipe to be empty", || {
            let mut pipe = [PollFd::new(self.read.as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut pipe, PollTimeout::ZERO).unwrap();
            (ready == 0).then_some(())
        });
    }

    /// Fills the pipe, so that another write blocks.
    pub(crate) fn fill(&self) {
        let dd = command("dd", self.directory.path());
        let options = ["if=/dev/zero", "of=fifo", "bs=4096", "oflag=nonblock"];
        let output = dd.args(options).run();
        output.assert_code(1);
        let why = output.stderr.text();
        assert!(why.contains("temporarily unavailable"), "{why}");
    }
}

/// The lines of a file, read by a thread that is ahead by at most one line and one buffer.
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

/// The next line, or `None` at the end.
pub(crate) fn next(lines: &mpsc::Receiver<String>) -> Option<String> {
    match lines.recv_timeout(PATIENCE) {
        Ok(line) => Some(line),
        Err(mpsc::RecvTimeoutError::Disconnected) => None,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("waited too long for a line"),
    }
}

/// Polls until `poll` returns a value. Fails after [`PATIENCE`].
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

//! The parent's side of one worker process.

use std::env;
use std::io;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::process::Child;
use tokio::process::ChildStdin;
use tokio::process::ChildStdout;
use tokio::process::Command;
use tokio::time::timeout;

use crate::common::descriptors;
use crate::protocol::JobResult;
use crate::protocol::Reply;
use crate::protocol::Request;
use crate::starts::NotReady;

/// Lets the system report how a process has ended, which it does not if the program was started with
/// SIGCHLD ignored.
pub(crate) fn restore_sigchld() {
    #[cfg(unix)]
    {
        use nix::sys::signal::SigHandler;
        use nix::sys::signal::Signal;

        // SAFETY: no handler is installed.
        let _ = unsafe { nix::sys::signal::signal(Signal::SIGCHLD, SigHandler::SigDfl) };
    }
}

/// How to start a worker: this program with other arguments.
pub(crate) struct Recipe {
    program: PathBuf,
    args: Vec<String>,
}

impl Recipe {
    pub(crate) fn new(args: Vec<String>) -> io::Result<Self> {
        let program = env::current_exe()?;
        Ok(Self { program, args })
    }

    fn spawn(&self) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        // A terminal sends Ctrl-C to the whole process group, but only the parent ends workers.
        #[cfg(unix)]
        command.process_group(0);
        #[cfg(windows)]
        command.creation_flags(CREATE_NEW_PROCESS_GROUP);
        command.spawn()
    }
}

#[cfg(windows)]
const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;

/// The descriptors that each process needs in this one: two pipes, and one to wait for its end.
pub(crate) const DESCRIPTORS: usize = 3;

/// The time that a process without an item has to end.
const GRACE: Duration = Duration::from_secs(1);

/// A worker process that is ready. It is killed on drop.
pub(crate) struct Worker {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    line: String,
    pub(crate) pid: u32,
}

impl Worker {
    /// Starts a process, and waits until it is ready, but not longer than `limit`.
    pub(crate) async fn start(
        recipe: &Recipe,
        limit: Duration,
    ) -> io::Result<Result<Self, NotReady>> {
        let mut worker = match recipe.spawn() {
            Ok(child) => Self::new(child)?,
            Err(error) if is_passing(&error) => return Ok(Err(NotReady::Lacking(error))),
            Err(error) => {
                let program = &recipe.program;
                return Err(io::Error::new(
                    error.kind(),
                    format!("{program:?}: {error}"),
                ));
            }
        };
        let why = match timeout(limit, worker.read()).await {
            Ok(Ok(Reply::Ready)) => return Ok(Ok(worker)),
            Ok(Ok(Reply::Lacking(what))) => NotReady::Lacking(io::Error::other(what)),
            Ok(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                return Ok(Err(NotReady::Ended(worker.kill().await?)));
            }
            Ok(_) => NotReady::Confused,
            Err(_) => NotReady::Late(limit),
        };
        worker.kill().await?;
        Ok(Err(why))
    }

    fn new(mut child: Child) -> io::Result<Self> {
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let pid = child.id();
        Ok(Self {
            child,
            stdin: stdin.expect("stdin is piped"),
            stdout: BufReader::new(stdout.expect("stdout is piped")),
            line: String::new(),
            pid: pid.expect("the child has not been waited for"),
        })
    }

    /// Sends an item to the process.
    pub(crate) async fn ask(&mut self, item: u64) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Request { item })?;
        line.push(b'\n');
        self.stdin.write_all(&line).await
    }

    /// Returns the reply to the request. After an error the process cannot be used any more.
    pub(crate) async fn answer(&mut self, asked: u64) -> io::Result<JobResult> {
        match self.read().await? {
            Reply::Answer { item, result } if item == asked => Ok(result),
            _ => Err(io::Error::other("unexpected answer")),
        }
    }

    async fn read(&mut self) -> io::Result<Reply> {
        self.line.clear();
        self.stdout.read_line(&mut self.line).await?;
        // Without a line feed this may be half a line, and half a number is a valid number.
        match self.line.strip_suffix('\n') {
            Some(line) => Ok(serde_json::from_str(line)?),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Waits until the process ends by itself. Cancel safe.
    pub(crate) async fn ended(&mut self) {
        // If waiting fails, the pipes report the end of the process.
        let _ = self.child.wait().await;
    }

    /// Kills the process, unless it has ended, without waiting for its end.
    pub(crate) fn start_kill(&mut self) {
        // An error means that it has ended.
        let _ = self.child.start_kill();
    }

    /// Kills the process, unless it has ended, and returns how it ended.
    pub(crate) async fn kill(mut self) -> io::Result<ExitStatus> {
        self.start_kill();
        self.child.wait().await
    }

    /// Ends the process in an orderly way, and waits for its end. It has nothing to do, so it is
    /// killed if it does not end.
    pub(crate) async fn dismiss(self) -> io::Result<ExitStatus> {
        let Self {
            mut child, stdin, ..
        } = self;
        drop(stdin);
        if let Ok(ended) = timeout(GRACE, child.wait()).await {
            return ended;
        }
        child.start_kill()?;
        child.wait().await
    }
}

/// Whether an error of starting a process passes when other processes end or close files.
fn is_passing(error: &io::Error) -> bool {
    let kinds = [ErrorKind::WouldBlock, ErrorKind::OutOfMemory];
    descriptors::is_shortage(error) || kinds.contains(&error.kind())
}

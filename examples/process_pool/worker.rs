//! The parent's side of one worker process.

use std::env;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::process::Stdio;

use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::process::Child;
use tokio::process::ChildStdin;
use tokio::process::ChildStdout;
use tokio::process::Command;

use crate::protocol::JobResult;
use crate::protocol::Reply;
use crate::protocol::Request;

/// How to start a worker: this program once more.
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
        // A terminal sends Ctrl-C to the whole group. It is for the parent to say when a worker
        // ends.
        #[cfg(unix)]
        command.process_group(0);
        #[cfg(windows)]
        command.creation_flags(CREATE_NEW_PROCESS_GROUP);
        command.spawn()
    }
}

#[cfg(windows)]
const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;

/// A process that has come up. Dropped, it is killed.
pub(crate) struct Worker {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    line: String,
    pub(crate) pid: u32,
}

impl Worker {
    /// Starts a process. Of one that ends before it is ready there is only the status.
    pub(crate) async fn start(recipe: &Recipe) -> io::Result<Result<Self, ExitStatus>> {
        let mut worker = Self::new(recipe.spawn()?)?;
        match worker.read().await {
            Ok(Reply::Ready) => Ok(Ok(worker)),
            _ => worker.kill().await.map(Err),
        }
    }

    fn new(mut child: Child) -> io::Result<Self> {
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let pid = child.id();
        Ok(Self {
            child,
            stdin: stdin.expect("it is piped"),
            stdout: BufReader::new(stdout.expect("it is piped")),
            line: String::new(),
            pid: pid.expect("nobody has waited for it"),
        })
    }

    /// Hands an item over.
    pub(crate) async fn ask(&mut self, item: u64) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Request { item })?;
        line.push(b'\n');
        self.stdin.write_all(&line).await
    }

    /// The answer to what was asked. After an error the process is of no use any more.
    pub(crate) async fn answer(&mut self, asked: u64) -> io::Result<JobResult> {
        match self.read().await? {
            Reply::Answer { item, result } if item == asked => Ok(result),
            _ => Err(io::Error::other("an answer to what was not asked")),
        }
    }

    async fn read(&mut self) -> io::Result<Reply> {
        self.line.clear();
        self.stdout.read_line(&mut self.line).await?;
        // Without its end it may be half a line, and half a number is a number.
        match self.line.strip_suffix('\n') {
            Some(line) => Ok(serde_json::from_str(line)?),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Waits until the process ends without having been told to.
    ///
    /// Cancel safe.
    pub(crate) async fn ended(&mut self) {
        // If it cannot be waited for, its pipes will tell.
        let _ = self.child.wait().await;
    }

    /// Kills the process, unless it has ended, and does not wait for that.
    pub(crate) fn shoot(&mut self) {
        // An error says that it has ended.
        let _ = self.child.start_kill();
    }

    /// Kills the process, unless it has ended. How it ended, it says afterwards; nothing more will
    /// come from it.
    pub(crate) async fn kill(mut self) -> io::Result<ExitStatus> {
        self.shoot();
        self.child.wait().await
    }

    /// Lets the process go, and waits for it.
    pub(crate) async fn dismiss(self) -> io::Result<ExitStatus> {
        let Self {
            mut child, stdin, ..
        } = self;
        drop(stdin);
        child.wait().await
    }
}

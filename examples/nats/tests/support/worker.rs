//! Worker processes, and what they say.

use std::io::BufRead;
use std::io::BufReader;
use std::process::Child;
use std::process::ExitStatus;
use std::process::Stdio;
use std::thread;

use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tokio::sync::mpsc::UnboundedSender;

use super::bound;
use super::cluster::NODES;

pub(crate) const AT_ONCE: usize = 8;
pub(crate) const AHEAD: usize = 16;

/// A line of a process, or its end.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) process: usize,
    pub(crate) what: What,
}

#[derive(Debug, PartialEq)]
pub(crate) enum What {
    /// From now on, it handles SIGTERM.
    Ready,
    /// The effect of a job.
    Worked { job: u64, attempt: u32, at: u64 },
    /// The broker has confirmed the outcome.
    Settled { job: u64 },
    /// Another line.
    Other(String),
    /// All lines have been read.
    End,
}

/// The limits of a worker process, in seconds.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) ack_wait: u64,
    pub(crate) grace: u64,
}

/// The command line of a worker process.
pub(crate) fn arguments(servers: &[String], limits: Limits) -> Vec<String> {
    let Limits { ack_wait, grace } = limits;
    vec![
        "work".to_owned(),
        format!("--server={}", servers.join(",")),
        format!("--replicas={NODES}"),
        format!("--at-once={AT_ONCE}"),
        format!("--ahead={AHEAD}"),
        format!("--ack-wait={ack_wait}"),
        format!("--grace={grace}"),
    ]
}

/// A worker process. It is killed on drop.
pub(crate) struct Worker {
    child: Child,
}

impl Worker {
    pub(crate) fn start(
        servers: &[String],
        limits: Limits,
        process: usize,
        said: UnboundedSender<Said>,
    ) -> Self {
        let mut child = bound(env!("CARGO_BIN_EXE_nats-worker"))
            .args(arguments(servers, limits))
            .env("RUST_BACKTRACE", "0") // A job panics.
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        thread::spawn(move || {
            let whats = lines.map(|line| parse(&line.unwrap()));
            for what in whats.chain([What::End]) {
                let _ = said.send(Said { process, what });
            }
        });
        Self { child }
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let id = Pid::from_raw(self.child.id().try_into().unwrap());
        kill(id, Signal::SIGTERM).unwrap();
    }

    /// After its [`End`](What::End).
    pub(crate) fn status(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parse(line: &str) -> What {
    let words: Vec<_> = line.split(' ').collect();
    match words[..] {
        ["ready"] => What::Ready,
        ["worked", job, attempt, at] => What::Worked {
            job: job.parse().unwrap(),
            attempt: attempt.parse().unwrap(),
            at: at.parse().unwrap(),
        },
        ["settled", job] => What::Settled {
            job: job.parse().unwrap(),
        },
        _ => What::Other(line.to_owned()),
    }
}

//! The worker's side: what runs in the child processes. Nothing here knows of tollgate.

use std::io;
use std::io::BufRead;
use std::io::Write;
use std::process;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::protocol::JobResult;
use crate::protocol::Reply;
use crate::protocol::Request;

pub(crate) struct Job {
    /// Further work that each item makes.
    pub(crate) pause: Duration,
    /// Items that end the process.
    pub(crate) crash_on: Vec<u64>,
}

impl Job {
    /// Answers requests until there are no more.
    pub(crate) fn run(&self) -> ExitCode {
        match self.serve() {
            Ok(()) => ExitCode::SUCCESS,
            // The parent hears of it by the end of this process.
            Err(_) => ExitCode::FAILURE,
        }
    }

    fn serve(&self) -> io::Result<()> {
        let requests = listen()?;
        say(&Reply::Ready)?;
        for request in requests {
            let Request { item } = serde_json::from_str(&request?)?;
            let result = self.work(item);
            say(&Reply::Answer { item, result })?;
        }
        Ok(())
    }

    fn work(&self, item: u64) -> JobResult {
        thread::sleep(self.pause);
        if self.crash_on.contains(&item) {
            process::abort();
        }
        collatz(item)
    }
}

/// The lines of stdin, read on a thread of its own.
///
/// The parent closes stdin when it is through with this process, or when it dies, however it dies.
/// Either way nobody wants an answer any more: the process ends at once, whatever it is at.
fn listen() -> io::Result<mpsc::Receiver<io::Result<String>>> {
    let (lines, requests) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        for line in io::stdin().lock().lines() {
            if lines.send(line).is_err() {
                return;
            }
        }
        process::exit(0);
    })?;
    Ok(requests)
}

/// A line in one piece: half an answer is of no use to anybody.
fn say(reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

/// How often to halve an even number, and triple an odd one and add one, to come to 1.
fn collatz(item: u64) -> JobResult {
    if item == 0 {
        return Err("never comes to 1".to_owned());
    }
    let (mut number, mut steps) = (u128::from(item), 0);
    while number != 1 {
        number = if number % 2 == 0 {
            number / 2
        } else {
            let tripled = number.checked_mul(3).and_then(|n| n.checked_add(1));
            tripled.ok_or("comes past 128 bits")?
        };
        steps += 1;
    }
    Ok(steps)
}

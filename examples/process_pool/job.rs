//! The code of the worker processes, which does not use tollgate.

use std::io;
use std::io::BufRead;
use std::io::Write;
use std::process;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::common::interrupt;
use crate::protocol::JobResult;
use crate::protocol::Reply;
use crate::protocol::Request;

pub(crate) struct Job {
    /// Additional time for each item.
    pub(crate) pause: Duration,
    /// Items that crash the process.
    pub(crate) crash_on: Vec<u64>,
}

impl Job {
    /// Answers requests until stdin ends. The parent handles the signals.
    pub(crate) fn run(&self) -> ExitCode {
        interrupt::ignore();
        match self.serve() {
            Ok(()) => ExitCode::SUCCESS,
            // The parent notices when this process ends.
            Err(_) => ExitCode::FAILURE,
        }
    }

    fn serve(&self) -> io::Result<()> {
        let requests = match requests() {
            Ok(requests) => requests,
            Err(error) => return send(&Reply::Lacking(error.to_string())),
        };
        send(&Reply::Ready)?;
        for request in requests {
            let Request { item } = serde_json::from_str(&request?)?;
            let result = self.work(item);
            send(&Reply::Answer { item, result })?;
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

/// The lines of stdin, read on a separate thread.
///
/// The end of stdin means that the parent does not need this process any more, or is dead. The
/// process then ends at once, even if it is computing.
fn requests() -> io::Result<mpsc::Receiver<io::Result<String>>> {
    let (lines, requests) = mpsc::channel();
    let read = move || {
        for line in io::stdin().lock().lines() {
            if lines.send(line).is_err() {
                return;
            }
        }
        process::exit(0);
    };
    // The parent says what to lower or raise.
    thread::Builder::new().spawn(read)?;
    Ok(requests)
}

/// Writes a line at once, so that the parent never sees half of it.
fn send(reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

/// The number of steps to 1, where a step halves an even number, and triples an odd one and adds 1.
fn collatz(item: u64) -> JobResult {
    if item == 0 {
        return Err("never reaches 1".to_owned());
    }
    let (mut number, mut steps) = (u128::from(item), 0);
    while number != 1 {
        number = if number % 2 == 0 {
            number / 2
        } else {
            let tripled = number.checked_mul(3).and_then(|n| n.checked_add(1));
            tripled.ok_or("exceeds 128 bits")?
        };
        steps += 1;
    }
    Ok(steps)
}

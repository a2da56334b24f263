//! An input that is read in blocks. When its reader stops, every byte that it took is in a record or in
//! what [`Source::settle`] returns. The caller writes only whole lines of that to another file.
//!
//! What is read from a pipe is no longer in it. A call that waits in the system cannot be cancelled:
//! it would take what the pipe gives out after the stop, when all is accounted for. So:
//!
//! 1. A reader that waits has called nothing. A stop ends its wait, and what comes then stays in the
//!    pipe. (If no other process reads the pipe, the system drops that when the program closes it.)
//! 2. A thread reads only if the input is ready, so that the call returns at once. If the stop comes
//!    meanwhile, [`Source::settle`] waits for the thread, and what it took is accounted for.
//! 3. After that, only the rest of a line is read whose beginning was taken, byte by byte and not for
//!    long: half a line is of no use, and the next one stays in the pipe.
//!
//! A call can still wait if another process took the bytes first, or if a device says that it is ready
//! and is not. Such a call is given up, and the input is named: [`Next::Hangs`].

use std::fs::File;
use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Seek;
use std::sync::Arc;
use std::time::Duration;

use tokio::task;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio::time::timeout;
use tokio::time::timeout_at;

use crate::common::file;

const BLOCK: usize = 8 * 1024;

/// How long to wait for a call that should return at once, because its input was ready, and for the
/// rest of a line.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) struct Source {
    file: Arc<File>,
    block: Vec<u8>,
    /// How much of the block has been consumed.
    consumed: usize,
    /// The call that reads the next block.
    call: Option<JoinHandle<io::Result<Vec<u8>>>>,
    /// Whether the end was found. A terminal would wait for it again.
    is_at_end: bool,
}

/// An input from which a reader has stopped to read.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    /// What was taken and not consumed.
    pub(crate) bytes: Vec<u8>,
    /// What was taken last, consumed or not.
    pub(crate) last: Vec<u8>,
    pub(crate) next: Next,
    pub(crate) file: Arc<File>,
}

/// What follows the bytes that have been taken from an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Unknown,
    /// The end of the input.
    End,
    /// A call that reads more has not returned. What it takes of a pipe is lost.
    Hangs,
}

impl Source {
    pub(crate) fn new(file: File) -> Self {
        Self {
            file: Arc::new(file),
            block: Vec::new(),
            consumed: 0,
            call: None,
            is_at_end: false,
        }
    }

    /// The bytes that have been taken and not consumed.
    pub(crate) fn buffer(&self) -> &[u8] {
        &self.block[self.consumed..]
    }

    pub(crate) fn consume(&mut self, length: usize) {
        self.consumed += length;
    }

    /// Whether this is a pipe that no call reads, whose end is not found, and of which all that was
    /// taken has been consumed.
    pub(crate) fn is_idle_pipe(&self) -> bool {
        let is_pipe = self.file.metadata().is_ok_and(|file| file::is_pipe(&file));
        let is_idle = self.buffer().is_empty() && self.call.is_none();
        is_pipe && is_idle && !self.is_at_end && next(&self.file) == Next::Unknown
    }

    /// The buffer, which is filled first if it is empty. It is empty at the end. Cancel safe.
    pub(crate) async fn fill(&mut self) -> io::Result<&[u8]> {
        while self.buffer().is_empty() && !self.is_at_end {
            if self.call.is_none() {
                ready(&self.file).await;
            }
            let call = self.call.get_or_insert_with(|| {
                let file = Arc::clone(&self.file);
                task::spawn_blocking(move || read(&file, BLOCK))
            });
            // If this future is dropped here, the call stays for the next one, or for `settle`.
            let read = call.await;
            self.call = None;
            self.block = match read? {
                // Another process was quicker.
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                read => read?,
            };
            self.consumed = 0;
            self.is_at_end = self.block.is_empty();
        }
        Ok(self.buffer())
    }

    /// Waits for a call that reads, but not beyond the deadline.
    pub(crate) async fn settle(mut self, deadline: Instant) -> Settled {
        let mut bytes = self.buffer().to_vec();
        let mut last = self.block.clone();
        let next = match self.call.take() {
            _ if self.is_at_end => Next::End,
            None => next(&self.file),
            Some(call) => match timeout_at(deadline, call).await {
                Ok(Ok(Ok(block))) if block.is_empty() => Next::End,
                Ok(Ok(Ok(block))) => {
                    bytes.extend_from_slice(&block);
                    last = block;
                    next(&self.file)
                }
                // It took nothing.
                Ok(_) => Next::Unknown,
                Err(_) => Next::Hangs,
            },
        };
        let file = self.file;
        Settled {
            bytes,
            last,
            next,
            file,
        }
    }
}

impl Settled {
    /// Reads the rest of a line of up to `most` bytes. Waits for the next byte until the deadline,
    /// and for a call that reads it a little longer.
    pub(crate) async fn end_line(&mut self, most: usize, deadline: Instant) {
        for _ in 0..most {
            let is_in_line = self.bytes.last().is_some_and(|byte| *byte != b'\n');
            if !is_in_line || self.next != Next::Unknown {
                return;
            }
            let ready = timeout_at(deadline, ready(&self.file)).await;
            // `timeout_at` does not fail if the input is ready at once, even after the deadline.
            if ready.is_err() || Instant::now() >= deadline {
                return;
            }
            let file = Arc::clone(&self.file);
            let call = task::spawn_blocking(move || read(&file, 1));
            // The deadline does not apply to this call: the byte that it takes would be lost.
            match timeout(PATIENCE, call).await {
                Ok(Ok(Ok(byte))) if byte.is_empty() => self.next = Next::End,
                Ok(Ok(Ok(byte))) => {
                    self.bytes.extend(byte);
                    self.next = next(&self.file);
                }
                Ok(_) => return,
                Err(_) => self.next = Next::Hangs,
            }
        }
    }
}

/// Whether the end of the input follows, if that can be found without reading.
fn next(mut file: &File) -> Next {
    let is_end = match (file.metadata(), file.stream_position()) {
        // The length of a file that the system generates is 0, whatever it gives out.
        (Ok(metadata), Ok(position)) if metadata.is_file() => {
            position > 0 && metadata.len() == position
        }
        _ => has_no_writer(file),
    };
    if is_end { Next::End } else { Next::Unknown }
}

fn read(mut file: &File, most: usize) -> io::Result<Vec<u8>> {
    let mut block = vec![0; most];
    loop {
        match file.read(&mut block) {
            Ok(length) => {
                block.truncate(length);
                return Ok(block);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Waits until the input is ready. If the system cannot tell, it is taken to be.
#[cfg(unix)]
#[allow(deprecated)] // Sound for a `BorrowedFd`. Older versions of tokio lack what replaces it.
async fn ready(file: &File) {
    use std::os::fd::AsFd;

    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    const INTEREST: Interest = Interest::READABLE.add(Interest::ERROR);
    while !is_ready(file) {
        // Registered each time, so that it begins with the present state and misses no change.
        let Ok(file) = AsyncFd::with_interest(file.as_fd(), INTEREST) else {
            return;
        };
        if file.ready(INTEREST).await.is_err() {
            return;
        }
    }
}

#[cfg(not(unix))]
async fn ready(_file: &File) {}

/// Whether a read would return at once, perhaps with an error or at the end.
#[cfg(unix)]
pub(crate) fn is_ready(file: &File) -> bool {
    state(file).is_none_or(|state| !state.is_empty())
}

#[cfg(not(unix))]
pub(crate) fn is_ready(_file: &File) -> bool {
    true
}

/// Whether a pipe is empty and no process can write to it.
#[cfg(unix)]
fn has_no_writer(file: &File) -> bool {
    use nix::poll::PollFlags;

    state(file) == Some(PollFlags::POLLHUP)
}

#[cfg(not(unix))]
fn has_no_writer(_file: &File) -> bool {
    false
}

/// What can be read: nothing, bytes (POLLIN), the end (POLLHUP), or an error. `None` if that is not
/// known.
#[cfg(unix)]
fn state(file: &File) -> Option<nix::poll::PollFlags> {
    use std::os::fd::AsFd;

    use nix::errno::Errno;
    use nix::poll::PollFd;
    use nix::poll::PollFlags;
    use nix::poll::PollTimeout;
    use nix::poll::poll;

    let mut files = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut files, PollTimeout::ZERO) {
            Ok(_) => return files[0].revents(),
            Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
}

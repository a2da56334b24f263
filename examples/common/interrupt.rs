//! Ctrl-C, SIGTERM and SIGHUP as a future.

use std::fmt;
use std::future;
use std::io;
use std::process;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

#[cfg(unix)]
use nix::sys::signal::Signal;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::file;
use super::output::warn;
use super::runtime;
use super::threads;

/// For how long further signals belong to the same request as the first one. `timeout` sends its
/// signal to the program and then to its process group, and a supervisor may do the same.
pub(crate) const ONE_REQUEST: Duration = Duration::from_millis(500);

/// A request to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Ctrl-C, which is SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// SIGHUP: the terminal was closed.
    HungUp,
}

impl Stop {
    /// The status that a shell reports for a program that was ended by the signal: 128 plus its
    /// number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Interrupted => 130,
            Self::Terminated => 143,
            Self::HungUp => 129,
        }
    }

    /// Writes to stderr how the program reacts to the first request.
    pub(crate) fn warn(self, reaction: impl fmt::Display) {
        let again = match self {
            Self::Interrupted => "Ctrl-C again",
            Self::Terminated => "a second SIGTERM",
            Self::HungUp => "SIGTERM",
        };
        warn(format_args!("{reaction}; {again} quits at once"));
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
            Self::HungUp => "hung up",
        })
    }
}

/// The first Ctrl-C, SIGTERM or SIGHUP. The second one ends the process, except that no SIGHUP is a second
/// one: when a terminal is closed, the shell and the system each send one. A signal within [`ONE_REQUEST`]
/// of the first is not a second one either.
///
/// Once this is dropped, the program ends by itself. The first signal then only causes a message, so
/// that the output is complete.
///
/// A signal that is ignored when the program starts, as SIGINT is in a background job of a script,
/// and SIGHUP after `nohup`, is still ignored.
pub(crate) struct Interrupt(oneshot::Receiver<Stop>);

impl Interrupt {
    /// Starts to handle the signals. From now on, the first one does not end the process by itself.
    pub(crate) fn listen() -> io::Result<Self> {
        Self::listen_with(|_| {})
    }

    /// The same. `last_words` is called before the process is ended, unless the program has begun to
    /// end by itself. If it blocks, the next signal ends the process.
    pub(crate) fn listen_with(last_words: impl FnOnce(Stop) + Send + 'static) -> io::Result<Self> {
        let (notify, first) = oneshot::channel();
        let (listening, is_listening) = mpsc::channel();
        // On its own thread: all other threads may be blocked by a full pipe.
        threads::spawn("signals", None, move || {
            let listen = async {
                let mut signals = Signals::new()?;
                let _ = listening.send(Ok(()));
                Ok(answer(&mut signals, notify, last_words).await)
            };
            match runtime::block_on_this_thread(listen) {
                Ok(stop) => quit(stop),
                // After the start, no thread receives the error.
                Err(error) => drop(listening.send(Err(error))),
            }
        })?;
        is_listening.recv().map_err(io::Error::other)??;
        Ok(Self(first))
    }

    pub(crate) async fn first(mut self) -> Stop {
        match (&mut self.0).await {
            Ok(stop) => stop,
            // The listener never drops the sender without sending.
            Err(_) => future::pending().await,
        }
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        // After this, the listener finds out by itself that nothing receives the signal.
        self.0.close();
        if let Ok(stop) = self.0.try_recv() {
            warn_of_end(stop);
        }
    }
}

fn warn_of_end(stop: Stop) {
    // On its own thread: if stderr blocks, another signal must still end the process. Without a
    // thread, there is no message.
    let _ = threads::spawn("warning", None, move || stop.warn("already ending"));
}

/// Ignores the signals, in a process whose parent handles them: both are often sent to all
/// processes of a program.
pub(crate) fn ignore() {
    #[cfg(unix)]
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        use nix::sys::signal::SigHandler;

        // SAFETY: no handler is installed.
        let _ = unsafe { nix::sys::signal::signal(signal, SigHandler::SigIgn) };
    }
}

/// Handles the signals, up to the one that ends the process.
async fn answer(
    signals: &mut Signals,
    notify: oneshot::Sender<Stop>,
    last_words: impl FnOnce(Stop) + Send + 'static,
) -> Stop {
    let first = signals.next().await;
    // Before the program reacts: after its message, a signal counts when this time is over.
    let again = Instant::now() + ONE_REQUEST;
    signals.forget_hang_up();
    let is_ending = notify.send(first).is_err();
    if is_ending {
        warn_of_end(first);
    }
    let second = signals.next_after(again).await;
    if is_ending {
        return second;
    }
    let again = Instant::now() + ONE_REQUEST;
    let speak = move || {
        last_words(second);
        quit(second);
    };
    match thread::Builder::new().spawn(speak) {
        Ok(_) => signals.next_after(again).await,
        Err(_) => second,
    }
}

fn quit(stop: Stop) -> ! {
    /// How long a message may take. Nothing else can end the program while it blocks.
    const MOMENT: Duration = Duration::from_secs(1);
    let messages = file::give_up();
    if !messages.is_empty() {
        let (done, written) = mpsc::channel::<()>();
        let write = move || {
            messages.iter().for_each(warn);
            drop(done);
        };
        if thread::Builder::new().spawn(write).is_ok() {
            // It always returns an error: the message is written, or the time is over.
            let _ = written.recv_timeout(MOMENT);
        }
    }
    process::exit(stop.code().into());
}

impl Signals {
    /// The next signal that comes after this time.
    async fn next_after(&mut self, time: Instant) -> Stop {
        loop {
            let stop = self.next().await;
            if Instant::now() >= time {
                return stop;
            }
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: Option<tokio::signal::unix::Signal>,
    terminate: Option<tokio::signal::unix::Signal>,
    hang_up: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::SignalKind;

        let unless_ignored = |kind, signal| {
            let listen = || tokio::signal::unix::signal(kind);
            (!is_ignored(signal)).then(listen).transpose()
        };
        Ok(Self {
            interrupt: unless_ignored(SignalKind::interrupt(), Signal::SIGINT)?,
            terminate: unless_ignored(SignalKind::terminate(), Signal::SIGTERM)?,
            hang_up: unless_ignored(SignalKind::hangup(), Signal::SIGHUP)?,
        })
    }

    async fn next(&mut self) -> Stop {
        tokio::select! {
            Some(_) = next(&mut self.interrupt) => Stop::Interrupted,
            Some(_) = next(&mut self.terminate) => Stop::Terminated,
            Some(_) = next(&mut self.hang_up) => Stop::HungUp,
            else => future::pending().await,
        }
    }

    /// From now on, SIGHUP has no effect.
    fn forget_hang_up(&mut self) {
        self.hang_up = None;
    }
}

#[cfg(unix)]
async fn next(signal: &mut Option<tokio::signal::unix::Signal>) -> Option<()> {
    match signal {
        Some(signal) => signal.recv().await,
        None => None,
    }
}

#[cfg(unix)]
fn is_ignored(signal: Signal) -> bool {
    use std::mem::MaybeUninit;
    use std::ptr;

    use nix::libc;

    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action, this only writes the current one to `action`.
    let result =
        unsafe { libc::sigaction(signal as libc::c_int, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: an action of zeros is valid.
    let action = unsafe { action.assume_init() };
    result == 0 && action.sa_sigaction == libc::SIG_IGN
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn new() -> io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) -> Stop {
        match self.0.recv().await {
            Some(()) => Stop::Interrupted,
            None => future::pending().await,
        }
    }

    fn forget_hang_up(&mut self) {}
}

//! Ctrl-C, as something to await.

use std::io;
use std::process;

#[cfg(unix)]
use tokio::signal::unix::Signal;
#[cfg(windows)]
use tokio::signal::windows::CtrlC as Signal;

/// What a shell reports of a program that SIGINT ended: 128 and the number of the signal.
pub(crate) const INTERRUPTED: u8 = 130;

/// The interrupts of this process, of which the second ends it.
///
/// Unlike `tokio::signal::ctrl_c`, it misses none between two calls of `recv`.
pub(crate) struct Interrupts(Signal);

impl Interrupts {
    /// From here on the first Ctrl-C does not end the process by itself. The second does, at once,
    /// also when whoever awaits them is held up by a reader that does not read.
    pub(crate) fn listen() -> io::Result<Self> {
        let mut all = signals()?;
        tokio::spawn(async move {
            all.recv().await;
            all.recv().await;
            process::exit(INTERRUPTED.into());
        });
        signals().map(Self)
    }

    pub(crate) async fn recv(&mut self) {
        self.0.recv().await;
    }
}

fn signals() -> io::Result<Signal> {
    #[cfg(unix)]
    return tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt());
    #[cfg(windows)]
    return tokio::signal::windows::ctrl_c();
}

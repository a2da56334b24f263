//! Ctrl-C, as something to await.

use std::io;

#[cfg(unix)]
use tokio::signal::unix::Signal;
#[cfg(windows)]
use tokio::signal::windows::CtrlC as Signal;

/// The interrupts of this process.
///
/// Unlike `tokio::signal::ctrl_c`, it misses none between two calls of `recv`.
pub(crate) struct Interrupts(Signal);

impl Interrupts {
    /// From here on Ctrl-C no longer ends the process by itself.
    pub(crate) fn listen() -> io::Result<Self> {
        #[cfg(unix)]
        let signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt());
        #[cfg(windows)]
        let signal = tokio::signal::windows::ctrl_c();
        signal.map(Self)
    }

    pub(crate) async fn recv(&mut self) {
        self.0.recv().await;
    }
}

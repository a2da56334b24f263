//! Ctrl-C as a future.

use std::fmt;
use std::io;
use std::process;
use std::thread;

use tokio::runtime;
#[cfg(unix)]
use tokio::signal::unix::Signal;
#[cfg(windows)]
use tokio::signal::windows::CtrlC as Signal;
use tokio::sync::oneshot;

use super::exit::INTERRUPTED;
use super::output::warn;

/// The first Ctrl-C. The second one ends the process.
///
/// If this is dropped before the first Ctrl-C, the first one ends the process, because no code is
/// left that could stop in an orderly way.
pub(crate) struct Interrupt(oneshot::Receiver<()>);

impl Interrupt {
    /// Starts to handle Ctrl-C. From now on, the first Ctrl-C does not end the process by itself.
    pub(crate) fn listen() -> io::Result<Self> {
        // On its own thread: all other threads may be blocked by a full pipe.
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let mut signals = {
            let _guard = runtime.enter();
            signals()?
        };
        let (notify, first) = oneshot::channel();
        let listen = async move {
            signals.recv().await;
            if notify.send(()).is_ok() {
                signals.recv().await;
            }
            process::exit(INTERRUPTED.into());
        };
        thread::Builder::new()
            .name("ctrl-c".to_owned())
            .spawn(move || runtime.block_on(listen))?;
        Ok(Self(first))
    }

    pub(crate) async fn first(self) {
        // The listener never drops the sender without sending.
        let _ = self.0.await;
    }
}

/// Writes to stderr how the program reacts to the first Ctrl-C.
pub(crate) fn warn_interrupted(reaction: impl fmt::Display) {
    warn(format_args!("{reaction}; Ctrl-C again quits at once"));
}

fn signals() -> io::Result<Signal> {
    #[cfg(unix)]
    return tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt());
    #[cfg(windows)]
    return tokio::signal::windows::ctrl_c();
}

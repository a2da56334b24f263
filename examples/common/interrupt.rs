//! Ctrl-C, as something to await.

use std::io;
use std::process;
use std::thread;

use tokio::runtime;
#[cfg(unix)]
use tokio::signal::unix::Signal;
#[cfg(windows)]
use tokio::signal::windows::CtrlC as Signal;
use tokio::sync::oneshot;

/// What a shell reports of a program that SIGINT ended: 128 and the number of the signal.
pub(crate) const INTERRUPTED: u8 = 130;

/// The first interrupt of this process, of which the second ends it.
///
/// Dropped, it leaves that to the first: whoever awaits it no more has nothing left to stop.
pub(crate) struct Interrupt(oneshot::Receiver<()>);

impl Interrupt {
    /// From here on the first Ctrl-C does not end the process by itself. The second does, at once.
    pub(crate) fn listen() -> io::Result<Self> {
        // On a thread that does nothing else: all others may be held up by a reader that does not
        // read.
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let mut all = {
            let _guard = runtime.enter();
            signals()?
        };
        let (heard, first) = oneshot::channel();
        let listen = async move {
            all.recv().await;
            if heard.send(()).is_ok() {
                all.recv().await;
            }
            process::exit(INTERRUPTED.into());
        };
        thread::Builder::new()
            .name("ctrl-c".to_owned())
            .spawn(move || runtime.block_on(listen))?;
        Ok(Self(first))
    }

    pub(crate) async fn first(self) {
        // An error would be that nobody listens, and somebody does as long as the process lives.
        let _ = self.0.await;
    }
}

fn signals() -> io::Result<Signal> {
    #[cfg(unix)]
    return tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt());
    #[cfg(windows)]
    return tokio::signal::windows::ctrl_c();
}

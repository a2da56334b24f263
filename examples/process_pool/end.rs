//! The end of a run: everything is done, or an error or an interrupt stops it.

use std::fmt;
use std::io;
use std::pin::pin;
use std::process::ExitCode;

use indicatif::ProgressBar;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tollgate::Monitor;

use crate::common::exit;
use crate::common::interrupt::Interrupt;
use crate::common::interrupt::warn_interrupted;
use crate::common::output::warn;

/// The exit code if the program itself cannot continue, as opposed to an item that fails.
pub(crate) const BROKEN: u8 = 3;

/// Ends the run early.
#[derive(Clone)]
pub(crate) struct Stop {
    pub(crate) monitor: Monitor<u64>,
    pub(crate) bar: ProgressBar,
}

impl Stop {
    /// Discards the queued items, so that the lanes run out of tasks.
    pub(crate) fn because(&self, message: impl fmt::Display) {
        self.and(|| warn(message));
    }

    fn and(&self, report: impl FnOnce()) {
        drop(self.monitor.close_now());
        self.bar.suspend(report);
    }
}

/// How the run ends.
pub(crate) struct End {
    pub(crate) stop: Stop,
    pub(crate) interrupted: bool,
    pub(crate) broken: bool,
}

impl End {
    /// Waits until all lanes have ended, each with its worker, and all results are printed. An
    /// error or an interrupt stops the run first.
    pub(crate) async fn wait(
        &mut self,
        mut lanes: JoinSet<io::Result<()>>,
        mut printing: oneshot::Receiver<bool>,
        interrupt: Interrupt,
    ) {
        let mut printed = false;
        let mut interrupt = pin!(interrupt.first());
        while !(printed && lanes.is_empty()) {
            tokio::select! {
                // A lane that panics counts as such in the report, and the panic hook says why.
                Some(ended) = lanes.join_next() => if let Ok(Err(error)) = ended {
                    self.broken = true;
                    self.stop.because(format_args!("cannot start a worker: {error}"));
                },
                all = &mut printing, if !printed => {
                    printed = true;
                    match all {
                        Ok(all) => self.broken |= !all,
                        Err(_) => {
                            self.broken = true;
                            self.stop.because("the thread that prints has panicked");
                        }
                    }
                }
                () = &mut interrupt, if !self.interrupted => {
                    self.interrupted = true;
                    self.stop.and(|| warn_interrupted("finishing the items in hand"));
                }
            }
        }
    }

    pub(crate) fn code(&self, all_done: bool) -> ExitCode {
        match self {
            Self {
                interrupted: true, ..
            } => exit::INTERRUPTED.into(),
            Self { broken: true, .. } => BROKEN.into(),
            _ if all_done => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }
}

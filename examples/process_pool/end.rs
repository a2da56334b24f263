//! The end of a run: everything is done, or an error or a signal stops it.

use std::fmt;
use std::io;
use std::pin::pin;
use std::process::ExitCode;

use indicatif::ProgressBar;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tollgate::Monitor;
use tollgate::Receiver;
use tollgate::Task;

use crate::common::exit;
use crate::common::interrupt;
use crate::common::interrupt::Interrupt;
use crate::common::output::warn;

/// The exit code if the program itself cannot continue, as opposed to an item that fails.
pub(crate) const BROKEN: u8 = 3;

/// Ends the run early.
#[derive(Clone)]
pub(crate) struct Stop {
    pub(crate) monitor: Monitor<u64>,
    /// Tasks that no lane has begun, because it could not start a worker.
    pub(crate) spare: Receiver<Task<u64>>,
    pub(crate) bar: ProgressBar,
}

impl Stop {
    /// Discards the queued items, so that the lanes run out of tasks.
    pub(crate) fn quietly(&self) {
        drop(self.monitor.close_now());
        self.spare.try_iter().for_each(drop);
    }

    /// The same, with a message.
    pub(crate) fn because(&self, message: impl fmt::Display) {
        self.and(|| warn(message));
    }

    fn and(&self, report: impl FnOnce()) {
        self.quietly();
        self.bar.suspend(report);
    }
}

/// How the run ends.
pub(crate) struct End {
    pub(crate) stop: Stop,
    /// The first Ctrl-C or SIGTERM.
    pub(crate) requested: Option<interrupt::Stop>,
    pub(crate) broken: bool,
    pub(crate) printed: io::Result<()>,
}

impl End {
    /// Waits until all lanes have ended, each with its worker, and all results are printed. An
    /// error or an interrupt stops the run first.
    pub(crate) async fn wait(
        &mut self,
        mut lanes: JoinSet<io::Result<()>>,
        mut printing: oneshot::Receiver<io::Result<()>>,
        interrupt: Interrupt,
    ) {
        let mut printed = false;
        let mut interrupt = pin!(interrupt.first());
        while !(printed && lanes.is_empty()) {
            tokio::select! {
                // A lane that panics counts as such in the report, and the panic hook says why.
                Some(ended) = lanes.join_next() => if let Ok(Err(error)) = ended {
                    self.broken = true;
                    self.stop.because(error);
                },
                all = &mut printing, if !printed => {
                    printed = true;
                    match all {
                        Ok(all) => self.printed = all,
                        Err(_) => {
                            self.broken = true;
                            self.stop.because("the thread that prints has panicked");
                        }
                    }
                }
                requested = &mut interrupt, if self.requested.is_none() => {
                    self.requested = Some(requested);
                    self.stop.and(|| requested.warn("finishing the items in hand"));
                }
            }
        }
        // After an error, the last lanes may have left tasks to others that had ended.
        self.stop.quietly();
    }

    pub(crate) fn code(self, all_done: bool) -> ExitCode {
        let code = match self.requested {
            Some(stop) => stop.code().into(),
            None if self.broken => BROKEN.into(),
            None if all_done => ExitCode::SUCCESS,
            None => ExitCode::FAILURE,
        };
        exit::code(self.printed.map(|()| code), ExitCode::FAILURE)
    }
}

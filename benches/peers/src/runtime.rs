//! The runtimes that run the tasks.

use std::future::pending;
use std::sync::Arc;
use std::thread;

use async_executor::Executor;
use clap::ValueEnum;
use futures_lite::future::block_on;
use serde::Deserialize;
use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// tokio, current-thread.
    Ct,
    /// tokio, multi-thread with two workers.
    Mt,
    /// async-executor on two threads.
    Ex,
    /// A thread for each task, which blocks on it.
    Th,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ct => "ct",
            Self::Mt => "mt",
            Self::Ex => "ex",
            Self::Th => "th",
        }
    }
}

/// A runtime that has been started.
pub enum Runtime {
    Tokio(tokio::runtime::Runtime),
    Executor(Arc<Executor<'static>>),
    Threads,
}

impl Runtime {
    pub fn start(kind: Kind) -> Self {
        match kind {
            Kind::Ct => {
                let runtime = tokio::runtime::Builder::new_current_thread().build();
                Self::Tokio(runtime.unwrap())
            }
            Kind::Mt => {
                let mut builder = tokio::runtime::Builder::new_multi_thread();
                Self::Tokio(builder.worker_threads(2).build().unwrap())
            }
            Kind::Ex => {
                let executor = Arc::new(Executor::new());
                for _ in 0..2 {
                    let executor = executor.clone();
                    thread::spawn(move || block_on(executor.run(pending::<()>())));
                }
                Self::Executor(executor)
            }
            Kind::Th => Self::Threads,
        }
    }

    /// Spawns all tasks, waits for all, and returns the sum of what the receivers return.
    ///
    /// # Panics
    ///
    /// Panics if a task panics.
    pub fn run<R, S>(&self, receivers: Vec<R>, senders: Vec<S>) -> u64
    where
        R: Future<Output = u64> + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        match self {
            Self::Tokio(runtime) => runtime.block_on(async {
                let receivers: Vec<_> = receivers.into_iter().map(tokio::spawn).collect();
                let senders: Vec<_> = senders.into_iter().map(tokio::spawn).collect();
                for sender in senders {
                    sender.await.unwrap();
                }
                let mut sum = 0_u64;
                for receiver in receivers {
                    sum = sum.wrapping_add(receiver.await.unwrap());
                }
                sum
            }),
            Self::Executor(executor) => block_on(async {
                let receivers: Vec<_> = receivers
                    .into_iter()
                    .map(|task| executor.spawn(task))
                    .collect();
                let senders: Vec<_> = senders
                    .into_iter()
                    .map(|task| executor.spawn(task))
                    .collect();
                for sender in senders {
                    sender.await;
                }
                let mut sum = 0_u64;
                for receiver in receivers {
                    sum = sum.wrapping_add(receiver.await);
                }
                sum
            }),
            Self::Threads => {
                let receivers: Vec<_> = receivers.into_iter().map(on_a_thread).collect();
                let senders: Vec<_> = senders.into_iter().map(on_a_thread).collect();
                for sender in senders {
                    sender.join().unwrap();
                }
                receivers.into_iter().fold(0, |sum: u64, receiver| {
                    sum.wrapping_add(receiver.join().unwrap())
                })
            }
        }
    }
}

fn on_a_thread<F>(task: F) -> thread::JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    thread::spawn(move || block_on(task))
}

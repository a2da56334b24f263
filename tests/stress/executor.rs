//! Running futures on each executor, with a time limit.

use std::future::Future;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use futures_executor::LocalPool;
use futures_util::FutureExt;
use futures_util::task::LocalSpawnExt;
use tokio::runtime;

use crate::cell::Executor;

/// How long the futures of one cell may take. They need milliseconds; after this time, they count
/// as hanging.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(20);

/// A future of a cell, and its name.
pub(crate) struct Actor {
    name: String,
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Actor {
    pub(crate) fn new(name: String, future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            name,
            future: Box::pin(future),
        }
    }

    /// Runs the future, and reports how it ended.
    async fn run(self, ended: mpsc::Sender<Ended>) {
        let result = AssertUnwindSafe(self.future).catch_unwind().await;
        let panic = result.err().map(|payload| {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref().copied());
            String::from(text.unwrap_or("a panic without a message"))
        });
        // The receiver is gone if another actor has panicked.
        let _ = ended.send(Ended {
            name: self.name,
            panic,
        });
    }
}

struct Ended {
    name: String,
    panic: Option<String>,
}

impl Executor {
    /// Runs all actors to their end, or reports which one panicked or which ones hang. In that case
    /// they and their threads are left running.
    pub(crate) fn run(self, actors: Vec<Actor>) -> Result<(), String> {
        let (report, ended) = mpsc::channel();
        let mut running: Vec<String> = actors.iter().map(|actor| actor.name.clone()).collect();
        self.start(actors.into_iter().map(|actor| actor.run(report.clone())));
        drop(report);

        let deadline = Instant::now() + TIME_LIMIT;
        while !running.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            match ended.recv_timeout(left) {
                Ok(Ended { name, panic: None }) => running.retain(|it| *it != name),
                Ok(Ended { name, panic }) => {
                    return Err(format!("{name} panicked: {}", panic.unwrap_or_default()));
                }
                Err(_) => return Err(format!("still running: {}", running.join(", "))),
            }
        }
        Ok(())
    }

    fn start<F>(self, futures: impl Iterator<Item = F>)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        match self {
            Self::TokioMultiThread => futures.for_each(|future| drop(tokio().spawn(future))),
            Self::TokioCurrentThread => {
                let futures: Vec<_> = futures.collect();
                thread::spawn(move || {
                    let runtime = runtime::Builder::new_current_thread().build().unwrap();
                    let tasks: Vec<_> = futures.into_iter().map(|it| runtime.spawn(it)).collect();
                    runtime.block_on(futures_util::future::join_all(tasks));
                });
            }
            Self::AsyncStd => futures.for_each(|future| drop(async_std::task::spawn(future))),
            Self::Smol => futures.for_each(|future| smol().spawn(future).detach()),
            Self::LocalPool => {
                let futures: Vec<_> = futures.collect();
                thread::spawn(move || {
                    let mut pool = LocalPool::new();
                    let spawner = pool.spawner();
                    for future in futures {
                        spawner.spawn_local(future).unwrap();
                    }
                    pool.run();
                });
            }
            Self::Threads => {
                for future in futures {
                    thread::spawn(|| pollster::block_on(future));
                }
            }
            Self::TokioAndSmol => {
                for (index, future) in futures.enumerate() {
                    if index % 2 == 0 {
                        tokio().spawn(future);
                    } else {
                        smol().spawn(future).detach();
                    }
                }
            }
        }
    }

    /// Yields to other futures.
    pub(crate) async fn pause(self) {
        if self == Self::Threads {
            thread::yield_now();
        } else {
            futures_lite::future::yield_now().await;
        }
    }
}

/// Never shut down, since that would wait for actors that hang.
fn tokio() -> &'static runtime::Runtime {
    static RUNTIME: OnceLock<runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = runtime::Builder::new_multi_thread();
        builder.worker_threads(2).build().unwrap()
    })
}

/// Smol's executor on two threads; its global executor has one.
fn smol() -> &'static smol::Executor<'static> {
    static EXECUTOR: OnceLock<smol::Executor<'static>> = OnceLock::new();
    static THREADS: OnceLock<()> = OnceLock::new();
    let executor = EXECUTOR.get_or_init(smol::Executor::new);
    THREADS.get_or_init(|| {
        for _ in 0..2 {
            thread::spawn(|| smol::block_on(executor.run(pending::<()>())));
        }
    });
    executor
}

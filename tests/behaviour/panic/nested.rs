//! A waiter that another's waker polls before it is called itself. What it has been given, it holds
//! while its own waker is dropped, which takes away from the channel what there is of the failure.

use std::cell::RefCell;
use std::sync::Arc;
use std::task::Context;
use std::task::Wake;
use std::task::Waker;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tollgate::Monitor;

use super::faults::Ashes;
use super::faults::Bomb;
use super::faults::Fuse;
use super::faults::Reason;
use super::faults::Site;
use super::faults::arm;
use super::faults::burn;
use super::faults::call;
use super::faults::disarm;
use super::faults::let_go;
use super::faults::unwind_meanwhile;
use super::matrix::expect_each_dropped_once;
use super::matrix::with_name;
use crate::common::Tally;

/// What waits.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Waits {
    Failed,
    Finished,
    Send,
}

/// One such waiter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nested {
    waits: Waits,
    unwinding: bool,
}

impl Nested {
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for waits in [Waits::Failed, Waits::Finished, Waits::Send] {
            for unwinding in [false, true] {
                all.push(Self { waits, unwinding });
            }
        }
        all
    }

    pub(crate) fn run(self, fuses: &[Fuse]) -> Ashes {
        with_name((self, fuses), || run(self, fuses))
    }
}

thread_local! {
    /// What is polled by a [`Poller`].
    static POLLED: RefCell<Option<LocalBoxFuture<'static, ()>>> = const { RefCell::new(None) };
    /// What a [`Taker`] takes the failure from.
    static TAKEN: RefCell<Option<Monitor<Bomb>>> = const { RefCell::new(None) };
}

struct Poller;

impl Wake for Poller {
    fn wake(self: Arc<Self>) {
        let polled = POLLED.take().unwrap();
        let _ = polled.now_or_never();
    }
}

struct Taker;

impl Wake for Taker {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Taker {
    fn drop(&mut self) {
        let monitor = TAKEN.take().unwrap();
        drop(monitor.take_failure());
        burn(Site::WakerDrop);
    }
}

fn run(nested: Nested, fuses: &[Fuse]) -> Ashes {
    let tally = Tally::new();
    let (sender, receiver) = tollgate::tasks(1);
    assert!(sender.try_send(Bomb::of(&tally)).is_ok());
    let task = match nested.waits {
        Waits::Send => None,
        Waits::Failed | Waits::Finished => receiver.try_recv().ok(),
    };
    TAKEN.set(Some(sender.monitor()));
    let monitor = sender.monitor();
    let mut waiting = match nested.waits {
        Waits::Failed => async move { drop(monitor.failed().await) }.boxed_local(),
        Waits::Finished => async move { drop(monitor.finished().await) }.boxed_local(),
        Waits::Send => {
            let (sender, item) = (sender.clone(), Bomb::of(&tally));
            async move { drop(sender.send(item).await) }.boxed_local()
        }
    };
    let taker = Waker::from(Arc::new(Taker));
    let polled = waiting.poll_unpin(&mut Context::from_waker(&taker));
    assert!(polled.is_pending());
    drop(taker);
    POLLED.set(Some(waiting));
    let mut join = sender.join();
    let poller = Waker::from(Arc::new(Poller));
    let polled = join.poll_unpin(&mut Context::from_waker(&poller));
    assert!(polled.is_pending());

    unwind_meanwhile(nested.unwinding);
    match task {
        Some(task) => {
            sender.close();
            let reason = Reason::of(&tally);
            arm(fuses);
            call(|| task.fail(reason));
        }
        None => {
            arm(fuses);
            let_go(call(|| sender.close_now()));
        }
    }
    let ashes = disarm();
    unwind_meanwhile(false);
    assert!(TAKEN.take().is_none(), "the waiter was called first");
    assert!(join.now_or_never().unwrap().is_ok(), "it was taken away");
    drop((sender, receiver));
    expect_each_dropped_once(&tally);
    ashes
}

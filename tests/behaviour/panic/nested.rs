//! A waker that polls another future before that one's waker is called. The polled future holds its
//! result while its own waker is dropped; the destructor of that waker takes the failure from the
//! channel.

use std::cell::RefCell;
use std::sync::Arc;
use std::task::Context;
use std::task::Wake;
use std::task::Waker;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tollgate::Failure;
use tollgate::Monitor;

use super::faults::Fault;
use super::faults::FaultyItem;
use super::faults::Outcome;
use super::faults::Reason;
use super::faults::Site;
use super::faults::arm;
use super::faults::call;
use super::faults::disarm;
use super::faults::drop_in_call;
use super::faults::may_panic;
use super::faults::set_unwinding;
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

/// One such case.
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

    pub(crate) fn run(self, faults: &[Fault]) -> Outcome {
        with_name((self, faults), || run(self, faults))
    }
}

thread_local! {
    /// The future that a [`Poller`] polls.
    static POLLED: RefCell<Option<LocalBoxFuture<'static, ()>>> = const { RefCell::new(None) };
    /// The monitor from which a [`Taker`] takes the failure.
    static TAKEN: RefCell<Option<Monitor<FaultyItem>>> = const { RefCell::new(None) };
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
        may_panic(Site::WakerDrop);
    }
}

fn run(nested: Nested, faults: &[Fault]) -> Outcome {
    let tally = Tally::new();
    let (sender, receiver) = tollgate::tasks(1);
    assert!(sender.try_send(FaultyItem::of(&tally)).is_ok());
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
            let (sender, item) = (sender.clone(), FaultyItem::of(&tally));
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

    set_unwinding(nested.unwinding);
    match task {
        Some(task) => {
            sender.close();
            let reason = Reason::of(&tally);
            arm(faults);
            call(|| task.fail(reason));
        }
        None => {
            arm(faults);
            drop_in_call(call(|| sender.close_now()));
        }
    }
    let outcome = disarm();
    set_unwinding(false);
    assert!(TAKEN.take().is_none(), "the waiter was woken first");
    let error = join.now_or_never().unwrap().err();
    // A panic in the future that sends drops its sender.
    let is_of_sender =
        |first| matches!(nested.waits, Waits::Send) && matches!(first, Failure::SenderPanicked);
    assert!(
        error.is_none_or(|it| is_of_sender(it.first)),
        "the failure was not taken"
    );
    drop((sender, receiver));
    expect_each_dropped_once(&tally);
    outcome
}

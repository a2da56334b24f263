//! The receivers of both kinds of channel, as one.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;

use futures_util::stream::FusedStream;
use tollgate::Monitor;
use tollgate::Receiver;
use tollgate::RecvError;
use tollgate::Task;
use tollgate::TaskReceiver;
use tollgate::TryRecvError;

use crate::truth::Item;
use crate::truth::Outcome;
use crate::truth::Truth;

/// A receiver, or a task receiver.
pub(crate) trait Inbound:
    FusedStream<Item = Self::Delivery> + Clone + Unpin + Send + Sync + 'static
{
    type Delivery: Delivery;

    fn recv(&self) -> impl Future<Output = Result<Self::Delivery, RecvError>> + Unpin + Send;
    fn try_recv(&self) -> Result<Self::Delivery, TryRecvError>;
    fn close(&self) -> bool;
    fn monitor(&self) -> Monitor<Item>;
    fn len(&self) -> usize;
}

/// What comes out of it.
pub(crate) trait Delivery: Send {
    fn item(&self) -> &Item;

    /// Called at once.
    fn arrived(&self, truth: &Truth);

    /// Called some time later: ends it, with its item or parted from it.
    fn settle(self, truth: &Truth, outcome: Outcome, parted: bool);
}

impl Inbound for Receiver<Item> {
    type Delivery = Item;

    fn recv(&self) -> impl Future<Output = Result<Item, RecvError>> + Unpin + Send {
        self.recv()
    }

    fn try_recv(&self) -> Result<Item, TryRecvError> {
        self.try_recv()
    }

    fn close(&self) -> bool {
        self.close()
    }

    fn monitor(&self) -> Monitor<Item> {
        self.monitor()
    }

    fn len(&self) -> usize {
        self.len()
    }
}

impl Delivery for Item {
    fn item(&self) -> &Item {
        self
    }

    fn arrived(&self, truth: &Truth) {
        truth.received(self);
        truth.end_begins(self.producer, self.attempt, Outcome::Done);
        truth.end_is_over(Outcome::Done);
    }

    fn settle(self, _: &Truth, _: Outcome, _: bool) {}
}

impl Inbound for TaskReceiver<Item> {
    type Delivery = Task<Item>;

    fn recv(&self) -> impl Future<Output = Result<Task<Item>, RecvError>> + Unpin + Send {
        self.recv()
    }

    fn try_recv(&self) -> Result<Task<Item>, TryRecvError> {
        self.try_recv()
    }

    fn close(&self) -> bool {
        self.close()
    }

    fn monitor(&self) -> Monitor<Item> {
        self.monitor()
    }

    fn len(&self) -> usize {
        self.len()
    }
}

impl Delivery for Task<Item> {
    fn item(&self) -> &Item {
        self
    }

    fn arrived(&self, truth: &Truth) {
        truth.received(self);
    }

    fn settle(self, truth: &Truth, outcome: Outcome, parted: bool) {
        let (producer, attempt) = (self.producer, self.attempt);
        let check = |item: &Item| assert_eq!((item.producer, item.attempt), (producer, attempt));
        truth.end_begins(producer, attempt, outcome);
        if parted {
            let (item, ticket) = self.split();
            check(&item);
            match outcome {
                Outcome::Done => ticket.done(),
                Outcome::Failed => ticket.fail(truth.error()),
                Outcome::Abandoned => drop(ticket),
                Outcome::Panicked => drop_in_panic(ticket),
            }
        } else {
            match outcome {
                Outcome::Done => check(&self.done()),
                Outcome::Failed => check(&self.fail(truth.error())),
                Outcome::Abandoned => drop(self),
                Outcome::Panicked => drop_in_panic(self),
            }
        }
        truth.end_is_over(outcome);
    }
}

/// Drops it as a panicking worker does.
fn drop_in_panic<D>(duty: D) {
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _duty = duty;
        // Without the message that `panic!` prints.
        resume_unwind(Box::new(()));
    }));
    assert!(panicked.is_err());
}

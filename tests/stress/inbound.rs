//! The receivers of both kinds of channel, and what consumers do with what they give.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;

use crate::common::AnyReceiver;
use crate::common::Given;
use crate::truth::Item;
use crate::truth::Outcome;
use crate::truth::Truth;

/// A receiver of either kind, for executors that move futures between threads.
pub(crate) trait Inbound:
    for<'a> AnyReceiver<Item, Given: Send, Recv<'a>: Send> + Send + Sync + 'static
{
}

impl<R> Inbound for R where
    R: for<'a> AnyReceiver<Item, Given: Send, Recv<'a>: Send> + Send + Sync + 'static
{
}

/// Records that an item was received. That ends a plain item.
pub(crate) fn arrived(given: &impl Given<Item>, truth: &Truth) {
    let item = given.peek();
    truth.received(item);
    if !truth.has_tasks() {
        truth.end_begins(item.producer, item.attempt, Outcome::Done);
        truth.end_is_over(Outcome::Done);
    }
}

/// Ends a task with this outcome, whole or split into item and ticket. A plain item is dropped.
pub(crate) fn settle(given: impl Given<Item>, truth: &Truth, outcome: Outcome, split: bool) {
    if !truth.has_tasks() {
        return;
    }
    let Item {
        producer, attempt, ..
    } = *given.peek();
    let check = |item: &Item| assert_eq!((item.producer, item.attempt), (producer, attempt));
    truth.end_begins(producer, attempt, outcome);
    if split {
        let (item, ticket) = given.split();
        let ticket = ticket.expect("a task has a ticket");
        check(&item);
        match outcome {
            Outcome::Done => ticket.done(),
            Outcome::Failed => ticket.fail(truth.error()),
            Outcome::Abandoned => drop(ticket),
            Outcome::Panicked => drop_in_panic(ticket),
        }
    } else {
        match outcome {
            Outcome::Done => check(&given.end()),
            Outcome::Failed => check(&given.fail(truth.error())),
            Outcome::Abandoned => drop(given),
            Outcome::Panicked => drop_in_panic(given),
        }
    }
    truth.end_is_over(outcome);
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

//! What consumers do with what they receive, on both kinds of channel.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;

use crate::common::Given;
use crate::record::Item;
use crate::record::Outcome;
use crate::record::Record;

/// Records that an item was received. That ends a plain item.
pub(crate) fn record_received(given: &impl Given<Item>, record: &Record) {
    let item = given.peek();
    record.received(item);
    if !record.has_tasks() {
        record.end_begins(item.producer, item.attempt, Outcome::Done);
        record.end_is_over(Outcome::Done);
    }
}

/// Ends a task with this outcome, whole or split into item and ticket. A plain item is dropped.
pub(crate) fn end_with(given: impl Given<Item>, record: &Record, outcome: Outcome, split: bool) {
    if !record.has_tasks() {
        return;
    }
    let Item {
        producer, attempt, ..
    } = *given.peek();
    let check = |item: &Item| assert_eq!((item.producer, item.attempt), (producer, attempt));
    record.end_begins(producer, attempt, outcome);
    if split {
        let (item, ticket) = given.split();
        let ticket = ticket.expect("a task has a ticket");
        check(&item);
        match outcome {
            Outcome::Done => ticket.done(),
            Outcome::Failed => ticket.fail(record.error()),
            Outcome::Abandoned => drop(ticket),
            Outcome::Panicked => drop_in_panic(ticket),
        }
    } else {
        match outcome {
            Outcome::Done => check(&given.end()),
            Outcome::Failed => check(&given.fail(record.error())),
            Outcome::Abandoned => drop(given),
            Outcome::Panicked => drop_in_panic(given),
        }
    }
    record.end_is_over(outcome);
}

/// Drops a task or ticket as a panicking worker does.
fn drop_in_panic<D>(value: D) {
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _value = value;
        // Without the message that `panic!` prints.
        resume_unwind(Box::new(()));
    }));
    assert!(panicked.is_err());
}

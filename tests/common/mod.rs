//! What test programs share: both kinds of channel behind one trait, wakers that count, items that
//! count their drops, and a watchdog.

#![allow(dead_code, unused_imports, unused_macros)] // Each program uses a part.

mod kind;
mod panic_text;
mod report;
mod tally;
mod waiter;
mod watchdog;

pub(crate) use kind::Given;
pub(crate) use kind::Kind;
pub(crate) use kind::Measured;
pub(crate) use kind::Plain;
pub(crate) use kind::ReceivedBy;
pub(crate) use kind::ReceiverOf;
pub(crate) use kind::Requeued;
pub(crate) use kind::Tasks;
pub(crate) use kind::on_both_kinds;
pub(crate) use kind::take_one;
pub(crate) use panic_text::panic_text;
pub(crate) use report::assert_adds_up;
pub(crate) use report::assert_each_is_counted;
pub(crate) use tally::Item;
pub(crate) use tally::Tally;
pub(crate) use waiter::CountingWaker;
pub(crate) use waiter::Waiter;
pub(crate) use waiter::mixed;
pub(crate) use waiter::now;
pub(crate) use waiter::poll;
pub(crate) use waiter::poll_next;
pub(crate) use waiter::poll_once;
pub(crate) use waiter::wakes;
pub(crate) use watchdog::Watchdog;

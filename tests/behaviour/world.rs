//! A channel, and a record of what was sent into it and received from it.

use std::cell::Cell;
use std::cell::RefCell;

use tollgate::Monitor;
use tollgate::Sender;

use crate::common::Given;
use crate::common::Item;
use crate::common::Kind;
use crate::common::ReceivedBy;
use crate::common::ReceiverOf;
use crate::common::Tally;

/// An operation that waits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Op {
    Send,
    SendUntil,
    SendFrom,
    Ready,
    /// A sender that is polled by itself.
    PollReady,
    SendMany,
    Recv,
    RecvUntil,
    RecvMany,
    Stream,
    BorrowedStream,
    OwnedStream,
    Closed,
    Join,
    Finished,
    Failed,
}

impl Op {
    /// Whether it waits for room.
    pub(crate) fn waits_for_room(self) -> bool {
        self.sends() || matches!(self, Self::Ready | Self::PollReady)
    }

    /// Whether it sends an item of its own.
    pub(crate) fn sends(self) -> bool {
        matches!(
            self,
            Self::Send | Self::SendUntil | Self::SendFrom | Self::SendMany
        )
    }

    /// Whether it waits for an item.
    pub(crate) fn receives(self) -> bool {
        matches!(
            self,
            Self::Recv
                | Self::RecvUntil
                | Self::RecvMany
                | Self::Stream
                | Self::BorrowedStream
                | Self::OwnedStream
        )
    }
}

/// The channel may be used, and its handles dropped, by code that runs inside another call: no cell
/// stays borrowed during a call.
pub(crate) struct World<K: Kind<Item>> {
    pub(crate) tally: Tally,
    pub(crate) monitor: Monitor<Item>,
    sender: RefCell<Option<Sender<Item>>>,
    receiver: RefCell<Option<ReceiverOf<K, Item>>>,
    accepted: Cell<u64>,
    delivered: RefCell<Vec<usize>>,
}

impl<K: Kind<Item>> World<K> {
    pub(crate) fn new(capacity: usize) -> Self {
        let (sender, receiver) = K::channel(capacity);
        Self {
            tally: Tally::new(),
            monitor: sender.monitor(),
            sender: Some(sender).into(),
            receiver: Some(receiver).into(),
            accepted: Cell::new(0),
            delivered: RefCell::default(),
        }
    }

    pub(crate) fn sender(&self) -> Option<Sender<Item>> {
        self.sender.borrow().clone()
    }

    pub(crate) fn receiver(&self) -> Option<ReceiverOf<K, Item>> {
        self.receiver.borrow().clone()
    }

    pub(crate) fn drop_sender(&self) {
        drop(self.sender.take());
    }

    pub(crate) fn drop_receiver(&self) {
        drop(self.receiver.take());
    }

    /// Sends an item, if there is a sender and the channel takes it.
    pub(crate) fn put(&self) {
        if let Some(sender) = self.sender() {
            if sender.try_send(self.tally.item()).is_ok() {
                self.record_accepted();
            }
        }
    }

    /// Sends an item, if there is a sender and the channel is open, even if it is full.
    pub(crate) fn force(&self) {
        if let Some(sender) = self.sender() {
            if sender.force_send(self.tally.item()).is_ok() {
                self.record_accepted();
            }
        }
    }

    /// Receives a queued item without recording it.
    pub(crate) fn receive(&self) -> Option<ReceivedBy<K, Item>> {
        self.receiver().and_then(|it| it.try_recv().ok())
    }

    /// Receives an item and ends it well; returns whether there was one.
    pub(crate) fn take(&self) -> bool {
        let item = self.receive().map(Given::end);
        item.inspect(|item| self.record_delivered(item.id))
            .is_some()
    }

    /// Makes what `op` waits for happen.
    pub(crate) fn grant(&self, op: Op) {
        match op {
            Op::Recv
            | Op::RecvUntil
            | Op::RecvMany
            | Op::Stream
            | Op::BorrowedStream
            | Op::OwnedStream => self.put(),
            Op::Send | Op::SendUntil | Op::SendFrom | Op::SendMany | Op::Ready | Op::PollReady => {
                self.take();
            }
            Op::Closed => {
                self.monitor.close();
            }
            Op::Join => while self.take() {},
            Op::Finished => {
                self.monitor.close();
                while self.take() {}
            }
            Op::Failed => {
                self.put();
                // Dropping a task is a failure.
                if let Some(given) = self.receive() {
                    self.record_delivered(given.peek().id);
                }
                // Dropping a plain item is none.
                if self.monitor.stats().report.abandoned == 0 {
                    self.fail_sender();
                }
            }
        }
    }

    /// Ends another sender with an error, if there is a sender.
    pub(crate) fn fail_sender(&self) {
        if let Some(sender) = self.sender() {
            sender.fail("an error");
        }
    }

    pub(crate) fn record_accepted(&self) {
        self.accepted.set(self.accepted.get() + 1);
    }

    pub(crate) fn record_delivered(&self, id: usize) {
        self.delivered.borrow_mut().push(id);
    }

    /// How many items the channel has accepted.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.get()
    }

    /// The items that were received, in order.
    pub(crate) fn delivered(&self) -> Vec<usize> {
        self.delivered.borrow().clone()
    }
}

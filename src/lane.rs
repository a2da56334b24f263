//! The side lane of a task channel: where an item goes to be tried again, and where a worker leaves
//! new work.
//!
//! It takes no room of the ring and has no limit of its own, so whoever puts something in never
//! waits, and a pool of workers that feeds its own queue cannot deadlock. Most channels never use
//! it, and then it costs a receiver two loads.
//!
//! # Invariants
//!
//! * **N1** `pushed` and `popped` change under the lock, with the queue: under the lock, their
//!   difference is its length. Both only rise.
//! * **N2** Only the holder of an unresolved delivery pushes. So what is pushed is accepted before
//!   that delivery is resolved, and no instant in between looks quiescent (see `ledger`).
//! * **N3** `ended` is set once, when the last receiver goes, and the queue is taken out with it:
//!   from then on it is empty.
//! * **N4** No user code runs under the lock.

use std::collections::VecDeque;
use std::mem;

use crate::policy::Policy;
use crate::sync::Mutex;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering;
use crate::sync::seqcst_accesses_are_ordered;
use crate::sync::with_lock;

/// An item in the lane.
pub(crate) struct Waiting<T> {
    pub(crate) item: T,
    /// Which attempt its next delivery is; the first is 1.
    pub(crate) attempt: u32,
}

/// See the [module](self).
pub(crate) struct Lane<T> {
    pub(crate) policy: Policy,
    queue: Mutex<Queue<T>>,
    pushed: AtomicU64,
    popped: AtomicU64,
    /// Odd when the ring has had its turn.
    turn: AtomicUsize,
}

struct Queue<T> {
    waiting: VecDeque<Waiting<T>>,
    ended: bool,
}

impl<T> Lane<T> {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            policy,
            queue: Mutex::new(Queue {
                waiting: VecDeque::new(),
                ended: false,
            }),
            pushed: AtomicU64::new(0),
            popped: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
        }
    }

    /// Puts an item in; gives it back if nobody receives any more. The caller holds an unresolved
    /// delivery (N2).
    pub(crate) fn push(&self, item: T, attempt: u32) -> Result<(), T> {
        with_lock(&self.queue, |queue| {
            if queue.ended {
                return Err(item);
            }
            queue.waiting.push_back(Waiting { item, attempt });
            // SeqCst: one half of the store-load race with a waiter (W3 of `wait`).
            self.pushed.fetch_add(1, Ordering::SeqCst);
            seqcst_accesses_are_ordered();
            Ok(())
        })
    }

    /// Takes the item that has waited longest.
    pub(crate) fn pop(&self) -> Option<Waiting<T>> {
        /// How much room is kept for the next burst.
        const KEPT: usize = 32;
        if self.is_empty() {
            return None;
        }
        let mut surplus = VecDeque::new();
        with_lock(&self.queue, |queue| {
            let first = queue.waiting.pop_front()?;
            if queue.waiting.is_empty() && queue.waiting.capacity() > KEPT {
                mem::swap(&mut queue.waiting, &mut surplus);
            }
            self.count_popped(1);
            Some(first)
        })
    }

    /// Takes everything.
    pub(crate) fn drain(&self) -> VecDeque<Waiting<T>> {
        with_lock(&self.queue, |queue| self.take_all(queue))
    }

    /// Takes everything, for good (N3).
    pub(crate) fn end(&self) -> VecDeque<Waiting<T>> {
        with_lock(&self.queue, |queue| {
            queue.ended = true;
            self.take_all(queue)
        })
    }

    fn take_all(&self, queue: &mut Queue<T>) -> VecDeque<Waiting<T>> {
        self.count_popped(queue.waiting.len() as u64);
        mem::take(&mut queue.waiting)
    }

    fn count_popped(&self, count: u64) {
        // SeqCst: as the exchange on the ring's `head`, it is read by who tells what is queued.
        self.popped.fetch_add(count, Ordering::SeqCst);
    }

    /// Whether it is the lane's turn to be received from. Of two in a row that ask while there
    /// is something in it, one is told yes: so neither the lane nor the ring starves.
    #[inline]
    pub(crate) fn has_its_turn(&self) -> bool {
        // Relaxed: whoever is told what, every other one is told yes.
        !self.is_empty() && self.turn.fetch_xor(1, Ordering::Relaxed) == 1
    }

    /// Whether it was empty at one instant during the call.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        let popped = self.popped();
        // Never less, and at the instant of this reading `popped` was in between (N1).
        self.pushed() == popped
    }

    /// How many items have been put in so far.
    #[inline]
    pub(crate) fn pushed(&self) -> u64 {
        // SeqCst: pairs with `push`; what a waiter decides on sleeping by.
        self.pushed.load(Ordering::SeqCst)
    }

    /// How many items have been taken out so far.
    #[inline]
    pub(crate) fn popped(&self) -> u64 {
        // SeqCst: as `Ring::popped`.
        self.popped.load(Ordering::SeqCst)
    }
}

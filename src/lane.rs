//! The side lane of a task channel: where an item goes to be tried again, and where a worker leaves
//! new work.
//!
//! It takes no room of the ring and has no limit of its own, so whoever puts something in never
//! waits, and a pool of workers that feeds its own queue cannot deadlock. Most channels never use
//! it, and then it costs a receiver three loads.
//!
//! # Invariants
//!
//! * **N1** What was pushed is counted as new work or as tried again. These counts and `popped`
//!   change under the lock, with the queue: under the lock, their difference is its length. All
//!   only rise.
//! * **N2** Only the holder of an unresolved delivery pushes. So what is pushed is accepted before
//!   that delivery is resolved, and no instant in between looks quiescent (see `ledger`).
//! * **N3** When the last receiver goes, the queue is taken out for good: from then on there is
//!   none.
//! * **N4** No user code runs under the lock.

use std::collections::VecDeque;
use std::mem;

use crate::policy::Policy;
use crate::sync::Mutex;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering;
use crate::sync::with_lock;

/// An item in the lane.
pub(crate) struct Waiting<T> {
    pub(crate) item: T,
    /// Which attempt its next delivery is; the first is 1.
    pub(crate) attempt: u32,
}

type Queue<T> = VecDeque<Waiting<T>>;

/// See the [module](self).
pub(crate) struct Lane<T> {
    pub(crate) policy: Policy,
    /// None when it has ended (N3).
    queue: Mutex<Option<Queue<T>>>,
    followed_up: AtomicU64,
    retried: AtomicU64,
    popped: AtomicU64,
    /// Odd when the ring has had its turn.
    turn: AtomicUsize,
}

impl<T> Lane<T> {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            policy,
            queue: Mutex::new(Some(VecDeque::new())),
            followed_up: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            popped: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
        }
    }

    /// Puts an item in; gives it back if nobody receives any more. The first attempt is new work.
    /// The caller holds an unresolved delivery (N2).
    pub(crate) fn push(&self, item: T, attempt: u32) -> Result<(), T> {
        with_lock(&self.queue, |queue| {
            let Some(queue) = queue else {
                return Err(item);
            };
            queue.push_back(Waiting { item, attempt });
            let count = match attempt {
                1 => &self.followed_up,
                _ => &self.retried,
            };
            // SeqCst: one half of the store-load race with a waiter (Q3 of `waiters`).
            count.fetch_add(1, Ordering::SeqCst);
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
            let queue = queue.as_mut()?;
            let first = queue.pop_front()?;
            if queue.is_empty() && queue.capacity() > KEPT {
                mem::swap(queue, &mut surplus);
            }
            self.count_popped(1);
            Some(first)
        })
    }

    /// Takes everything.
    pub(crate) fn drain(&self) -> Queue<T> {
        self.take_all(|queue| queue.as_mut().map(mem::take))
    }

    /// Takes everything, for good (N3).
    pub(crate) fn end(&self) -> Queue<T> {
        self.take_all(Option::take)
    }

    fn take_all(&self, take: impl FnOnce(&mut Option<Queue<T>>) -> Option<Queue<T>>) -> Queue<T> {
        with_lock(&self.queue, |queue| {
            let all = take(queue).unwrap_or_default();
            self.count_popped(all.len() as u64);
            all
        })
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
        // Never less, and at the instant of the first of these readings `popped` was in between
        // (N1).
        self.pushed() == popped
    }

    /// How many items have been put in so far: as many as at one instant during the call.
    #[inline]
    pub(crate) fn pushed(&self) -> u64 {
        self.followed_up() + self.retried()
    }

    /// How many items have been put in so far as new work.
    #[inline]
    pub(crate) fn followed_up(&self) -> u64 {
        // SeqCst: pairs with `push`; what a waiter decides on sleeping by.
        self.followed_up.load(Ordering::SeqCst)
    }

    /// How many items have been put in so far to be tried again.
    #[inline]
    pub(crate) fn retried(&self) -> u64 {
        // SeqCst: as `followed_up`.
        self.retried.load(Ordering::SeqCst)
    }

    /// How many items have been taken out so far.
    #[inline]
    pub(crate) fn popped(&self) -> u64 {
        // SeqCst: as `Ring::popped`.
        self.popped.load(Ordering::SeqCst)
    }
}

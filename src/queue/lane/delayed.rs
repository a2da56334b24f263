//! Delayed items: no receiver finds them until the [timer](crate::timer) makes them receivable.
//!
//! # Invariants
//!
//! * **Y1** Items become receivable in order of due time, and in the order in which they were pushed if
//!   they are due at the same time. None does so before it is due.
//! * **Y2** On the timer's thread, an item is neither used, nor moved, nor dropped: its box is moved.
//!   Using it would be unsound, because the type of the item may not be `Send`. The stack may be too small
//!   for it.

use alloc::boxed::Box;
use alloc::collections::BinaryHeap;
use core::cmp::Ordering;
use core::mem;
use std::time::Instant;

use super::KEPT;
use super::Lane;
use super::Line;
use super::Requeued;
use crate::clock::Moment;
use crate::sync::with_lock;

/// How many items become receivable at most while the lock is held once.
const BATCH: u64 = 64;

/// The delayed items of a lane.
///
/// They are in boxes, so that the heap and the timer's thread move little, however large the items are.
pub(super) struct Delayed<T> {
    heap: BinaryHeap<Entry<T>>,
    /// The number of the next item.
    number: u64,
}

struct Entry<T> {
    due: Instant,
    number: u64,
    requeued: Box<Requeued<T>>,
}

impl<T> Entry<T> {
    fn key(&self) -> (Instant, u64) {
        (self.due, self.number)
    }
}

impl<T> Ord for Entry<T> {
    /// The item that is due first is the greatest (Y1).
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> Requeued<T> {
    /// Copies an item into a box.
    ///
    /// # Safety
    ///
    /// `item` points to an item. From then on, only one of the two is used.
    unsafe fn boxed(item: *const T, attempt: u32) -> Box<Self> {
        let mut boxed = Box::<Self>::new_uninit();
        let place = boxed.as_mut_ptr();
        // SAFETY: the place is that of the box, and only a field is taken.
        let place_of_item = unsafe { &raw mut (*place).item };
        // In one step, because an item may be large.
        // SAFETY: the caller's guarantee, and the box is new.
        unsafe { place_of_item.cast::<T>().copy_from_nonoverlapping(item, 1) };
        // SAFETY: as above.
        let place_of_attempt = unsafe { &raw mut (*place).attempt };
        // SAFETY: as above.
        unsafe { place_of_attempt.write(attempt) };
        // SAFETY: as above.
        let place_of_time = unsafe { &raw mut (*place).queued_at };
        // It is set when the item becomes receivable.
        // SAFETY: as above.
        unsafe { place_of_time.write(Moment::default()) };
        // SAFETY: all fields were written.
        unsafe { boxed.assume_init() }
    }
}

impl<T> Default for Delayed<T> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
            number: 0,
        }
    }
}

impl<T> Delayed<T> {
    pub(super) fn len(&self) -> u64 {
        self.heap.len() as u64
    }

    /// When the first item is due.
    fn next_due(&self) -> Option<Instant> {
        self.heap.peek().map(|first| first.due)
    }

    /// Returns whether this item is due before all others.
    fn push(&mut self, requeued: Box<Requeued<T>>, due: Instant) -> bool {
        let is_first = self.next_due().is_none_or(|first| due < first);
        let number = self.number;
        self.number += 1;
        self.heap.push(Entry {
            due,
            number,
            requeued,
        });
        is_first
    }

    fn pop_due(&mut self, now: Instant) -> Option<Entry<T>> {
        if self.next_due()? > now {
            return None;
        }
        self.heap.pop()
    }

    /// Appends all items to `line`, in order. The first item of the line has the position `first`.
    pub(super) fn append_to(self, mut line: Line<T>, first: u64) -> Line<T> {
        let next = first + line.len() as u64;
        // The first item is the last in the order of the heap.
        let entries = self.heap.into_sorted_vec().into_iter().rev();
        for (position, entry) in (next..).zip(entries) {
            line.push_box(position, entry.requeued);
        }
        line
    }
}

/// What [`Lane::mature`] has done.
#[derive(Default)]
pub(crate) struct Matured {
    /// How many items have become receivable.
    pub(crate) count: u64,
    /// When the next one is due; it may be due already.
    pub(crate) next_due: Option<Instant>,
}

impl<T> Lane<T> {
    /// Pushes an item that no receiver finds before it is due. Returns `None` if the lane has ended, and
    /// otherwise whether this item is due before all others. The caller holds an unresolved delivery (N2).
    ///
    /// # Safety
    ///
    /// `item` points to an item, which has moved out of there unless this returns `None`. (If this panics, it
    /// has moved out too, as in `push`.)
    pub(crate) unsafe fn push_delayed(
        &self,
        item: *const T,
        attempt: u32,
        due: Instant,
    ) -> Option<bool> {
        // Before the lock is taken, because it allocates.
        // SAFETY: the caller's guarantee. If the lane has ended, this copy is not used.
        let requeued = unsafe { Requeued::boxed(item, attempt) };
        with_lock(&self.items, |items| {
            let delayed = items.as_mut()?.delayed.get_or_insert_default();
            let is_first = delayed.push(requeued, due);
            self.count_pushed(attempt);
            Some(is_first)
        })
    }

    /// Makes items receivable that are due at `now`, in order, but not all if they are many.
    pub(crate) fn mature(&self, now: Instant) -> Matured {
        let mut surplus = BinaryHeap::new();
        with_lock(&self.items, |items| {
            let items = items.as_mut()?;
            let delayed = items.delayed.as_mut()?;
            let next = self.readied();
            let mut count = 0;
            while count < BATCH {
                let Some(Entry {
                    due, mut requeued, ..
                }) = delayed.pop_due(now)
                else {
                    break;
                };
                if self.measures() {
                    // From then on it waits for a receiver, not for its time.
                    requeued.queued_at = Moment::from(due);
                }
                items.line.push_box(next + count, requeued);
                count += 1;
            }
            if count > 0 {
                self.count_readied(count);
            }
            let heap = &mut delayed.heap;
            if heap.is_empty() && heap.capacity() > KEPT {
                mem::swap(heap, &mut surplus);
            }
            let next_due = delayed.next_due();
            Some(Matured { count, next_due })
        })
        .unwrap_or_default()
    }

    /// When the first delayed item is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        with_lock(&self.items, |items| {
            items.as_ref()?.delayed.as_ref()?.next_due()
        })
    }

    /// Whether the lane has ended (N3).
    pub(crate) fn has_ended(&self) -> bool {
        with_lock(&self.items, |items| items.is_none())
    }
}

//! The receivable items of a lane.
//!
//! # Invariants
//!
//! * **R1** The items have consecutive *positions*: from `popped`, that of the first, to below `readied`. A
//!   box has the position of its item beside it. All other positions are those of the `plain` items, in
//!   order. The boxes are in order, too.
//! * **R2** A box whose item has been taken out is freed outside the lock. That drops no item.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;
use core::mem::MaybeUninit;
use core::ptr;

use super::KEPT;
use super::Requeued;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use crate::clock::Moment;

/// The receivable items, in the order in which they have become so.
///
/// An item that was delayed stays in its box, so that the thread of the timer moves none, however large
/// the items are. All others are *plain*.
pub(super) struct Line<T> {
    plain: VecDeque<Requeued<T>>,
    boxes: VecDeque<(u64, Box<Requeued<T>>)>,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self {
            plain: VecDeque::new(),
            boxes: VecDeque::new(),
        }
    }
}

impl<T> Line<T> {
    pub(super) fn len(&self) -> usize {
        self.plain.len() + self.boxes.len()
    }

    pub(super) fn push(&mut self, requeued: Requeued<T>) {
        self.plain.push_back(requeued);
    }

    /// Pushes an item that was delayed; its position is the next.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub(super) fn push_box(&mut self, position: u64, requeued: Box<Requeued<T>>) {
        self.boxes.push_back((position, requeued));
    }

    /// The item at the first position.
    pub(super) fn front(&self, first: u64) -> Option<&Requeued<T>> {
        match self.boxes.front() {
            Some((position, requeued)) if *position == first => Some(requeued),
            _ => self.plain.front(),
        }
    }

    /// Since when the oldest item is in the line. An item that was delayed counts since it was due, which may
    /// be before an item in front of it was pushed.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub(super) fn oldest(&self) -> Option<Moment> {
        let plain = self.plain.front().map(|it| it.queued_at);
        let boxed = self.boxes.front().map(|(_, it)| it.queued_at);
        plain.into_iter().chain(boxed).min()
    }

    /// Removes the item at the first position, which the caller has copied. Returns its box, if it has
    /// one, which is to be freed outside the lock.
    pub(super) fn remove_front(&mut self, first: u64) -> Option<Box<Requeued<T>>> {
        let emptied = self.pop_box(first);
        if emptied.is_none() {
            self.plain.drain(..1);
        }
        emptied
    }

    fn pop_box(&mut self, first: u64) -> Option<Box<Requeued<T>>> {
        let (position, _) = self.boxes.front()?;
        if *position != first {
            return None;
        }
        self.boxes.pop_front().map(|(_, requeued)| requeued)
    }

    /// Removes the first `count` items, and appends what `make` makes of each to `out`, and their boxes to
    /// `emptied`, which are to be freed outside the lock.
    pub(super) fn pop_many<R>(
        &mut self,
        first: u64,
        count: usize,
        out: &mut Vec<R>,
        mut make: impl FnMut(Requeued<T>) -> R,
        emptied: &mut Vec<Box<Requeued<T>>>,
    ) {
        let end = first + count as u64;
        let mut position = first;
        while position < end {
            let next_box = self.boxes.front().map_or(end, |(it, _)| end.min(*it));
            let run = (next_box - position) as usize;
            out.extend(self.plain.drain(..run).map(&mut make));
            if next_box == end {
                return;
            }
            if let Some(requeued) = self.pop_box(next_box) {
                // SAFETY: the pointer is that of the box, whose item is not used any more (R2).
                out.push(make(unsafe { ptr::read(&raw const *requeued) }));
                emptied.push(requeued);
            }
            position = next_box + 1;
        }
    }

    /// Moves memory to `surplus` that a burst has left in a list that is empty. It is to be freed outside
    /// the lock.
    pub(super) fn take_surplus(&mut self, surplus: &mut Self) {
        if self.plain.is_empty() && self.plain.capacity() > KEPT {
            mem::swap(&mut self.plain, &mut surplus.plain);
        }
        if self.boxes.is_empty() && self.boxes.capacity() > KEPT {
            mem::swap(&mut self.boxes, &mut surplus.boxes);
        }
    }
}

/// What a lane contained when it ended. Its owner takes or drops each item where it is (N5 of `lane`).
pub(crate) struct Rest<T> {
    pub(super) line: Line<T>,
    /// The position of the first item (R1).
    pub(super) first: u64,
    /// Whether any item was ever delayed.
    pub(crate) has_delayed: bool,
}

impl<T> Default for Rest<T> {
    fn default() -> Self {
        Self {
            line: Line::default(),
            first: 0,
            has_delayed: false,
        }
    }
}

impl<T> Rest<T> {
    pub(crate) fn len(&self) -> usize {
        self.line.len()
    }

    /// The items in order, each in its place.
    pub(crate) fn items(&mut self) -> impl Iterator<Item = &mut MaybeUninit<T>> {
        let mut plain = self.line.plain.iter_mut();
        let mut boxes = self.line.boxes.iter_mut().peekable();
        let items = (self.first..).map_while(move |next| {
            match boxes.next_if(|(position, _)| *position == next) {
                Some((_, requeued)) => Some(&mut **requeued),
                None => plain.next(),
            }
        });
        items.map(|requeued| &mut requeued.item)
    }
}

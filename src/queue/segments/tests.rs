//! The segments alone, on one thread: their borders, and the wrap of positions.

use core::cell::Cell;
use core::mem::ManuallyDrop;
use core::mem::MaybeUninit;
use core::panic::AssertUnwindSafe;
use core::ptr;
use std::collections::VecDeque;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::vec::Vec;

use super::Attempt;
use super::MEASURED;
use super::Ordering;
use super::STEP;
use super::Segments;
use super::unmarked;
use crate::sync::with_lock;

/// How many positions there are before they wrap.
const WRAP: u64 = u64::MAX / STEP + 1;

const LEN: u64 = Segments::<u64>::LEN;

fn starts() -> [u64; 6] {
    [0, 1, LEN - 1, WRAP - LEN, WRAP - LEN - 1, WRAP - 1]
}

fn push<T>(queue: &Segments<T>, item: T) {
    assert!(matches!(attempt_push(queue, item), Attempt::Done(())));
}

/// Leaks the item if this is not done.
fn attempt_push<T>(queue: &Segments<T>, item: T) -> Attempt<()> {
    let item = ManuallyDrop::new(item);
    // SAFETY: the item is not used after this.
    unsafe { queue.push(|| &raw const *item) }
}

fn measures<T>(queue: &Segments<T>) -> bool {
    queue.head.word.load(Ordering::Relaxed) & MEASURED != 0
}

/// The first try of a push, or the second if the queue measures: then the first does nothing. Leaks the item
/// if this returns false.
fn try_push<T>(queue: &Segments<T>, item: impl FnOnce() -> T) -> bool {
    let mut place = MaybeUninit::uninit();
    if measures(queue) {
        // SAFETY: nothing is pushed.
        assert!(!unsafe { queue.try_push(ptr::null) });
        let item = || ptr::from_ref(place.write(item()));
        // SAFETY: the item is not used after this.
        return matches!(unsafe { queue.push(item) }, Attempt::Done(()));
    }
    // SAFETY: the item is not used after this.
    unsafe { queue.try_push(|| place.write(item())) }
}

fn pop<T>(queue: &Segments<T>) -> Attempt<T> {
    let mut place = MaybeUninit::uninit();
    let popped = queue.pop(&mut place);
    // SAFETY: this is done, so the item is in its place.
    popped.map(|_| unsafe { place.assume_init() })
}

/// The first try of a pop, or the second if the queue measures: then the first does nothing.
fn try_pop<T>(queue: &Segments<T>) -> Option<T> {
    let mut place = MaybeUninit::uninit();
    if measures(queue) {
        assert!(!queue.try_pop(&mut place));
        return pop(queue).done();
    }
    let is_popped = queue.try_pop(&mut place);
    // SAFETY: the item is in its place.
    is_popped.then(|| unsafe { place.assume_init() })
}

#[test]
fn order_holds_across_segments_and_wrap() {
    for measures in [false, true] {
        for start in starts() {
            let queue = Segments::starting_at(start, measures);
            let mut model = VecDeque::new();
            let mut next = 0;
            // Grows and shrinks by varying amounts.
            for round in 0..400 {
                for _ in 0..round * 3 % (2 * LEN) {
                    if !try_push(&queue, || next) {
                        push(&queue, next);
                    }
                    model.push_back(next);
                    next += 1;
                    assert_eq!(queue.len(), model.len());
                }
                for _ in 0..round * 5 % (2 * LEN) {
                    let expected = model.pop_front();
                    assert_eq!(queue.looks_filled(1), expected.is_some() && !measures);
                    let popped = if round % 2 == 0 {
                        try_pop(&queue)
                    } else {
                        pop(&queue).done()
                    };
                    assert_eq!(popped, expected);
                    assert_eq!(queue.len(), model.len());
                }
                let counts = (queue.pushed(), queue.popped());
                assert_eq!(counts.0.wrapping_sub(start) % WRAP, next);
                assert_eq!(counts.0.wrapping_sub(counts.1) % WRAP, model.len() as u64);
                assert_eq!(queue.settled_popped(), Some(counts.1));
            }
        }
    }
}

#[test]
fn closed_queue_drains_and_accepts_nothing() {
    for measures in [false, true] {
        for start in starts() {
            for count in [0, 1, LEN - 1, LEN, LEN + 1] {
                let queue = Segments::starting_at(start, measures);
                for item in 0..count {
                    push(&queue, item);
                }
                assert!(queue.close() && !queue.close() && queue.is_closed());
                assert!(!try_push(&queue, || 99));
                assert!(matches!(attempt_push(&queue, 99), Attempt::Closed));
                for item in 0..count {
                    assert_eq!(pop(&queue).done(), Some(item));
                }
                assert!(matches!(pop(&queue), Attempt::Closed));
            }
        }
    }
}

#[test]
fn unfinished_push_and_locked_head_are_busy() {
    for measures in [false, true] {
        let queue = Segments::starting_at(0, measures);
        assert!(matches!(pop(&queue), Attempt::Blocked));
        let is_pushed = try_push(&queue, || {
            assert!(matches!(pop(&queue), Attempt::Busy));
            push(&queue, 2);
            assert!(matches!(pop(&queue), Attempt::Busy));
            queue.close();
            assert!(
                matches!(pop(&queue), Attempt::Busy),
                "claimed before the close"
            );
            1
        });
        assert!(is_pushed);

        let head = queue.try_lock(0).expect("no other receiver");
        assert!(try_pop(&queue).is_none());
        assert!(!queue.looks_filled(1));
        assert!(matches!(pop(&queue), Attempt::Busy));
        assert_eq!((queue.popped(), queue.settled_popped()), (0, None));
        let mut place = MaybeUninit::uninit();
        // SAFETY: locked above.
        let taken = unsafe { queue.take_and_unlock(head, unmarked(head), &mut place, || ()) };
        assert_eq!(taken, Some(()));
        // SAFETY: the item is in its place.
        assert_eq!(unsafe { place.assume_init() }, 1);
        assert_eq!(queue.settled_popped(), Some(1));
        assert_eq!(try_pop(&queue), Some(2));
    }
}

#[test]
fn looks_filled_stays_in_segment() {
    for measures in [false, true] {
        for start in starts() {
            let queue = Segments::starting_at(start, measures);
            for item in 0..2 * LEN {
                assert_eq!(queue.looks_filled(1), item > 0 && !measures);
                push(&queue, item);
            }
            // More than the rest of the segment.
            assert_eq!(queue.looks_filled(LEN), !measures);
        }
    }
}

#[test]
fn drained_segments_are_freed() {
    for measures in [false, true] {
        let queue = Segments::starting_at(0, measures);
        for item in 0..10_000 * LEN {
            push(&queue, item);
        }
        for item in 0..10_000 * LEN {
            assert_eq!(try_pop(&queue), Some(item));
        }
        let (segments, memory, has_spare) = with_lock(&queue.chain, |chain| {
            let segments = &chain.segments;
            (segments.len(), segments.capacity(), chain.spare.is_some())
        });
        assert_eq!((segments, has_spare), (1, true));
        assert!(memory <= 256, "{memory} segments");
    }
}

#[test]
fn large_items_take_small_segments() {
    assert_eq!(Segments::<u64>::LEN, 64);
    assert_eq!(Segments::<[u8; 64]>::LEN, 64);
    assert_eq!(Segments::<[u8; 1_000]>::LEN, 8);
    assert_eq!(Segments::<[u8; 1_000_000]>::LEN, 2);
}

#[test]
fn drop_survives_panicking_destructors() {
    for measures in [false, true] {
        struct Loud(Rc<Cell<u64>>, bool);
        impl Drop for Loud {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
                assert!(!self.1, "a destructor panics");
            }
        }

        for count in [3, LEN - 1, LEN, 3 * LEN] {
            let drops = Rc::new(Cell::new(0));
            let queue = Segments::starting_at(0, measures);
            for number in 0..count {
                // Without `std`, a second panic aborts.
                let panics = number == 0 || number % 2 == 0 && cfg!(feature = "std");
                push(&queue, Loud(Rc::clone(&drops), panics));
            }
            assert!(catch_unwind(AssertUnwindSafe(|| drop(queue))).is_err());
            assert_eq!(drops.get(), count);
        }
    }
}

#[test]
fn batches_hold_order_across_segments_and_wrap() {
    for measures in [false, true] {
        for start in starts() {
            let queue = Segments::starting_at(start, measures);
            let (mut sent, mut out) = (0, Vec::new());
            for round in 0..200 {
                let size = round * 7 % (3 * LEN) + 1;
                let mut items = VecDeque::from_iter(sent..sent + size);
                assert_eq!(queue.push_many(&mut items).done(), Some(size));
                assert!(items.is_empty());
                sent += size;
                let max = match round % 5 {
                    0 => u64::MAX,
                    _ => round * 5 % (3 * LEN) + 1,
                };
                let expected = max.min(queue.len() as u64);
                let popped = queue.pop_many(max, &mut out, |item, _| item);
                assert_eq!(popped.done(), Some(expected));
                assert_eq!(sent, (out.len() + queue.len()) as u64);
            }
            queue.close();
            let _ = queue.pop_many(u64::MAX, &mut out, |item, _| item);
            assert!(out.into_iter().eq(0..sent));
            let mut none = Vec::new();
            let closed = queue.pop_many(1, &mut none, |item, _| item);
            assert!(matches!(closed, Attempt::Closed));
            let refused = queue.push_many(&mut VecDeque::from([0]));
            assert!(matches!(refused, Attempt::Closed));
            assert_eq!(none.capacity(), 0);
        }
    }
}

/// A batch ends at a slot that another thread is filling.
#[test]
fn batch_ends_at_unfinished_claim() {
    for measures in [false, true] {
        let queue = Segments::starting_at(LEN - 2, measures);
        let mut out = Vec::new();
        push(&queue, 0);
        let pop = |out: &mut Vec<u64>| queue.pop_many(9, out, |item, _| item);
        let mut item = 0;
        let item = || {
            assert_eq!(queue.push_many(&mut VecDeque::from([2, 3])).done(), Some(2));
            assert_eq!(pop(&mut out).done(), Some(1));
            assert!(matches!(pop(&mut out), Attempt::Busy));
            item = 1;
            &raw const item
        };
        // SAFETY: the item is not used after this.
        let pushed = unsafe { queue.push(item) };
        assert_eq!(pushed.done(), Some(()));
        assert_eq!(pop(&mut out).done(), Some(3));
        assert!(matches!(pop(&mut out), Attempt::Blocked));
        assert_eq!(out, [0, 1, 2, 3]);
    }
}

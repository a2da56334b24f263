//! The ring alone, on one thread: every small capacity, and the wrap of its positions.

use core::mem::ManuallyDrop;
use core::mem::MaybeUninit;
use core::ptr;
use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::vec::Vec;

use super::Attempt;
use super::Ring;
use super::STEP;
use super::advance;

/// How many positions there are before they wrap.
const WRAP: u64 = u64::MAX / STEP + 1;

/// The outcome of a push or a pop, to compare.
#[derive(Debug, PartialEq, Eq)]
enum Outcome<R> {
    Ready(R),
    Blocked,
    Closed,
    Busy,
}

impl<R> From<Attempt<R>> for Outcome<R> {
    fn from(attempt: Attempt<R>) -> Self {
        match attempt {
            Attempt::Done(result) => Self::Ready(result),
            Attempt::Closed => Self::Closed,
            Attempt::Blocked => Self::Blocked,
            Attempt::Busy => Self::Busy,
        }
    }
}

fn push<T>(ring: &Ring<T>, item: T) -> Outcome<()> {
    let mut item = ManuallyDrop::new(item);
    // SAFETY: the item is not used after this is done.
    let pushed = unsafe { ring.push(|| &raw const *item) };
    if !matches!(pushed, Attempt::Done(())) {
        // SAFETY: it is dropped once.
        unsafe { ManuallyDrop::drop(&mut item) };
    }
    pushed.into()
}

/// The first try of a push, or the second if the ring measures: then the first does nothing. Leaks the item
/// if this returns false.
fn try_push<T>(ring: &Ring<T>, item: impl FnOnce() -> T) -> bool {
    let mut place = MaybeUninit::uninit();
    if ring.times.is_some() {
        // SAFETY: nothing is pushed.
        assert!(!unsafe { ring.try_push(ptr::null) });
        let mut item = Some(item);
        let item = || ptr::from_ref(place.write(item.take().expect("called once")()));
        // SAFETY: the item is not used after this.
        return matches!(unsafe { ring.push(item) }, Attempt::Done(()));
    }
    // SAFETY: the item is not used after this.
    unsafe { ring.try_push(|| place.write(item())) }
}

/// # Safety
///
/// As [`Ring::empty`].
unsafe fn empty<T>(ring: &Ring<T>, position: u64) -> T {
    let mut place = MaybeUninit::uninit();
    // SAFETY: the caller's guarantee.
    unsafe { ring.empty(ring.slots(), position, &mut place) };
    // SAFETY: the item is in its place.
    unsafe { place.assume_init() }
}

fn pop<T>(ring: &Ring<T>) -> Outcome<T> {
    let mut place = MaybeUninit::uninit();
    // SAFETY: this is done, so the item is in its place.
    let popped = ring.pop(&mut place).map(|_| unsafe { place.assume_init() });
    popped.into()
}

/// The first try of a pop, or the second if the ring measures: then the first does nothing.
fn try_pop<T>(ring: &Ring<T>) -> Option<T> {
    let mut place = MaybeUninit::uninit();
    if ring.times.is_some() {
        assert!(!ring.try_pop(&mut place));
        return match pop(ring) {
            Outcome::Ready(item) => Some(item),
            _ => None,
        };
    }
    // SAFETY: the item is in its place.
    ring.try_pop(&mut place)
        .then(|| unsafe { place.assume_init() })
}

/// Returns the evicted item.
fn force_push<T>(
    ring: &Ring<T>,
    item: impl FnOnce() -> T,
    evicted: impl FnOnce(),
) -> Outcome<Option<T>> {
    let (mut new, mut oldest) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    let item = || ptr::from_ref(new.write(item()));
    // SAFETY: the item is not used after this.
    let pushed = unsafe { ring.force_push(item, evicted, &mut oldest) };
    let oldest = |has_evicted: bool| {
        // SAFETY: this is done, so the item is in its place.
        has_evicted.then(|| unsafe { oldest.assume_init() })
    };
    pushed.map(oldest).into()
}

fn claim_vacant<T>(ring: &Ring<T>, want: u64) -> Outcome<(u64, u64)> {
    ring.claim_vacant::<true>(ring.slots(), want).into()
}

fn claim_filled<T>(ring: &Ring<T>, want: u64) -> Outcome<(u64, u64)> {
    ring.claim_filled::<true>(ring.slots(), want, |_| ()).into()
}

/// The first positions to test, for a ring that is then filled `laps` times or fewer.
fn starts(capacity: u64, laps: u64) -> [u64; 5] {
    let half = capacity * laps / 2;
    [0, 1, WRAP - 1, WRAP - half.max(1), WRAP / 2]
}

#[test]
fn order_and_bounds_hold_across_wrap() {
    for measures in [false, true] {
        for capacity in 1..=17 {
            for start in starts(capacity, 200) {
                let ring = Ring::starting_at(capacity as usize, start, measures);
                let mut model = VecDeque::new();
                let mut next = 0;
                // Fills and empties it by varying amounts.
                for round in 0..384 {
                    let pushes = round % (capacity + 2);
                    for _ in 0..pushes {
                        let expected = if model.len() < capacity as usize {
                            Outcome::Ready(())
                        } else {
                            Outcome::Blocked
                        };
                        assert_eq!(push(&ring, next), expected);
                        if expected == Outcome::Ready(()) {
                            model.push_back(next);
                        }
                        next += 1;
                        assert_eq!(ring.len(), model.len());
                    }
                    let pops = (round * 7) % (capacity + 2);
                    for _ in 0..pops {
                        let expected = model.pop_front().map_or(Outcome::Blocked, Outcome::Ready);
                        assert_eq!(pop(&ring), expected);
                        assert_eq!(ring.len(), model.len());
                    }
                }
            }
        }
    }
}

#[test]
fn first_tries_agree_across_wrap() {
    for measures in [false, true] {
        for capacity in 1..=5 {
            let ring = Ring::starting_at(capacity, WRAP - 2, measures);
            for item in 0..20 {
                assert!(try_pop(&ring).is_none());
                assert!(try_push(&ring, || item));
                assert_eq!(ring.len(), 1);
                assert_eq!(ring.looks_filled(1), !measures);
                assert!(!ring.looks_filled(2));
                assert_eq!(ring.looks_vacant(1), capacity > 1 && !measures);
                assert_eq!(try_pop(&ring), Some(item));
                assert_eq!(ring.looks_vacant(1), !measures);
            }
            for item in 0..capacity {
                assert!(try_push(&ring, || item));
            }
            assert!(!try_push(&ring, || 99));
        }
    }
}

#[test]
fn forced_pushes_agree_with_model_across_wrap() {
    for measures in [false, true] {
        for capacity in 1..=9 {
            for start in starts(capacity, 200) {
                let ring = Ring::starting_at(capacity as usize, start, measures);
                let mut model = VecDeque::new();
                for item in 0..1_500 {
                    // Mostly forced, so that the ring stays full for some laps.
                    match item % 11 {
                        0 | 3 if item % 1_000 < 500 => {
                            let expected =
                                model.pop_front().map_or(Outcome::Blocked, Outcome::Ready);
                            assert_eq!(pop(&ring), expected);
                        }
                        _ => {
                            model.push_back(item);
                            let is_over = model.len() > capacity as usize;
                            let oldest = is_over.then(|| model.pop_front()).flatten();
                            let counted = Cell::new(false);
                            let pushed = force_push(&ring, || item, || counted.set(true));
                            assert_eq!(pushed, Outcome::Ready(oldest));
                            assert_eq!(counted.get(), is_over);
                        }
                    }
                    assert_eq!(ring.len(), model.len());
                }
                assert!(ring.close());
                let pushed = force_push(&ring, || unreachable!(), || unreachable!());
                assert_eq!(pushed, Outcome::Closed);
                while let Some(item) = model.pop_front() {
                    assert_eq!(pop(&ring), Outcome::Ready(item));
                }
                assert_eq!(pop(&ring), Outcome::Closed);
            }
        }
    }
}

/// What others find between the claim and the store of a forced push.
#[test]
fn unfinished_forced_push_leaves_ring_full() {
    for measures in [false, true] {
        for capacity in 1..=5 {
            let ring = Ring::starting_at(capacity, WRAP - 1, measures);
            (0..capacity).for_each(|item| assert_eq!(push(&ring, item), Outcome::Ready(())));
            let look = || {
                assert_eq!(push(&ring, 99), Outcome::Blocked);
                assert!(!try_push(&ring, || 99));
                assert_eq!(ring.len(), capacity);
            };
            let pushed = force_push(
                &ring,
                || {
                    look();
                    if capacity == 1 {
                        assert_eq!(pop(&ring), Outcome::Busy);
                        let pushed = force_push(&ring, || 99, || unreachable!());
                        assert_eq!(pushed, Outcome::Busy);
                    }
                    capacity
                },
                look,
            );
            assert_eq!(pushed, Outcome::Ready(Some(0)));
            (1..=capacity).for_each(|item| assert_eq!(pop(&ring), Outcome::Ready(item)));
        }
    }
}

/// A forced claim exceeds the capacity until its thread, or a receiver, has taken the oldest item.
#[test]
fn forced_claim_exceeds_capacity_by_one() {
    for measures in [false, true] {
        for capacity in 1..=5 {
            let ring = Ring::starting_at(capacity, 0, measures);
            (0..capacity).for_each(|item| assert_eq!(push(&ring, item), Outcome::Ready(())));
            let claimed = ring.claim_forced(ring.slots());
            let Outcome::Ready(position) = Outcome::from(claimed) else {
                panic!("it is full");
            };
            assert_eq!(ring.len(), capacity);
            assert_eq!(push(&ring, 99), Outcome::Blocked);
            assert!(!try_push(&ring, || 99) && !ring.looks_vacant(1));
            let pushed = force_push(&ring, || 99, || unreachable!());
            assert_eq!(pushed, Outcome::Busy);
            assert_eq!(pop(&ring), Outcome::Ready(0));
            let mut oldest = MaybeUninit::uninit();
            assert!(!ring.evict(ring.slots(), position, &mut oldest));
            assert_eq!(push(&ring, 99), Outcome::Blocked);
            // SAFETY: claimed above.
            unsafe { ring.slots().at(position).fill(position, &capacity) };
            (1..=capacity).for_each(|item| assert_eq!(pop(&ring), Outcome::Ready(item)));
        }
    }
}

#[test]
fn closed_ring_drains_and_accepts_nothing() {
    for measures in [false, true] {
        for capacity in 1..=17 {
            for start in starts(capacity, 1) {
                let ring = Ring::starting_at(capacity as usize, start, measures);
                for item in 0..capacity {
                    assert_eq!(push(&ring, item), Outcome::Ready(()));
                }
                assert_eq!(push(&ring, 99), Outcome::Blocked);
                assert!(ring.close());
                assert!(!ring.close());
                assert!(ring.is_closed());
                assert_eq!(push(&ring, 99), Outcome::Closed);
                for item in 0..capacity {
                    assert_eq!(pop(&ring), Outcome::Ready(item));
                    assert_eq!(push(&ring, 99), Outcome::Closed);
                    assert!(!try_push(&ring, || 99));
                }
                assert_eq!(pop(&ring), Outcome::Closed);
                assert_eq!(ring.len(), 0);
            }
        }
    }
}

#[test]
fn unfinished_claim_is_busy() {
    for measures in [false, true] {
        let ring = Ring::starting_at(2, 0, measures);
        let is_pushed = try_push(&ring, || {
            assert_eq!(pop(&ring), Outcome::Busy);
            assert_eq!(push(&ring, 2), Outcome::Ready(()));
            assert_eq!(pop(&ring), Outcome::Busy);
            assert_eq!(push(&ring, 3), Outcome::Blocked);
            ring.close();
            assert_eq!(pop(&ring), Outcome::Busy, "claimed before the close");
            1
        });
        assert!(is_pushed);
        assert_eq!(pop(&ring), Outcome::Ready(1));
        assert_eq!(pop(&ring), Outcome::Ready(2));
        assert_eq!(pop(&ring), Outcome::Closed);

        let ring = Ring::starting_at(1, 0, measures);
        assert_eq!(push(&ring, 1), Outcome::Ready(()));
        let Outcome::Ready((position, 1)) = claim_filled(&ring, 1) else {
            panic!("there is an item");
        };
        assert_eq!(push(&ring, 2), Outcome::Busy);
        // SAFETY: claimed above.
        assert_eq!(unsafe { empty(&ring, position) }, 1);
        assert_eq!(push(&ring, 2), Outcome::Ready(()));
    }
}

#[test]
fn one_exchange_claims_all_available() {
    for measures in [false, true] {
        for capacity in 1..=17 {
            for start in starts(capacity, 1) {
                let ring = Ring::starting_at(capacity as usize, start, measures);
                for kept in 0..capacity {
                    let Outcome::Ready((first, count)) = claim_vacant(&ring, 99) else {
                        panic!("there is room");
                    };
                    assert_eq!(count, capacity, "all vacant slots");
                    for offset in 0..count {
                        let position = advance(first, offset);
                        // SAFETY: claimed above.
                        unsafe { ring.slots().at(position).fill(position, &offset) };
                    }
                    assert_eq!(claim_vacant(&ring, 1), Outcome::Blocked);
                    let Outcome::Ready((first, count)) = claim_filled(&ring, capacity - kept)
                    else {
                        panic!("there are items");
                    };
                    assert_eq!(count, capacity - kept, "no more than wanted");
                    for offset in 0..count {
                        // SAFETY: claimed above.
                        let item = unsafe { empty(&ring, advance(first, offset)) };
                        assert_eq!(item, offset);
                    }
                    while try_pop(&ring).is_some() {}
                }
            }
        }
    }
}

fn push_many(ring: &Ring<u64>, items: &mut VecDeque<u64>) -> Outcome<u64> {
    ring.push_many(items).into()
}

fn pop_many(ring: &Ring<u64>, max: u64, out: &mut Vec<u64>) -> Outcome<u64> {
    ring.pop_many(max, out, |item, _| item).into()
}

#[test]
fn batches_keep_order_and_bounds_across_wrap() {
    for measures in [false, true] {
        for capacity in 1..=9 {
            for start in starts(capacity, 100) {
                let ring = Ring::starting_at(capacity as usize, start, measures);
                let (mut sent, mut out) = (0, Vec::new());
                for round in 0..200 {
                    let size = round % (capacity + 3) + 1;
                    let mut items = VecDeque::from_iter(sent..sent + size);
                    let room = capacity - ring.len() as u64;
                    let expected = match room.min(size) {
                        0 => Outcome::Blocked,
                        count => Outcome::Ready(count),
                    };
                    assert_eq!(push_many(&ring, &mut items), expected);
                    sent += size - items.len() as u64;
                    assert!(items.into_iter().eq(sent..sent + size - room.min(size)));

                    let max = match round % 5 {
                        0 => u64::MAX,
                        max => max,
                    };
                    let expected = match max.min(ring.len() as u64) {
                        0 => Outcome::Blocked,
                        count => Outcome::Ready(count),
                    };
                    assert_eq!(pop_many(&ring, max, &mut out), expected);
                    assert_eq!(sent, out.len() as u64 + ring.len() as u64);
                }
                assert!(out.into_iter().eq(0..sent - ring.len() as u64));
            }
        }
    }
}

/// A batch ends at a slot that another thread is filling, or emptying.
#[test]
fn batch_ends_at_unfinished_claim() {
    for measures in [false, true] {
        let ring = Ring::starting_at(4, 0, measures);
        let mut out = Vec::new();
        assert_eq!(
            push_many(&ring, &mut VecDeque::from([0])),
            Outcome::Ready(1)
        );
        let is_pushed = try_push(&ring, || {
            let sent = push_many(&ring, &mut VecDeque::from([2, 3, 4]));
            assert_eq!(sent, Outcome::Ready(2));
            assert_eq!(pop_many(&ring, 9, &mut out), Outcome::Ready(1));
            assert_eq!(pop_many(&ring, 9, &mut out), Outcome::Busy);
            ring.close();
            assert_eq!(pop_many(&ring, 9, &mut out), Outcome::Busy);
            1
        });
        assert!(is_pushed);
        assert_eq!(pop_many(&ring, 9, &mut out), Outcome::Ready(3));
        assert_eq!(out, [0, 1, 2, 3]);
        assert_eq!(pop_many(&ring, 9, &mut out), Outcome::Closed);
        let refused = push_many(&ring, &mut VecDeque::from([5]));
        assert_eq!(refused, Outcome::Closed);

        let ring = Ring::starting_at(2, 0, measures);
        assert_eq!(
            push_many(&ring, &mut VecDeque::from([0, 1])),
            Outcome::Ready(2)
        );
        let Outcome::Ready((first, 1)) = claim_filled(&ring, 1) else {
            panic!("there is an item");
        };
        assert_eq!(pop_many(&ring, 1, &mut out), Outcome::Ready(1));
        assert_eq!(push_many(&ring, &mut VecDeque::from([2, 3])), Outcome::Busy);
        // SAFETY: claimed above.
        assert_eq!(unsafe { empty(&ring, first) }, 0);
        assert_eq!(
            push_many(&ring, &mut VecDeque::from([2, 3])),
            Outcome::Ready(2)
        );
    }
}

#[test]
fn drop_survives_panicking_destructors() {
    for measures in [false, true] {
        struct Loud(Rc<Cell<u32>>, bool);
        impl Drop for Loud {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
                if self.1 {
                    panic!("a destructor panics");
                }
            }
        }

        let drops = Rc::new(Cell::new(0));
        let ring = Ring::starting_at(4, 0, measures);
        // Without `std`, a second panic aborts.
        for panics in [true, false, cfg!(feature = "std")] {
            assert!(try_push(&ring, || Loud(Rc::clone(&drops), panics)));
        }
        let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(ring)));
        assert!(dropped.is_err());
        assert_eq!(drops.get(), 3);
    }
}

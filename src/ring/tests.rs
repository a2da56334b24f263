//! The ring alone, on one thread: every capacity, and the wrap of its positions.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::AtomicU8;

use super::Counter;
use super::NoItem;
use super::NoVacancy;
use super::Ring;
use super::STEP;
use super::advance;
use crate::sync::atomic::Ordering;

/// A counter of eight bits, whose positions wrap after 128.
struct Tiny(AtomicU8);

impl Counter for Tiny {
    const MAX: u64 = u8::MAX as u64;

    fn new(value: u64) -> Self {
        Self(AtomicU8::new(u8::try_from(value).unwrap()))
    }

    fn load(&self, order: Ordering) -> u64 {
        self.0.load(order).into()
    }

    fn store(&self, value: u64, order: Ordering) {
        self.0.store(u8::try_from(value).unwrap(), order);
    }

    fn fetch_or(&self, bits: u64, order: Ordering) -> u64 {
        self.0.fetch_or(u8::try_from(bits).unwrap(), order).into()
    }

    fn compare_exchange_weak(
        &self,
        current: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        let (current, new) = (u8::try_from(current).unwrap(), u8::try_from(new).unwrap());
        self.0
            .compare_exchange_weak(current, new, success, failure)
            .map(u64::from)
            .map_err(u64::from)
    }
}

/// How many positions there are before they wrap.
const WRAP: u64 = Tiny::MAX / STEP + 1;

fn push<T, C: Counter>(ring: &Ring<T, C>, item: T) -> Result<(), NoVacancy> {
    ring.reserve().map(|vacancy| vacancy.fill(item))
}

#[test]
fn keeps_order_and_bounds_across_the_wrap_for_every_capacity() {
    for capacity in 1..=17 {
        for start in [0, 1, WRAP - 1, WRAP / 2] {
            let ring = Ring::<u64, Tiny>::starting_at(capacity, start);
            let mut model = VecDeque::new();
            let mut next = 0;
            // Fills and empties by varying amounts, over the wrap several times.
            for round in 0..3 * WRAP {
                let pushes = round % (capacity as u64 + 2);
                for _ in 0..pushes {
                    let expected = match model.len() < capacity {
                        true => Ok(()),
                        false => Err(NoVacancy::Full),
                    };
                    assert_eq!(push(&ring, next), expected);
                    if expected.is_ok() {
                        model.push_back(next);
                    }
                    next += 1;
                    assert_eq!(ring.len(), model.len());
                }
                let pops = (round * 7) % (capacity as u64 + 2);
                for _ in 0..pops {
                    assert_eq!(ring.pop().ok(), model.pop_front());
                    assert_eq!(ring.len(), model.len());
                }
            }
        }
    }
}

#[test]
fn wide_positions_wrap_too() {
    let start = u64::MAX / STEP - 2;
    for capacity in 1..=5 {
        let ring = Ring::<u64>::starting_at(capacity, start);
        for item in 0..20 {
            assert_eq!(push(&ring, item), Ok(()));
            assert_eq!(ring.len(), 1);
            assert_eq!(ring.pop(), Ok(item));
        }
        assert_eq!(ring.pop(), Err(NoItem::Empty));
    }
}

#[test]
fn a_closed_ring_gives_what_it_holds_and_takes_nothing() {
    for capacity in 1..=17 {
        for start in [0, WRAP - 1] {
            let ring = Ring::<usize, Tiny>::starting_at(capacity, start);
            for item in 0..capacity {
                assert_eq!(push(&ring, item), Ok(()));
            }
            assert_eq!(push(&ring, 99), Err(NoVacancy::Full));
            assert!(ring.close());
            assert!(!ring.close());
            assert!(ring.is_closed());
            assert_eq!(push(&ring, 99), Err(NoVacancy::Closed));
            for item in 0..capacity {
                assert_eq!(ring.pop(), Ok(item));
                assert_eq!(push(&ring, 99), Err(NoVacancy::Closed));
            }
            assert_eq!(ring.pop(), Err(NoItem::Closed));
            assert_eq!(ring.len(), 0);
        }
    }
}

#[test]
fn a_claim_in_progress_is_busy_and_holds_up_those_behind() {
    let ring = Ring::<i32, Tiny>::starting_at(2, 0);
    let first = ring.reserve().unwrap();
    assert_eq!(ring.pop(), Err(NoItem::Busy));
    assert_eq!(push(&ring, 2), Ok(()));
    assert_eq!(ring.pop(), Err(NoItem::Busy));
    assert_eq!(push(&ring, 3), Err(NoVacancy::Full));
    ring.close();
    assert_eq!(ring.pop(), Err(NoItem::Busy), "claimed before the close");
    first.fill(1);
    assert_eq!(ring.pop(), Ok(1));
    assert_eq!(ring.pop(), Ok(2));
    assert_eq!(ring.pop(), Err(NoItem::Closed));

    let ring = Ring::<i32, Tiny>::starting_at(1, 0);
    push(&ring, 1).unwrap();
    let (position, _) = ring.claim_filled(ring.slots(), 1).unwrap();
    assert_eq!(push(&ring, 2).unwrap_err(), NoVacancy::Busy);
    // SAFETY: claimed above.
    assert_eq!(unsafe { ring.empty(ring.slots(), position) }, 1);
    assert_eq!(push(&ring, 2), Ok(()));
}

#[test]
fn one_exchange_claims_as_many_slots_as_are_there() {
    for capacity in 1..=17_u64 {
        for start in [0, WRAP - capacity / 2 - 1] {
            let ring = Ring::<u64, Tiny>::starting_at(capacity as usize, start);
            for queued in 0..capacity {
                let (first, count) = ring.claim_vacant(ring.slots(), 99).unwrap();
                assert_eq!(
                    count, capacity,
                    "all that is vacant, with {queued} rounds past"
                );
                for offset in 0..count {
                    let position = advance::<Tiny>(first, offset);
                    let slot = ring.slots().at(position);
                    super::Vacancy { slot, position }.fill(offset);
                }
                assert_eq!(ring.claim_vacant(ring.slots(), 1), Err(NoVacancy::Full));
                let (first, count) = ring.claim_filled(ring.slots(), capacity - queued).unwrap();
                assert_eq!(count, capacity - queued, "no more than wanted");
                for offset in 0..count {
                    // SAFETY: claimed above.
                    let item = unsafe { ring.empty(ring.slots(), advance::<Tiny>(first, offset)) };
                    assert_eq!(item, offset);
                }
                while ring.pop().is_ok() {}
            }
        }
    }
}

#[test]
fn drops_what_it_holds_once_although_destructors_panic() {
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
    let ring = Ring::<Loud>::new(4);
    for panics in [true, false, true] {
        assert_eq!(push(&ring, Loud(Rc::clone(&drops), panics)), Ok(()));
    }
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(ring)));
    assert!(dropped.is_err());
    assert_eq!(drops.get(), 3);
}

#[test]
#[should_panic(expected = "cannot be allocated")]
fn a_ring_too_wide_for_its_positions_is_refused() {
    let _ = Ring::<u64, Tiny>::starting_at(65, 0);
}

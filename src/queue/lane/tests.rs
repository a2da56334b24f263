//! The order of the items, and their account.

use alloc::vec::Vec;
use core::time::Duration;
use std::time::Instant;

use super::Lane;
use super::MaybeUninit;
use super::Requeued;

/// A lane, and beside it, lists of what it should contain.
struct Checked {
    lane: Lane<u32>,
    line: Vec<u32>,
    /// The item that is due first is the last.
    delayed: Vec<(u32, u32)>,
    next: u32,
    start: Instant,
}

impl Checked {
    fn new() -> Self {
        Self {
            lane: Lane::new(false),
            line: Vec::new(),
            delayed: Vec::new(),
            next: 0,
            start: Instant::now(),
        }
    }

    fn time(&self, millis: u32) -> Instant {
        self.start + Duration::from_millis(millis.into())
    }

    fn item(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn push(&mut self) {
        let item = self.item();
        // SAFETY: an integer may be copied.
        assert!(unsafe { self.lane.push(&raw const item, item) });
        self.line.push(item);
    }

    fn push_delayed(&mut self, due: u32) {
        let item = self.item();
        // SAFETY: as above.
        let is_first = unsafe {
            self.lane
                .push_delayed(&raw const item, item, self.time(due))
        };
        let place = self.delayed.partition_point(|(other, _)| *other > due);
        assert_eq!(is_first, Some(place == self.delayed.len()));
        self.delayed.insert(place, (due, item));
    }

    fn mature(&mut self, now: u32) {
        let expected = self.delayed.iter().filter(|(due, _)| *due <= now).count();
        while self.lane.mature(self.time(now)).count > 0 {}
        for _ in 0..expected {
            self.line.extend(self.delayed.pop().map(|(_, item)| item));
        }
        let next_due = self.delayed.last().map(|(due, _)| self.time(*due));
        assert_eq!(self.lane.next_due(), next_due);
    }

    fn pop(&mut self) {
        let mut place = MaybeUninit::uninit();
        let attempt = self.lane.pop(&mut place).map(|(attempt, _)| attempt);
        let expected = (!self.line.is_empty()).then(|| self.line.remove(0));
        assert_eq!(attempt, expected);
        // SAFETY: it was moved there.
        let item = attempt.map(|_| unsafe { place.assume_init() });
        assert_eq!(item, expected);
    }

    fn pop_many(&mut self, max: usize) {
        let mut items = Vec::new();
        let make = |Requeued { item, attempt, .. }| {
            // SAFETY: N5.
            assert_eq!(unsafe { item.assume_init() }, attempt);
            attempt
        };
        let count = self.lane.pop_many(max as u64, &mut items, make);
        assert_eq!(count, items.len() as u64);
        let expected = self.line.drain(..max.min(self.line.len()));
        assert!(expected.eq(items));
    }

    fn end(mut self) {
        let mut rest = self.lane.end();
        self.line
            .extend(self.delayed.iter().rev().map(|(_, item)| item));
        assert_eq!(rest.len(), self.line.len());
        // SAFETY: N5; each is taken once.
        let items = rest.items().map(|it| unsafe { it.assume_init_read() });
        assert!(items.eq(self.line));
        assert_eq!(self.lane.popped(), self.lane.pushed());
        assert_eq!(self.lane.popped(), self.lane.readied());
        assert_eq!(self.lane.end().len(), 0);
    }
}

#[test]
fn items_come_in_order_in_which_they_become_receivable() {
    for seed in 0..200 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut checked = Checked::new();
        let mut now = 0;
        for _ in 0..rng.u32(0..200) {
            match rng.u32(0..8) {
                0 | 1 => checked.push(),
                2 | 3 => {
                    let due = now + rng.u32(1..10);
                    // Sometimes more than become receivable at once.
                    let count = if rng.u32(0..20) == 0 { 100 } else { 1 };
                    (0..count).for_each(|_| checked.push_delayed(due));
                }
                4 => {
                    now += rng.u32(0..10);
                    checked.mature(now);
                }
                5 | 6 => checked.pop(),
                _ => checked.pop_many(rng.usize(0..10)),
            }
            assert_eq!(checked.lane.len(), checked.line.len() as u64);
        }
        checked.end();
    }
}

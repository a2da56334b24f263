//! The tasks in hand of a channel that measures, in the order in which they were received.
//!
//! # Invariants
//!
//! * **I1** `nodes[0]` is the end of a circular list. From it on, the list has a node for each delivery that
//!   has entered and has not left, in order of time: the clock is read while the lock is held.
//! * **I2** All other nodes are in the list that begins at `free`. The number of a node is the [`Place`] of
//!   one delivery at most.
//! * **I3** A delivery leaves before it is resolved, because afterwards the channel may be freed.

use alloc::vec;
use alloc::vec::Vec;
use core::mem;
use core::num::NonZeroU32;
use core::time::Duration;

use crate::clock::Moment;
use crate::sync::Mutex;
use crate::sync::with_lock;

/// The place of a delivery in the list. It fits beside the number of the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(pub(crate) NonZeroU32);

impl Place {
    fn index(self) -> usize {
        self.0.get() as usize
    }
}

/// See the [module](self).
pub(crate) struct InHand(Mutex<List>);

struct List {
    nodes: Vec<Node>,
    /// The first free node, or 0.
    free: u32,
}

#[derive(Clone, Copy)]
#[cfg_attr(
    not(all(feature = "std", not(target_family = "wasm"))),
    expect(dead_code, reason = "without a clock, no channel measures time")
)]
struct Node {
    received_at: Moment,
    waited: Duration,
    previous: u32,
    /// The next node: of the list of those in hand, or of the free ones.
    next: u32,
}

const END: Node = Node {
    received_at: Moment::START,
    waited: Duration::ZERO,
    previous: 0,
    next: 0,
};

/// How many nodes are kept when no task is in hand, the end included. More than a usual batch.
const KEPT: usize = 512;

impl InHand {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(List::new()))
    }

    /// Enters a delivery of an item that was queued at `queued_at`. Returns `None` if too many are in hand;
    /// then this one is not measured.
    pub(crate) fn enter(&self, queued_at: Moment) -> Option<Place> {
        with_lock(&self.0, |list| list.enter(Moment::now(), queued_at))
    }

    /// Removes a delivery that has entered.
    pub(crate) fn leave(&self, place: Place) {
        let surplus = with_lock(&self.0, |list| list.leave(place));
        drop(surplus);
    }

    /// How long the item of a delivery that has entered was queued.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub(crate) fn waited(&self, place: Place) -> Duration {
        with_lock(&self.0, |list| list.nodes[place.index()].waited)
    }

    /// When the first task of those in hand was received.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub(crate) fn oldest(&self) -> Option<Moment> {
        with_lock(&self.0, |list| match list.nodes[0].next {
            0 => None,
            first => Some(list.nodes[first as usize].received_at),
        })
    }
}

impl List {
    fn new() -> Self {
        Self {
            nodes: vec![END],
            free: 0,
        }
    }

    fn enter(&mut self, now: Moment, queued_at: Moment) -> Option<Place> {
        let place = self.take_free()?;
        let last = mem::replace(&mut self.nodes[0].previous, place.0.get());
        self.nodes[last as usize].next = place.0.get();
        self.nodes[place.index()] = Node {
            received_at: now,
            waited: now.since(queued_at),
            previous: last,
            next: 0,
        };
        Some(place)
    }

    /// Takes a node that is not used.
    fn take_free(&mut self) -> Option<Place> {
        if let Some(free) = NonZeroU32::new(self.free) {
            self.free = self.nodes[free.get() as usize].next;
            return Some(Place(free));
        }
        let place = u32::try_from(self.nodes.len()).ok()?;
        self.nodes.push(END);
        NonZeroU32::new(place).map(Place)
    }

    /// Returns memory that is no longer needed, to be freed outside the lock.
    fn leave(&mut self, place: Place) -> Vec<Node> {
        let Node { previous, next, .. } = self.nodes[place.index()];
        self.nodes[previous as usize].next = next;
        self.nodes[next as usize].previous = previous;
        self.nodes[place.index()].next = mem::replace(&mut self.free, place.0.get());
        let is_empty = self.nodes[0].next == 0;
        if is_empty && self.nodes.len() > KEPT {
            mem::replace(self, Self::new()).nodes
        } else {
            Vec::new()
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use alloc::collections::VecDeque;

    use super::KEPT;
    use super::List;
    use super::Moment;
    use super::Place;
    use super::Vec;

    fn at(time: u64) -> Moment {
        Moment::from_nanoseconds(time)
    }

    /// The times of the deliveries in the list, in order.
    fn times(list: &List) -> Vec<Moment> {
        let mut times = Vec::new();
        let mut place = list.nodes[0].next;
        while place != 0 {
            times.push(list.nodes[place as usize].received_at);
            place = list.nodes[place as usize].next;
        }
        times
    }

    /// Any delivery may leave, and its place is used again.
    #[test]
    fn list_stays_in_order() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut list = List::new();
        let mut model = VecDeque::<(Moment, Place)>::new();
        for time in 0..10_000 {
            if random.u8(..) < 128 || model.is_empty() {
                let place = list.enter(at(time), at(0)).unwrap();
                model.push_back((at(time), place));
            } else {
                let (_, place) = model.remove(random.usize(..model.len())).unwrap();
                list.leave(place);
            }
            assert!(times(&list).iter().eq(model.iter().map(|(time, _)| time)));
        }
    }

    #[test]
    fn places_are_used_again_and_memory_is_returned() {
        let mut list = List::new();
        for _ in 0..3 {
            let places: Vec<_> = (0..2 * KEPT as u64)
                .map(|time| list.enter(at(time), at(0)).unwrap())
                .collect();
            assert_eq!(list.nodes.len(), 2 * KEPT + 1);
            let freed: usize = places.iter().map(|place| list.leave(*place).len()).sum();
            assert_eq!((freed, list.nodes.len()), (2 * KEPT + 1, 1));
        }
    }
}

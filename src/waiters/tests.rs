//! Random calls, compared with a sorted list.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::task::Wake;
use std::task::Waker;

use super::Luck;
use super::Place;
use super::Waiters;

type Log = Arc<Mutex<Vec<usize>>>;

struct Noting {
    number: usize,
    log: Log,
}

impl Wake for Noting {
    fn wake(self: Arc<Self>) {
        self.log.lock().unwrap().push(self.number);
    }
}

/// A waiter, its waker, and the number that the waker notes.
struct Waiter {
    place: Place,
    waker: Waker,
    number: usize,
}

/// A list, its waiters, and what a sorted list would hold: the numbers of the wakers by ticket.
#[derive(Default)]
struct World {
    log: Log,
    wakers: usize,
    waiters: Vec<Waiter>,
    listed: BTreeMap<u64, usize>,
}

impl World {
    fn waker(&mut self) -> (Waker, usize) {
        self.wakers += 1;
        let noting = Noting {
            number: self.wakers,
            log: self.log.clone(),
        };
        (Waker::from(Arc::new(noting)), self.wakers)
    }

    fn woken(&self) -> Vec<usize> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    fn any_waiter(&self, random: &mut fastrand::Rng) -> Option<usize> {
        (!self.waiters.is_empty()).then(|| random.usize(..self.waiters.len()))
    }

    fn is_listed(&self, index: usize) -> bool {
        self.listed
            .contains_key(&self.waiters[index].place.ticket())
    }

    fn enter(&mut self, list: &Waiters) {
        let (waker, number) = self.waker();
        let place = list.enter(waker.clone());
        let newest = self.waiters.iter().map(|it| it.place.ticket()).max();
        assert!(newest < Some(place.ticket()), "tickets rise");
        assert_eq!(self.listed.insert(place.ticket(), number), None);
        self.waiters.push(Waiter {
            place,
            waker,
            number,
        });
    }

    fn notify_one(&mut self, list: &Waiters) {
        list.notify_one();
        let oldest = self.listed.pop_first().map(|(_, number)| number);
        assert_eq!(self.woken(), Vec::from_iter(oldest));
    }

    fn notify_all(&mut self, list: &Waiters) {
        list.notify_all();
        let listed = std::mem::take(&mut self.listed);
        assert_eq!(self.woken(), Vec::from_iter(listed.into_values()));
    }

    /// A waiter is polled; one that was notified returns to its place.
    fn poll(&mut self, list: &Waiters, index: usize, changes_waker: bool) {
        let was_listed = self.is_listed(index);
        if changes_waker {
            let (waker, number) = self.waker();
            let waiter = &mut self.waiters[index];
            (waiter.waker, waiter.number) = (waker, number);
        }
        let waiter = &mut self.waiters[index];
        let ticket = waiter.place.ticket();
        assert_eq!(list.update(&mut waiter.place, &waiter.waker), was_listed);
        assert_eq!(waiter.place.ticket(), ticket, "a ticket is kept");
        if !was_listed {
            assert!(list.is_out(&waiter.place));
            list.reenter(ticket, waiter.waker.clone());
            let luck = Luck::default();
            waiter.place = Place::Row { ticket, luck };
        }
        self.listed.insert(ticket, waiter.number);
    }

    fn leave(&mut self, list: &Waiters, index: usize) {
        let was_listed = self.is_listed(index);
        let Waiter { place, .. } = self.waiters.swap_remove(index);
        self.listed.remove(&place.ticket());
        assert_eq!(list.leave(place), !was_listed);
    }
}

#[test]
fn random_calls_agree_with_a_sorted_list() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let most = random.usize(1..12);
        let list = Waiters::new();
        let mut world = World::default();
        for _ in 0..500 {
            match random.u8(..100) {
                0..35 if world.waiters.len() < most => world.enter(&list),
                0..60 => world.notify_one(&list),
                60..62 => world.notify_all(&list),
                draw => {
                    if let Some(index) = world.any_waiter(&mut random) {
                        match draw {
                            62..90 => world.poll(&list, index, random.bool()),
                            _ => world.leave(&list, index),
                        }
                    }
                }
            }
            assert_eq!(list.is_awaited(), !world.listed.is_empty(), "seed {seed}");
            assert_eq!(world.woken(), [], "seed {seed}");
        }
        while !world.waiters.is_empty() {
            world.leave(&list, 0);
        }
        assert!(!list.is_awaited());
        let holds_crowd = list.0.with(|list| list.crowd.is_some());
        assert!(!holds_crowd, "seed {seed}: what a burst took is given back");
    }
}

//! Random calls, compared with a sorted list.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::task::Wake;
use std::task::Waker;
use std::vec::Vec;

use super::CAPACITY;
use super::Registration;
use super::Waiters;
use super::Yielding;

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
    registration: Registration,
    waker: Waker,
    number: usize,
}

/// A list, its waiters, and what a sorted list would hold: the numbers of the wakers by sequence number.
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
            .contains_key(&self.waiters[index].registration.seq())
    }

    fn register(&mut self, list: &Waiters) {
        let (waker, number) = self.waker();
        let registration = list.register(waker.clone());
        let newest = self.waiters.iter().map(|it| it.registration.seq()).max();
        assert!(newest < Some(registration.seq()), "sequence numbers rise");
        assert_eq!(self.listed.insert(registration.seq(), number), None);
        self.waiters.push(Waiter {
            registration,
            waker,
            number,
        });
    }

    fn notify_one(&mut self, list: &Waiters) {
        list.notify_one();
        let oldest = self.listed.pop_first().map(|(_, number)| number);
        assert_eq!(self.woken(), Vec::from_iter(oldest));
    }

    fn notify_many(&mut self, list: &Waiters, count: u32) {
        list.notify_many(count);
        let oldest = std::iter::from_fn(|| self.listed.pop_first());
        let oldest = Vec::from_iter(oldest.take(count as usize).map(|(_, number)| number));
        assert_eq!(self.woken(), oldest);
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
        let seq = waiter.registration.seq();
        assert_eq!(
            list.update_waker(&mut waiter.registration, &waiter.waker),
            was_listed
        );
        assert_eq!(waiter.registration.seq(), seq, "a sequence number is kept");
        if !was_listed {
            assert!(list.is_notified(&waiter.registration));
            list.register_again(seq, waiter.waker.clone());
            let yielding = Yielding::default();
            waiter.registration = Registration::InList { seq, yielding };
        }
        self.listed.insert(seq, waiter.number);
    }

    fn leave(&mut self, list: &Waiters, index: usize) {
        let was_listed = self.is_listed(index);
        let Waiter { registration, .. } = self.waiters.swap_remove(index);
        self.listed.remove(&registration.seq());
        assert_eq!(list.unregister(registration), !was_listed);
    }
}

#[test]
fn random_calls_agree_with_sorted_list() {
    let mut overflowed = 0;
    for seed in 0..120 {
        let mut has_overflowed = false;
        let mut random = fastrand::Rng::with_seed(seed);
        // Half of the runs fill the list, so that waiters also wait in the overflow.
        let most = match seed % 2 {
            0 => random.usize(1..12),
            _ => random.usize(CAPACITY..3 * CAPACITY),
        };
        let list = Waiters::new();
        let mut world = World::default();
        let mut notify = 37;
        for _ in 0..2_000 {
            // How often waiters are notified changes, so that the list grows and shrinks.
            if random.u8(..200) == 0 {
                notify = random.u8(36..60);
            }
            match random.u8(..100) {
                0..35 if world.waiters.len() < most => world.register(&list),
                35 => {
                    // Often fewer than there are waiters, and sometimes more than the list takes.
                    let most = random.choice([3, 9, 3 * CAPACITY as u32]).unwrap_or(1);
                    world.notify_many(&list, random.u32(1..=most));
                }
                draw if draw < notify => world.notify_one(&list),
                60 if random.u8(..20) == 0 => world.notify_all(&list),
                draw => {
                    if let Some(index) = world.any_waiter(&mut random) {
                        match draw {
                            ..93 => world.poll(&list, index, random.bool()),
                            _ => world.leave(&list, index),
                        }
                    }
                }
            }
            has_overflowed |= list.0.with(|list| list.overflow.is_some());
            assert_eq!(list.has_waiters(), !world.listed.is_empty(), "seed {seed}");
            assert!(world.woken().is_empty(), "seed {seed}");
        }
        overflowed += u32::from(has_overflowed);
        while !world.waiters.is_empty() {
            world.leave(&list, 0);
        }
        assert!(!list.has_waiters());
        let has_overflow = list.0.with(|list| list.overflow.is_some());
        assert!(!has_overflow, "seed {seed}: the memory of a burst is freed");
    }
    assert!(overflowed >= 30, "{overflowed} runs filled the list");
}

/// The wakers run after the lock is released, and each of them even if others panic.
#[test]
// Without `std`, the second panic aborts.
#[cfg(feature = "std")]
fn panicking_wakers_strand_no_waiter() {
    struct Loud(Arc<Mutex<usize>>);

    impl Wake for Loud {
        fn wake(self: Arc<Self>) {
            *self.0.lock().unwrap_or_else(|error| error.into_inner()) += 1;
            std::panic::resume_unwind(std::boxed::Box::new("a waker panics"));
        }
    }

    for count in [1, 2, CAPACITY, 3 * CAPACITY] {
        let list = Waiters::new();
        let calls = Arc::new(Mutex::new(0));
        let registrations = Vec::from_iter((0..2 * CAPACITY).map(|_| {
            let waker = Waker::from(Arc::new(Loud(calls.clone())));
            list.register(waker)
        }));
        let notify = std::panic::AssertUnwindSafe(|| list.notify_many(count as u32));
        assert!(std::panic::catch_unwind(notify).is_err());
        let notified = count.min(2 * CAPACITY);
        assert_eq!(*calls.lock().unwrap(), notified);
        for (index, registration) in registrations.into_iter().enumerate() {
            assert_eq!(list.unregister(registration), index < notified);
        }
    }
}

//! Storage while interrupt handlers use it.

use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering;
use std::thread;

use super::Attempt;
use super::MaybeUninit;
use super::Queue;
use super::Vec;
use super::VecDeque;

fn push(queue: &Queue<u32>, item: u32) -> Attempt<()> {
    // SAFETY: the item is not used after this.
    unsafe { queue.push(|| &raw const item) }
}

fn force_push(queue: &Queue<u32>, item: u32) -> Attempt<bool> {
    let mut oldest = MaybeUninit::uninit();
    // SAFETY: the item is not used after this.
    unsafe { queue.force_push(|| &raw const item, || (), &mut oldest) }
}

fn is_never_busy_in_critical_section(queue: &Queue<u32>) {
    let is_over = &AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(move || {
            let (mut items, mut taken) = (VecDeque::new(), Vec::new());
            for item in 0..300_000 {
                let _ = push(queue, item);
                queue.try_pop(&mut MaybeUninit::uninit());
                let _ = force_push(queue, item);
                items.push_back(item);
                items.push_back(item);
                let _ = queue.push_many(&mut items);
                queue.looks_filled(2);
                let _ = queue.pop_many_sent(3, &mut taken, |item| item);
                items.clear();
                taken.clear();
            }
            is_over.store(true, Ordering::Relaxed);
        });
        while !is_over.load(Ordering::Relaxed) {
            let outcomes = critical_section::with(|_| {
                let forced = force_push(queue, 0);
                let popped = queue.pop_sent(&mut MaybeUninit::uninit());
                (push(queue, 0), popped, forced)
            });
            assert!(!matches!(outcomes.0, Attempt::Busy));
            assert!(!matches!(outcomes.1, Attempt::Busy));
            assert!(!matches!(outcomes.2, Attempt::Busy));
        }
    });
}

#[test]
fn storage_is_never_busy_in_critical_section() {
    is_never_busy_in_critical_section(&Queue::bounded(1, false, false));
    is_never_busy_in_critical_section(&Queue::bounded(3, false, false));
    is_never_busy_in_critical_section(&Queue::unbounded(false, false));
}

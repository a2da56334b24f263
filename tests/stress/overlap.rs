//! Overlapping work: the next item is sent before the last one ends, so some item is always
//! outstanding. A join that read the counts at different instants might see none.

use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::thread;

use futures_util::FutureExt;
use futures_util::task::noop_waker_ref;
use tollgate::Monitor;

use crate::common::assert_adds_up;

/// How often items are sent before earlier ones end.
const STEPS: usize = if cfg!(debug_assertions) {
    300_000
} else {
    6_000_000
};

/// The largest number of items at once.
pub(crate) const CAPACITY: usize = 4;

/// Joins repeatedly; no join may complete until all work has ended.
pub(crate) fn run<T: Send>(
    monitor: &Monitor<T>,
    mut rng: fastrand::Rng,
    mut send: impl FnMut(),
    mut end: impl FnMut(),
) {
    let last_ends = AtomicBool::new(false);
    send();
    thread::scope(|scope| {
        let joiner = scope.spawn(|| join(monitor, &last_ends));
        for _ in 0..STEPS {
            let ahead = rng.usize(1..CAPACITY);
            (0..ahead).for_each(|_| send());
            (0..ahead).for_each(|_| end());
            if joiner.is_finished() {
                break;
            }
        }
        // Relaxed: the channel must order this store before the join.
        last_ends.store(true, Ordering::Relaxed);
        end();
    });
    let report = monitor.join().now_or_never().unwrap().unwrap();
    assert_adds_up(&report);
    assert_eq!(report.sent, report.done);
}

/// Polls joins, several times each, until one is ready.
fn join<T>(monitor: &Monitor<T>, last_ends: &AtomicBool) {
    let mut cx = Context::from_waker(noop_waker_ref());
    loop {
        let mut join = monitor.join();
        for _ in 0..4 {
            if Pin::new(&mut join).poll_unpin(&mut cx).is_ready() {
                let last_ends = last_ends.load(Ordering::Relaxed);
                assert!(
                    last_ends,
                    "joined while an item was outstanding: {monitor:?}"
                );
                return;
            }
        }
    }
}

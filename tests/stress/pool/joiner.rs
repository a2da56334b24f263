//! An actor that joins repeatedly.

use std::sync::atomic::Ordering;

use tollgate::Monitor;

use super::HAND;
use super::State;
use super::WORKERS;
use super::item::Item;
use super::item::report_of;
use crate::common::assert_adds_up;

/// Joins repeatedly, and checks the statistics.
pub(super) async fn join(mut state: State, monitor: Monitor<Item>) {
    loop {
        let is_last = monitor.stats().closed;
        // SeqCst: if the epoch is the same afterwards, this chain was outstanding throughout.
        let before = state.record.chain.load(Ordering::SeqCst);
        let result = monitor.join().await;
        let after = state.record.chain.load(Ordering::SeqCst);
        let was_outstanding = before == after && before % 2 == 1;
        assert!(
            !was_outstanding,
            "joined while a chain was outstanding: {result:?}"
        );
        assert_adds_up(report_of(&result));
        state.record.joins.fetch_add(1, Ordering::Relaxed);
        if is_last {
            break;
        }
        for _ in 0..state.rng.u32(1..16) {
            state.executor.pause().await;
            let stats = monitor.stats();
            if !stats.closed {
                assert!(stats.in_hand <= WORKERS * HAND, "{stats:?}");
            }
            assert!(format!("{:?}", monitor.join()).contains("in_hand: "));
        }
    }
}

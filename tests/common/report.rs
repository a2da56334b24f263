//! Identities that reports must satisfy. Loom's models use this file too, so it depends on nothing
//! but the crate.

use tollgate::Report;
use tollgate::Stats;

/// Checks a report that was taken when nothing was queued and no task was in hand.
#[track_caller]
pub(crate) fn assert_adds_up(report: &Report) {
    let queued = report.sent + report.followed_up + report.retried;
    let removed = report.received + report.evicted + report.discarded;
    assert_eq!(queued, removed, "{report:?}");
    let ended = report.done + report.failed + report.abandoned + report.panicked;
    assert_eq!(report.received, ended + report.retried, "{report:?}");
}

/// Checks that every item is counted once, while nothing moves: as ended, evicted, discarded, queued,
/// delayed or in hand.
#[track_caller]
#[allow(dead_code)] // The models do not use it.
pub(crate) fn assert_each_is_counted(stats: &Stats) {
    let report = &stats.report;
    let ended = report.done + report.failed + report.abandoned + report.panicked;
    let lost = report.evicted + report.discarded;
    let left = (stats.queued + stats.delayed + stats.in_hand) as u64;
    let items = report.sent + report.followed_up;
    assert_eq!(items, ended + lost + left, "{stats:?}");
}

//! The ledger of the channel, for people and for Prometheus.

use std::fmt::Write;

use serde_json::Value;
use serde_json::json;
use tollgate::Stats;

pub(crate) fn json(stats: &Stats, refused: u64) -> Value {
    let report = &stats.report;
    json!({
        "queued": stats.queued,
        "in_hand": stats.in_hand,
        "closed": stats.closed,
        "accepted": report.sent,
        "refused": refused,
        "begun": report.received,
        "done": report.done,
        "failed": report.failed,
        "abandoned": report.abandoned,
        "handed_back": report.discarded,
    })
}

pub(crate) fn prometheus(stats: &Stats, refused: u64) -> String {
    let report = &stats.report;
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, value: u64| {
        let _ = write!(
            text,
            "# HELP jobs_{name} {help}\n# TYPE jobs_{name} {kind}\njobs_{name} {value}\n"
        );
    };
    metric("queued", "gauge", "Jobs that wait.", stats.queued as u64);
    metric(
        "in_hand",
        "gauge",
        "Jobs that workers have.",
        stats.in_hand as u64,
    );
    metric(
        "accepted_total",
        "counter",
        "Jobs that were queued.",
        report.sent,
    );
    metric(
        "refused_total",
        "counter",
        "Jobs that were answered 503.",
        refused,
    );
    metric("done_total", "counter", "Jobs that succeeded.", report.done);
    metric(
        "failed_total",
        "counter",
        "Jobs that failed.",
        report.failed,
    );
    text
}

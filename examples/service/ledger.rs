//! The ledger of the channel, for people and for Prometheus.

use serde_json::Map;
use serde_json::Value;
use tollgate::Stats;

/// A figure with its name, and what it counts.
struct Figure {
    name: &'static str,
    help: &'static str,
    value: u64,
    is_counter: bool,
}

/// `accepted` is the sum of `queued`, `delayed`, `in_hand`, and of all the ways in which a job ends:
/// `done`, `failed`, `panicked`, `abandoned` and `handed_back`.
fn figures(stats: &Stats, refused: u64) -> [Figure; 11] {
    let report = &stats.report;
    [
        gauge("queued", "Jobs that wait.", stats.queued),
        gauge("delayed", "Jobs that are not due yet.", stats.delayed),
        gauge("in_hand", "Jobs that workers have.", stats.in_hand),
        counter("accepted", "Jobs that were queued.", report.sent),
        counter("refused", "Jobs that were answered 503.", refused),
        counter("begun", "Jobs that workers got.", report.received),
        counter("done", "Jobs that succeeded.", report.done),
        counter("failed", "Jobs that failed.", report.failed),
        counter("panicked", "Jobs that ended a worker.", report.panicked),
        counter("abandoned", "Jobs that were aborted.", report.abandoned),
        counter("handed_back", "Jobs never begun.", report.discarded),
    ]
}

fn gauge(name: &'static str, help: &'static str, value: usize) -> Figure {
    Figure {
        name,
        help,
        value: value as u64,
        is_counter: false,
    }
}

fn counter(name: &'static str, help: &'static str, value: u64) -> Figure {
    Figure {
        name,
        help,
        value,
        is_counter: true,
    }
}

pub(crate) fn json(stats: &Stats, refused: u64) -> Value {
    let figures = figures(stats, refused).map(|it| (it.name.to_owned(), it.value.into()));
    let mut object = Map::from_iter(figures);
    object.insert("closed".to_owned(), stats.closed.into());
    object.into()
}

pub(crate) fn prometheus(stats: &Stats, refused: u64) -> String {
    figures(stats, refused).map(metric).concat()
}

fn metric(figure: Figure) -> String {
    let Figure { help, value, .. } = figure;
    let (suffix, kind) = if figure.is_counter {
        ("_total", "counter")
    } else {
        ("", "gauge")
    };
    let name = format!("jobs_{}{suffix}", figure.name);
    format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n")
}

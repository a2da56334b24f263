//! The events for subscribers of tracing, and subscribers that panic or that use the channel.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::fmt::Debug;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::Once;
use std::task::Poll;
use std::time::Duration;

use tollgate::Builder;
use tracing::Event;
use tracing::Level;
use tracing::Metadata;
use tracing::Subscriber;
use tracing::field::Field;
use tracing::field::Visit;
use tracing::span;
use tracing::subscriber::Interest;
use tracing::subscriber::set_global_default;
use tracing::subscriber::with_default;

use crate::common::Given;
use crate::common::Kind;
use crate::common::Waiter;
use crate::common::now;
use crate::common::on_both_kinds;

const CLOSED: &str = "channel closed";
const FINISHED: &str = "channel finished";
const FAILED: &str = "first failure";
const WAITED_FOR_ROOM: &str = "long wait for room";
const WAITED_FOR_ITEM: &str = "long wait for an item";

/// An event: its level, its message, and its other fields.
#[derive(Clone, Debug)]
struct Record {
    level: Level,
    message: String,
    fields: BTreeMap<&'static str, String>,
}

impl Visit for Record {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let value = format!("{value:?}");
        if field.name() == "message" {
            self.message = value;
        } else {
            self.fields.insert(field.name(), value);
        }
    }
}

/// Records the events of the crate, and calls `act` with the message of each.
struct Recorder<F> {
    records: Arc<Mutex<Vec<Record>>>,
    act: F,
}

impl<F: Fn(&str) + 'static> Subscriber for Recorder<F> {
    // Other tests run at the same time, with other subscribers.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "tollgate"
    }

    fn event(&self, event: &Event<'_>) {
        let mut record = Record {
            level: *event.metadata().level(),
            message: String::new(),
            fields: BTreeMap::new(),
        };
        event.record(&mut record);
        self.records.lock().unwrap().push(record.clone());
        (self.act)(&record.message);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        unreachable!("the crate has no spans")
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// The subscriber of all other tests. It takes no event. While there is none at all, tracing switches all
/// events off, and may do so late: when another test has just set its own subscriber.
struct Silent;

impl Subscriber for Silent {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn event(&self, _: &Event<'_>) {}

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        unreachable!("no span is enabled")
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// Runs `run` with a subscriber that calls `act`. Returns the events.
fn events_with(act: impl Fn(&str) + Send + Sync + 'static, run: impl FnOnce()) -> Vec<Record> {
    static SILENT: Once = Once::new();
    SILENT.call_once(|| set_global_default(Silent).expect("it is set once"));
    let records = Arc::default();
    let recorder = Recorder {
        records: Arc::clone(&records),
        act,
    };
    with_default(recorder, run);
    let mut records = records.lock().unwrap();
    records.drain(..).collect()
}

fn events(run: impl FnOnce()) -> Vec<Record> {
    events_with(|_| (), run)
}

fn messages(records: &[Record]) -> Vec<&str> {
    records.iter().map(|it| &*it.message).collect()
}

on_both_kinds! {
    close_and_end_are_reported_once,
    close_now_reports_close_and_end,
    end_is_reported_with_whole_report,
    discarded_items_are_first_failure,
    failed_sender_is_first_failure,
    short_waits_are_not_reported,
    panicking_subscriber_keeps_no_task_waiting,
    subscriber_may_use_channel,
}

fn close_and_end_are_reported_once<K: Kind>() {
    let records = events(|| {
        let (sender, receiver) = K::channel(4);
        for item in 0..3 {
            sender.try_send(item).unwrap();
        }
        assert!(sender.close());
        assert!(!receiver.close());
        while let Ok(received) = receiver.try_recv() {
            received.end();
        }
        assert!(now(sender.monitor().finished()).is_ok());
        drop((sender, receiver));
    });
    assert_eq!(messages(&records), [CLOSED, FINISHED]);
    let [closed, finished] = &records[..] else {
        unreachable!()
    };
    assert_eq!((closed.level, finished.level), (Level::DEBUG, Level::DEBUG));
    assert_eq!(closed.fields["queued"], "3");
    assert_eq!(closed.fields["senders"], "1");
    assert_eq!(closed.fields["item"], "\"u32\"");
    assert_eq!(finished.fields["queued"], "0");
    assert_eq!(finished.fields["done"], "3");
    assert_eq!(finished.fields["is_ok"], "true");
    assert_eq!(closed.fields["channel"], finished.fields["channel"]);
    assert_eq!(closed.fields["kind"], finished.fields["kind"]);
}

fn close_now_reports_close_and_end<K: Kind>() {
    let records = events(|| {
        let (sender, receiver) = K::channel(1);
        sender.try_send(1).unwrap();
        drop(sender.close_now());
        drop(receiver.close_now());
    });
    assert_eq!(messages(&records), [CLOSED, FINISHED]);
    assert_eq!(records[1].fields["discarded"], "1");
}

/// The fields of the end are those of `Debug` of the report, so that none is forgotten.
fn end_is_reported_with_whole_report<K: Kind>() {
    let mut report = None;
    let records = events(|| {
        let (sender, receiver) = K::channel(1);
        sender.try_send(1).unwrap();
        assert_eq!(sender.force_send(2), Ok(Some(1)));
        drop(sender);
        receiver.try_recv().unwrap().end();
        report = now(receiver.monitor().finished()).ok();
    });
    let report = format!("{:?}", report.unwrap());
    let counts = report
        .trim_start_matches("Report { ")
        .trim_end_matches(" }");
    let counts: Vec<_> = counts
        .split(", ")
        .map(|it| it.split_once(": ").unwrap())
        .collect();
    assert_eq!(counts.len(), 11, "{report}");
    for (name, count) in counts {
        assert_eq!(records[1].fields[name], count, "{name}");
    }
}

fn discarded_items_are_first_failure<K: Kind>() {
    let records = events(|| {
        let (sender, receiver) = K::channel(1);
        sender.try_send(1).unwrap();
        drop(receiver);
        drop(sender);
    });
    assert_eq!(messages(&records), [CLOSED, FAILED, FINISHED]);
    assert_eq!(records[2].fields["is_ok"], "false");
}

fn failed_sender_is_first_failure<K: Kind>() {
    let records = events(|| {
        let (sender, _receiver) = K::channel(1);
        sender.clone().fail("disk full");
        sender.fail("not the first");
    });
    assert_eq!(messages(&records), [FAILED, CLOSED, FINISHED]);
    assert_eq!(records[0].fields["failure"], "a sender failed");
    assert_eq!(records[0].fields["error"], "disk full");
    assert_eq!(records[2].fields["failed_senders"], "2");
    assert_eq!(records[2].fields["is_ok"], "false");

    // The failure comes before the close and the end.
    let records = events(|| {
        let (sender, _receiver) = K::channel(1);
        sender.fail("the last");
    });
    assert_eq!(messages(&records), [FAILED, CLOSED, FINISHED]);
}

#[test]
fn first_failure_is_reported_with_error() {
    let records = events(|| {
        let (sender, receiver) = tollgate::tasks::<i32>(3);
        for item in 0..3 {
            sender.try_send(item).unwrap();
        }
        receiver.try_recv().unwrap().fail("disk full");
        drop(receiver.try_recv().unwrap());
        assert!(sender.monitor().take_failure().is_some());
        drop(receiver.try_recv().unwrap());
    });
    assert_eq!(messages(&records)[..2], [FAILED, FAILED]);
    assert_eq!(records[0].level, Level::WARN);
    assert_eq!(records[0].fields["error"], "disk full");
    assert_eq!(records[0].fields["in_hand"], "0");
    assert!(!records[1].fields.contains_key("error"));
}

#[test]
fn long_waits_are_reported() {
    let records = events(|| {
        let builder = Builder::new().capacity(1).warn_after(Duration::ZERO);
        let (sender, receiver) = builder.build::<u32>();
        let mut recv = Waiter::waiting(receiver.recv());
        assert!(now(sender.send(1)).is_ok());
        assert_eq!(recv.poll(), Poll::Ready(Ok(1)));

        assert!(now(sender.send(1)).is_ok());
        let mut join = Waiter::waiting(sender.join());
        // One that gives up.
        drop(Waiter::waiting(sender.send(2)));
        let mut send = Waiter::waiting(sender.send(2));
        assert_eq!(receiver.try_recv(), Ok(1));
        assert_eq!(send.poll(), Poll::Ready(Ok(())));
        assert_eq!(receiver.try_recv(), Ok(2));
        assert!(join.poll().is_ready());
        assert_eq!(receiver.len(), 0);
    });
    let waits = [WAITED_FOR_ITEM, WAITED_FOR_ROOM, WAITED_FOR_ROOM];
    assert_eq!(messages(&records)[..3], waits);
    assert_eq!(messages(&records)[3..], [CLOSED, FINISHED]);
    assert_eq!(records[0].level, Level::DEBUG);
    assert_eq!(records[1].level, Level::WARN);
    assert!(records[1].fields.contains_key("waited"));
}

fn short_waits_are_not_reported<K: Kind>() {
    let records = events(|| {
        let channel = Builder::new().warn_after(Duration::from_secs(3600));
        let (sender, receiver) = channel.capacity(1).build::<u32>();
        let mut recv = Waiter::waiting(receiver.recv());
        assert!(now(sender.send(1)).is_ok());
        assert_eq!(recv.poll(), Poll::Ready(Ok(1)));
    });
    assert_eq!(messages(&records), [CLOSED, FINISHED]);
}

/// The subscriber panics at each event in turn.
fn panicking_subscriber_keeps_no_task_waiting<K: Kind>() {
    for panics_at in [CLOSED, FAILED, FINISHED] {
        let act = move |message: &str| assert!(message != panics_at, "a subscriber");
        let records = events_with(act, || {
            let (sender, receiver) = K::channel(1);
            let monitor = sender.monitor();
            sender.try_send(1).unwrap();
            let mut waiting = Waiter::waiting(sender.send(2));
            let mut closed = Waiter::waiting(sender.closed());
            let mut finished = Waiter::waiting(monitor.finished());
            let panicked = catch_unwind(AssertUnwindSafe(|| drop(receiver))).is_err();
            assert!(panicked);
            assert_eq!(waiting.wakes(), 1);
            assert!(waiting.poll().is_ready() && closed.poll().is_ready());
            let Poll::Ready(Err(error)) = finished.poll() else {
                panic!("an item was discarded");
            };
            assert_eq!(error.report.discarded, 1);
        });
        // The send may have waited for long.
        assert_eq!(messages(&records)[..3], [CLOSED, FAILED, FINISHED]);
    }
}

/// A subscriber formats the error of the first failure, whose text is user code.
#[test]
fn panicking_error_text_keeps_no_task_waiting() {
    #[derive(Debug)]
    struct Unspeakable;

    impl fmt::Display for Unspeakable {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            resume_unwind(Box::new("display"));
        }
    }

    impl Error for Unspeakable {}

    let records = events(|| {
        let (sender, receiver) = tollgate::tasks(1);
        let monitor = sender.monitor();
        sender.try_send(1).unwrap();
        let task = receiver.try_recv().unwrap();
        let mut join = Waiter::waiting(monitor.join());
        let mut failed = Waiter::waiting(monitor.failed());
        let fail = || task.fail(Unspeakable);
        assert!(catch_unwind(AssertUnwindSafe(fail)).is_err());
        assert_eq!((join.wakes(), failed.wakes()), (1, 1));
        assert!(join.poll().is_ready() && failed.poll().is_ready());
        drop(sender);
        assert!(now(monitor.finished()).is_err());
    });
    // The first event was not recorded.
    assert_eq!(messages(&records), [CLOSED, FINISHED]);
}

/// The subscriber calls the channel from inside each event.
fn subscriber_may_use_channel<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    let monitor = sender.monitor();
    let other = receiver.clone();
    let act = {
        let (sender, monitor) = (sender.clone(), monitor.clone());
        move |_: &str| {
            assert!(sender.try_send(7).is_err());
            if let Ok(received) = other.try_recv() {
                received.end();
            }
            sender.close();
            drop(sender.monitor().close_now());
            assert!(monitor.stats().closed);
            let _ = Waiter::new(other.recv()).poll();
        }
    };
    let records = events_with(act, || {
        sender.try_send(1).unwrap();
        sender.try_send(2).unwrap();
        let mut finished = Waiter::waiting(monitor.finished());
        sender.close();
        assert!(finished.poll().is_ready());
        drop((sender, receiver));
    });
    assert!(messages(&records).starts_with(&[CLOSED]));
}

/// A second panic would abort the process.
#[test]
fn subscriber_panics_while_thread_unwinds() {
    let act = |message: &str| assert!(message != FAILED, "a subscriber");
    let records = events_with(act, || {
        let (sender, receiver) = tollgate::tasks(1);
        sender.try_send(1).unwrap();
        let unwind = AssertUnwindSafe(|| {
            let _task = receiver.try_recv().unwrap();
            panic!("a worker");
        });
        let panic = catch_unwind(unwind).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"a worker"));
        sender.close();
    });
    assert_eq!(messages(&records), [FAILED, CLOSED, FINISHED]);
    assert_eq!(records[2].fields["panicked"], "1");
}

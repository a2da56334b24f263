//! Items in a bounded channel: order, capacity, counts, errors, unusual item types, and panics on
//! misuse.

use std::cell::Cell;
use std::panic;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;

use tollgate::Abandon;
use tollgate::Builder;
use tollgate::RecvError;
use tollgate::SendError;
use tollgate::TryRecvError;
use tollgate::TrySendError;

use crate::common::Given;
use crate::common::Item;
use crate::common::Kind;
use crate::common::ReceiverOf;
use crate::common::Tally;
use crate::common::Watchdog;
use crate::common::now;
use crate::common::on_both_kinds;
use crate::common::panic_text;
use crate::common::poll_once;
use crate::common::take_one;

on_both_kinds! {
    items_keep_their_order,
    capacity_is_exact,
    len_is_empty_is_full_match_queue,
    len_is_exact_in_every_lap,
    senders_and_receivers_are_counted,
    same_channel_compares_channels,
    errors_return_item,
    zero_sized_items_are_counted,
    overaligned_zero_sized_items_are_dropped_once,
    overaligned_items_stay_aligned,
    large_items_arrive_intact,
    channel_can_be_sent_through_channel,
    remaining_items_are_dropped_once,
    zero_capacity_panics_with_reason,
    capacity_beyond_memory_panics,
    debug_needs_nothing_from_item,
}

fn items_keep_their_order<K: Kind<usize>>() {
    for capacity in 1..=9 {
        let (sender, receiver) = K::channel(capacity);
        for lap in 0..5 {
            // Not a whole lap, so that the wrap-around moves.
            let items = || (0..capacity.div_ceil(2)).map(|item| lap * 100 + item);
            items().for_each(|item| sender.try_send(item).unwrap());
            items().for_each(|item| assert_eq!(take_one(&receiver), Ok(item)));
        }
    }
}

fn capacity_is_exact<K: Kind<usize>>() {
    for capacity in (1..=17).chain([100, 1000, 1025]) {
        let (sender, receiver) = K::channel(capacity);
        assert_eq!(sender.capacity(), Some(capacity));
        assert_eq!(receiver.capacity(), Some(capacity));
        for item in 0..capacity {
            assert_eq!(sender.try_send(item), Ok(()));
        }
        assert_eq!(sender.try_send(0), Err(TrySendError::Full(0)));
    }
}

fn len_is_empty_is_full_match_queue<K: Kind<()>>() {
    let (sender, receiver) = K::channel(2);
    for (sent, taken) in [(0, 0), (1, 0), (1, 0), (0, 1), (1, 0), (0, 1), (0, 1)] {
        (0..sent).for_each(|_| sender.try_send(()).unwrap());
        (0..taken).for_each(|_| take_one(&receiver).unwrap());
        let stats = sender.monitor().stats();
        let len = stats.queued;
        assert_eq!(len as u64, stats.report.sent - stats.report.received);
        assert_eq!((sender.len(), receiver.len()), (len, len));
        assert_eq!(
            (sender.is_empty(), receiver.is_empty()),
            (len == 0, len == 0)
        );
        assert_eq!((sender.is_full(), receiver.is_full()), (len == 2, len == 2));
    }
    // Neither a waiting sender nor a close changes it.
    sender.try_send(()).unwrap();
    sender.try_send(()).unwrap();
    let mut send = sender.send(());
    assert!(poll_once(&mut send).is_pending());
    assert_eq!(sender.len(), 2);
    sender.close();
    assert_eq!(receiver.len(), 2);
    assert!(receiver.is_full());
}

fn len_is_exact_in_every_lap<K: Kind<usize>>() {
    let (sender, receiver) = K::channel(33);
    for item in 0..300 {
        sender.try_send(item).unwrap();
        assert_eq!((sender.len(), receiver.is_empty()), (1, false));
        take_one(&receiver).unwrap();
        assert_eq!((sender.len(), receiver.is_empty()), (0, true));
    }
    for len in 0..33 {
        assert_eq!((sender.len(), receiver.is_full()), (len, false));
        sender.try_send(len).unwrap();
    }
    // The mark of a closed channel is no item.
    sender.close();
    for len in (0..33).rev() {
        take_one(&receiver).unwrap();
        assert_eq!((sender.len(), receiver.len()), (len, len));
    }
}

fn senders_and_receivers_are_counted<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let counts = || (sender.sender_count(), receiver.receiver_count());
    let other_counts = || (receiver.sender_count(), sender.receiver_count());
    assert_eq!(counts(), (1, 1));
    let senders: Vec<_> = (0..5).map(|_| sender.clone()).collect();
    let receivers: Vec<_> = (0..3).map(|_| receiver.clone()).collect();
    let monitor = sender.monitor();
    assert_eq!((counts(), other_counts()), ((6, 4), (6, 4)));
    drop((senders, receivers));
    assert_eq!((counts(), other_counts()), ((1, 1), (1, 1)));
    assert_eq!((monitor.stats().senders, monitor.stats().receivers), (1, 1));
    assert!(!sender.is_closed());
}

fn same_channel_compares_channels<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let (stranger, strange_receiver) = K::channel(1);
    assert!(sender.same_channel(&sender.clone()));
    assert!(receiver.same_channel(&receiver.clone()));
    assert!(!sender.same_channel(&stranger));
    assert!(!receiver.same_channel(&strange_receiver));
}

fn errors_return_item<K: Kind<String>>() {
    let (sender, receiver) = K::channel(1);
    sender.try_send(String::from("first")).unwrap();

    let full = sender.try_send(String::from("second")).unwrap_err();
    assert!(full.is_full() && !full.is_closed());
    assert_eq!(full.to_string(), "sending into a full channel");
    assert_eq!(format!("{full:?}"), "Full(..)");
    assert_eq!(full.into_inner(), "second");

    sender.close();
    let closed = sender.try_send(String::from("third")).unwrap_err();
    assert!(closed.is_closed() && !closed.is_full());
    assert_eq!(closed.to_string(), "sending into a closed channel");
    assert_eq!(format!("{closed:?}"), "Closed(..)");
    assert_eq!(closed.into_inner(), "third");

    let refused = now(sender.send(String::from("fourth"))).unwrap_err();
    assert_eq!(refused.to_string(), "sending into a closed channel");
    assert_eq!(format!("{refused:?}"), "SendError(..)");
    assert_eq!(refused, SendError(String::from("fourth")));
    assert_eq!(refused.into_inner(), "fourth");

    assert_eq!(take_one(&receiver).unwrap(), "first");
    let ended = take_one(&receiver).unwrap_err();
    let text = "receiving from an empty and closed channel";
    assert!(ended.is_closed() && !ended.is_empty());
    assert_eq!(
        (ended.to_string(), format!("{ended:?}")),
        (text.into(), "Closed".into())
    );
    assert_eq!(
        (RecvError.to_string(), format!("{RecvError:?}")),
        (text.into(), "RecvError".into())
    );
    let empty = TryRecvError::Empty;
    assert!(empty.is_empty() && !empty.is_closed());
    assert_eq!(empty.to_string(), "receiving from an empty channel");
    assert_eq!(format!("{empty:?}"), "Empty");
}

fn zero_sized_items_are_counted<K: Kind<()>>() {
    let (sender, receiver) = K::channel(3);
    (0..3).for_each(|_| sender.try_send(()).unwrap());
    assert_eq!(sender.try_send(()), Err(TrySendError::Full(())));
    (0..3).for_each(|_| assert_eq!(take_one(&receiver), Ok(())));
    assert_eq!(take_one(&receiver), Err(TryRecvError::Empty));
}

thread_local! {
    static DROPPED: Cell<u32> = const { Cell::new(0) };
}

/// It has a size of zero, and is not stored at any address that suits it.
#[derive(Debug)]
#[repr(align(1024))]
struct Nothing;

impl Drop for Nothing {
    fn drop(&mut self) {
        assert_eq!(std::ptr::from_ref(self).addr() % 1024, 0);
        DROPPED.set(DROPPED.get() + 1);
    }
}

fn overaligned_zero_sized_items_are_dropped_once<K: Kind<Nothing>>() {
    let (sender, receiver) = K::channel(3);
    for _ in 0..5 {
        sender.try_send(Nothing).unwrap();
        drop(take_one(&receiver));
    }
    for _ in 0..4 {
        let _ = sender.try_send(Nothing);
    }
    assert_eq!(DROPPED.get(), 6);
    drop((sender, receiver));
    assert_eq!(DROPPED.take(), 9);
}

#[derive(Debug)]
#[repr(align(512))]
struct Wide(u8);

fn overaligned_items_stay_aligned<K: Kind<Wide>>() {
    let (sender, receiver) = K::channel(3);
    for lap in 0..5 {
        sender.try_send(Wide(lap)).unwrap();
        let given = receiver.try_recv().unwrap();
        let wide = given.peek();
        assert_eq!(std::ptr::from_ref(wide).addr() % 512, 0);
        assert_eq!(given.end().0, lap);
    }
}

fn large_items_arrive_intact<K: Kind<[u8; 10_000]>>() {
    let (sender, receiver) = K::channel(2);
    for lap in 0..5_u8 {
        sender.try_send([lap; 10_000]).unwrap();
        now(sender.send([lap + 100; 10_000])).unwrap();
        assert_eq!(take_one(&receiver), Ok([lap; 10_000]));
        assert_eq!(take_one(&receiver), Ok([lap + 100; 10_000]));
    }
}

/// A receiver of the next such channel.
struct Link<K: Kind<Self>>(Option<ReceiverOf<K, Self>>);

/// Items are receivers, of channels whose items are receivers.
fn channel_can_be_sent_through_channel<K: Kind<Link<K>>>() {
    const LINKS: usize = 100;
    let (sender, first) = K::channel(1);
    let mut senders = vec![sender];
    for _ in 0..LINKS {
        let (next, receiver) = K::channel(1);
        let sent = senders.last().unwrap().try_send(Link(Some(receiver)));
        assert!(sent.is_ok());
        senders.push(next);
    }
    // Half of the links are received one by one, and the last of these drops the other half.
    let mut receiver = first;
    for sender in &senders[..LINKS / 2] {
        let Ok(Link(Some(next))) = take_one(&receiver) else {
            panic!("there is a next link");
        };
        receiver = next;
        assert!(sender.is_closed());
    }
    assert!(senders[LINKS / 2..].iter().all(|it| !it.is_closed()));
    drop(receiver);
    assert!(senders.iter().all(|it| it.is_closed() && it.is_empty()));
}

fn remaining_items_are_dropped_once<K: Kind<Item>>() {
    for receivers_first in [false, true] {
        let tally = Tally::new();
        let (sender, receiver) = K::channel(3);
        for _ in 0..5 {
            let _ = sender.try_send(tally.item());
            drop(take_one(&receiver));
        }
        for _ in 0..5 {
            let _ = sender.try_send(tally.item());
        }
        if receivers_first {
            drop(receiver);
            drop(sender);
        } else {
            drop(sender);
            drop(receiver);
        }
        assert_eq!(tally.drops(), [1; 10]);
    }
}

#[test]
fn one_producer_one_consumer_keep_order() {
    let _watchdog = Watchdog::start();
    const ITEMS: usize = 10_000;
    for capacity in [1, 3, 64] {
        let (sender, receiver) = tollgate::tasks(capacity);
        let producer = thread::spawn(move || {
            pollster::block_on(async {
                for item in 0..ITEMS {
                    sender.send(item).await.unwrap();
                }
            });
        });
        pollster::block_on(async {
            for item in 0..ITEMS {
                assert_eq!(receiver.recv().await.unwrap().done(), item);
            }
            assert!(receiver.recv().await.is_err());
        });
        producer.join().unwrap();
    }
}

#[test]
fn many_producers_many_consumers_deliver_once() {
    let _watchdog = Watchdog::start();
    const ITEMS: usize = 5_000;
    let (sender, receiver) = tollgate::bounded(3);
    let producers: Vec<_> = (0..3)
        .map(|_| {
            let sender = sender.clone();
            thread::spawn(move || {
                pollster::block_on(async {
                    for item in 0..ITEMS {
                        sender.send(item).await.unwrap();
                    }
                });
            })
        })
        .collect();
    drop(sender);
    let consumers: Vec<_> = (0..3)
        .map(|_| {
            let receiver = receiver.clone();
            thread::spawn(move || {
                pollster::block_on(async {
                    let mut got = Vec::new();
                    while let Ok(item) = receiver.recv().await {
                        got.push(item);
                    }
                    got
                })
            })
        })
        .collect();
    for producer in producers {
        producer.join().unwrap();
    }
    let mut counts = [0; ITEMS];
    for consumer in consumers {
        for item in consumer.join().unwrap() {
            counts[item] += 1;
        }
    }
    assert_eq!(counts, [3; ITEMS]);
}

fn zero_capacity_panics_with_reason<K: Kind>() {
    let text = panic_text(|| drop(K::channel(0)));
    assert!(text.contains("must be at least 1"), "{text}");
    assert!(text.contains("cancelled"), "no reason: {text}");
}

fn capacity_beyond_memory_panics<K: Kind<u64> + Kind<()> + Kind<[u8; 1 << 20]>>() {
    let refused = [
        panic_text(|| drop(<K as Kind<u64>>::channel(usize::MAX))),
        panic_text(|| drop(<K as Kind<u64>>::channel(usize::MAX / 2 + 2))),
        // A power of two whose slots take more bytes than a `usize` can count.
        panic_text(|| drop(<K as Kind<()>>::channel(1 << (usize::BITS - 2)))),
        panic_text(|| drop(<K as Kind<[u8; 1 << 20]>>::channel(1 << (usize::BITS - 20)))),
        // The size can be counted, but there is not that much memory.
        #[cfg(target_pointer_width = "64")]
        panic_text(|| drop(<K as Kind<[u8; 1 << 20]>>::channel(1 << 40))),
    ];
    for text in refused {
        assert!(text.contains("cannot be allocated"), "{text}");
    }
}

/// The lines on which panics of this thread happen while `work` runs.
fn panic_lines(work: impl FnOnce()) -> Vec<(String, u32)> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let (recorded, this) = (Arc::clone(&lines), thread::current().id());
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().id() != this {
            return before(info);
        }
        let place = info.location().unwrap();
        let line = (place.file().to_owned(), place.line());
        recorded.lock().unwrap().push(line);
    }));
    work();
    drop(panic::take_hook());
    lines.lock().unwrap().clone()
}

#[test]
fn panicking_constructors_name_their_caller() {
    let huge = 1 << (usize::BITS - 2);
    let first = line!() + 2;
    let lines = panic_lines(|| {
        panic_text(|| drop(tollgate::bounded::<u8>(0)));
        panic_text(|| drop(tollgate::tasks::<u8>(0)));
        panic_text(|| drop(tollgate::bounded::<u64>(huge)));
        panic_text(|| drop(Builder::new().capacity(0).build::<u8>()));
        let requeue = Builder::new().on_abandon(Abandon::Requeue);
        panic_text(|| drop(requeue.build_tasks::<u8>()));
    });
    let expected = [0, 1, 2, 3, 5].map(|offset| (file!().to_owned(), first + offset));
    assert_eq!(lines, expected);
}

/// Without `Debug`.
struct Mute;

fn debug_needs_nothing_from_item<K: Kind<Mute>>() {
    let (sender, receiver) = K::channel(1);
    let monitor = sender.monitor();
    assert_eq!(format!("{sender:?}"), "Sender { .. }");
    assert!(format!("{receiver:?}").ends_with("Receiver { .. }"));
    assert_eq!(format!("{:?}", receiver.recv()), "Recv { .. }");
    assert_eq!(format!("{:?}", sender.send(Mute)), "Send { .. }");
    let mut slot = None;
    let send_from = sender.send_from(&mut slot);
    assert_eq!(format!("{send_from:?}"), "SendFrom { .. }");
    assert_eq!(format!("{:?}", sender.ready()), "Ready { .. }");
    assert_eq!(format!("{:?}", sender.closed()), "Closed { .. }");
    // A monitor and its futures show why a program hangs.
    let _ = sender.try_send(Mute);
    let stats = "{ closed: false, queued: 1, in_hand: 0, senders: 1, receivers: 1, .. }";
    assert_eq!(format!("{monitor:?}"), format!("Monitor {stats}"));
    assert_eq!(format!("{:?}", monitor.join()), format!("Join {stats}"));
    let finished = monitor.finished();
    assert_eq!(format!("{finished:?}"), format!("Finished {stats}"));
    let mut failed = monitor.failed();
    assert_eq!(format!("{failed:?}"), format!("Failed {stats}"));
    // A completed future shows nothing.
    drop(receiver);
    assert!(poll_once(&mut failed).is_ready());
    assert_eq!(format!("{failed:?}"), "Failed { .. }");
}

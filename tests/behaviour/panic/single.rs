//! One panic in user code (a waker, a destructor, a conversion) affects no other task: every waiter
//! is notified, counts stay right, and nothing is dropped twice or leaked.

#![expect(clippy::result_large_err, reason = "items are large on purpose")]

use std::cell::Cell;
use std::future::poll_fn;
use std::task::Poll;

use futures_util::FutureExt;
use tollgate::Failure;
use tollgate::Report;

use super::faults::Fault;
use super::faults::FaultyItem;
use super::faults::FaultyWaiter;
use super::faults::Reason;
use super::faults::SITES;
use super::faults::Site;
use super::faults::arm;
use super::faults::call;
use super::faults::disarm;
use super::matrix::Name;
use super::matrix::Setup;
use crate::common::CountingWaker;
use crate::common::Given;
use crate::common::Item;
use crate::common::Kind;
use crate::common::Tally;
use crate::common::Watchdog;
use crate::common::now;
use crate::common::on_both_kinds;
use crate::common::poll;
use crate::common::take_one;

/// The setups in which one panic cannot meet another: `pairs` has the rest.
fn setups() -> impl Iterator<Item = Setup> {
    let kinds = [Name::Plain, Name::Tasks, Name::Requeued, Name::Measured];
    let setups = kinds.into_iter().flat_map(Setup::all);
    setups.filter(|setup| !setup.unwinds())
}

/// Whether a channel sees that a panic drops a task. If not, the task counts as abandoned.
const SEEN: bool = cfg!(feature = "std");

fn dropped_by_panics(report: &Report) -> u64 {
    if SEEN {
        report.panicked
    } else {
        report.abandoned
    }
}

/// Runs `act` with one fault armed; returns whether it fired.
fn with_fault(site: Site, call: u32, act: impl FnOnce()) -> bool {
    arm(&[Fault { site, call }]);
    act();
    disarm().fired[0]
}

#[test]
fn every_single_panic_harms_no_other_task() {
    let _watchdog = Watchdog::start();
    let mut cases = [0; SITES.len()];
    for (site, cases) in SITES.into_iter().zip(&mut cases) {
        for setup in setups() {
            let fires = |&call: &u32| setup.run(&[Fault { site, call }]).fired[0];
            *cases += (1..).take_while(fires).count();
        }
    }
    println!("{cases:?} cases, by site");
    // Lower limits for the number of cases. A change of how often a waker is cloned may change them
    // a little.
    let expected = [700, 2300, 1400, 480, 300, 350];
    let enough = |(cases, expected)| cases >= expected;
    assert!(cases.into_iter().zip(expected).all(enough), "{cases:?}");
}

#[cfg(feature = "std")]
#[test]
fn all_wakers_run_though_each_panics() {
    let _watchdog = Watchdog::start();
    let every = Fault {
        site: Site::WakerWake,
        call: 0,
    };
    for setup in setups() {
        setup.run(&[every]);
    }
}

on_both_kinds! {
    panicking_receiver_waker_still_passes_room,
    panicking_waker_drops_received_item_once,
    panicking_waker_drops_evicted_item_once,
    panicking_error_is_dropped_once,
    panicking_waker_delays_no_discard,
    panicking_waker_behind_stopped_call_leaks_nothing,
}

fn panicking_receiver_waker_still_passes_room<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    let mut recvs = [(); 3].map(|()| FaultyWaiter::waiting(receiver.recv().map(|_| None)));
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    // Two receivers are notified; the third still waits when the senders arrive.
    let send = |item| sender.send(item).map(|_| None);
    let mut sends = [3, 4, 5].map(|item| FaultyWaiter::waiting(send(item)));
    take_one(&receiver).unwrap();
    take_one(&receiver).unwrap();
    assert!(sends[0].is_woken() && sends[1].is_woken() && !sends[2].is_woken());

    // The first sender is never polled again. The second sends and wakes the third receiver.
    let panicked = with_fault(Site::WakerWake, 1, || {
        let _ = sends[1].poll();
    });
    assert!(panicked && recvs[2].is_woken());
    assert!(sends[2].is_woken(), "there is room for it");
    assert!(sends[2].poll().is_ready());
    assert_eq!((take_one(&receiver), take_one(&receiver)), (Ok(4), Ok(5)));
    let _ = recvs.iter_mut().map(FaultyWaiter::poll);
}

fn panicking_waker_drops_received_item_once<K: Kind<Item>>() {
    let tally = Tally::new();
    let (sender, receiver) = K::channel(2);
    let monitor = sender.monitor();
    let mut recvs = [(); 3].map(|()| FaultyWaiter::waiting(receiver.recv().map(|_| None)));
    assert!(sender.try_send(tally.item()).is_ok());
    assert!(sender.try_send(tally.item()).is_ok());
    let panicked = with_fault(Site::WakerWake, 1, || {
        let _ = recvs[0].poll();
    });
    assert!(panicked && recvs[2].is_woken());
    assert_eq!(tally.drops(), [1, 0]);
    assert_eq!(monitor.outstanding(), 1);
    drop(take_one(&receiver).unwrap());
    assert!(monitor.join().now_or_never().is_some());
}

fn panicking_waker_drops_evicted_item_once<K: Kind<Item>>() {
    let tally = Tally::new();
    let (sender, receiver) = K::channel(1);
    let mut recvs = [(); 2].map(|()| FaultyWaiter::waiting(receiver.recv().map(|_| None)));
    assert!(sender.try_send(tally.item()).is_ok());
    let item = tally.item();
    let panicked = with_fault(Site::WakerWake, 1, || {
        call(|| sender.force_send(item));
    });
    assert!(panicked && recvs[0].is_woken() && recvs[1].is_woken());
    assert_eq!(tally.drops(), [1, 0]);
    drop(take_one(&receiver).unwrap());
    assert_eq!(tally.drops(), [1, 1]);
    let _ = recvs.iter_mut().map(FaultyWaiter::poll);
}

fn panicking_error_is_dropped_once<K: Kind>() {
    let tally = Tally::new();
    let (sender, receiver) = K::channel(2);
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    let given = [(); 2].map(|()| receiver.try_recv().unwrap());
    let monitor = sender.monitor();
    let dropped = with_fault(Site::ErrorDrop, 1, || {
        for given in given {
            let reason = Reason::of(&tally);
            call(|| given.fail(reason));
        }
    });
    assert!(dropped);
    assert_eq!(monitor.outstanding(), 0);
    assert!(monitor.join().now_or_never().is_some());
    drop(monitor.take_failure());
    assert_eq!(tally.drops(), [1; 2]);
}

fn panicking_waker_delays_no_discard<K: Kind<Item>>() {
    let tally = Tally::new();
    let (sender, receiver) = K::channel(2);
    let monitor = sender.monitor();
    let failed = FaultyWaiter::waiting(monitor.failed().map(|_| None));
    let mut join = monitor.join();
    assert!(sender.try_send(tally.item()).is_ok());
    assert!(sender.try_send(tally.item()).is_ok());
    let join_waker = CountingWaker::new();
    assert!(poll(&mut join, &join_waker).is_pending());
    let panicked = with_fault(Site::WakerWake, 1, || {
        call(|| drop(receiver));
    });
    assert!(panicked);
    // Not later: a ticket may free the channel on any thread, after the end of what the items
    // borrow.
    assert_eq!(tally.drops(), [1; 2]);
    assert!(failed.is_woken() && join_waker.wakes() > 0);
    assert!(poll(&mut join, &join_waker).is_ready());
}

#[test]
fn panicking_sender_waker_still_wakes_joiners() {
    let (sender, receiver) = tollgate::bounded(1);
    let monitor = sender.monitor();
    sender.try_send(1).unwrap();
    let send = FaultyWaiter::waiting(sender.send(2).map(|_| None));
    let joins = [(); 2].map(|()| FaultyWaiter::waiting(monitor.join().map(|_| None)));
    let panicked = with_fault(Site::WakerWake, 1, || {
        call(|| receiver.try_recv());
    });
    assert!(panicked && send.is_woken());
    // It does not send after all; the joiners must not wait for it.
    drop(send);
    assert!(joins.iter().all(FaultyWaiter::is_woken));
}

#[test]
fn panicking_conversion_counts_as_panicked() {
    let (sender, receiver) = tollgate::tasks(2);
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    let (task, other) = (receiver.try_recv().unwrap(), receiver.try_recv().unwrap());
    let (_, ticket) = other.split();
    let tally = Tally::new();
    for fail in [
        Box::new(|reason| assert_eq!(task.fail(reason), 1)) as Box<dyn FnOnce(Reason)>,
        Box::new(|reason| ticket.fail(reason)),
    ] {
        let reason = Reason::of(&tally);
        assert!(with_fault(Site::ErrorInto, 1, || {
            call(|| fail(reason));
        }));
    }
    let error = now(sender.join()).unwrap_err();
    assert_eq!(matches!(error.first, Failure::Panicked), SEEN);
    assert_eq!(dropped_by_panics(&error.report), 2);
    assert_eq!(error.report.failed, 0);
}

#[test]
fn panicking_drop_of_requeued_item_still_discards_sent_ones() {
    let tally = Tally::new();
    let (sender, receiver) = tollgate::tasks(3);
    let monitor = sender.monitor();
    for _ in 0..3 {
        assert!(sender.try_send(FaultyItem::of(&tally)).is_ok());
    }
    let task = receiver.try_recv().unwrap();
    assert!(task.follow_up(FaultyItem::of(&tally)).is_ok());
    assert!(task.follow_up(FaultyItem::of(&tally)).is_ok());
    let panicked = with_fault(Site::ItemDrop, 1, || {
        call(|| drop(receiver));
    });
    assert!(panicked);
    assert_eq!(tally.drops(), [0, 1, 1, 1, 1]);
    assert_eq!(monitor.stats().report.discarded, 4);
    drop(task.done());
}

#[test]
fn panicking_item_drop_counts_as_panicked() {
    let tally = Tally::new();
    let (sender, receiver) = tollgate::tasks(1);
    assert!(sender.try_send(FaultyItem::of(&tally)).is_ok());
    let task = receiver.try_recv().unwrap();
    assert!(with_fault(Site::ItemDrop, 1, || {
        call(|| drop(task));
    }));
    assert_eq!(tally.drops(), [1]);
    let error = now(sender.join()).unwrap_err();
    assert_eq!(dropped_by_panics(&error.report), 1);
}

/// A call is stopped by a future that also notifies it, so it passes the notification on.
fn panicking_waker_behind_stopped_call_leaks_nothing<K: Kind<Item>>() {
    // The first wake is that of the call itself.
    let stop = |call: &mut FaultyWaiter<'_>| {
        with_fault(Site::WakerWake, 2, || {
            let _ = call.poll();
        })
    };

    let tally = Tally::new();
    let (sender, receiver) = K::channel(1);
    let is_stopped = Cell::new(false);
    let recv = receiver.recv_until(poll_fn(|_| {
        if !is_stopped.get() {
            return Poll::Pending;
        }
        assert!(sender.try_send(tally.item()).is_ok());
        Poll::Ready(tally.item())
    }));
    let mut recv = FaultyWaiter::waiting(recv.map(|_| None));
    let mut next = FaultyWaiter::waiting(receiver.recv().map(|_| None));
    is_stopped.set(true);
    assert!(stop(&mut recv) && recv.is_done());
    assert!(next.is_woken() && next.poll().is_ready());
    assert_eq!(tally.drops(), [1, 1]);

    is_stopped.set(false);
    assert!(sender.try_send(tally.item()).is_ok());
    let until_stopped = poll_fn(|_| {
        if !is_stopped.get() {
            return Poll::Pending;
        }
        drop(take_one(&receiver).unwrap());
        Poll::Ready(tally.item())
    });
    let send = sender.send_until(tally.item(), until_stopped);
    let mut send = FaultyWaiter::waiting(send.map(|_| None));
    let mut next = FaultyWaiter::waiting(sender.send(tally.item()).map(|_| None));
    is_stopped.set(true);
    assert!(stop(&mut send) && send.is_done());
    assert!(next.is_woken() && next.poll().is_ready());
    // The item of the stopped call, and the output that stopped it; not the item that was sent.
    assert_eq!(tally.drops(), [1, 1, 1, 1, 0, 1]);
}

//! `send_until` and `recv_until`: they attempt before they poll the future that stops them, return its
//! output once it was ready, and leave the list.

use std::cell::Cell;
use std::future::Future;
use std::future::pending;
use std::future::poll_fn;
use std::future::ready;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::pin::Pin;
use std::pin::pin;
use std::task::Context;
use std::task::Poll;

use futures_util::future::FusedFuture;
use tollgate::RecvUntilError;
use tollgate::SendUntilError;

use crate::common::CountingWaker;
use crate::common::Given;
use crate::common::Item;
use crate::common::Kind;
use crate::common::Tally;
use crate::common::Waiter;
use crate::common::now;
use crate::common::on_both_kinds;
use crate::common::panic_text;
use crate::common::poll;
use crate::common::poll_once;
use crate::common::take_one;

on_both_kinds! {
    past_stop_takes_what_is_there,
    stop_is_not_polled_while_there_is_item_or_room,
    stop_is_not_polled_by_call_that_yields,
    stopped_call_returns_output,
    stopped_send_returns_item_and_sends_nothing,
    stopped_waiter_leaves_list,
    stopped_waiter_passes_on_late_notification,
    output_of_stop_is_never_lost,
    close_ends_calls_that_nothing_stops,
    closed_channel_does_not_poll_stop,
    waker_of_stop_is_that_of_latest_poll,
    panicking_stop_strands_no_waiter,
    completed_call_panics_when_polled,
    pinned_stop_is_polled_in_place,
    stop_may_end_channel,
}

fn past_stop_takes_what_is_there<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    assert_eq!(now(sender.send_until(1, ready("past"))), Ok(()));
    let received = now(receiver.recv_until(ready("past")));
    assert_eq!(received.map(Given::end), Ok(1));
}

fn stop_is_not_polled_while_there_is_item_or_room<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    for number in 0..100 {
        let never = || poll_fn(|_| -> Poll<()> { panic!("it is polled") });
        assert_eq!(now(sender.send_until(number, never())), Ok(()));
        let received = now(receiver.recv_until(never()));
        assert_eq!(received.map(Given::end), Ok(number));
    }
}

/// A waiter that was notified in vain requests others to yield. A call that yields has not looked whether
/// there is an item.
fn stop_is_not_polled_by_call_that_yields<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    let mut waiting = Waiter::waiting(receiver.recv());
    let mut most = 0;
    for number in 0..100 {
        sender.try_send(number).unwrap();
        assert_eq!(take_one(&receiver), Ok(number));
        // It was notified in vain.
        assert!(waiting.poll().is_pending());
        sender.try_send(number).unwrap();
        let mut recv = Waiter::new(receiver.recv_until(ready(())));
        assert!(recv.poll().is_pending());
        assert_eq!(recv.wakes(), 1);
        // It may yield again, and wakes itself each time.
        let received = recv.poll_while_it_yields();
        let received = received.map(|result| result.map(Given::end));
        assert_eq!(received, Poll::Ready(Ok(number)));
        most = most.max(recv.wakes());
        assert!(waiting.poll().is_pending());
    }
    assert!(most > 1, "none yielded again");
}

fn stopped_call_returns_output<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let stopped = now(receiver.recv_until(ready("time"))).map(Given::end);
    assert_eq!(stopped, Err(RecvUntilError::Stopped("time")));
    sender.try_send(1).unwrap();
    let stopped = now(sender.send_until(2, ready("time")));
    assert_eq!(stopped, Err(SendUntilError::Stopped(2, "time")));
}

fn stopped_send_returns_item_and_sends_nothing<K: Kind<Item>>() {
    let tally = Tally::new();
    let (sender, receiver) = K::channel(1);
    assert!(sender.try_send(tally.item()).is_ok());
    let stopped = Cell::new(false);
    let stop = poll_fn(|_| match stopped.get() {
        true => Poll::Ready(tally.item()),
        false => Poll::Pending,
    });
    let mut send = Waiter::waiting(sender.send_until(tally.item(), stop));
    stopped.set(true);
    let Poll::Ready(Err(error)) = send.poll() else {
        panic!("it is stopped");
    };
    assert!(error.is_stopped());
    assert_eq!(tally.drops(), [0; 3]);
    // This drops the output.
    assert_eq!(error.into_inner().id, 1);
    assert_eq!(tally.drops(), [0, 1, 1]);
    assert_eq!(take_one(&receiver).unwrap().id, 0);
    assert!(receiver.is_empty());
}

fn stopped_waiter_leaves_list<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    for _ in 0..3 {
        let stopped = Cell::new(false);
        let stop = || {
            poll_fn(|_| match stopped.get() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            })
        };
        let mut first = Waiter::waiting(receiver.recv_until(stop()));
        let mut second = Waiter::waiting(receiver.recv());
        stopped.set(true);
        assert!(matches!(first.poll(), Poll::Ready(Err(_))));
        sender.try_send(1).unwrap();
        assert_eq!((first.wakes(), second.wakes()), (0, 1));
        assert_eq!(second.poll().map(|it| it.unwrap().end()), Poll::Ready(1));

        stopped.set(false);
        sender.try_send(1).unwrap();
        let mut first = Waiter::waiting(sender.send_until(2, stop()));
        let mut second = Waiter::waiting(sender.send(3));
        stopped.set(true);
        assert!(matches!(first.poll(), Poll::Ready(Err(_))));
        assert_eq!(take_one(&receiver), Ok(1));
        assert_eq!((first.wakes(), second.wakes()), (0, 1));
        assert_eq!(second.poll(), Poll::Ready(Ok(())));
        assert_eq!(take_one(&receiver), Ok(3));
    }
}

/// The notification comes after the last attempt, while `stop` is polled.
fn stopped_waiter_passes_on_late_notification<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let stopped = Cell::new(false);
    let mut recv = Waiter::waiting(receiver.recv_until(poll_fn(|_| {
        if !stopped.get() {
            return Poll::Pending;
        }
        sender.try_send(1).unwrap();
        Poll::Ready(())
    })));
    let mut next = Waiter::waiting(receiver.recv());
    stopped.set(true);
    assert!(matches!(recv.poll(), Poll::Ready(Err(_))));
    assert_eq!((recv.wakes(), next.wakes()), (1, 1));
    assert_eq!(next.poll().map(|it| it.unwrap().end()), Poll::Ready(1));

    stopped.set(false);
    sender.try_send(1).unwrap();
    let stop = poll_fn(|_| {
        if !stopped.get() {
            return Poll::Pending;
        }
        assert_eq!(take_one(&receiver), Ok(1));
        Poll::Ready(())
    });
    let mut send = Waiter::waiting(sender.send_until(2, stop));
    let mut next = Waiter::waiting(sender.send(3));
    stopped.set(true);
    assert!(matches!(send.poll(), Poll::Ready(Err(_))));
    assert_eq!((send.wakes(), next.wakes()), (1, 1));
    assert_eq!(next.poll(), Poll::Ready(Ok(())));
}

/// A loop passes a reference to the same future to each call, and stops when it is ready. Were an item
/// received after that, the next call would poll the future again.
fn output_of_stop_is_never_lost<K: Kind>() {
    struct SendsAndStops<S>(S, bool);
    impl<S: FnMut() + Unpin> Future for SendsAndStops<S> {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            assert!(!self.1, "polled after it was ready");
            self.1 = true;
            (self.0)();
            Poll::Ready(())
        }
    }

    let (sender, receiver) = K::channel(4);
    (0..3).for_each(|item| sender.try_send(item).unwrap());
    let mut stop = SendsAndStops(|| sender.try_send(3).unwrap(), false);
    let mut items = Vec::new();
    while let Ok(given) = now(receiver.recv_until(&mut stop)) {
        items.push(given.end());
    }
    assert_eq!(items, [0, 1, 2]);
    assert_eq!(take_one(&receiver), Ok(3));
}

fn close_ends_calls_that_nothing_stops<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let mut recv = Waiter::waiting(receiver.recv_until(pending::<()>()));
    sender.close();
    assert_eq!(recv.wakes(), 1);
    let ended = recv.poll().map(|result| result.map(Given::end));
    assert_eq!(ended, Poll::Ready(Err(RecvUntilError::Closed)));

    let (sender, receiver) = K::channel(1);
    sender.try_send(1).unwrap();
    let mut send = Waiter::waiting(sender.send_until(2, pending::<()>()));
    receiver.close();
    assert_eq!(send.wakes(), 1);
    assert_eq!(send.poll(), Poll::Ready(Err(SendUntilError::Closed(2))));
}

fn closed_channel_does_not_poll_stop<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    sender.close();
    let refused = now(sender.send_until(1, ready(())));
    assert_eq!(refused, Err(SendUntilError::Closed(1)));
    let ended = now(receiver.recv_until(ready(()))).map(Given::end);
    assert_eq!(ended, Err(RecvUntilError::Closed));
}

fn waker_of_stop_is_that_of_latest_poll<K: Kind>() {
    let (signal, on_signal) = tollgate::bounded::<()>(1);
    let (_sender, receiver) = K::channel(1);
    let mut recv = receiver.recv_until(on_signal.recv());
    let [old, new] = [CountingWaker::new(), CountingWaker::new()];
    assert!(poll(&mut recv, &old).is_pending());
    assert!(poll(&mut recv, &new).is_pending());
    signal.try_send(()).unwrap();
    assert_eq!((old.wakes(), new.wakes()), (0, 1));
    assert!(matches!(
        poll(&mut recv, &new),
        Poll::Ready(Err(RecvUntilError::Stopped(Ok(()))))
    ));
}

fn panicking_stop_strands_no_waiter<K: Kind<Item>>() {
    let tally = Tally::new();
    let (sender, receiver) = K::channel(1);
    let broken = || poll_fn(|_| -> Poll<()> { panic!("the timer is broken") });
    let mut recv = receiver.recv_until(broken());
    let mut next = Waiter::waiting(receiver.recv());
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(&mut recv))).is_err());
    assert!(sender.try_send(tally.item()).is_ok());
    assert_eq!(next.wakes(), 1);
    drop(recv);
    assert!(matches!(next.poll(), Poll::Ready(Ok(_))));
    assert_eq!(tally.drops(), [1]);

    // The same behind no other waiter: it is notified, and passes that on.
    let mut recv = receiver.recv_until(broken());
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(&mut recv))).is_err());
    let mut next = Waiter::waiting(receiver.recv());
    assert!(sender.try_send(tally.item()).is_ok());
    assert_eq!(next.wakes(), 0);
    drop(recv);
    assert_eq!(next.wakes(), 1);
    assert!(matches!(next.poll(), Poll::Ready(Ok(_))));

    assert!(sender.try_send(tally.item()).is_ok());
    let mut send = sender.send_until(tally.item(), broken());
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(&mut send))).is_err());
    drop(send);
    assert_eq!(tally.drops(), [1, 1, 0, 1]);
    assert_eq!(take_one(&receiver).unwrap().id, 2);
}

fn completed_call_panics_when_polled<K: Kind>() {
    fn message<F: FusedFuture + Unpin>(mut future: F) -> String {
        assert!(!future.is_terminated());
        assert!(poll_once(&mut future).is_ready());
        assert!(future.is_terminated());
        panic_text(|| drop(poll_once(&mut future)))
    }

    let (sender, receiver) = K::channel(1);
    let recv = || message(receiver.recv_until(ready(())));
    let send = || message(sender.send_until(1, ready(())));
    let of_recv = "`RecvUntil` polled after completion";
    let of_send = "`SendUntil` polled after completion";
    assert_eq!(recv(), of_recv, "it was stopped");
    assert_eq!(send(), of_send, "it has sent");
    assert_eq!(send(), of_send, "it was stopped");
    assert_eq!(recv(), of_recv, "it has received");
    sender.close();
    assert_eq!(recv(), of_recv, "it has found the end");
    assert_eq!(send(), of_send, "it was refused");
}

fn pinned_stop_is_polled_in_place<K: Kind>() {
    let (_sender, receiver) = K::channel(1);
    let polls = Cell::new(0);
    let stop = async {
        // This future refers to itself.
        let own = Cell::new(0);
        let borrowed = &own;
        poll_fn(|_| {
            borrowed.set(borrowed.get() + 1);
            polls.set(borrowed.get());
            match borrowed.get() {
                3 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
    };
    let mut recv = pin!(receiver.recv_until(stop));
    assert!(poll_once(&mut recv).is_pending());
    assert!(poll_once(&mut recv).is_pending());
    assert!(matches!(poll_once(&mut recv), Poll::Ready(Err(_))));
    assert_eq!(polls.get(), 3);
}

/// While `stop` is polled, the channel is not in use.
fn stop_may_end_channel<K: Kind>() {
    let (sender, receiver) = K::channel(1);
    let receiver_of_stop = Cell::new(Some(receiver.clone()));
    let mut sender = Some(sender);
    let recv = receiver.recv_until(poll_fn(|_| {
        drop(receiver_of_stop.take());
        drop(sender.take());
        Poll::Ready("closed it")
    }));
    let stopped = now(recv).map(Given::end);
    assert_eq!(stopped, Err(RecvUntilError::Stopped("closed it")));
    assert_eq!(receiver.receiver_count(), 1);
    assert!(receiver.is_closed());
}

//! Waiters that leave, replace their wakers, wait behind others, or use the channel when woken.

use std::cell::Cell;
use std::future::poll_fn;
use std::future::ready;
use std::sync::Arc;
use std::sync::Mutex;
use std::task::Poll;
use std::task::Waker;

use loom::thread;
use tollgate::Receiver;
use tollgate::RecvUntilError;

use crate::support::Item;
use crate::support::block_on;
use crate::support::bounded;
use crate::support::calling;
use crate::support::flag;
use crate::support::large_model;
use crate::support::model;
use crate::support::next;
use crate::support::poll;
use crate::support::receive;
use crate::support::send;
use crate::support::shared;

/// Registers a stream.
fn park(stream: &mut Receiver<Item>, waker: &Waker) {
    assert!(poll_next(stream, waker).is_pending());
}

fn poll_next(stream: &mut Receiver<Item>, waker: &Waker) -> Poll<Option<Item>> {
    poll(&mut next(stream), waker)
}

#[test]
fn l11_cancelled_receiver_passes_on_wake() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        let item = tally.item(1);
        let survivor = thread::spawn({
            let receiver = receiver.clone();
            move || block_on(receiver.recv()).unwrap().number
        });
        let producer = thread::spawn({
            let sender = sender.clone();
            move || send(&sender, item)
        });
        let mut cancelled = receiver.recv();
        let taken = poll(&mut cancelled, Waker::noop());
        drop(cancelled);
        if let Poll::Ready(item) = taken {
            // The first item; the other receiver needs one too.
            assert_eq!(item.unwrap().number, 1);
            send(&sender, tally.item(1));
        }
        assert_eq!(survivor.join().unwrap(), 1);
        producer.join().unwrap();
    });
}

#[test]
fn l12_cancelled_sender_passes_on_wake() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        send(&sender, tally.item(1));
        let item = tally.item(2);
        let survivor = thread::spawn({
            let sender = sender.clone();
            move || block_on(sender.send(item)).unwrap()
        });
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || assert_eq!(receive(&receiver).number, 1)
        });
        let alive = tally.alive();
        let mut cancelled = sender.send(tally.item(3));
        let sent = poll(&mut cancelled, Waker::noop()).is_ready();
        drop(cancelled);
        if sent {
            assert_eq!(block_on(receiver.recv()).unwrap().number, 3);
        } else {
            assert!(tally.alive() <= alive, "its item was dropped with it");
        }
        survivor.join().unwrap();
        consumer.join().unwrap();
        assert_eq!(receive(&receiver).number, 2);
    });
}

#[test]
fn l13_only_last_waker_is_woken() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        let item = tally.item(1);
        let producer = thread::spawn({
            let sender = sender.clone();
            move || send(&sender, item)
        });
        let mut recv = receiver.recv();
        let received = match poll(&mut recv, Waker::noop()) {
            Poll::Ready(item) => item,
            // With another waker.
            Poll::Pending => block_on(recv),
        };
        assert_eq!(received.unwrap().number, 1);
        producer.join().unwrap();
    });
}

/// The same for a waiter behind another.
#[test]
fn l13_only_last_waker_is_woken_behind_another() {
    model(|tally| {
        let (sender, mut first) = bounded(2);
        let mut second = first.clone();
        let (flag, waker) = flag();
        park(&mut first, &waker);
        park(&mut second, Waker::noop());
        let items = [1, 2].map(|number| tally.item(number));
        let producer = thread::spawn(move || {
            for item in items {
                send(&sender, item);
            }
            sender
        });
        assert!(block_on(next(&mut second)).is_some());
        let _sender = producer.join().unwrap();
        assert_eq!(flag.calls(), 1);
        assert!(poll_next(&mut first, &waker).is_ready());
    });
}

/// A waiter enters a list that holds another.
#[test]
fn l14_second_waiter_is_woken() {
    model(|tally| {
        let (sender, mut first) = bounded(2);
        let mut second = first.clone();
        let (flag, waker) = flag();
        park(&mut first, &waker);
        let bystander = thread::spawn(move || {
            let item = block_on(next(&mut second)).unwrap();
            (item.number, second)
        });
        for number in 1..=2 {
            send(&sender, tally.item(number));
        }
        let (number, _second) = bystander.join().unwrap();
        assert_eq!(flag.calls(), 1);
        let Poll::Ready(Some(item)) = poll_next(&mut first, &waker) else {
            panic!("its item is there");
        };
        assert_eq!(item.number + number, 3);
    });
}

#[test]
fn close_wakes_two_receivers() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        let waiters = [(); 2].map(|()| {
            let receiver = receiver.clone();
            thread::spawn(move || block_on(receiver.recv()).is_err())
        });
        assert!(sender.close());
        for waiter in waiters {
            assert!(waiter.join().unwrap());
        }
        assert_eq!(tally.created(), 0);
    });
}

#[test]
fn close_wakes_all_blocked_senders() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        send(&sender, tally.item(1));
        let waiters = [2, 3].map(|number| {
            let (sender, item) = (sender.clone(), tally.item(number));
            thread::spawn(move || block_on(sender.send(item)).is_err())
        });
        assert!(receiver.close());
        for waiter in waiters {
            assert!(waiter.join().unwrap());
        }
    });
}

/// The first waiter leaves, notified or not, with another one behind it.
#[test]
fn first_waiter_passes_on_wake() {
    model(|tally| {
        let (sender, mut seated) = bounded(1);
        let mut standing = seated.clone();
        park(&mut seated, Waker::noop());
        park(&mut standing, Waker::noop());
        let item = tally.item(1);
        let producer = thread::spawn(move || {
            send(&sender, item);
            sender
        });
        let survivor = thread::spawn(move || {
            let item = block_on(next(&mut standing)).unwrap();
            (item, standing)
        });
        drop(seated);
        let _sender = producer.join().unwrap();
        let (item, _standing) = survivor.join().unwrap();
        assert_eq!(item.number, 1);
    });
}

/// The second of three waiters leaves, notified or not.
#[test]
fn middle_waiter_passes_on_wake() {
    model(|tally| {
        let (sender, mut seated) = bounded(2);
        let (mut standing, mut last) = (seated.clone(), seated.clone());
        let (flag, waker) = flag();
        park(&mut seated, &waker);
        park(&mut standing, Waker::noop());
        park(&mut last, Waker::noop());
        let items = [1, 2].map(|number| tally.item(number));
        let producer = thread::spawn(move || {
            for item in items {
                send(&sender, item);
            }
            sender
        });
        let survivor = thread::spawn(move || {
            let item = block_on(next(&mut last)).unwrap();
            (item.number, last)
        });
        drop(standing);
        let _sender = producer.join().unwrap();
        let (number, _last) = survivor.join().unwrap();
        assert_eq!(flag.calls(), 1);
        let Poll::Ready(Some(item)) = poll_next(&mut seated, &waker) else {
            panic!("its item is there");
        };
        assert_eq!(item.number + number, 3);
    });
}

/// A notified waiter leaves while another enters: it must not remove that one.
#[test]
fn late_leaver_keeps_next_waiter_listed() {
    model(|tally| {
        let (sender, receiver) = bounded(1);
        let mut first = receiver.clone();
        let mut second = receiver.clone();
        let (flag, waker) = flag();
        park(&mut first, &waker);
        // Notifies the first, and takes the item.
        send(&sender, tally.item(1));
        drop(receive(&receiver));
        assert_eq!(flag.calls(), 1);
        let survivor = thread::spawn(move || {
            let item = block_on(next(&mut second)).unwrap();
            (item.number, second)
        });
        let item = tally.item(2);
        let producer = thread::spawn(move || {
            send(&sender, item);
            sender
        });
        drop(first);
        let (number, _second) = survivor.join().unwrap();
        assert_eq!(number, 2);
        let _sender = producer.join().unwrap();
    });
}

/// The same, but the first is polled again instead of dropped.
#[test]
fn notified_waiter_keeps_next_waiter_listed() {
    model(|tally| {
        let (sender, receiver) = bounded(2);
        let mut first = receiver.clone();
        let mut second = receiver.clone();
        let (flag, waker) = flag();
        park(&mut first, &waker);
        send(&sender, tally.item(1));
        drop(receive(&receiver));
        assert_eq!(flag.calls(), 1);
        let survivor = thread::spawn(move || {
            let item = block_on(next(&mut second)).unwrap();
            (item.number, second)
        });
        // Both wait now, in either order; there are two items for them.
        let early = poll_next(&mut first, &waker);
        for number in 2..=3 {
            send(&sender, tally.item(number));
        }
        let (number, _second) = survivor.join().unwrap();
        assert!(early.is_pending());
        assert_eq!(flag.calls(), 2);
        let Poll::Ready(Some(item)) = poll_next(&mut first, &waker) else {
            panic!("its item is there");
        };
        assert_eq!(item.number + number, 5);
    });
}

/// Q4 of `waiters`: a stream that was notified and is not polled keeps one wake, and no more.
#[test]
fn unpolled_receiver_keeps_one_wake() {
    model(|tally| {
        let (sender, mut left_alone) = bounded(2);
        let (mut second, mut third) = (left_alone.clone(), left_alone.clone());
        park(&mut left_alone, Waker::noop());
        park(&mut second, Waker::noop());
        park(&mut third, Waker::noop());
        let items = [1, 2].map(|number| tally.item(number));
        let workers = [second, third].map(|mut stream| {
            thread::spawn(move || {
                let item = block_on(next(&mut stream)).unwrap();
                (item.number, stream)
            })
        });
        for item in items {
            send(&sender, item);
        }
        let got = workers.map(|worker| worker.join().unwrap());
        assert_eq!(got[0].0 + got[1].0, 3);
        drop(left_alone);
    });
}

/// The same for senders.
#[test]
fn unpolled_sender_keeps_one_wake() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(2));
        for number in 1..=2 {
            send(&sender, tally.item(number));
        }
        let mut left_alone = sender.send(tally.item(3));
        assert!(poll(&mut left_alone, Waker::noop()).is_pending());
        let workers = [4, 5].map(|number| {
            let (sender, item) = (sender.clone(), tally.item(number));
            thread::spawn(move || block_on(sender.send(item)).unwrap())
        });
        for number in 1..=2 {
            assert_eq!(receive(&receiver).number, number);
        }
        for worker in workers {
            worker.join().unwrap();
        }
        drop(left_alone);
        assert_eq!(receiver.len(), 2);
    });
}

/// A waker that receives and sends inside `wake`, whatever locks its caller holds.
#[test]
fn waker_uses_channel_from_front() {
    a_waker_may_use_the_channel(false);
}

#[test]
fn waker_uses_channel_from_behind() {
    a_waker_may_use_the_channel(true);
}

fn a_waker_may_use_the_channel(behind: bool) {
    // Two threads spin in `try_recv` at once.
    large_model(move |tally| {
        let (sender, receiver) = shared(bounded(2));
        let mut first = receiver.recv();
        if behind {
            assert!(poll(&mut first, Waker::noop()).is_pending());
        }
        let got = Arc::new(Mutex::new(Vec::new()));
        let keep = {
            let got = Arc::clone(&got);
            move |item: Item| got.lock().unwrap().push(item.number)
        };
        let answer = Mutex::new(Some(tally.item(3)));
        let waker = calling({
            let (sender, receiver, keep) = (sender.clone(), receiver.clone(), keep.clone());
            move || {
                if let Ok(item) = receiver.try_recv() {
                    keep(item);
                    // A lock of the system must be released before the next step of the model.
                    let answer = answer.lock().unwrap().take();
                    if let Some(answer) = answer {
                        // There may be no room.
                        let _ = sender.try_send(answer);
                    }
                }
            }
        });
        let items = [1, 2].map(|number| tally.item(number));
        let producer = thread::spawn({
            let sender = sender.clone();
            move || {
                for item in items {
                    send(&sender, item);
                }
            }
        });
        let mut recv = receiver.recv();
        if let Poll::Ready(item) = poll(&mut recv, &waker) {
            keep(item.unwrap());
        }
        producer.join().unwrap();
        drop((first, recv, waker));
        while let Ok(item) = receiver.try_recv() {
            keep(item);
        }
        let mut got = std::mem::take(&mut *got.lock().unwrap());
        got.sort();
        assert!(got == [1, 2] || got == [1, 2, 3], "{got:?}");
    });
}

/// Two streams of one receiver wait; the first leaves, notified or not.
#[test]
fn stream_of_receiver_passes_on_wake() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        let item = tally.item(1);
        let mut first = receiver.stream();
        assert!(poll(&mut next(&mut first), Waker::noop()).is_pending());
        let producer = thread::spawn({
            let sender = sender.clone();
            move || send(&sender, item)
        });
        let survivor = thread::spawn({
            let receiver = receiver.clone();
            move || block_on(next(&mut receiver.stream())).unwrap().number
        });
        drop(first);
        assert_eq!(survivor.join().unwrap(), 1);
        producer.join().unwrap();
    });
}

/// A call is stopped, notified or not, while another one waits behind it.
#[test]
fn stopped_receiver_passes_on_wake() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        let item = tally.item(1);
        let is_stopped = Cell::new(false);
        let mut stopped = receiver.recv_until(poll_fn(|_| match is_stopped.get() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }));
        assert!(poll(&mut stopped, Waker::noop()).is_pending());
        let producer = thread::spawn({
            let sender = sender.clone();
            move || send(&sender, item)
        });
        let survivor = thread::spawn({
            let receiver = receiver.clone();
            move || block_on(receiver.recv()).unwrap().number
        });
        is_stopped.set(true);
        match poll(&mut stopped, Waker::noop()) {
            Poll::Ready(Err(_)) => {}
            // The item came first; the other receiver needs one too.
            Poll::Ready(Ok(item)) => send(&sender, tally.item(item.number)),
            // The slot is being filled, so `stop` was not polled.
            Poll::Pending => drop(stopped),
        }
        assert_eq!(survivor.join().unwrap(), 1);
        producer.join().unwrap();
    });
}

#[test]
fn stopped_sender_passes_on_wake() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        send(&sender, tally.item(1));
        let is_stopped = Cell::new(false);
        let stop = poll_fn(|_| match is_stopped.get() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        });
        let mut stopped = sender.send_until(tally.item(2), stop);
        assert!(poll(&mut stopped, Waker::noop()).is_pending());
        let item = tally.item(3);
        let survivor = thread::spawn({
            let sender = sender.clone();
            move || block_on(sender.send(item)).unwrap()
        });
        let consumer = thread::spawn({
            let receiver = receiver.clone();
            move || assert_eq!(receive(&receiver).number, 1)
        });
        is_stopped.set(true);
        let polled = poll(&mut stopped, Waker::noop());
        drop(stopped);
        match polled {
            Poll::Ready(Err(error)) => assert_eq!(error.into_inner().number, 2),
            // There was room; the other sender needs some too.
            Poll::Ready(Ok(())) => assert_eq!(receive(&receiver).number, 2),
            // The slot is being emptied, so `stop` was not polled.
            Poll::Pending => {}
        }
        survivor.join().unwrap();
        consumer.join().unwrap();
        assert_eq!(receive(&receiver).number, 3);
    });
}

/// The future that stops the call is ready when the other thread says so, item or no item.
#[test]
fn stop_or_item_ends_receive() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(1));
        let (stop, on_stop) = shared(bounded(1));
        let [item, signal] = [1, 2].map(|number| tally.item(number));
        let producer = thread::spawn({
            let sender = sender.clone();
            move || send(&sender, item)
        });
        let stopper = thread::spawn({
            let stop = stop.clone();
            move || send(&stop, signal)
        });
        match block_on(receiver.recv_until(on_stop.recv())) {
            Ok(item) => assert_eq!(item.number, 1),
            Err(RecvUntilError::Stopped(signal)) => {
                assert_eq!(signal.unwrap().number, 2);
                assert_eq!(block_on(receiver.recv()).unwrap().number, 1);
            }
            Err(RecvUntilError::Closed) => unreachable!("nothing closes it"),
        }
        producer.join().unwrap();
        stopper.join().unwrap();
    });
}

/// An item may be behind one that is still being written: there is one, so the call is not stopped.
#[test]
fn past_stop_takes_item_behind_slow_send() {
    model(|tally| {
        let (sender, receiver) = shared(bounded(2));
        let item = tally.item(1);
        let other = thread::spawn({
            let sender = sender.clone();
            move || send(&sender, item)
        });
        send(&sender, tally.item(2));
        assert!(block_on(receiver.recv_until(ready(()))).is_ok());
        other.join().unwrap();
        assert_eq!(receiver.len(), 1);
    });
}

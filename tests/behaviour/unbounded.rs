//! Unbounded channels. Everything that does not depend on a full channel is tested on bounded ones.

use std::cell::Cell;
use std::rc::Rc;
use std::task::Poll;

use tollgate::Builder;
use tollgate::RecvError;
use tollgate::SendError;
use tollgate::TryRecvError;
use tollgate::TrySendError;

use crate::common::CountingWaker;
use crate::common::Given;
use crate::common::Kind;
use crate::common::on_both_kinds;
use crate::common::poll;
use crate::common::poll_once;
use crate::common::take_one;

/// Enough for several segments.
const MANY: usize = 1_000;

on_both_kinds! {
    items_keep_their_order,
    capacity_is_none_and_never_full,
    send_completes_at_first_poll,
    waiting_receivers_are_woken_in_order,
    items_queued_at_close_are_received,
    last_receiver_drops_queued_items,
    close_now_returns_all_items,
    report_adds_up,
    zero_sized_items_pass,
}

fn items_keep_their_order<K: Kind<usize>>() {
    let (sender, receiver) = K::unbounded();
    let (mut sent, mut taken) = (0, 0);
    for round in 0..100 {
        for _ in 0..round * 7 % 150 {
            sender.try_send(sent).unwrap();
            sent += 1;
        }
        for _ in 0..round * 5 % 150 {
            if taken < sent {
                assert_eq!(take_one(&receiver), Ok(taken));
                taken += 1;
            }
        }
        assert_eq!((sender.len(), receiver.len()), (sent - taken, sent - taken));
    }
    assert!(sent > MANY && taken > MANY);
}

fn capacity_is_none_and_never_full<K: Kind<usize>>() {
    let (sender, receiver) = K::unbounded();
    assert_eq!((sender.capacity(), receiver.capacity()), (None, None));
    for item in 0..MANY {
        assert!(!sender.is_full() && !receiver.is_full());
        assert_eq!(sender.try_send(item), Ok(()));
    }
    assert_eq!(sender.len(), MANY);
}

fn send_completes_at_first_poll<K: Kind<usize>>() {
    let (sender, receiver) = K::unbounded();
    for item in 0..MANY {
        assert_eq!(poll_once(&mut sender.send(item)), Poll::Ready(Ok(())));
    }
    receiver.close();
    let mut refused = sender.send(0);
    assert_eq!(poll_once(&mut refused), Poll::Ready(Err(SendError(0))));
    assert_eq!(sender.try_send(0), Err(TrySendError::Closed(0)));
}

fn waiting_receivers_are_woken_in_order<K: Kind<usize>>() {
    let (sender, receiver) = K::unbounded();
    let wakers: Vec<_> = (0..MANY).map(|_| CountingWaker::new()).collect();
    let mut recvs: Vec<_> = wakers.iter().map(|_| receiver.recv()).collect();
    for (recv, waker) in recvs.iter_mut().zip(&wakers) {
        assert!(poll(recv, waker).is_pending());
    }
    for item in 0..MANY {
        sender.try_send(item).unwrap();
        assert_eq!(wakers[item].wakes(), 1);
        assert!(wakers[item + 1..].iter().all(|waker| waker.wakes() == 0));
    }
    for (item, (recv, waker)) in recvs.iter_mut().zip(&wakers).enumerate() {
        assert_eq!(
            poll(recv, waker).map(|it| it.unwrap().end()),
            Poll::Ready(item)
        );
    }
}

fn items_queued_at_close_are_received<K: Kind<usize>>() {
    let (sender, receiver) = K::unbounded();
    (0..MANY).for_each(|item| sender.try_send(item).unwrap());
    drop(sender);
    for item in 0..MANY {
        assert_eq!(take_one(&receiver), Ok(item));
    }
    assert!(matches!(
        poll_once(&mut receiver.recv()),
        Poll::Ready(Err(RecvError))
    ));
    assert_eq!(take_one(&receiver), Err(TryRecvError::Closed));
}

fn last_receiver_drops_queued_items<K: Kind<Counted>>() {
    let (sender, receiver) = K::unbounded();
    let drops = Rc::new(Cell::new(0));
    (0..MANY).for_each(|_| sender.try_send(Counted(drops.clone())).unwrap());
    let monitor = sender.monitor();
    drop(receiver);
    assert_eq!(drops.get(), MANY);
    assert_eq!(monitor.stats().report.discarded, MANY as u64);
}

struct Counted(Rc<Cell<usize>>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

fn close_now_returns_all_items<K: Kind<usize>>() {
    let (sender, receiver) = K::unbounded();
    (0..MANY).for_each(|item| sender.try_send(item).unwrap());
    assert_eq!(take_one(&receiver), Ok(0));
    assert!(sender.close_now().eq(1..MANY));
    assert!(matches!(
        poll_once(&mut receiver.recv()),
        Poll::Ready(Err(RecvError))
    ));
}

fn report_adds_up<K: Kind<usize>>() {
    let (sender, receiver) = K::unbounded();
    (0..MANY).for_each(|item| sender.try_send(item).unwrap());
    let mut join = sender.join();
    let waker = CountingWaker::new();
    assert!(poll(&mut join, &waker).is_pending());
    for item in 1..MANY {
        assert_eq!(take_one(&receiver), Ok(item - 1));
    }
    assert_eq!(waker.wakes(), 0);
    assert_eq!(take_one(&receiver), Ok(MANY - 1));
    assert_eq!(waker.wakes(), 1);
    let Poll::Ready(Ok(report)) = poll(&mut join, &waker) else {
        panic!("no work is left");
    };
    let many = MANY as u64;
    assert_eq!(
        (report.sent, report.received, report.done),
        (many, many, many)
    );
}

fn zero_sized_items_pass<K: Kind<()>>() {
    let (sender, receiver) = K::unbounded();
    (0..MANY).for_each(|_| sender.try_send(()).unwrap());
    (0..MANY).for_each(|_| take_one(&receiver).unwrap());
    assert_eq!(take_one(&receiver), Err(TryRecvError::Empty));
}

#[test]
fn builder_without_capacity_is_unbounded() {
    let (sender, _receiver) = Builder::new().build::<u8>();
    assert_eq!(sender.capacity(), None);
    let (sender, _receiver) = Builder::new().build_tasks::<u8>();
    assert_eq!(sender.capacity(), None);
    let (sender, _receiver) = Builder::new().capacity(1).unbounded().build::<u8>();
    assert_eq!(sender.capacity(), None);
    let (sender, _receiver) = Builder::new().unbounded().capacity(1).build::<u8>();
    assert_eq!(sender.capacity(), Some(1));
}

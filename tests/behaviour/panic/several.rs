//! Several panics in one call: the first propagates, and the others are swallowed.

use std::cell::Cell;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Wake;
use std::task::Waker;

use crate::common::Kind;
use crate::common::on_both_kinds;

on_both_kinds! {
    panicking_close_now_drops_queue,
    waiter_drops_during_unwind_with_panicking_waker,
}

/// An item that counts its drops and panics in each.
struct PanickingItem(Rc<Cell<u32>>);

impl Drop for PanickingItem {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
        panic!("a destructor");
    }
}

/// A second panic during the first would abort the process.
fn panicking_close_now_drops_queue<K: Kind<PanickingItem>>() {
    struct PanickingWaker;

    impl Wake for PanickingWaker {
        fn wake(self: Arc<Self>) {
            panic!("a waker");
        }
    }

    let drops = Rc::new(Cell::new(0));
    let (sender, receiver) = K::channel(2);
    for _ in 0..2 {
        let item = PanickingItem(Rc::clone(&drops));
        assert!(sender.try_send(item).is_ok());
    }
    // One waits for the end of all work, the other for the close.
    let (mut join, mut closed) = (sender.join(), sender.closed());
    let waker = Waker::from(Arc::new(PanickingWaker));
    let mut cx = Context::from_waker(&waker);
    assert!(Pin::new(&mut join).poll(&mut cx).is_pending());
    assert!(Pin::new(&mut closed).poll(&mut cx).is_pending());
    let closing = catch_unwind(AssertUnwindSafe(|| drop(sender.close_now())));
    assert_eq!(closing.unwrap_err().downcast_ref(), Some(&"a waker"));
    assert_eq!(drops.get(), 2);
    drop(receiver);
}

/// A panic in a destructor while the thread unwinds would abort the process.
fn waiter_drops_during_unwind_with_panicking_waker<K: Kind>() {
    struct Explosive(Arc<AtomicUsize>);

    impl Wake for Explosive {
        fn wake(self: Arc<Self>) {}
    }

    impl Drop for Explosive {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
            panic!("a waker");
        }
    }

    let drops = Arc::new(AtomicUsize::new(0));
    let (_sender, receiver) = K::channel(1);
    // One in front, and one behind it.
    let unwind = AssertUnwindSafe(|| {
        let mut waiting = [receiver.recv(), receiver.recv()];
        for recv in &mut waiting {
            let waker = Waker::from(Arc::new(Explosive(Arc::clone(&drops))));
            let polled = Pin::new(recv).poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
        }
        panic!("a worker");
    });
    let worker = catch_unwind(unwind).unwrap_err();
    assert_eq!(worker.downcast_ref(), Some(&"a worker"));
    assert_eq!(drops.load(Ordering::Relaxed), 2);
}

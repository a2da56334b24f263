//! Futures that own their handle, which may be the last of its side.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::task::Context;
use std::task::Waker;

use super::Waiting;
use super::try_now;
use crate::channel::Channel;
use crate::future::RecvItem;
use crate::future::SendSlot;
use crate::kind::Kind;
use crate::kind::Plain;
use crate::kind::Tasks;
use crate::policy::Options;
use crate::queue::Queue;
use crate::shared::Shared;

/// An item whose destructor may panic. The `Arc` counts the items that exist.
struct Item<const PADDING: usize> {
    panics: bool,
    _padding: [u8; PADDING],
    _exists: Arc<()>,
}

impl<const PADDING: usize> Drop for Item<PADDING> {
    fn drop(&mut self) {
        assert!(!self.panics, "a destructor panics");
    }
}

/// Receives an item with a future that owns the last receiver. Dropping that receiver then drops
/// another item, whose destructor panics.
///
/// If a send waits for room, the future notifies it before it drops its receiver.
fn last_receiver_panics<K: Kind, const PADDING: usize>(waits: bool, notifies: bool) {
    let queue = Queue::bounded(2, K::HAS_LANE, false);
    let (sender, receiver) = Shared::both_ends_of(Channel::new(queue, Options::default()));
    let exists = Arc::new(());
    // SAFETY: the queue was made for this kind.
    let operation = unsafe { RecvItem::<K>::new() };
    let mut recv = Waiting::new(receiver, operation);
    let cx = &mut Context::from_waker(Waker::noop());
    if waits {
        assert!(recv.poll("recv", cx).is_pending());
    }
    let item = |panics| {
        Some(Item {
            panics,
            _padding: [0; PADDING],
            _exists: Arc::clone(&exists),
        })
    };
    for panics in [false, true] {
        let mut slot = item(panics);
        let operation = SendSlot::new(&mut slot);
        assert!(try_now(operation, &sender, drop).is_ok());
    }
    let mut slot = None;
    let mut send = notifies.then(|| {
        slot = item(false);
        Waiting::new(&*sender, SendSlot::new(&mut slot))
    });
    if let Some(send) = &mut send {
        assert!(send.poll("send", cx).is_pending());
    }
    let polled = catch_unwind(AssertUnwindSafe(|| recv.poll("recv", cx).map(drop)));
    assert!(polled.is_err());
    drop(send);
    drop(slot);
    assert_eq!(Arc::strong_count(&exists), 1, "no item is leaked");
    assert_eq!(sender.account().outstanding(), 0);
}

#[test]
fn owned_future_drops_output_when_handle_panics() {
    for (waits, notifies) in [(false, false), (false, true), (true, false), (true, true)] {
        last_receiver_panics::<Plain, 0>(waits, notifies);
        last_receiver_panics::<Tasks, 0>(waits, notifies);
        // Guarded in its place.
        last_receiver_panics::<Plain, 100>(waits, notifies);
        last_receiver_panics::<Tasks, 100>(waits, notifies);
    }
}

/// The last attempt of a blocking call.
#[cfg(feature = "std")]
mod deadline {
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering;
    use std::task::Wake;
    use std::time::Instant;

    use super::Arc;
    use super::Channel;
    use super::Context;
    use super::Options;
    use super::Plain;
    use super::Queue;
    use super::RecvItem;
    use super::SendSlot;
    use super::Shared;
    use super::Waiting;
    use super::Waker;
    use super::try_now;
    use crate::error::RecvError;

    #[derive(Default)]
    struct Calls(AtomicUsize);

    impl Wake for Calls {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn notified_waiter_gives_up_at_deadline() {
        let queue = Queue::bounded(1, false, false);
        let (sender, receiver) = Shared::both_ends_of(Channel::new(queue, Options::default()));
        let calls = Arc::new(Calls::default());
        let waker = Waker::from(Arc::clone(&calls));
        let cx = &mut Context::from_waker(&waker);
        // SAFETY: the queue has no lane.
        let operation = || unsafe { RecvItem::<Plain>::new() };
        let [mut first, mut second] = [(); 2].map(|()| Waiting::new(&*receiver, operation()));
        assert!(first.poll("recv", cx).is_pending());
        assert!(second.poll("recv", cx).is_pending());
        let send = || try_now(SendSlot::new(&mut Some(1)), &sender, drop).is_ok();
        assert!(send());
        assert_eq!(calls.0.load(Ordering::Relaxed), 1);
        // Another receiver is quicker than the first, which was notified.
        assert!(try_now(operation(), &receiver, drop).is_ok());
        let is_late = |error: Option<RecvError>| error.is_none();
        assert_eq!(first.block_until(Some(Instant::now()), is_late), Err(true));
        assert!(send());
        assert_eq!(calls.0.load(Ordering::Relaxed), 2);
        assert!(second.poll("recv", cx).is_ready());
        assert!(!receiver.lists.not_empty.waiters.has_waiters());
    }
}

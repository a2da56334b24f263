//! How a delivery of a task channel ends: done, failed, requeued, or dropped.

use core::mem::ManuallyDrop;
use core::mem::MaybeUninit;
use core::panic::RefUnwindSafe;
use core::panic::UnwindSafe;
use core::ptr::NonNull;

use crate::accounting::Ledger;
use crate::accounting::Resolution;
use crate::channel::Change;
use crate::channel::Channel;
use crate::error::RetryError;
use crate::policy::Abandon;
use crate::report::Failure;
use crate::shared::Shared;
use crate::shared::free_channel;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use crate::timer::Alarm;
use crate::unwind::Guarded;
use crate::unwind::OnDrop;
use crate::unwind::is_unwinding;
use crate::unwind::protect_in_place;
use crate::unwind::run_one;

/// When an item that a task queues can be received.
pub(crate) enum When {
    Now,
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    At(Alarm),
}

/// A delivery's pointer to its channel, and the duty to resolve it, once, however it ends. It keeps
/// the channel alive until then (S1 of `shared`).
pub(crate) struct Delivery<T>(NonNull<Channel<T>>);

// SAFETY: items are requeued through a delivery, and received elsewhere; everything else in a channel
// is made for sharing.
unsafe impl<T: Send> Send for Delivery<T> {}
// SAFETY: as above; through a shared delivery too.
unsafe impl<T: Send> Sync for Delivery<T> {}

impl<T> UnwindSafe for Delivery<T> {}
impl<T> RefUnwindSafe for Delivery<T> {}

impl<T> Delivery<T> {
    /// # Safety
    ///
    /// The caller has just removed an item from the queue of this task channel, and makes one
    /// delivery of it.
    #[inline]
    pub(crate) unsafe fn new(channel: &Shared<T>) -> Self {
        Self(channel.as_ptr())
    }

    /// Ends the delivery.
    #[inline]
    pub(crate) fn end(self, failure: Option<Failure>) {
        let delivery = ManuallyDrop::new(self);
        // SAFETY: the delivery is the caller's, and is given up here.
        unsafe { end(delivery.0, failure) };
    }

    /// Tries once to end the delivery as done, without notifying waiters and without freeing the
    /// channel. Returns the delivery if that is not possible.
    #[inline]
    pub(crate) fn try_end(self) -> Result<(), Self> {
        let delivery = ManuallyDrop::new(self);
        let channel = delivery.0;
        // SAFETY: S1, by the delivery. The reference is not used after the exchange, because the
        // channel may have been freed by then.
        let word = unsafe { channel.as_ref() }.ledger.word();
        let accepted = || {
            // SAFETY: S1, by the delivery, which is not given up before the exchange.
            unsafe { channel.as_ref() }.queue.accepted()
        };
        if Ledger::try_resolve_once(word, accepted) {
            Ok(())
        } else {
            Err(ManuallyDrop::into_inner(delivery))
        }
    }

    fn channel(&self) -> &Channel<T> {
        // SAFETY: S1, by this delivery.
        unsafe { self.0.as_ref() }
    }

    /// Whether nothing can be queued any more (N3 of `lane`). If so, that remains so.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub(crate) fn refuses_all(&self) -> bool {
        self.channel().queue.lane_has_ended()
    }

    /// Whether a retry would be refused. If so, that remains so.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub(crate) fn refuses_retry(&self, attempt: u32) -> bool {
        !self.channel().policy.allows_another(attempt) || self.refuses_all()
    }

    /// Queues new work. Returns false if nothing can be queued any more (N3 of `lane`).
    ///
    /// # Safety
    ///
    /// `item` points to an item, which has moved out of there if this returns true, or if it panics.
    pub(crate) unsafe fn follow_up(&self, item: *const T, when: When) -> bool {
        // SAFETY: the caller's guarantee.
        let Some(change) = (unsafe { self.push(item, 1, when) }) else {
            return false;
        };
        self.channel().notify(change);
        true
    }

    /// Pushes an item to the lane, and sets the alarm if it is the first that is due. Returns what has
    /// changed, or `None` if nothing can be queued any more. An item with attempt 1 is new work.
    ///
    /// # Safety
    ///
    /// `item` points to an item, which has moved out of there unless this returns `None`.
    unsafe fn push(&self, item: *const T, attempt: u32, when: When) -> Option<Change> {
        let queue = &self.channel().queue;
        match when {
            When::Now => {
                // SAFETY: the caller's guarantee.
                let is_pushed = unsafe { queue.requeue(item, attempt) };
                is_pushed.then_some(Change::Queued)
            }
            #[cfg(all(feature = "std", not(target_family = "wasm")))]
            When::At(alarm) => {
                // SAFETY: the caller's guarantee.
                let is_first = unsafe { queue.requeue_at(item, attempt, alarm.time()) }?;
                if is_first {
                    // SAFETY: S1, by this delivery. Without a handle, there is no receiver, and the item
                    // has been discarded.
                    let handle = unsafe { Shared::upgrade(self.0) };
                    handle.inspect(|it| it.set_alarm(alarm));
                }
                Some(Change::Nothing)
            }
        }
    }

    /// Ends the delivery by requeueing its item for `when`. If that is refused, ends it with the failure that
    /// `refused` makes of the reason, and returns the reason.
    ///
    /// # Safety
    ///
    /// `item` holds an item. It has moved out of there if this returns `Ok`, and has moved out or been
    /// dropped if this panics.
    pub(crate) unsafe fn retry(
        self,
        item: &mut MaybeUninit<T>,
        attempt: u32,
        when: When,
        refused: impl FnOnce(RetryError<()>) -> Failure,
    ) -> Result<(), RetryError<()>> {
        // SAFETY: the caller's guarantee.
        let (delivery, reason) = match unsafe { self.requeue(item.as_ptr(), attempt, when) } {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        let mut failure = None;
        // If the conversion panics, the item is dropped first, as in `abandon`.
        // SAFETY: the caller's guarantee.
        unsafe { protect_in_place(item, || failure = Some(refused(reason))) };
        // SAFETY: as above.
        unsafe { protect_in_place(item, || delivery.end(failure)) };
        Err(reason)
    }

    /// Ends a delivery that its worker has dropped.
    ///
    /// # Safety
    ///
    /// `item` holds an item. This moves it out of there, or drops it.
    #[cold]
    pub(crate) unsafe fn abandon(self, item: &mut MaybeUninit<T>, attempt: u32) {
        let delivery = match self.channel().policy.on_abandon {
            Abandon::Count => self,
            // SAFETY: the caller's guarantee.
            Abandon::Requeue => match unsafe { self.requeue(item.as_ptr(), attempt, When::Now) } {
                Ok(()) => return,
                Err((delivery, _)) => delivery,
            },
        };
        // In this order, so that the item is dropped before waiters are notified that its task has
        // ended. The delivery is dropped even if the destructor of the item panics.
        // SAFETY: the caller's guarantee.
        run_one(|| unsafe { item.assume_init_drop() });
        drop(delivery);
    }

    /// Queues the item for another delivery and ends this one. Returns the delivery, and why, if that is
    /// refused.
    ///
    /// # Safety
    ///
    /// `item` points to an item, which has moved out of there if this returns `Ok`, or if it panics.
    unsafe fn requeue(
        self,
        item: *const T,
        attempt: u32,
        when: When,
    ) -> Result<(), (Self, RetryError<()>)> {
        if !self.channel().policy.allows_another(attempt) {
            return Err((self, RetryError::Exhausted(())));
        }
        // The item is accepted again before this delivery is resolved. A receiver is also notified
        // before that, because afterwards the channel may be freed.
        let attempt = attempt.saturating_add(1);
        // SAFETY: the caller's guarantee.
        let Some(change) = (unsafe { self.push(item, attempt, when) }) else {
            return Err((self, RetryError::Terminated(())));
        };
        let delivery = ManuallyDrop::new(self);
        // On drop, because the waker may panic.
        let end = OnDrop(|| {
            // SAFETY: the delivery is the caller's, and is given up here, once.
            unsafe { end(delivery.0, None) };
        });
        delivery.channel().notify(change);
        drop(end);
        Ok(())
    }

    /// The same delivery, with the type of the item erased.
    pub(crate) fn erase(self) -> ErasedDelivery {
        let delivery = ManuallyDrop::new(self);
        ErasedDelivery {
            channel: delivery.0.cast(),
            end: end_erased::<T>,
        }
    }
}

impl<T> Drop for Delivery<T> {
    fn drop(&mut self) {
        // SAFETY: the delivery is the caller's, and is given up here.
        unsafe { end(self.0, Some(failure_of_dropping())) };
    }
}

/// A [`Delivery`] with the item type of its channel erased.
pub(crate) struct ErasedDelivery {
    channel: NonNull<()>,
    /// [`end_erased`], for the channel's type of item.
    end: unsafe fn(NonNull<()>, Option<Failure>),
}

// SAFETY: S4 of `shared`: nothing is requeued through an erased delivery, and no `T` is reached.
unsafe impl Send for ErasedDelivery {}
// SAFETY: as above; a shared reference to one gives access to nothing.
unsafe impl Sync for ErasedDelivery {}

impl UnwindSafe for ErasedDelivery {}
impl RefUnwindSafe for ErasedDelivery {}

impl ErasedDelivery {
    pub(crate) fn end(self, failure: Option<Failure>) {
        let delivery = ManuallyDrop::new(self);
        // SAFETY: the delivery is the caller's, and is given up here; `erase` paired the two.
        unsafe { (delivery.end)(delivery.channel, failure) };
    }
}

impl Drop for ErasedDelivery {
    fn drop(&mut self) {
        // SAFETY: the delivery is the caller's, and is given up here; `erase` paired the two.
        unsafe { (self.end)(self.channel, Some(failure_of_dropping())) };
    }
}

fn failure_of_dropping() -> Failure {
    if is_unwinding() {
        Failure::Panicked
    } else {
        Failure::Abandoned
    }
}

/// # Safety
///
/// As [`end`], and `channel` is a `Channel<T>`.
unsafe fn end_erased<T>(channel: NonNull<()>, failure: Option<Failure>) {
    // SAFETY: the caller's guarantee.
    unsafe { end(channel.cast::<Channel<T>>(), failure) };
}

/// Ends a delivery.
///
/// # Safety
///
/// The caller owns a delivery of `channel` that is not resolved, and gives it up.
#[inline]
unsafe fn end<T>(channel: NonNull<Channel<T>>, failure: Option<Failure>) {
    if failure.is_none() {
        // SAFETY: the caller's guarantee.
        match unsafe { try_resolve(channel, false) } {
            Resolution::NeedsHandle => {}
            _ => return,
        }
    }
    // SAFETY: the caller's guarantee.
    unsafe { end_and_notify(channel, failure) };
}

/// [`end`], if waiters may have to be notified. A handle keeps the channel alive meanwhile.
///
/// # Safety
///
/// As [`end`].
#[cold]
unsafe fn end_and_notify<T>(channel: NonNull<Channel<T>>, failure: Option<Failure>) {
    // SAFETY: S1 of `shared`, by the delivery.
    if let Some(shared) = unsafe { Shared::upgrade(channel) } {
        shared.end_delivery(failure);
        return;
    }
    // No waiter is left, and no handle that could return the failure.
    let failure = Guarded::new(failure);
    // SAFETY: the caller's guarantee.
    unsafe { try_resolve(channel, true) };
    drop(failure);
}

/// Calls [`Ledger::try_resolve`], and frees the channel if this was the last delivery.
///
/// # Safety
///
/// As [`end`]; the delivery is given up unless a handle is needed.
#[inline]
unsafe fn try_resolve<T>(channel: NonNull<Channel<T>>, no_handles: bool) -> Resolution {
    // SAFETY: S1 of `shared`, by the delivery. The reference is not used after the exchange, because
    // the channel may have been freed by then.
    let word = unsafe { channel.as_ref() }.ledger.word();
    let accepted = || {
        // SAFETY: S1, by the delivery, which is not given up before the exchange.
        unsafe { channel.as_ref() }.queue.accepted()
    };
    let resolution = Ledger::try_resolve(word, accepted, no_handles);
    if resolution == Resolution::Last {
        // SAFETY: S3, because the resolution was the last.
        unsafe { free_channel(channel) };
    }
    resolution
}

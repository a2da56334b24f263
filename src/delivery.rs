//! How a delivery of a task channel ends: done, failed, requeued, or dropped.

use alloc::boxed::Box;
use core::mem::ManuallyDrop;
use core::mem::MaybeUninit;
use core::num::NonZeroU32;
use core::panic::RefUnwindSafe;
use core::panic::UnwindSafe;
use core::ptr::NonNull;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use core::time::Duration;

use crate::accounting::Ledger;
use crate::accounting::Resolution;
use crate::channel::Change;
use crate::channel::Channel;
use crate::error::RetryError;
use crate::policy::Abandon;
use crate::queue::Origin;
use crate::queue::Place;
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
pub(crate) struct Delivery<T> {
    channel: NonNull<Channel<T>>,
    /// The number of the attempt, and in the upper half the place of the delivery among those in hand, or
    /// zero if the channel does not measure time.
    ///
    /// One word, because a task may be copied word by word right after it was written, and reading a word
    /// of which only half was just written stalls the processor.
    tag: u64,
}

// SAFETY: items are requeued through a delivery, and received elsewhere; everything else in a channel
// is made for sharing.
unsafe impl<T: Send> Send for Delivery<T> {}
// SAFETY: as above; through a shared delivery too.
unsafe impl<T: Send> Sync for Delivery<T> {}

impl<T> UnwindSafe for Delivery<T> {}
impl<T> RefUnwindSafe for Delivery<T> {}

impl<T> Delivery<T> {
    /// The first delivery of an item of a channel that does not measure time.
    ///
    /// # Safety
    ///
    /// The caller has just removed an item from the queue of this task channel, and makes one
    /// delivery of it.
    #[inline]
    pub(crate) unsafe fn first(channel: &Shared<T>) -> Self {
        Self {
            channel: channel.as_ptr(),
            tag: 1,
        }
    }

    /// # Safety
    ///
    /// As [`first`](Self::first).
    #[inline]
    pub(crate) unsafe fn new(channel: &Shared<T>, origin: Origin) -> Self {
        let place = channel.queue.enter_hand(origin.queued_at);
        let place = place.map_or(0, |place| place.0.get());
        Self {
            channel: channel.as_ptr(),
            tag: u64::from(place) << 32 | u64::from(origin.attempt),
        }
    }

    /// The number of this delivery of the item; the first is 1.
    pub(crate) fn attempt(&self) -> u32 {
        self.tag as u32
    }

    fn place(&self) -> Option<Place> {
        NonZeroU32::new((self.tag >> 32) as u32).map(Place)
    }

    /// How long the item was queued, if the channel measures time.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub(crate) fn waited(&self) -> Option<Duration> {
        self.channel().queue.waited(self.place()?)
    }

    /// Ends the delivery.
    #[inline]
    pub(crate) fn end(self, failure: Option<Failure>) {
        let delivery = ManuallyDrop::new(self);
        delivery.leave_hand();
        // SAFETY: the delivery is the caller's, and is given up here.
        unsafe { end(delivery.channel, failure) };
    }

    /// Records that the task is no longer in hand, right before the delivery is resolved.
    #[inline]
    fn leave_hand(&self) {
        if let Some(place) = self.place() {
            self.channel().queue.leave_hand(place);
        }
    }

    /// Tries once to end the delivery as done, without notifying waiters and without freeing the
    /// channel. Returns whether that was possible.
    ///
    /// # Safety
    ///
    /// If this returns true, the delivery is neither used nor dropped after it.
    #[inline]
    pub(crate) unsafe fn try_end(&self) -> bool {
        let channel = self.channel;
        // SAFETY: S1, by the delivery. The reference is not used after the exchange, because the
        // channel may have been freed by then.
        let word = unsafe { channel.as_ref() }.ledger.word();
        let accepted = || {
            // SAFETY: S1, by the delivery, which is not given up before the exchange.
            unsafe { channel.as_ref() }.queue.accepted()
        };
        Ledger::try_resolve_once(word, accepted)
    }

    fn channel(&self) -> &Channel<T> {
        // SAFETY: S1, by this delivery.
        unsafe { self.channel.as_ref() }
    }

    /// Whether nothing can be queued any more (N3 of `lane`). If so, that remains so.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub(crate) fn refuses_all(&self) -> bool {
        self.channel().queue.lane_has_ended()
    }

    /// Whether a retry would be refused. If so, that remains so.
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub(crate) fn refuses_retry(&self) -> bool {
        !self.channel().policy.allows_another(self.attempt()) || self.refuses_all()
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
                    let handle = unsafe { Shared::upgrade(self.channel) };
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
        when: When,
        refused: impl FnOnce(RetryError<()>) -> Failure,
    ) -> Result<(), RetryError<()>> {
        // SAFETY: the caller's guarantee.
        let (delivery, reason) = match unsafe { self.requeue(item.as_ptr(), when) } {
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
    pub(crate) unsafe fn abandon(self, item: &mut MaybeUninit<T>) {
        let delivery = match self.channel().policy.on_abandon {
            Abandon::Count => self,
            // SAFETY: the caller's guarantee.
            Abandon::Requeue => match unsafe { self.requeue(item.as_ptr(), When::Now) } {
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
    unsafe fn requeue(self, item: *const T, when: When) -> Result<(), (Self, RetryError<()>)> {
        let attempt = self.attempt();
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
            delivery.leave_hand();
            // SAFETY: the delivery is the caller's, and is given up here, once.
            unsafe { end(delivery.channel, None) };
        });
        delivery.channel().notify(change);
        drop(end);
        Ok(())
    }

    /// The same delivery, with the type of the item erased.
    pub(crate) fn erase(self) -> ErasedDelivery {
        if self.place().is_some() {
            // Boxed, so that all other tickets stay small.
            return ErasedDelivery {
                data: NonNull::from(Box::leak(Box::new(self))).cast(),
                end: end_boxed::<T>,
            };
        }
        let delivery = ManuallyDrop::new(self);
        ErasedDelivery {
            data: delivery.channel.cast(),
            end: end_erased::<T>,
        }
    }
}

impl<T> Drop for Delivery<T> {
    fn drop(&mut self) {
        self.leave_hand();
        // SAFETY: the delivery is the caller's, and is given up here.
        unsafe { end(self.channel, Some(failure_of_dropping())) };
    }
}

/// A [`Delivery`] with the item type of its channel erased.
pub(crate) struct ErasedDelivery {
    /// The channel, or a delivery in a box.
    data: NonNull<()>,
    /// [`end_erased`] or [`end_boxed`], for the channel's type of item.
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
        unsafe { (delivery.end)(delivery.data, failure) };
    }
}

impl Drop for ErasedDelivery {
    fn drop(&mut self) {
        // SAFETY: the delivery is the caller's, and is given up here; `erase` paired the two.
        unsafe { (self.end)(self.data, Some(failure_of_dropping())) };
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

/// Ends a delivery that is in a box.
///
/// # Safety
///
/// The caller gives up `delivery`, which is a `Delivery<T>` in a box.
unsafe fn end_boxed<T>(delivery: NonNull<()>, failure: Option<Failure>) {
    // SAFETY: the caller's guarantee.
    let delivery = unsafe { Box::from_raw(delivery.cast::<Delivery<T>>().as_ptr()) };
    // Moved out first, so that the box is freed even if a waker panics.
    let delivery = *delivery;
    delivery.end(failure);
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

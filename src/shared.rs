//! What keeps a channel's memory alive: handles, and the tasks in hand.
//!
//! A [`Shared`] is a counted pointer, like an `Arc`. A delivery has a pointer too, which is not
//! counted by itself: the ledger counts deliveries already, so a task costs one exchange in all.
//!
//! # Invariants
//!
//! * **S1** The channel is alive while a handle exists, and while a delivery is unresolved.
//! * **S2** The count of handles never rises from zero. The caller that lowers it to zero sets the
//!   ledger's NO_HANDLES, once.
//! * **S3** Setting NO_HANDLES and resolving the last item are exchanges of one word, so exactly one
//!   of them comes second. Its caller frees the channel (L4 of `accounting`).
//! * **S4** When the last receiver is dropped, the queue is emptied for good: the storage is closed,
//!   the lane ended. So a channel holds no item when it is freed, or when only an
//!   [`ErasedDelivery`](crate::delivery::ErasedDelivery) keeps it alive, and any thread may free it.

use alloc::boxed::Box;
use core::borrow::Borrow;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::panic::RefUnwindSafe;
use core::panic::UnwindSafe;
use core::ptr;
use core::ptr::NonNull;

use crate::accounting::Ledger;
use crate::channel::Channel;
use crate::report::Failure;
use crate::unwind::OnDrop;
use crate::unwind::is_unwinding;

// handles of the timer
#[cfg(all(feature = "std", not(target_family = "wasm")))]
mod alarm;

/// A handle's pointer to its channel.
pub(crate) struct Shared<T>(NonNull<Channel<T>>);

// SAFETY: sharing a channel moves items from thread to thread, and everything else in it is made
// for that.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above; a channel never gives out a `&T`.
unsafe impl<T: Send> Sync for Shared<T> {}

// A channel stays consistent if user code panics: see `unwind`.
impl<T> UnwindSafe for Shared<T> {}
impl<T> RefUnwindSafe for Shared<T> {}

impl<T> Deref for Shared<T> {
    type Target = Channel<T>;

    #[inline]
    fn deref(&self) -> &Channel<T> {
        // SAFETY: S1, by this handle.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        self.handles.up();
        Self(self.0)
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        if !self.handles.last_down() {
            return;
        }
        // A plain channel has no deliveries.
        let is_free = !self.queue.has_lane() || {
            // Read first, because afterwards the channel may be freed. The value is final (S4).
            let accepted = self.queue.accepted();
            Ledger::set_no_handles(self.ledger.word()) == accepted
        };
        if is_free {
            // SAFETY: S3: all items are resolved, and no handle is left.
            unsafe { free_channel(self.0) };
        }
    }
}

impl<T> Shared<T> {
    /// Both ends of a new channel.
    pub(crate) fn both_ends_of(channel: Channel<T>) -> (SenderSide<T>, ReceiverSide<T>) {
        let channel = NonNull::from(Box::leak(Box::new(channel)));
        // A new channel counts one sender, one receiver, and a handle for each.
        (SenderSide(Self(channel)), ReceiverSide(Self(channel)))
    }

    /// Creates another handle, unless none is left (S2).
    ///
    /// # Safety
    ///
    /// The channel is alive.
    pub(crate) unsafe fn upgrade(channel: NonNull<Channel<T>>) -> Option<Self> {
        // SAFETY: the caller's guarantee.
        let handles = unsafe { &channel.as_ref().handles };
        handles.up_unless_zero().then(|| Self(channel))
    }

    pub(crate) fn as_ptr(&self) -> NonNull<Channel<T>> {
        self.0
    }

    pub(crate) fn same_channel(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// # Safety
///
/// No handle is left, all items are resolved, and no other caller frees the channel (S3).
pub(crate) unsafe fn free_channel<T>(channel: NonNull<Channel<T>>) {
    // SAFETY: it was made by `Box::new` in `Shared::both_ends_of`, and only the caller has it.
    drop(unsafe { Box::from_raw(channel.as_ptr()) });
}

/// A [`Shared`] that counts as a sender. The last to be dropped closes the channel. One that is dropped
/// while the thread unwinds has failed: its owner may not have sent everything.
pub(crate) struct SenderSide<T>(Shared<T>);

impl<T> Deref for SenderSide<T> {
    type Target = Shared<T>;

    #[inline]
    fn deref(&self) -> &Shared<T> {
        &self.0
    }
}

impl<T> Borrow<Shared<T>> for SenderSide<T> {
    #[inline]
    fn borrow(&self) -> &Shared<T> {
        &self.0
    }
}

impl<T> SenderSide<T> {
    /// Counts one more handle of this side. Returns `None` if none is left, or if the channel is closed.
    /// The count never rises from zero, so the last handle closes once.
    pub(crate) fn upgrade(channel: &Shared<T>) -> Option<Self> {
        let is_counted = !channel.queue.is_closed() && channel.senders.up_unless_zero();
        is_counted.then(|| Self(channel.clone()))
    }
}

impl<T> Clone for SenderSide<T> {
    fn clone(&self) -> Self {
        self.senders.up();
        Self(self.0.clone())
    }
}

impl<T> SenderSide<T> {
    /// Gives up this sender, which has failed.
    pub(crate) fn fail(self, failure: Failure) {
        let side = ManuallyDrop::new(self);
        // SAFETY: `side` is neither used nor dropped after this.
        let channel = unsafe { ptr::read(&raw const side.0) };
        Self::leave_failed(&channel, failure);
    }

    /// Counts one sender less. The last closes the channel.
    fn leave(channel: &Shared<T>) {
        if channel.senders.last_down() {
            channel.close();
        }
    }

    #[cold]
    fn leave_failed(channel: &Shared<T>, failure: Failure) {
        // In this order: L8 of `accounting`. On drop, because a waker may panic, and so may the destructor
        // of a failure that is not kept.
        let leave = OnDrop(|| Self::leave(channel));
        channel.fail_sender(failure);
        drop(leave);
    }
}

impl<T> Drop for SenderSide<T> {
    fn drop(&mut self) {
        if is_unwinding() {
            Self::leave_failed(&self.0, Failure::SenderPanicked);
        } else {
            Self::leave(&self.0);
        }
    }
}

/// A [`Shared`] that counts as a receiver. The last to be dropped closes the channel and drops what
/// is queued.
pub(crate) struct ReceiverSide<T>(Shared<T>);

impl<T> Deref for ReceiverSide<T> {
    type Target = Shared<T>;

    #[inline]
    fn deref(&self) -> &Shared<T> {
        &self.0
    }
}

impl<T> Borrow<Shared<T>> for ReceiverSide<T> {
    #[inline]
    fn borrow(&self) -> &Shared<T> {
        &self.0
    }
}

impl<T> ReceiverSide<T> {
    /// Counts one more handle of this side. Returns `None` if none is left, or if the channel is closed.
    /// The count never rises from zero, so the last handle closes once.
    pub(crate) fn upgrade(channel: &Shared<T>) -> Option<Self> {
        let is_counted = !channel.queue.is_closed() && channel.receivers.up_unless_zero();
        is_counted.then(|| Self(channel.clone()))
    }
}

impl<T> Clone for ReceiverSide<T> {
    fn clone(&self) -> Self {
        self.receivers.up();
        Self(self.0.clone())
    }
}

impl<T> Drop for ReceiverSide<T> {
    fn drop(&mut self) {
        if self.receivers.last_down() {
            // On drop, because `close` calls wakers, which may panic.
            let discard = OnDrop(|| self.discard());
            self.close();
            drop(discard);
        }
    }
}

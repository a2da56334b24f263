//! The pointers that keep a channel alive: handles, and the tasks in hand.
//!
//! A [`Shared`] is a counted handle, as an `Arc`. A [`Claim`] is a delivery's: it is not counted by
//! itself, for the ledger counts deliveries already, so that a task costs one exchange in all.
//!
//! # Invariants
//!
//! * **S1** The channel is alive while a handle is, and while a delivery is unresolved.
//! * **S2** The count of handles never rises from zero. Whoever takes it there sets the ledger's
//!   ORPHANED, once.
//! * **S3** The channel is freed by whoever comes second of: setting ORPHANED, and resolving the
//!   last item (L4). These are exchanges of one word, so there is exactly one.
//! * **S4** When the last receiver goes, the queue is emptied for good: the ring is closed, the
//!   lane ended. So a channel that is freed, or reached through an [`ErasedClaim`], holds no item
//!   then, and may be on any thread.

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::process::abort;
use std::ptr::NonNull;
use std::thread;

use crate::channel::Channel;
use crate::channel::Kind;
use crate::channel::Origin;
use crate::channel::Over;
use crate::error::RetryError;
use crate::ledger::Ledger;
use crate::ledger::Resolution;
use crate::policy::Abandon;
use crate::report::Failure;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering;
use crate::unwind::Guarded;
use crate::wait::Attempt;

/// Past this, a count of handles is held to be running over: they have been forgotten in a loop.
const MOST_HANDLES: usize = isize::MAX as usize;

/// Counts one more. Aborts before the count runs over, as `Arc` does.
fn count_up(count: &AtomicUsize) {
    // Relaxed: as `Arc`; a new reference is made from an existing one.
    if count.fetch_add(1, Ordering::Relaxed) > MOST_HANDLES {
        abort();
    }
}

/// A handle's pointer to its channel.
pub(crate) struct Shared<T>(NonNull<Channel<T>>);

// SAFETY: sharing a channel moves items from thread to thread, and everything else in it is made
// for that.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above; a channel never gives out a `&T`.
unsafe impl<T: Send> Sync for Shared<T> {}

// Whatever panics, a channel is left whole: see `unwind`.
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
        count_up(&self.handles);
        Self(self.0)
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // Release: pairs with the load below; what was done by this handle happens before the end.
        if self.handles.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        // Acquire: pairs with the Release above, in all others. A load rather than a fence, as
        // ThreadSanitizer does not understand fences.
        self.handles.load(Ordering::Acquire);
        let free = match self.kind {
            Kind::Plain => true,
            Kind::Tasks(_) => {
                // Read first: afterwards the channel may be gone. It is final (S4).
                let accepted = self.accepted();
                Ledger::orphan(self.ledger.word()) == accepted
            }
        };
        if free {
            // SAFETY: S3: all items are resolved, and no handle is left.
            unsafe { free_channel(self.0) };
        }
    }
}

impl<T> Shared<T> {
    /// Both ends of a new channel.
    pub(crate) fn both_ends_of(channel: Channel<T>) -> (SenderSide<T>, ReceiverSide<T>) {
        let channel = NonNull::from(Box::leak(Box::new(channel)));
        // The channel begins with a sender, a receiver and a handle for each.
        (SenderSide(Self(channel)), ReceiverSide(Self(channel)))
    }

    /// One handle more, unless none is left (S2).
    ///
    /// # Safety
    ///
    /// The channel is alive.
    unsafe fn upgrade(channel: NonNull<Channel<T>>) -> Option<Self> {
        // SAFETY: the caller's word.
        let handles = unsafe { &channel.as_ref().handles };
        // Relaxed: as in `Arc::upgrade` of an object known to be alive.
        let mut count = handles.load(Ordering::Relaxed);
        while count != 0 {
            match handles.compare_exchange_weak(
                count,
                count + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(Self(channel)),
                Err(now) => count = now,
            }
        }
        None
    }

    pub(crate) fn same_channel(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// Takes an item of a task channel, and the claim that comes with it. See
    /// [`Channel::take_task`].
    #[inline]
    pub(crate) fn take_task(&self, origin: &mut Origin) -> Attempt<Result<(T, Claim<T>), Over>> {
        let Kind::Tasks(lane) = &self.kind else {
            unreachable!("only task channels have task receivers");
        };
        Channel::take_task(self, lane, origin).map(|taken| taken.map(|item| (item, Claim(self.0))))
    }

    /// Takes a task if the lane is empty and nothing stands in the way. `None` does not mean that
    /// there is none.
    #[inline]
    pub(crate) fn take_task_at_once(&self) -> Option<(T, Claim<T>)> {
        match &self.kind {
            Kind::Plain => None,
            Kind::Tasks(lane) => {
                let item = Channel::take_task_at_once(self, lane)?;
                Some((item, Claim(self.0)))
            }
        }
    }
}

/// # Safety
///
/// No handle is left, all items are resolved, and nobody else frees (S3).
unsafe fn free_channel<T>(channel: NonNull<Channel<T>>) {
    // SAFETY: it was made by `Box::new` in `Shared::both_ends_of`, and is the caller's alone.
    drop(unsafe { Box::from_raw(channel.as_ptr()) });
}

/// A [`Shared`] that counts as a sender. When the last goes, the channel is closed.
pub(crate) struct SenderSide<T>(Shared<T>);

impl<T> Deref for SenderSide<T> {
    type Target = Shared<T>;

    #[inline]
    fn deref(&self) -> &Shared<T> {
        &self.0
    }
}

impl<T> Clone for SenderSide<T> {
    fn clone(&self) -> Self {
        count_up(&self.senders);
        Self(self.0.clone())
    }
}

impl<T> Drop for SenderSide<T> {
    fn drop(&mut self) {
        // AcqRel: the last one closes after all others have sent.
        if self.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.close();
        }
    }
}

/// A [`Shared`] that counts as a receiver. When the last goes, the channel is closed and what is
/// queued is dropped.
pub(crate) struct ReceiverSide<T>(Shared<T>);

impl<T> Deref for ReceiverSide<T> {
    type Target = Shared<T>;

    #[inline]
    fn deref(&self) -> &Shared<T> {
        &self.0
    }
}

impl<T> Clone for ReceiverSide<T> {
    fn clone(&self) -> Self {
        count_up(&self.receivers);
        Self(self.0.clone())
    }
}

impl<T> Drop for ReceiverSide<T> {
    fn drop(&mut self) {
        /// Discards, also if a waker panics while the channel is closed.
        struct Discard<'a, T>(&'a Channel<T>);

        impl<T> Drop for Discard<'_, T> {
            fn drop(&mut self) {
                self.0.discard();
            }
        }

        // AcqRel: the last one discards after all others have received.
        if self.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            let _discard = Discard(&self.0);
            self.close();
        }
    }
}

/// A delivery's pointer to its channel, and its duty: it is resolved once, however it ends.
pub(crate) struct Claim<T>(NonNull<Channel<T>>);

// SAFETY: items are put into the lane through a claim, and received elsewhere; everything else is
// made for sharing.
unsafe impl<T: Send> Send for Claim<T> {}
// SAFETY: as above; through a shared claim too.
unsafe impl<T: Send> Sync for Claim<T> {}

impl<T> UnwindSafe for Claim<T> {}
impl<T> RefUnwindSafe for Claim<T> {}

impl<T> Claim<T> {
    /// Ends the delivery.
    #[inline]
    pub(crate) fn settle(self, failure: Option<Failure>) {
        let claim = ManuallyDrop::new(self);
        // SAFETY: the claim is ours, and is given up with this.
        unsafe { settle(claim.0, failure) };
    }

    /// Ends the delivery as done, if no other code has to run for that; otherwise gives the claim
    /// back.
    #[inline]
    pub(crate) fn settle_at_once(self) -> Result<(), Self> {
        let claim = ManuallyDrop::new(self);
        let channel = claim.0;
        // SAFETY: S1, by the delivery. The reference is not used after the exchange, for the channel
        // may have been freed by then.
        let word = unsafe { channel.as_ref() }.ledger.word();
        let accepted = || {
            // SAFETY: S1, by the delivery, which is not given up before the exchange.
            unsafe { channel.as_ref() }.accepted()
        };
        match Ledger::try_resolve_at_once(word, accepted) {
            true => Ok(()),
            false => Err(ManuallyDrop::into_inner(claim)),
        }
    }

    fn channel(&self) -> &Channel<T> {
        // SAFETY: S1, by this claim.
        unsafe { self.0.as_ref() }
    }

    /// Queues new work. Gives it back if no receiver is left.
    pub(crate) fn follow_up(&self, item: T) -> Result<(), T> {
        self.channel().put_in_lane(item, 1)?;
        self.channel().not_empty.notify_one();
        Ok(())
    }

    /// Ends the delivery by queueing its item for another; if that is not to be, with the failure
    /// that `refused` makes of the reason.
    pub(crate) fn retry(
        self,
        item: T,
        attempt: u32,
        refused: impl FnOnce(RetryError<()>) -> Failure,
    ) -> Result<(), RetryError<T>> {
        let (claim, error) = match self.put_back(item, attempt) {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        let reason = match error {
            RetryError::Exhausted(_) => RetryError::Exhausted(()),
            RetryError::Terminated(_) => RetryError::Terminated(()),
        };
        // Should the conversion panic, the item is dropped first, as in `abandon`.
        let error = Guarded::new(error);
        let failure = refused(reason);
        claim.settle(Some(failure));
        Err(error.into_inner())
    }

    /// Ends the delivery, which its worker has dropped.
    #[cold]
    pub(crate) fn abandon(self, item: T, attempt: u32) {
        let lane = self.channel().lane();
        let requeues = lane.is_some_and(|lane| lane.policy.on_abandon == Abandon::Requeue);
        let (claim, item) = match requeues {
            true => match self.put_back(item, attempt) {
                Ok(()) => return,
                Err((claim, error)) => (claim, error.into_inner()),
            },
            false => (self, item),
        };
        // In this order, so that the item is gone when its end is told; both, though the first may
        // panic.
        drop(Guarded::new(item));
        drop(claim);
    }

    /// Queues the item for another delivery and ends this one; gives both back if that is not to
    /// be.
    fn put_back(self, item: T, attempt: u32) -> Result<(), (Self, RetryError<T>)> {
        /// Ends the delivery when dropped, so also when a waker panics.
        struct Leaving<T>(Option<Claim<T>>);

        impl<T> Drop for Leaving<T> {
            fn drop(&mut self) {
                if let Some(claim) = self.0.take() {
                    claim.settle(None);
                }
            }
        }

        let allowed = self
            .channel()
            .lane()
            .is_some_and(|lane| lane.policy.allows_another(attempt));
        if !allowed {
            return Err((self, RetryError::Exhausted(item)));
        }
        // The item is accepted anew before this delivery is resolved, and the wake too comes
        // before: afterwards the channel may be gone.
        if let Err(item) = self.channel().put_in_lane(item, attempt.saturating_add(1)) {
            return Err((self, RetryError::Terminated(item)));
        }
        let leaving = Leaving(Some(self));
        if let Some(claim) = &leaving.0 {
            claim.channel().not_empty.notify_one();
        }
        Ok(())
    }

    /// The same claim, with the type of the item forgotten.
    pub(crate) fn erase(self) -> ErasedClaim {
        let claim = ManuallyDrop::new(self);
        ErasedClaim {
            channel: claim.0.cast(),
            settle: settle_erased::<T>,
        }
    }
}

impl<T> Drop for Claim<T> {
    fn drop(&mut self) {
        // SAFETY: the claim is ours, and is given up with this.
        unsafe { settle(self.0, Some(failure_of_dropping())) };
    }
}

/// A [`Claim`] on a channel of some type of item.
pub(crate) struct ErasedClaim {
    channel: NonNull<()>,
    /// [`settle_erased`], for the channel's type of item.
    settle: unsafe fn(NonNull<()>, Option<Failure>),
}

// SAFETY: S4: nothing is put into the lane through an erased claim, and no `T` is reached.
unsafe impl Send for ErasedClaim {}
// SAFETY: as above; a shared one does nothing.
unsafe impl Sync for ErasedClaim {}

impl UnwindSafe for ErasedClaim {}
impl RefUnwindSafe for ErasedClaim {}

impl ErasedClaim {
    pub(crate) fn settle(self, failure: Option<Failure>) {
        let claim = ManuallyDrop::new(self);
        // SAFETY: the claim is ours, and is given up with this; `erase` paired the two.
        unsafe { (claim.settle)(claim.channel, failure) };
    }
}

impl Drop for ErasedClaim {
    fn drop(&mut self) {
        // SAFETY: the claim is ours, and is given up with this; `erase` paired the two.
        unsafe { (self.settle)(self.channel, Some(failure_of_dropping())) };
    }
}

fn failure_of_dropping() -> Failure {
    if thread::panicking() {
        Failure::Panicked
    } else {
        Failure::Abandoned
    }
}

/// # Safety
///
/// As [`settle`], and `channel` is a `Channel<T>`.
unsafe fn settle_erased<T>(channel: NonNull<()>, failure: Option<Failure>) {
    // SAFETY: the caller's word.
    unsafe { settle(channel.cast::<Channel<T>>(), failure) };
}

/// Ends a delivery.
///
/// # Safety
///
/// The caller owns a delivery of `channel` that is not resolved, and gives it up.
#[inline]
unsafe fn settle<T>(channel: NonNull<Channel<T>>, failure: Option<Failure>) {
    if failure.is_none() {
        // SAFETY: the caller's word.
        match unsafe { try_resolve(channel, false) } {
            Resolution::NeedsHandle => {}
            _ => return,
        }
    }
    // SAFETY: the caller's word.
    unsafe { settle_aloud(channel, failure) };
}

/// [`settle`], where somebody may have to be told: a handle keeps the channel alive meanwhile.
///
/// # Safety
///
/// As [`settle`].
#[cold]
unsafe fn settle_aloud<T>(channel: NonNull<Channel<T>>, failure: Option<Failure>) {
    // SAFETY: S1, by the delivery.
    if let Some(shared) = unsafe { Shared::upgrade(channel) } {
        shared.settle(failure);
        return;
    }
    // Nobody is left to be told, nor to ask.
    let failure = Guarded::new(failure);
    // SAFETY: the caller's word.
    unsafe { try_resolve(channel, true) };
    drop(failure);
}

/// [`Ledger::try_resolve`], and what follows if it was the last.
///
/// # Safety
///
/// As [`settle`]; the delivery is given up unless a handle is needed.
#[inline]
unsafe fn try_resolve<T>(channel: NonNull<Channel<T>>, no_handles: bool) -> Resolution {
    // SAFETY: S1, by the delivery. The reference is not used after the exchange, for the channel may
    // have been freed by then.
    let word = unsafe { channel.as_ref() }.ledger.word();
    let accepted = || {
        // SAFETY: S1, by the delivery, which is not given up before the exchange.
        unsafe { channel.as_ref() }.accepted()
    };
    let resolution = Ledger::try_resolve(word, accepted, no_handles);
    if resolution == Resolution::Last {
        // SAFETY: S3, by the answer.
        unsafe { free_channel(channel) };
    }
    resolution
}

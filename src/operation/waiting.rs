//! An operation that waits, as a future.

use core::borrow::Borrow;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::mem::MaybeUninit;
use core::ops::Deref;
use core::task::Context;
use core::task::Poll;
use core::task::ready;

use super::Operation;
use super::complete;
use super::leave;
use super::notify;
use super::poll_first;
use super::poll_in_loop;
use super::polled_after_completion;
use crate::channel::Change;
use crate::channel::Channel;
use crate::shared::Shared;
use crate::unwind::Guarded;
use crate::unwind::OnDrop;
use crate::unwind::protect_in_place;
use crate::unwind::run_one;
use crate::wait::Wait;

/// An operation on a channel, as a future: `C` is a handle, or a reference to one.
pub(crate) struct Waiting<C: Borrow<Shared<T>>, T, O: Operation<T>> {
    /// `None` once completed.
    pub(super) channel: Option<C>,
    /// Idle once it has left the list, so there is nothing to drop then.
    wait: ManuallyDrop<Wait>,
    /// Initialised while `channel` is `Some` (O1). Not a `ManuallyDrop`: what has moved out of it may be a
    /// `Box`, and moving the future would assert that the box still owns its memory.
    operation: MaybeUninit<O>,
    item: PhantomData<fn() -> T>,
}

// Items are never pinned.
impl<C: Borrow<Shared<T>>, T, O: Operation<T>> Unpin for Waiting<C, T, O> {}

impl<C: Borrow<Shared<T>>, T, O: Operation<T>> Waiting<C, T, O> {
    #[inline]
    pub(crate) fn new(channel: C, operation: O) -> Self {
        let operation = ManuallyDrop::new(operation);
        // SAFETY: it is not used after this.
        unsafe { Self::taking(channel, &raw const *operation) }
    }

    /// Moves the operation from where it is to the future. A large one is copied once.
    ///
    /// # Safety
    ///
    /// `operation` points to an operation, which moves out of there.
    #[inline]
    pub(crate) unsafe fn taking(channel: C, operation: *const O) -> Self {
        Self {
            channel: Some(channel),
            wait: ManuallyDrop::default(),
            // SAFETY: the caller's guarantee.
            operation: unsafe { operation.cast::<MaybeUninit<O>>().read() },
            item: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn has_completed(&self) -> bool {
        self.channel.is_none()
    }

    /// The channel, unless the future has completed.
    pub(crate) fn channel(&self) -> Option<&Channel<T>> {
        self.channel.as_ref().map(|channel| &**channel.borrow())
    }

    /// The parts of a future that has not completed.
    #[inline]
    pub(super) fn pending(&mut self) -> Option<(&C, &mut Wait, &mut O)> {
        let channel = self.channel.as_ref()?;
        // SAFETY: O1: `channel` is `Some`, so the operation is initialised.
        let operation = unsafe { self.operation.assume_init_mut() };
        Some((channel, &mut self.wait, operation))
    }

    /// Polls the future called `name`.
    #[inline(always)]
    pub(crate) fn poll(
        &mut self,
        name: &str,
        cx: &mut Context<'_>,
    ) -> Poll<Result<O::Output, O::Error>> {
        let done = |output| Poll::Ready(Ok(output));
        self.poll_or(name, done, |this| this.poll_slow(cx))
    }

    /// Makes the first try of a poll. Returns what `done` makes of the output. If the future may have to
    /// wait, returns what `slow` returns.
    #[inline(always)]
    pub(super) fn poll_or<R>(
        &mut self,
        name: &str,
        done: impl FnOnce(O::Output) -> R,
        slow: impl FnOnce(&mut Self) -> R,
    ) -> R {
        let Some((channel, wait, operation)) = self.pending() else {
            polled_after_completion(name);
        };
        let shared = channel.borrow();
        // Read once: after an exchange, the compiler would read it through `shared` again.
        let channel: &Channel<T> = shared;
        let mut out = MaybeUninit::uninit();
        // SAFETY: O1: the future is marked as completed before anything else can use the operation.
        let first = unsafe { poll_first(operation, shared, wait, &mut out) };
        let Some(change) = first else {
            return slow(self);
        };
        if channel.must_notify(change) {
            let channel = Guarded::new(self.take_channel());
            let run = || notify(channel.deref().borrow(), change);
            // SAFETY: O3.
            unsafe { protect_in_place(&mut out, run) };
            // SAFETY: as above.
            unsafe { protect_in_place(&mut out, || drop(channel)) };
        } else {
            // A handle may be the last of its side, whose destructor runs user code.
            // SAFETY: O3.
            unsafe { protect_in_place(&mut out, || self.channel = None) };
        }
        // SAFETY: as above; it is taken once.
        done(unsafe { out.assume_init_read() })
    }

    #[inline(never)]
    fn poll_slow(&mut self, cx: &mut Context<'_>) -> Poll<Result<O::Output, O::Error>> {
        let mut out = MaybeUninit::uninit();
        match ready!(self.poll_slow_in_place(cx, &mut out)) {
            // SAFETY: this says that there is an output. It is taken once.
            Ok(()) => Poll::Ready(Ok(unsafe { out.assume_init_read() })),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Polls the future called `name`. If it is ready without an error, its output is in `out`.
    pub(super) fn poll_in_place(
        &mut self,
        name: &str,
        cx: &mut Context<'_>,
        out: &mut MaybeUninit<O::Output>,
    ) -> Poll<Result<(), O::Error>> {
        let Some((channel, wait, operation)) = self.pending() else {
            polled_after_completion(name);
        };
        // SAFETY: O1: as in `poll_or`.
        let first = unsafe { poll_first(operation, channel.borrow(), wait, out) };
        let Some(change) = first else {
            return self.poll_slow_in_place(cx, out);
        };
        // SAFETY: O3.
        unsafe { self.complete_in_place(change, out) };
        Poll::Ready(Ok(()))
    }

    /// The same, after the first try.
    pub(super) fn poll_slow_in_place(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut MaybeUninit<O::Output>,
    ) -> Poll<Result<(), O::Error>> {
        let Some((channel, wait, operation)) = self.pending() else {
            unreachable!("the future has not completed");
        };
        // SAFETY: O1: as in `poll_or`.
        let done = unsafe { poll_in_loop(operation, channel.borrow(), wait, cx, out) };
        let Some(change) = ready!(done) else {
            return Poll::Ready(Err(self.complete_closed()));
        };
        // SAFETY: O3.
        unsafe { self.complete_in_place(change, out) };
        Poll::Ready(Ok(()))
    }

    /// Completes the operation after an attempt that was done. Its output stays in `out`, and is dropped
    /// if this panics.
    ///
    /// # Safety
    ///
    /// O3: the attempt was done, and `out` is its output.
    #[inline]
    pub(super) unsafe fn complete_in_place(
        &mut self,
        change: Change,
        out: &mut MaybeUninit<O::Output>,
    ) {
        let channel = Guarded::new(self.take_channel());
        let wait = &mut self.wait;
        // SAFETY: the caller's guarantee.
        unsafe { complete::<T, O>(channel.deref().borrow(), wait, out, change) };
        // SAFETY: as above.
        unsafe { protect_in_place(out, || drop(channel)) };
    }

    /// Completes the operation after its last attempt was closed.
    #[cold]
    #[inline(never)]
    pub(super) fn complete_closed(&mut self) -> O::Error {
        match self.cancel() {
            Some(operation) => operation.closed(),
            None => unreachable!("the future has not completed"),
        }
    }

    /// Cancels the operation and returns it. Returns `None` if the future has completed, as it then has.
    pub(crate) fn cancel(&mut self) -> Option<O> {
        let channel = Guarded::new(self.channel.take()?);
        let operation = &mut self.operation;
        let wait = &mut self.wait;
        let run = || {
            leave::<T, O>(channel.deref().borrow(), wait);
            // Here, because both this and the above run user code. If it panicked while this function
            // returned, the compiler would leak the operation (rust-lang/rust#47949).
            drop(channel);
        };
        // SAFETY: O1: `channel` was `Some`, so the operation is initialised. Now it is `None`.
        unsafe { protect_in_place(operation, run) };
        // SAFETY: as above; it is taken once.
        Some(unsafe { operation.assume_init_read() })
    }

    /// Cancels the operation and drops it. The future has not completed.
    #[inline(never)]
    fn drop_pending(&mut self) {
        let Some(channel) = &self.channel else {
            return;
        };
        let operation = &mut self.operation;
        let drop_operation = OnDrop(|| {
            // SAFETY: O1: `channel` is `Some`, so the operation is initialised. It is dropped once.
            run_one(|| unsafe { operation.assume_init_drop() });
        });
        leave::<T, O>(channel.borrow(), &mut self.wait);
        drop(drop_operation);
    }

    /// Marks the future as completed. After a ready attempt this comes first, so that the operation is
    /// not used again if a waker panics.
    #[inline]
    fn take_channel(&mut self) -> C {
        match self.channel.take() {
            Some(channel) => channel,
            None => unreachable!("the future has not completed"),
        }
    }
}

impl<C: Borrow<Shared<T>>, T, O: Operation<T>> Drop for Waiting<C, T, O> {
    /// Cancels the operation, unless the future has completed.
    #[inline]
    fn drop(&mut self) {
        if self.channel.is_some() {
            self.drop_pending();
        }
    }
}

//! Receivers as streams: the receiver itself, a stream that borrows it, and one that owns it.

use core::fmt;
use core::num::NonZeroU32;
use core::pin::Pin;
use core::task::Context;
use core::task::Poll;
use core::task::ready;

use futures_core::FusedStream;
use futures_core::Stream;

use super::Receiver;
use crate::error::RecvError;
use crate::future::RecvItem;
use crate::kind::Kind;
use crate::kind::Plain;
use crate::operation::leave;
use crate::operation::poll_or;
use crate::operation::poll_slow;
use crate::shared::Shared;
use crate::wait::Wait;

/// What a stream keeps between two polls.
#[derive(Default)]
pub(super) struct Streaming {
    wait: Wait,
    /// Whether the stream has returned `None`. It then returns nothing else.
    has_ended: bool,
}

impl Streaming {
    #[inline]
    fn poll<T, K: Kind>(
        &mut self,
        operation: RecvItem<K>,
        channel: &Shared<T>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<K::Received<T>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let Self { wait, has_ended } = self;
        let received = |received| Poll::Ready(Some(received));
        poll_or(operation, channel, wait, received, |operation, wait| {
            Self::poll_slow(operation, channel, wait, has_ended, cx)
        })
    }

    #[inline(never)]
    fn poll_slow<T, K: Kind>(
        operation: RecvItem<K>,
        channel: &Shared<T>,
        wait: &mut Wait,
        has_ended: &mut bool,
        cx: &mut Context<'_>,
    ) -> Poll<Option<K::Received<T>>> {
        match ready!(poll_slow(operation, channel, wait, cx)) {
            Ok(received) => Poll::Ready(Some(received)),
            Err(RecvError) => {
                *has_ended = true;
                Poll::Ready(None)
            }
        }
    }

    /// Leaves the list, and passes the notification on.
    pub(super) fn leave<T, K: Kind>(&mut self, channel: &Shared<T>) {
        leave::<T, RecvItem<K>>(channel, &mut self.wait);
    }
}

/// Receiving as a stream.
impl<T, K: Kind> Receiver<T, K> {
    /// Polls for the next item. This is what the [`Stream`] of the receiver does, for code that
    /// implements `poll` functions of its own.
    ///
    /// It returns `Ready(None)` once the channel is finished, as [`recv`](Self::recv) returns an error
    /// then, and from then on.
    ///
    /// If it returns `Pending`, the receiver has become a waiter, and the task is woken when an item
    /// comes or the channel is finished. A receiver is one such waiter, whether it is polled by this
    /// method or as a stream: only the task of the latest poll is woken, and a receiver that is then
    /// neither polled again nor dropped can keep the wakeup for one item to itself. So let only one
    /// task poll each receiver, and clone it for others.
    ///
    /// # Cancel safety
    ///
    /// A poll that returns `Pending` has taken nothing out of the channel. A receiver that is dropped
    /// passes its wakeup on.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::poll_fn;
    ///
    /// # futures_lite::future::block_on(async {
    /// let (sender, mut receiver) = tollgate::bounded(1);
    /// sender.send(1).await?;
    /// assert_eq!(poll_fn(|cx| receiver.poll_recv(cx)).await, Some(1));
    /// drop(sender);
    /// assert_eq!(poll_fn(|cx| receiver.poll_recv(cx)).await, None);
    /// # Ok::<(), tollgate::SendError<i32>>(())
    /// # }).unwrap();
    /// ```
    #[inline]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<K::Received<T>>> {
        let stream = self.stream.get_or_insert_default();
        stream.poll(Self::operation(), &self.side, cx)
    }

    /// Returns a stream of the items that borrows this receiver.
    ///
    /// A receiver can have several such streams at once, each of which is a waiter of its own. They
    /// share the items: each item is yielded by one of them. Unlike the receiver itself, the stream
    /// needs no exclusive access to the receiver, and allocates nothing.
    ///
    /// # Cancel safety
    ///
    /// A stream that is dropped has lost no item, and passes its wakeup on.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::StreamExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::bounded(3);
    /// for number in 1..=3 {
    ///     sender.send(number).await?;
    /// }
    /// drop(sender);
    ///
    /// assert_eq!(receiver.stream().next().await, Some(1));
    /// let rest: Vec<i32> = receiver.stream().collect().await;
    /// assert_eq!(rest, [2, 3]);
    /// # Ok::<(), tollgate::SendError<i32>>(())
    /// # }).unwrap();
    /// ```
    pub fn stream(&self) -> RecvStream<'_, T, K> {
        RecvStream {
            receiver: self,
            streaming: Streaming::default(),
            budget: None,
        }
    }

    /// Turns this receiver into a stream of the items.
    ///
    /// A receiver is a stream already. It allocates when it is first polled as one, but the stream that
    /// this method returns does not. If this receiver waits as a stream, the new stream keeps its place
    /// among the waiters.
    ///
    /// # Cancel safety
    ///
    /// A stream that is dropped passes its wakeup on. It drops its receiver: if that is the last, the
    /// channel is closed and all queued items are dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::StreamExt;
    ///
    /// # futures_lite::future::block_on(async {
    /// let (sender, receiver) = tollgate::tasks::<i32>(2);
    /// sender.send(1).await?;
    /// sender.send(2).await?;
    /// drop(sender);
    ///
    /// let numbers: Vec<i32> = receiver.into_stream().map(|task| task.done()).collect().await;
    /// assert_eq!(numbers, [1, 2]);
    /// # Ok::<(), tollgate::SendError<i32>>(())
    /// # }).unwrap();
    /// ```
    pub fn into_stream(mut self) -> IntoStream<T, K> {
        let streaming = self.stream.take().map(|it| *it).unwrap_or_default();
        IntoStream {
            receiver: self,
            streaming,
            budget: None,
        }
    }

    /// Leaves the list in which this receiver waits as a stream, and passes its notification on. Called
    /// before a function that consumes the receiver makes its result: if a waker panicked while the
    /// function returns, the compiler would leak the result (rust-lang/rust#47949).
    pub(crate) fn stop_streaming(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            stream.leave::<T, K>(&self.side);
        }
    }
}

impl<T, K: Kind> Stream for Receiver<T, K> {
    type Item = K::Received<T>;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<K::Received<T>>> {
        self.poll_recv(cx)
    }
}

impl<T, K: Kind> FusedStream for Receiver<T, K> {
    /// Returns `true` if this handle has returned `None` as a stream. (In async-channel, this
    /// method returns whether the channel is closed and empty.)
    fn is_terminated(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.has_ended)
    }
}

/// A stream of the items of a channel that borrows its receiver. Returned by [`Receiver::stream`].
///
/// It ends when the channel is finished. As with a receiver that is used as a stream, each item wakes
/// one waiter, and a stream that was polled and is then neither polled again nor dropped can keep this
/// wakeup to itself.
///
/// # Examples
///
/// ```
/// use futures_lite::StreamExt;
/// use futures_lite::future;
///
/// # future::block_on(async {
/// let (sender, receiver) = tollgate::bounded(2);
/// let add_up = || receiver.stream().fold(0, |sum, number: u64| sum + number);
/// let produce = async {
///     for number in 1..=100 {
///         sender.send(number).await.unwrap();
///     }
///     sender.close();
/// };
/// let (sums, ()) = future::zip(future::zip(add_up(), add_up()), produce).await;
/// assert_eq!(sums.0 + sums.1, 5050);
/// # });
/// ```
#[must_use = "streams do nothing unless you poll them"]
pub struct RecvStream<'a, T, K: Kind = Plain> {
    receiver: &'a Receiver<T, K>,
    streaming: Streaming,
    budget: Option<Budget>,
}

/// A stream of the items of a channel that owns its receiver. Returned by [`Receiver::into_stream`].
///
/// Otherwise it is like [`RecvStream`].
///
/// # Examples
///
/// ```
/// use futures_lite::StreamExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (sender, receiver) = tollgate::bounded(1);
/// let collected = tokio::spawn(receiver.into_stream().collect::<Vec<_>>());
/// sender.send("first").await.unwrap();
/// sender.send("second").await.unwrap();
/// drop(sender);
/// assert_eq!(collected.await.unwrap(), ["first", "second"]);
/// # }
/// ```
#[must_use = "streams do nothing unless you poll them"]
pub struct IntoStream<T, K: Kind = Plain> {
    receiver: Receiver<T, K>,
    streaming: Streaming,
    budget: Option<Budget>,
}

/// After how many items in a row a stream yields.
struct Budget {
    items: NonZeroU32,
    left: u32,
}

impl Budget {
    fn new(items: NonZeroU32) -> Self {
        Self {
            items,
            left: items.get(),
        }
    }

    /// Returns whether the stream now yields: it has returned as many items since it last returned
    /// `Pending`. So it is not registered as a waiter then, and holds no notification back.
    fn is_spent(&mut self) -> bool {
        let is_spent = self.left == 0;
        if is_spent {
            self.left = self.items.get();
        }
        is_spent
    }

    fn count<R>(&mut self, polled: &Poll<R>) {
        self.left = match polled {
            Poll::Ready(_) => self.left.saturating_sub(1),
            Poll::Pending => self.items.get(),
        };
    }
}

macro_rules! stream_beside_receiver {
    ($($stream:ident<$($lifetime:lifetime,)? T, K>),*) => {$(
        impl<T, K: Kind> Stream for $stream<$($lifetime,)? T, K> {
            type Item = K::Received<T>;

            #[inline]
            fn poll_next(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<Option<K::Received<T>>> {
                let this = &mut *self;
                if this.budget.as_mut().is_some_and(Budget::is_spent) {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                let operation = Receiver::<T, K>::operation();
                let polled = this.streaming.poll(operation, this.receiver.channel(), cx);
                if let Some(budget) = &mut this.budget {
                    budget.count(&polled);
                }
                polled
            }
        }

        impl<T, K: Kind> $stream<$($lifetime,)? T, K> {
            /// Gives this stream a budget: after this many items in a row without a wait, it returns
            /// `Pending` once, and wakes its task. So it lets other tasks of the thread run, however
            /// many items are queued.
            ///
            /// To give all senders and receivers of a channel a budget, build it with
            /// [`Builder::yield_after`](crate::Builder::yield_after). A stream may have both.
            ///
            /// # Examples
            ///
            /// ```
            /// use std::num::NonZeroU32;
            ///
            /// use futures_lite::StreamExt;
            ///
            /// # #[tokio::main(flavor = "current_thread")]
            /// # async fn main() {
            /// let (sender, receiver) = tollgate::unbounded();
            /// for number in 0..1_000 {
            ///     sender.try_send(number).unwrap();
            /// }
            /// let other = tokio::spawn(async move { drop(sender) });
            ///
            /// let mut numbers = receiver.into_stream().yield_after(NonZeroU32::new(128).unwrap());
            /// for number in 0..128 {
            ///     assert_eq!(numbers.next().await, Some(number));
            /// }
            /// assert!(!other.is_finished());
            /// assert_eq!(numbers.next().await, Some(128));
            /// assert!(other.is_finished());
            /// # }
            /// ```
            pub fn yield_after(mut self, items: NonZeroU32) -> Self {
                self.budget = Some(Budget::new(items));
                self
            }
        }

        impl<T, K: Kind> FusedStream for $stream<$($lifetime,)? T, K> {
            /// Returns `true` if this stream has returned `None`.
            fn is_terminated(&self) -> bool {
                self.streaming.has_ended
            }
        }

        impl<T, K: Kind> Drop for $stream<$($lifetime,)? T, K> {
            fn drop(&mut self) {
                self.streaming.leave::<T, K>(self.receiver.channel());
            }
        }

        impl<T, K: Kind> fmt::Debug for $stream<$($lifetime,)? T, K> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($stream), " { .. }"))
            }
        }
    )*};
}

stream_beside_receiver!(RecvStream<'_, T, K>, IntoStream<T, K>);

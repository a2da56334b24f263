//! A receiving side, and what it keeps between two polls as a stream.

use std::ops::Deref;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use crate::error::RecvError;
use crate::future::cancel_recv;
use crate::shared::ReceiverSide;
use crate::shared::Shared;
use crate::wait::Wait;

/// What [`Receiver`](crate::Receiver) and [`TaskReceiver`](crate::TaskReceiver) are made of.
pub(crate) struct Inlet<T> {
    side: ReceiverSide<T>,
    /// Made at the first poll as a stream, so that other receivers stay small.
    stream: Option<Box<Streaming>>,
}

#[derive(Default)]
struct Streaming {
    wait: Wait,
    /// Once the end was seen it stays so, for this handle.
    ended: bool,
}

impl<T> Inlet<T> {
    pub(crate) fn new(side: ReceiverSide<T>) -> Self {
        Self { side, stream: None }
    }

    /// The next of the stream, by the given way of polling for it.
    #[inline]
    pub(crate) fn poll_next<R>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&Shared<T>, &mut Wait, &mut Context<'_>) -> Poll<Result<R, RecvError>>,
    ) -> Poll<Option<R>> {
        let stream = self.stream.get_or_insert_default();
        if stream.ended {
            return Poll::Ready(None);
        }
        let result = ready!(poll(&self.side, &mut stream.wait, cx));
        stream.ended = result.is_err();
        Poll::Ready(result.ok())
    }

    pub(crate) fn is_terminated(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.ended)
    }
}

impl<T> Deref for Inlet<T> {
    type Target = Shared<T>;

    #[inline]
    fn deref(&self) -> &Shared<T> {
        &self.side
    }
}

impl<T> Clone for Inlet<T> {
    /// The clone is a stream of its own, which has not waited yet.
    fn clone(&self) -> Self {
        Self::new(self.side.clone())
    }
}

impl<T> Drop for Inlet<T> {
    fn drop(&mut self) {
        if let Some(stream) = &mut self.stream {
            cancel_recv(&self.side, &mut stream.wait);
        }
    }
}

//! Iterators over the items that can be received now.

use core::fmt;
use core::iter::FusedIterator;
use core::iter::Take;

use super::Receiver;
use crate::kind::Kind;
use crate::kind::Plain;

/// An iterator over the items that a channel holds now. It ends when there is none. Returned by
/// [`Receiver::try_iter`].
///
/// # Examples
///
/// ```
/// let (sender, receiver) = tollgate::bounded(2);
/// sender.try_send(1)?;
/// assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1]);
/// assert_eq!(receiver.try_iter().next(), None);
/// # Ok::<(), tollgate::TrySendError<i32>>(())
/// ```
#[must_use = "iterators do nothing unless you consume them"]
pub struct TryIter<'a, T, K: Kind = Plain> {
    pub(super) receiver: &'a Receiver<T, K>,
    pub(super) has_ended: bool,
}

impl<T, K: Kind> Iterator for TryIter<'_, T, K> {
    type Item = K::Received<T>;

    fn next(&mut self) -> Option<K::Received<T>> {
        if self.has_ended {
            return None;
        }
        match self.receiver.try_recv() {
            Ok(received) => Some(received),
            Err(_) => {
                self.has_ended = true;
                None
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // Other receivers may take what is queued.
        (0, self.has_ended.then_some(0))
    }
}

impl<T, K: Kind> FusedIterator for TryIter<'_, T, K> {}

impl<T, K: Kind> fmt::Debug for TryIter<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TryIter { .. }")
    }
}

/// An iterator over the items that were queued in a channel when it was made. Returned by
/// [`Receiver::drain`], which describes it.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = tollgate::tasks::<i32>(2);
/// sender.try_send(1)?;
/// sender.try_send(2)?;
/// // Each task is queued again, and received by the next `drain`.
/// for round in 1..=3 {
///     for task in receiver.drain() {
///         assert_eq!(task.attempt(), round);
///         task.retry()?;
///     }
/// }
/// assert_eq!(receiver.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "iterators do nothing unless you consume them"]
pub struct Drain<'a, T, K: Kind = Plain>(Take<TryIter<'a, T, K>>);

impl<'a, T, K: Kind> Drain<'a, T, K> {
    pub(super) fn new(items: TryIter<'a, T, K>, count: usize) -> Self {
        Self(items.take(count))
    }
}

impl<T, K: Kind> Iterator for Drain<'_, T, K> {
    type Item = K::Received<T>;

    fn next(&mut self) -> Option<K::Received<T>> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<T, K: Kind> FusedIterator for Drain<'_, T, K> {}

impl<T, K: Kind> fmt::Debug for Drain<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Drain { .. }")
    }
}

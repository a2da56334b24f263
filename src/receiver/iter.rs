//! An iterator over the items that can be received now.

use core::fmt;
use core::iter::FusedIterator;

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
        let received = self.receiver.try_recv().ok();
        self.has_ended = received.is_none();
        received
    }
}

impl<T, K: Kind> FusedIterator for TryIter<'_, T, K> {}

impl<T, K: Kind> fmt::Debug for TryIter<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TryIter { .. }")
    }
}

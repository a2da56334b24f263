//! The iterators that the handles return.

use alloc::collections::VecDeque;
use core::fmt;
use core::iter::FusedIterator;
use core::mem;

use crate::unwind::drop_all;
use crate::unwind::protect;

/// An iterator over the items that [`Monitor::close_now`](crate::Monitor::close_now) took out of a
/// channel.
///
/// It yields first the items that were sent, then those that tasks queued, each of the two in the
/// order in which they were queued. Delayed items come last, in order of due time.
///
/// The items have left the channel even if the iterator is not used. Dropping the iterator drops the
/// items that are left in it.
///
/// # Examples
///
/// ```
/// let (sender, _receiver) = tollgate::bounded(3);
/// for item in ["first", "second", "third"] {
///     sender.try_send(item)?;
/// }
///
/// let drained = sender.close_now();
/// assert_eq!(drained.len(), 3);
/// assert_eq!(drained.collect::<Vec<_>>(), ["first", "second", "third"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "these items have been taken out of the channel, and are dropped with this"]
pub struct Drained<T>(VecDeque<T>);

impl<T> Drained<T> {
    pub(crate) fn new() -> Self {
        Self(VecDeque::new())
    }

    pub(crate) fn push(&mut self, item: T) {
        self.0.push_back(item);
    }
}

impl<T> Drop for Drained<T> {
    /// Drops all items, even if the destructor of one panics.
    fn drop(&mut self) {
        drop_all(mem::take(&mut self.0));
    }
}

impl<T> Iterator for Drained<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.pop_front()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.len(), Some(self.0.len()))
    }

    /// Does the same as the default implementation, but does not leak the last item if the
    /// destructor of another item panics (rust-lang/rust#47949).
    fn last(mut self) -> Option<T> {
        let last = self.next_back()?;
        Some(protect(last, || drop(self)))
    }
}

impl<T> DoubleEndedIterator for Drained<T> {
    fn next_back(&mut self) -> Option<T> {
        self.0.pop_back()
    }
}

impl<T> ExactSizeIterator for Drained<T> {}

impl<T> FusedIterator for Drained<T> {}

impl<T> fmt::Debug for Drained<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drained")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

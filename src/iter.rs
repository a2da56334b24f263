//! The iterators that handles give.

use std::collections::VecDeque;
use std::collections::vec_deque;
use std::fmt;
use std::iter::FusedIterator;

use crate::unwind::protect;
use crate::unwind::run_all;

/// The items that nobody will receive: what [`Monitor::close_now`](crate::Monitor::close_now) hands
/// back, in the order in which they were queued; first those that were sent, then those that tasks
/// put back or left there.
///
/// They are out of the channel whether it is iterated or not, and dropped with it.
///
/// # Examples
///
/// ```
/// let (sender, _receiver) = tollgate::bounded(3);
/// for item in ["eggs", "milk", "tea"] {
///     sender.try_send(item)?;
/// }
///
/// let drained = sender.close_now();
/// assert_eq!(drained.len(), 3);
/// assert_eq!(drained.collect::<Vec<_>>(), ["eggs", "milk", "tea"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "these items have been taken out of the channel, and are dropped with this"]
pub struct Drained<T>(vec_deque::IntoIter<T>);

impl<T> Drained<T> {
    pub(crate) fn new(items: VecDeque<T>) -> Self {
        Self(items.into_iter())
    }
}

impl<T> Drop for Drained<T> {
    /// Drops all items, although the destructor of one panics.
    fn drop(&mut self) {
        run_all(|| self.0.next(), drop);
    }
}

impl<T> Iterator for Drained<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }

    /// As the default does; but that leaks the last item if the destructor of another panics
    /// (rust-lang/rust#47949).
    fn last(mut self) -> Option<T> {
        let last = self.next_back()?;
        Some(protect(last, || drop(self)))
    }
}

impl<T> DoubleEndedIterator for Drained<T> {
    fn next_back(&mut self) -> Option<T> {
        self.0.next_back()
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

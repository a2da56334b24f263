//! Receivers as iterators that block the thread.

use core::fmt;
use core::iter::FusedIterator;

use crate::kind::Kind;
use crate::kind::Plain;
use crate::receiver::Receiver;

/// An iterator over the items of a channel that blocks the thread while there is none. It ends when
/// the channel is finished. Returned by [`Receiver::iter`].
///
/// # Examples
///
/// ```
/// let (sender, receiver) = tollgate::bounded(2);
/// sender.try_send(1)?;
/// sender.try_send(2)?;
/// drop(sender);
/// assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 2]);
/// # Ok::<(), tollgate::TrySendError<i32>>(())
/// ```
#[must_use = "iterators do nothing unless you consume them"]
pub struct Iter<'a, T, K: Kind = Plain>(&'a Receiver<T, K>);

impl<'a, T, K: Kind> Iter<'a, T, K> {
    pub(super) fn new(receiver: &'a Receiver<T, K>) -> Self {
        Self(receiver)
    }
}

impl<T, K: Kind> Iterator for Iter<'_, T, K> {
    type Item = K::Received<T>;

    fn next(&mut self) -> Option<K::Received<T>> {
        self.0.recv_blocking().ok()
    }
}

// A channel that is finished stays finished.
impl<T, K: Kind> FusedIterator for Iter<'_, T, K> {}

/// An iterator that owns its receiver, and otherwise is like [`Iter`]. Returned by the `into_iter` of
/// [`Receiver`].
///
/// # Examples
///
/// ```
/// let (sender, receiver) = tollgate::tasks::<i32>(1);
/// let worker = std::thread::spawn(move || {
///     for task in receiver {
///         task.done();
///     }
/// });
/// sender.send_blocking(1)?;
/// sender.close();
/// worker.join().unwrap();
/// # Ok::<(), tollgate::SendError<i32>>(())
/// ```
#[must_use = "iterators do nothing unless you consume them"]
pub struct IntoIter<T, K: Kind = Plain>(Receiver<T, K>);

impl<T, K: Kind> Iterator for IntoIter<T, K> {
    type Item = K::Received<T>;

    fn next(&mut self) -> Option<K::Received<T>> {
        self.0.recv_blocking().ok()
    }
}

// A channel that is finished stays finished.
impl<T, K: Kind> FusedIterator for IntoIter<T, K> {}

impl<T, K: Kind> IntoIterator for Receiver<T, K> {
    type Item = K::Received<T>;
    type IntoIter = IntoIter<T, K>;

    fn into_iter(mut self) -> IntoIter<T, K> {
        // A waiter that is never polled again would keep a notification.
        self.stop_streaming();
        IntoIter(self)
    }
}

impl<'a, T, K: Kind> IntoIterator for &'a Receiver<T, K> {
    type Item = K::Received<T>;
    type IntoIter = Iter<'a, T, K>;

    fn into_iter(self) -> Iter<'a, T, K> {
        self.iter()
    }
}

impl<T, K: Kind> fmt::Debug for Iter<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Iter { .. }")
    }
}

impl<T, K: Kind> fmt::Debug for IntoIter<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntoIter { .. }")
    }
}

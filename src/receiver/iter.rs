//! Receivers as iterators, for threads.

use std::fmt;
use std::iter::FusedIterator;

use super::Receiver;
use crate::kind::Kind;
use crate::kind::Plain;

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
#[cfg(not(target_family = "wasm"))]
pub struct Iter<'a, T, K: Kind = Plain>(pub(super) &'a Receiver<T, K>);

#[cfg(not(target_family = "wasm"))]
impl<T, K: Kind> Iterator for Iter<'_, T, K> {
    type Item = K::Received<T>;

    fn next(&mut self) -> Option<K::Received<T>> {
        self.0.recv_blocking().ok()
    }
}

// A channel that is finished stays finished.
#[cfg(not(target_family = "wasm"))]
impl<T, K: Kind> FusedIterator for Iter<'_, T, K> {}

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

/// An iterator that owns its receiver, and otherwise is like [`Iter`]. Returned by the `into_iter` of
/// [`Receiver`].
///
/// # Examples
///
/// ```
/// let (sender, receiver) = tollgate::tasks(1);
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
#[cfg(not(target_family = "wasm"))]
pub struct IntoIter<T, K: Kind = Plain>(pub(super) Receiver<T, K>);

#[cfg(not(target_family = "wasm"))]
impl<T, K: Kind> Iterator for IntoIter<T, K> {
    type Item = K::Received<T>;

    fn next(&mut self) -> Option<K::Received<T>> {
        self.0.recv_blocking().ok()
    }
}

// As above.
#[cfg(not(target_family = "wasm"))]
impl<T, K: Kind> FusedIterator for IntoIter<T, K> {}

#[cfg(not(target_family = "wasm"))]
impl<T, K: Kind> IntoIterator for Receiver<T, K> {
    type Item = K::Received<T>;
    type IntoIter = IntoIter<T, K>;

    fn into_iter(self) -> IntoIter<T, K> {
        IntoIter(self)
    }
}

#[cfg(not(target_family = "wasm"))]
impl<'a, T, K: Kind> IntoIterator for &'a Receiver<T, K> {
    type Item = K::Received<T>;
    type IntoIter = Iter<'a, T, K>;

    fn into_iter(self) -> Iter<'a, T, K> {
        self.iter()
    }
}

#[cfg(not(target_family = "wasm"))]
impl<T, K: Kind> fmt::Debug for Iter<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Iter { .. }")
    }
}

impl<T, K: Kind> fmt::Debug for TryIter<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TryIter { .. }")
    }
}

#[cfg(not(target_family = "wasm"))]
impl<T, K: Kind> fmt::Debug for IntoIter<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntoIter { .. }")
    }
}

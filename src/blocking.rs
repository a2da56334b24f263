//! Calls that block the thread. They are absent on WebAssembly, where a thread cannot be blocked,
//! and without `std`.

use core::time::Duration;
use std::time::Instant;

use crate::error::RecvError;
use crate::error::RecvTimeoutError;
use crate::error::SendError;
use crate::error::SendTimeoutError;
use crate::future::SendSlot;
use crate::kind::Kind;
use crate::monitor::Monitor;
use crate::operation::Waiting;
use crate::receiver::Receiver;
use crate::report::JoinError;
use crate::report::Report;
use crate::sender::Sender;
use crate::unwind::Guarded;

// receivers as iterators
mod iter;

pub use self::iter::IntoIter;
pub use self::iter::Iter;

/// Sending an item from a thread, which is blocked while the channel is full.
impl<T> Sender<T> {
    /// Sends an item, blocking the thread while the channel is full.
    ///
    /// Do not call it in an async task: it blocks the thread that runs the task. See
    /// [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// Returns an error with the item if the channel is closed, before or during the call.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded(1);
    /// let producer = std::thread::spawn(move || {
    ///     for number in 1..=3 {
    ///         sender.send_blocking(number).unwrap();
    ///     }
    /// });
    /// for number in 1..=3 {
    ///     assert_eq!(receiver.recv_blocking(), Ok(number));
    /// }
    /// # producer.join().unwrap();
    /// ```
    pub fn send_blocking(&self, item: T) -> Result<(), SendError<T>> {
        let mut slot = Guarded::new(Some(item));
        let operation = SendSlot::new(&mut slot);
        let sent = Waiting::new(&*self.0, operation).block_until(None, drop);
        sent.map_err(|()| SendError(unsent(slot)))
    }

    /// Sends an item, blocking the thread while the channel is full, but not for longer than `timeout`.
    ///
    /// Even if `timeout` is zero, the item is sent if there is room. A timeout that the clock cannot
    /// represent is treated as no timeout.
    ///
    /// # Errors
    ///
    /// Returns an error with the item if the timeout elapses, or if the channel is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (sender, receiver) = tollgate::bounded(1);
    /// assert!(sender.send_timeout(1, Duration::ZERO).is_ok());
    /// assert!(sender.send_timeout(2, Duration::from_millis(1)).unwrap_err().is_timeout());
    /// drop(receiver);
    /// assert!(sender.send_timeout(3, Duration::from_millis(1)).unwrap_err().is_closed());
    /// ```
    pub fn send_timeout(&self, item: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.send_before(item, Instant::now().checked_add(timeout))
    }

    /// Sends an item, blocking the thread while the channel is full, but not beyond `deadline`.
    ///
    /// Even if the deadline is past, the item is sent if there is room.
    ///
    /// # Errors
    ///
    /// Returns an error with the item if the deadline passes, or if the channel is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let (sender, receiver) = tollgate::bounded(1);
    /// assert!(sender.send_deadline(1, Instant::now()).is_ok());
    /// assert!(sender.send_deadline(2, Instant::now()).unwrap_err().is_timeout());
    /// # drop(receiver);
    /// ```
    pub fn send_deadline(&self, item: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.send_before(item, Some(deadline))
    }

    fn send_before(&self, item: T, deadline: Option<Instant>) -> Result<(), SendTimeoutError<T>> {
        let mut slot = Guarded::new(Some(item));
        let operation = SendSlot::new(&mut slot);
        let sent = Waiting::new(&*self.0, operation).block_until(deadline, |error| error);
        let Err(error) = sent else {
            return Ok(());
        };
        let item = unsent(slot);
        Err(match error {
            Some(SendError(())) => SendTimeoutError::Closed(item),
            None => SendTimeoutError::Timeout(item),
        })
    }
}

/// The item of a send that has failed.
fn unsent<T>(mut slot: Guarded<Option<T>>) -> T {
    match slot.take() {
        Some(item) => item,
        None => unreachable!("the item was not sent"),
    }
}

/// Receiving on a thread, which is blocked while there is no item.
impl<T, K: Kind> Receiver<T, K> {
    /// Receives the next item, blocking the thread while there is none.
    ///
    /// Do not call it in an async task: it blocks the thread that runs the task. See
    /// [`recv`](Self::recv).
    ///
    /// # Errors
    ///
    /// Returns an error once the channel is finished, as [`recv`](Self::recv) does.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::tasks::<i32>(1);
    /// let worker = std::thread::spawn(move || {
    ///     let mut sum = 0;
    ///     while let Ok(task) = receiver.recv_blocking() {
    ///         sum += task.done();
    ///     }
    ///     sum
    /// });
    /// for number in 1..=3 {
    ///     sender.send_blocking(number)?;
    /// }
    /// drop(sender);
    /// assert_eq!(worker.join().unwrap(), 6);
    /// # Ok::<(), tollgate::SendError<i32>>(())
    /// ```
    pub fn recv_blocking(&self) -> Result<K::Received<T>, RecvError> {
        let error = |_| RecvError;
        Waiting::new(self.channel(), Self::operation()).block_until(None, error)
    }

    /// Receives the next item, blocking the thread while there is none, but not for longer than
    /// `timeout`.
    ///
    /// Even if `timeout` is zero, an item is received if there is one. A timeout that the clock cannot
    /// represent is treated as no timeout.
    ///
    /// # Errors
    ///
    /// Returns an error if the timeout elapses, or if the channel is finished, as for
    /// [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::RecvTimeoutError;
    ///
    /// let (sender, receiver) = tollgate::bounded(1);
    /// sender.try_send(1)?;
    /// assert_eq!(receiver.recv_timeout(Duration::ZERO), Ok(1));
    /// assert_eq!(
    ///     receiver.recv_timeout(Duration::from_millis(1)),
    ///     Err(RecvTimeoutError::Timeout),
    /// );
    /// # drop(sender);
    /// # Ok::<(), tollgate::TrySendError<i32>>(())
    /// ```
    pub fn recv_timeout(&self, timeout: Duration) -> Result<K::Received<T>, RecvTimeoutError> {
        self.recv_before(Instant::now().checked_add(timeout))
    }

    /// Receives the next item, blocking the thread while there is none, but not beyond `deadline`.
    ///
    /// Even if the deadline is past, an item is received if there is one.
    ///
    /// # Errors
    ///
    /// Returns an error if the deadline passes, or if the channel is finished, as for
    /// [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let (sender, receiver) = tollgate::bounded(1);
    /// sender.try_send(1)?;
    /// assert_eq!(receiver.recv_deadline(Instant::now()), Ok(1));
    /// assert!(receiver.recv_deadline(Instant::now()).unwrap_err().is_timeout());
    /// # drop(sender);
    /// # Ok::<(), tollgate::TrySendError<i32>>(())
    /// ```
    pub fn recv_deadline(&self, deadline: Instant) -> Result<K::Received<T>, RecvTimeoutError> {
        self.recv_before(Some(deadline))
    }

    fn recv_before(&self, deadline: Option<Instant>) -> Result<K::Received<T>, RecvTimeoutError> {
        let error = |error| match error {
            Some(RecvError) => RecvTimeoutError::Closed,
            None => RecvTimeoutError::Timeout,
        };
        Waiting::new(self.channel(), Self::operation()).block_until(deadline, error)
    }

    /// Returns an iterator over the items that blocks the thread while there is none. It ends when the
    /// channel is finished.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::bounded(1);
    /// let producer = std::thread::spawn(move || {
    ///     for number in 1..=3 {
    ///         sender.send_blocking(number).unwrap();
    ///     }
    /// });
    /// assert_eq!(receiver.iter().sum::<i32>(), 6);
    /// # producer.join().unwrap();
    /// ```
    pub fn iter(&self) -> Iter<'_, T, K> {
        Iter::new(self)
    }
}

/// Waiting on a thread, which is blocked meanwhile.
impl<T> Monitor<T> {
    /// Blocks the thread until no work is left. See [`join`](Self::join).
    ///
    /// Do not call it in an async task: it blocks the thread that runs the task.
    ///
    /// # Errors
    ///
    /// Returns an error if anything has failed, as [`join`](Self::join) does.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::tasks(1);
    /// let monitor = sender.monitor();
    /// sender.try_send(1)?;
    /// let worker = std::thread::spawn(move || receiver.recv_blocking().map(|task| task.done()));
    /// assert_eq!(monitor.join_blocking()?.done, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_blocking(&self) -> Result<Report, JoinError> {
        match self.join().block_until(None) {
            Some(result) => result,
            None => unreachable!("there is no deadline"),
        }
    }

    /// Blocks the thread until no work is left, but not for longer than `timeout`. Returns `None` if
    /// the timeout elapses.
    ///
    /// A timeout that the clock cannot represent is treated as no timeout.
    ///
    /// # Errors
    ///
    /// Returns an error if anything has failed, as [`join`](Self::join) does.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (sender, receiver) = tollgate::tasks(1);
    /// let monitor = sender.monitor();
    /// sender.try_send(1)?;
    /// let task = receiver.try_recv()?;
    /// assert!(monitor.join_timeout(Duration::from_millis(1)).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_timeout(&self, timeout: Duration) -> Option<Result<Report, JoinError>> {
        self.join().block_until(Instant::now().checked_add(timeout))
    }

    /// Blocks the thread until no work is left, but not beyond `deadline`. Returns `None` if the
    /// deadline passes.
    ///
    /// # Errors
    ///
    /// Returns an error if anything has failed, as [`join`](Self::join) does.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let (sender, receiver) = tollgate::tasks(1);
    /// let monitor = sender.monitor();
    /// sender.try_send(1)?;
    /// let task = receiver.try_recv()?;
    /// assert!(monitor.join_deadline(Instant::now()).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_deadline(&self, deadline: Instant) -> Option<Result<Report, JoinError>> {
        self.join().block_until(Some(deadline))
    }

    /// Blocks the thread until the channel is finished. See [`finished`](Self::finished).
    ///
    /// Do not call it in an async task: it blocks the thread that runs the task.
    ///
    /// # Errors
    ///
    /// Returns an error if anything has failed, as [`finished`](Self::finished) does.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::tasks(1);
    /// let monitor = sender.monitor();
    /// sender.try_send(1)?;
    /// let worker = std::thread::spawn(move || receiver.recv_blocking().map(|task| task.done()));
    /// drop(sender);
    /// assert_eq!(monitor.finished_blocking()?.done, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn finished_blocking(&self) -> Result<Report, JoinError> {
        match self.finished().block_until(None) {
            Some(result) => result,
            None => unreachable!("there is no deadline"),
        }
    }

    /// Blocks the thread until the channel is finished, but not for longer than `timeout`. Returns
    /// `None` if the timeout elapses.
    ///
    /// A timeout that the clock cannot represent is treated as no timeout.
    ///
    /// # Errors
    ///
    /// Returns an error if anything has failed, as [`finished`](Self::finished) does.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (sender, receiver) = tollgate::tasks(1);
    /// let monitor = sender.monitor();
    /// sender.try_send(1)?;
    /// let task = receiver.try_recv()?;
    /// assert!(monitor.finished_timeout(Duration::from_millis(1)).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn finished_timeout(&self, timeout: Duration) -> Option<Result<Report, JoinError>> {
        self.finished()
            .block_until(Instant::now().checked_add(timeout))
    }

    /// Blocks the thread until the channel is finished, but not beyond `deadline`. Returns `None` if
    /// the deadline passes.
    ///
    /// # Errors
    ///
    /// Returns an error if anything has failed, as [`finished`](Self::finished) does.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let (sender, receiver) = tollgate::tasks(1);
    /// let monitor = sender.monitor();
    /// sender.try_send(1)?;
    /// let task = receiver.try_recv()?;
    /// assert!(monitor.finished_deadline(Instant::now()).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn finished_deadline(&self, deadline: Instant) -> Option<Result<Report, JoinError>> {
        self.finished().block_until(Some(deadline))
    }
}

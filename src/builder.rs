//! Channels with choices.

use std::num::NonZeroU32;

use crate::channel::Channel;
use crate::channel::Kind;
use crate::policy::Abandon;
use crate::policy::Policy;
use crate::receiver::Receiver;
use crate::sender::Sender;
use crate::shared::Shared;
use crate::task_receiver::TaskReceiver;

/// Makes a channel with more choices than [`bounded`](crate::bounded) and [`tasks`](crate::tasks)
/// offer.
///
/// # Examples
///
/// Items that are tried three times at most, also when a worker panics:
///
/// ```
/// use std::num::NonZeroU32;
/// use tollgate::Abandon;
/// use tollgate::Builder;
/// use tollgate::Failure;
///
/// # futures_lite::future::block_on(async {
/// let (sender, receiver) = Builder::new()
///     .capacity(16)
///     .max_attempts(NonZeroU32::new(3).unwrap())
///     .on_abandon(Abandon::Requeue)
///     .build_tasks();
///
/// sender.send("crash course").await?;
/// sender.close();
/// while let Ok(task) = receiver.recv().await {
///     drop(task);
/// }
///
/// let error = sender.join().await.unwrap_err();
/// assert_eq!((error.report.retried, error.report.abandoned), (2, 1));
/// assert!(matches!(error.first, Failure::Abandoned));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it builds a channel"]
pub struct Builder {
    capacity: Option<usize>,
    policy: Policy,
}

impl Builder {
    /// A builder to which a [`capacity`](Self::capacity) must be told; everything else is as in
    /// [`tasks`](crate::tasks).
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::Builder::new().capacity(1).build();
    /// sender.try_send(1)?;
    /// assert_eq!(receiver.try_recv()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// The channel holds up to `cap` items, not counting what tasks put back or leave there.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = tollgate::Builder::new().capacity(5).build::<u8>();
    /// assert_eq!(sender.capacity(), Some(5));
    /// ```
    pub fn capacity(mut self, cap: usize) -> Self {
        self.capacity = Some(cap);
        self
    }

    /// An item is delivered `most` times at most, the first time included. Without this there is no
    /// limit. Of no meaning for a plain channel.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::num::NonZeroU32;
    /// use tollgate::Builder;
    ///
    /// let builder = Builder::new().capacity(1).max_attempts(NonZeroU32::new(2).unwrap());
    /// let (sender, receiver) = builder.build_tasks();
    /// sender.try_send("call")?;
    /// assert!(receiver.try_recv()?.retry().is_ok());
    /// assert!(receiver.try_recv()?.retry().unwrap_err().is_exhausted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_attempts(mut self, most: NonZeroU32) -> Self {
        self.policy.max_attempts = Some(most);
        self
    }

    /// What becomes of a task that is dropped with neither `done` nor `fail`. Of no meaning for a
    /// plain channel.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::num::NonZeroU32;
    /// use tollgate::Abandon;
    /// use tollgate::Builder;
    ///
    /// let builder = Builder::new().capacity(1).max_attempts(NonZeroU32::new(2).unwrap());
    /// let (sender, receiver) = builder.on_abandon(Abandon::Requeue).build_tasks();
    /// sender.try_send("call")?;
    /// drop(receiver.try_recv()?);
    /// assert_eq!(receiver.try_recv()?.done(), "call");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_abandon(mut self, abandon: Abandon) -> Self {
        self.policy.on_abandon = abandon;
        self
    }

    /// Makes a plain channel, as [`bounded`](crate::bounded).
    ///
    /// # Panics
    ///
    /// When no capacity was told, or it is 0, or its memory cannot be had.
    ///
    /// # Examples
    ///
    /// ```
    /// let builder = tollgate::Builder::new().capacity(2);
    /// let (numbers, _receiver) = builder.build::<u32>();
    /// let (names, _receiver) = builder.build::<String>();
    /// assert_eq!(numbers.capacity(), names.capacity());
    /// ```
    ///
    /// ```should_panic
    /// tollgate::Builder::new().build::<u32>();
    /// ```
    pub fn build<T>(&self) -> (Sender<T>, Receiver<T>) {
        let channel = Channel::new(self.told_capacity(), Kind::Plain);
        let (sender, receiver) = Shared::both_ends_of(channel);
        (Sender(sender), Receiver::new(receiver))
    }

    /// Makes a task channel, as [`tasks`](crate::tasks).
    ///
    /// # Panics
    ///
    /// As [`build`](Self::build); and when tasks are to be [requeued](Abandon::Requeue) and
    /// [`max_attempts`](Self::max_attempts) was not told: an item that makes its worker panic would
    /// be tried for ever.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::Builder::new().capacity(1).build_tasks();
    /// sender.try_send(1)?;
    /// assert_eq!(receiver.try_recv()?.done(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// ```should_panic
    /// use tollgate::Abandon;
    /// use tollgate::Builder;
    ///
    /// Builder::new().capacity(1).on_abandon(Abandon::Requeue).build_tasks::<u32>();
    /// ```
    pub fn build_tasks<T>(&self) -> (Sender<T>, TaskReceiver<T>) {
        assert!(
            self.policy.on_abandon != Abandon::Requeue || self.policy.max_attempts.is_some(),
            "`Abandon::Requeue` needs `max_attempts`: an item that makes its worker panic would be \
             tried for ever"
        );
        let channel = Channel::new(self.told_capacity(), Kind::tasks(self.policy));
        let (sender, receiver) = Shared::both_ends_of(channel);
        (Sender(sender), TaskReceiver::new(receiver))
    }

    fn told_capacity(&self) -> usize {
        self.capacity
            .expect("a channel needs a capacity: call `Builder::capacity`")
    }
}

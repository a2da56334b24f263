//! The builder of channels.

use core::num::NonZeroU32;

use crate::channel::Channel;
use crate::kind::Kind;
use crate::policy::Abandon;
use crate::policy::Options;
use crate::queue::Queue;
use crate::receiver::Receiver;
use crate::receiver::TaskReceiver;
use crate::sender::Sender;
use crate::shared::Shared;

/// Creates channels with more options than [`bounded`](crate::bounded) and [`tasks`](crate::tasks)
/// have.
///
/// # Examples
///
/// Try each item at most three times, even if its worker panics:
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
/// sender.send("job").await?;
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
    options: Options,
}

impl Builder {
    /// Creates a builder of unbounded channels, unless a [`capacity`](Self::capacity) is set. All other
    /// options have the values that [`tasks`](crate::tasks) uses.
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

    /// Sets the capacity: how many sent items can be queued at once. Items that tasks queue, for
    /// another attempt or as new work, do not count against it. Without a capacity, the channel is
    /// unbounded.
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

    /// Makes the channel unbounded, which is the default.
    ///
    /// # Examples
    ///
    /// ```
    /// let builder = tollgate::Builder::new().capacity(5);
    /// let (sender, _receiver) = builder.unbounded().build::<u8>();
    /// assert_eq!(sender.capacity(), None);
    /// ```
    pub fn unbounded(mut self) -> Self {
        self.capacity = None;
        self
    }

    /// Limits how many times an item is delivered, including the first delivery. By default there
    /// is no limit. This has no effect on a plain channel.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::num::NonZeroU32;
    /// use tollgate::Builder;
    ///
    /// let builder = Builder::new().capacity(1).max_attempts(NonZeroU32::new(2).unwrap());
    /// let (sender, receiver) = builder.build_tasks();
    /// sender.try_send("job")?;
    /// assert!(receiver.try_recv()?.retry().is_ok());
    /// assert!(receiver.try_recv()?.retry().unwrap_err().is_exhausted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_attempts(mut self, most: NonZeroU32) -> Self {
        self.options.policy.max_attempts = Some(most);
        self
    }

    /// Sets what happens to a task that is dropped with neither `done` nor `fail`. This has no
    /// effect on a plain channel.
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
    /// sender.try_send("job")?;
    /// drop(receiver.try_recv()?);
    /// assert_eq!(receiver.try_recv()?.done(), "job");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_abandon(mut self, abandon: Abandon) -> Self {
        self.options.policy.on_abandon = abandon;
        self
    }

    /// Sets how many failures are kept, in the order in which they are recorded. By default, only the first
    /// is. 0 means the same as 1: the first failure is always kept.
    ///
    /// [`JoinError::failures`](crate::JoinError::failures) returns them, and `Display` of the error writes
    /// them, one a line. The report counts all failures, also those that are not kept. A failed item is none
    /// of this: it stays with the worker that called [`fail`](crate::Task::fail).
    ///
    /// A failure is kept, with its error, until it is [taken](crate::Monitor::take_failure), or until the
    /// last handle and task are dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = tollgate::Builder::new().keep_failures(100).build_tasks();
    /// for page in 1..=3 {
    ///     sender.try_send(page)?;
    ///     receiver.try_recv()?.fail("disk full");
    /// }
    /// let error = sender.monitor().join_blocking().unwrap_err();
    /// assert_eq!((error.failures().len(), error.report.failed), (3, 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keep_failures(mut self, most: usize) -> Self {
        self.options.keep_failures = most;
        self
    }

    /// Measures time: how long items are queued, and how long tasks are in hand.
    ///
    /// [`Stats`](crate::Stats) then tells the age of the oldest queued item and of the oldest task in hand,
    /// and on a task channel [`Task::waited`](crate::Task::waited) tells how long its item was queued. A
    /// growing age of the oldest queued item means that workers fall behind. A growing age of the oldest
    /// task in hand means that a worker is stuck.
    ///
    /// Each item then takes two readings of the clock and 8 bytes more while it is queued. Each task enters and
    /// leaves a list under a lock, takes 32 bytes there, and [`split`](crate::Task::split) allocates. (The list
    /// keeps its memory until no task is in hand.) Channels that do not measure time do none of this.
    ///
    /// This method is absent on WebAssembly and without `std`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (sender, receiver) = tollgate::Builder::new().measure_time().build_tasks();
    /// let monitor = sender.monitor();
    /// sender.try_send("job")?;
    /// std::thread::sleep(Duration::from_millis(2));
    /// assert!(monitor.stats().oldest_queued.unwrap() >= Duration::from_millis(2));
    ///
    /// let task = receiver.try_recv()?;
    /// assert_eq!(monitor.stats().oldest_queued, None);
    /// std::thread::sleep(Duration::from_millis(2));
    /// assert!(monitor.stats().oldest_in_hand.unwrap() >= Duration::from_millis(2));
    /// # task.done();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    pub fn measure_time(mut self) -> Self {
        self.options.policy.measures_time = true;
        self
    }

    /// Sets how long a caller has to wait for an item or for room until that is reported, by an event of
    /// the crate tracing. The default is one second. See the [events](crate#events).
    ///
    /// This method requires the features `std` and `tracing`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let builder = tollgate::Builder::new().capacity(1);
    /// let (sender, _receiver) = builder.warn_after(Duration::from_millis(20)).build::<u8>();
    /// assert!(sender.try_send(1).is_ok());
    /// ```
    #[cfg(all(feature = "std", feature = "tracing"))]
    pub fn warn_after(mut self, wait: core::time::Duration) -> Self {
        self.options.policy.warn_after = Some(wait);
        self
    }

    /// Gives each side of the channel a budget: after this many calls of `recv`, whether they had to wait
    /// or not, the next one lets other tasks run before it takes an item. Likewise for `send`. By default,
    /// a loop of calls that never have to wait lets no other task of its thread run, neither timers nor
    /// a `select!` around it, for as long as there are items or there is room.
    ///
    /// All receivers of the channel share one budget, and so do all senders. A receiver that is polled
    /// as a stream uses that of the receivers. A batch counts as one call each time that it moves items.
    /// Calls that never wait, such as `try_recv`, use no budget. Calls that block the thread use it, but do
    /// not yield.
    ///
    /// If several tasks use a budget in turn, one that has yielded begins with a random part of it, and so
    /// yields after fewer calls. Otherwise, the budget might be spent at each turn of the same task, which
    /// then would get hardly any items. See [the guide](crate::guide#fairness) on how items are shared.
    ///
    /// A call that yields returns `Pending` although there is an item, or room, and wakes its own task. So
    /// with a budget, `now_or_never` may find nothing where `try_recv` finds an item. Where items are
    /// small, 128 is a good value: a yield then costs little per item, and other tasks wait for
    /// microseconds.
    ///
    /// # Examples
    ///
    /// A backlog does not hold up the other tasks of a thread:
    ///
    /// ```
    /// use std::num::NonZeroU32;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let builder = tollgate::Builder::new().capacity(1000);
    /// let (sender, receiver) = builder.yield_after(NonZeroU32::new(128).unwrap()).build();
    /// for item in 0..1000 {
    ///     sender.try_send(item).unwrap();
    /// }
    /// tokio::spawn(async move { sender.close() });
    /// // The other task runs after 128 items. Without a budget, it would not run before the end.
    /// while receiver.recv().await.is_ok() && !receiver.is_closed() {}
    /// assert!(receiver.len() > 800);
    /// # }
    /// ```
    pub fn yield_after(mut self, calls: NonZeroU32) -> Self {
        self.options.yield_after = Some(calls);
        self
    }

    /// Creates a plain channel, like [`bounded`](crate::bounded) or [`unbounded`](crate::unbounded).
    ///
    /// # Panics
    ///
    /// Panics if the capacity is 0, or if the memory for it cannot be allocated.
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
    /// tollgate::Builder::new().capacity(0).build::<u32>();
    /// ```
    #[track_caller]
    pub fn build<T>(&self) -> (Sender<T>, Receiver<T>) {
        self.build_kind()
    }

    /// Creates a task channel, like [`tasks`](crate::tasks) or
    /// [`unbounded_tasks`](crate::unbounded_tasks).
    ///
    /// # Panics
    ///
    /// Panics in the same cases as [`build`](Self::build). It also panics if [`Abandon::Requeue`]
    /// was set without [`max_attempts`](Self::max_attempts), because an item that makes its worker
    /// panic would be retried forever.
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
    #[track_caller]
    pub fn build_tasks<T>(&self) -> (Sender<T>, TaskReceiver<T>) {
        assert!(
            self.options.policy.on_abandon != Abandon::Requeue
                || self.options.policy.max_attempts.is_some(),
            "`Abandon::Requeue` needs `max_attempts`: an item that makes its worker panic would be \
             retried forever"
        );
        self.build_kind()
    }

    #[track_caller]
    fn build_kind<T, K: Kind>(&self) -> (Sender<T>, Receiver<T, K>) {
        let measures = self.options.policy.measures_time;
        let queue = match self.capacity {
            Some(capacity) => Queue::bounded(capacity, K::HAS_LANE, measures),
            None => Queue::unbounded(K::HAS_LANE, measures),
        };
        let (sender, receiver) = Shared::both_ends_of(Channel::new(queue, self.options));
        // SAFETY: the queue was just made for this kind.
        (Sender::new(sender), unsafe { Receiver::new(receiver) })
    }
}

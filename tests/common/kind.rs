//! The kinds of channel behind one trait, so that a test is written once for all of them.

use std::error::Error;
use std::num::NonZeroU32;
#[cfg(feature = "std")]
use std::time::Duration;

use tollgate::Abandon;
use tollgate::Builder;
use tollgate::Receiver;
use tollgate::Sender;
use tollgate::Task;
use tollgate::TaskReceiver;
use tollgate::Ticket;
use tollgate::TryRecvError;
use tollgate::kind;
pub(crate) use tollgate::kind::Plain;
pub(crate) use tollgate::kind::Tasks;

/// Makes two tests of each generic function: one for plain channels and one for task channels.
macro_rules! on_both_kinds {
    ($($name:ident,)*) => {
        mod plain {
            $(#[test]
            fn $name() {
                let _watchdog = $crate::common::Watchdog::of(concat!(module_path!(), "::", stringify!($name)));
                super::$name::<$crate::common::Plain>();
            })*
        }
        mod tasks {
            $(#[test]
            fn $name() {
                let _watchdog = $crate::common::Watchdog::of(concat!(module_path!(), "::", stringify!($name)));
                super::$name::<$crate::common::Tasks>();
            })*
        }
    };
}
pub(crate) use on_both_kinds;

/// A way to make channels of items of type `T`.
pub(crate) trait Kind<T = u32>: 'static {
    /// The kind of these channels.
    type Kind: kind::Kind<Received<T>: Given<T>>;

    fn channel(cap: usize) -> (Sender<T>, Receiver<T, Self::Kind>);

    fn unbounded() -> (Sender<T>, Receiver<T, Self::Kind>);
}

/// The receiver of a channel that `K` makes.
pub(crate) type ReceiverOf<K, T = u32> = Receiver<T, <K as Kind<T>>::Kind>;

/// What such a receiver returns for an item.
pub(crate) type ReceivedBy<K, T = u32> = <<K as Kind<T>>::Kind as kind::Kind>::Received<T>;

/// Task channels that requeue a dropped task once.
#[derive(Debug)]
pub(crate) enum Requeued {}

impl<T> Kind<T> for Plain {
    type Kind = Plain;

    fn channel(cap: usize) -> (Sender<T>, Receiver<T>) {
        tollgate::bounded(cap)
    }

    fn unbounded() -> (Sender<T>, Receiver<T>) {
        tollgate::unbounded()
    }
}

impl<T> Kind<T> for Tasks {
    type Kind = Tasks;

    fn channel(cap: usize) -> (Sender<T>, TaskReceiver<T>) {
        tollgate::tasks(cap)
    }

    fn unbounded() -> (Sender<T>, TaskReceiver<T>) {
        tollgate::unbounded_tasks()
    }
}

impl<T> Kind<T> for Requeued {
    type Kind = Tasks;

    fn channel(cap: usize) -> (Sender<T>, TaskReceiver<T>) {
        requeuing().capacity(cap).build_tasks()
    }

    fn unbounded() -> (Sender<T>, TaskReceiver<T>) {
        requeuing().build_tasks()
    }
}

/// Task channels that measure time. Without a clock, they are like others.
#[derive(Debug)]
pub(crate) enum Measured {}

impl<T> Kind<T> for Measured {
    type Kind = Tasks;

    fn channel(cap: usize) -> (Sender<T>, TaskReceiver<T>) {
        measuring().capacity(cap).build_tasks()
    }

    fn unbounded() -> (Sender<T>, TaskReceiver<T>) {
        measuring().build_tasks()
    }
}

fn measuring() -> Builder {
    let builder = Builder::new();
    #[cfg(feature = "std")]
    let builder = builder.measure_time();
    builder
}

fn requeuing() -> Builder {
    Builder::new()
        .max_attempts(NonZeroU32::new(2).unwrap())
        .on_abandon(Abandon::Requeue)
}

/// Receives an item and ends it well.
pub(crate) fn take_one<T, K>(receiver: &Receiver<T, K>) -> Result<T, TryRecvError>
where
    K: kind::Kind<Received<T>: Given<T>>,
{
    receiver.try_recv().map(Given::end)
}

/// What a receiver gives: an item, or a task that holds one. Whatever only a task can do is left
/// out for an item, which has ended already.
pub(crate) trait Given<T>: Sized {
    fn end(self) -> T;
    fn fail(self, error: impl Into<Box<dyn Error + Send + Sync>>) -> T;
    fn retry(self);
    fn retry_or_fail(self, error: impl Into<Box<dyn Error + Send + Sync>>);
    #[cfg(feature = "std")]
    fn retry_after(self, delay: Duration);
    #[cfg(feature = "std")]
    fn retry_after_or_fail(self, delay: Duration, error: impl Into<Box<dyn Error + Send + Sync>>);
    fn split(self) -> (T, Option<Ticket>);
    fn follow_up(&self, item: T);
    #[cfg(feature = "std")]
    fn follow_up_after(&self, item: T, delay: Duration);
    fn peek(&self) -> &T;
}

impl<T> Given<T> for T {
    fn end(self) -> T {
        self
    }

    fn fail(self, _: impl Into<Box<dyn Error + Send + Sync>>) -> T {
        self
    }

    fn retry(self) {}

    fn retry_or_fail(self, _: impl Into<Box<dyn Error + Send + Sync>>) {}

    #[cfg(feature = "std")]
    fn retry_after(self, _: Duration) {}

    #[cfg(feature = "std")]
    fn retry_after_or_fail(self, _: Duration, _: impl Into<Box<dyn Error + Send + Sync>>) {}

    fn split(self) -> (T, Option<Ticket>) {
        (self, None)
    }

    fn follow_up(&self, _: T) {}

    #[cfg(feature = "std")]
    fn follow_up_after(&self, _: T, _: Duration) {}

    fn peek(&self) -> &T {
        self
    }
}

impl<T> Given<T> for Task<T> {
    fn end(self) -> T {
        self.done()
    }

    fn fail(self, error: impl Into<Box<dyn Error + Send + Sync>>) -> T {
        self.fail(error)
    }

    fn retry(self) {
        let _ = self.retry();
    }

    fn retry_or_fail(self, error: impl Into<Box<dyn Error + Send + Sync>>) {
        let _ = self.retry_or_fail(error);
    }

    #[cfg(feature = "std")]
    fn retry_after(self, delay: Duration) {
        let _ = self.retry_after(delay);
    }

    #[cfg(feature = "std")]
    fn retry_after_or_fail(self, delay: Duration, error: impl Into<Box<dyn Error + Send + Sync>>) {
        let _ = self.retry_after_or_fail(delay, error);
    }

    fn split(self) -> (T, Option<Ticket>) {
        let (item, ticket) = self.split();
        (item, Some(ticket))
    }

    fn follow_up(&self, item: T) {
        let _ = self.follow_up(item);
    }

    #[cfg(feature = "std")]
    fn follow_up_after(&self, item: T, delay: Duration) {
        let _ = self.follow_up_after(item, delay);
    }

    fn peek(&self) -> &T {
        self
    }
}

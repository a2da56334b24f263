//! Both kinds of channel behind one trait, so that a test is written once for both.

use std::error::Error;
use std::fmt::Debug;
use std::future::Future;
use std::num::NonZeroU32;

use futures_util::stream::FusedStream;
use tollgate::Abandon;
use tollgate::Builder;
use tollgate::Drained;
use tollgate::Monitor;
use tollgate::Receiver;
use tollgate::RecvError;
use tollgate::Sender;
use tollgate::Task;
use tollgate::TaskReceiver;
use tollgate::Ticket;
use tollgate::TryRecvError;
use tollgate::future::Recv;
use tollgate::future::RecvTask;

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

/// A kind of channel.
pub(crate) trait Kind: 'static {
    type Receiver<T>: AnyReceiver<T>;

    fn channel<T>(cap: usize) -> (Sender<T>, Self::Receiver<T>);
}

/// What the receivers of a kind of channel give.
pub(crate) type GivenBy<K, T> = <<K as Kind>::Receiver<T> as AnyReceiver<T>>::Given;

#[derive(Debug)]
pub(crate) enum Plain {}

#[derive(Debug)]
pub(crate) enum Tasks {}

/// Task channels that requeue a dropped task once.
#[derive(Debug)]
pub(crate) enum Requeued {}

impl Kind for Plain {
    type Receiver<T> = Receiver<T>;

    fn channel<T>(cap: usize) -> (Sender<T>, Receiver<T>) {
        tollgate::bounded(cap)
    }
}

impl Kind for Tasks {
    type Receiver<T> = TaskReceiver<T>;

    fn channel<T>(cap: usize) -> (Sender<T>, TaskReceiver<T>) {
        tollgate::tasks(cap)
    }
}

impl Kind for Requeued {
    type Receiver<T> = TaskReceiver<T>;

    fn channel<T>(cap: usize) -> (Sender<T>, TaskReceiver<T>) {
        Builder::new()
            .capacity(cap)
            .max_attempts(NonZeroU32::new(2).unwrap())
            .on_abandon(Abandon::Requeue)
            .build_tasks()
    }
}

/// What a receiver gives: an item, or a task that holds one. Whatever only a task can do is left
/// out for an item, which has ended already.
pub(crate) trait Given<T>: Sized {
    fn end(self) -> T;
    fn fail(self, error: impl Into<Box<dyn Error + Send + Sync>>) -> T;
    fn retry(self);
    fn retry_or_fail(self, error: impl Into<Box<dyn Error + Send + Sync>>);
    fn split(self) -> (T, Option<Ticket>);
    fn follow_up(&self, item: T);
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

    fn split(self) -> (T, Option<Ticket>) {
        (self, None)
    }

    fn follow_up(&self, _: T) {}

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

    fn split(self) -> (T, Option<Ticket>) {
        let (item, ticket) = self.split();
        (item, Some(ticket))
    }

    fn follow_up(&self, item: T) {
        let _ = self.follow_up(item);
    }

    fn peek(&self) -> &T {
        self
    }
}

/// The methods that the receivers of both kinds share.
pub(crate) trait AnyReceiver<T>:
    Clone + Debug + Unpin + FusedStream<Item = Self::Given>
{
    type Given: Given<T>;
    type Recv<'a>: Future<Output = Result<Self::Given, RecvError>> + Unpin + Debug
    where
        Self: 'a;

    fn recv(&self) -> Self::Recv<'_>;
    fn try_recv(&self) -> Result<Self::Given, TryRecvError>;
    fn close(&self) -> bool;
    fn close_now(&self) -> Drained<T>;
    fn monitor(&self) -> Monitor<T>;
    fn len(&self) -> usize;
    fn capacity(&self) -> Option<usize>;
    fn is_empty(&self) -> bool;
    fn is_full(&self) -> bool;
    fn is_closed(&self) -> bool;
    fn sender_count(&self) -> usize;
    fn receiver_count(&self) -> usize;
    fn same_channel(&self, other: &Self) -> bool;

    /// Receives an item and ends it well.
    fn take_one(&self) -> Result<T, TryRecvError> {
        self.try_recv().map(Given::end)
    }
}

macro_rules! impl_any_receiver {
    ($receiver:ident, $given:ty, $recv:ident) => {
        impl<T> AnyReceiver<T> for $receiver<T> {
            type Given = $given;
            type Recv<'a>
                = $recv<'a, T>
            where
                Self: 'a;

            fn recv(&self) -> $recv<'_, T> {
                self.recv()
            }
            fn try_recv(&self) -> Result<$given, TryRecvError> {
                self.try_recv()
            }
            fn close(&self) -> bool {
                self.close()
            }
            fn close_now(&self) -> Drained<T> {
                self.close_now()
            }
            fn monitor(&self) -> Monitor<T> {
                self.monitor()
            }
            fn len(&self) -> usize {
                self.len()
            }
            fn capacity(&self) -> Option<usize> {
                self.capacity()
            }
            fn is_empty(&self) -> bool {
                self.is_empty()
            }
            fn is_full(&self) -> bool {
                self.is_full()
            }
            fn is_closed(&self) -> bool {
                self.is_closed()
            }
            fn sender_count(&self) -> usize {
                self.sender_count()
            }
            fn receiver_count(&self) -> usize {
                self.receiver_count()
            }
            fn same_channel(&self, other: &Self) -> bool {
                self.same_channel(other)
            }
        }
    };
}

impl_any_receiver!(Receiver, T, Recv);
impl_any_receiver!(TaskReceiver, Task<T>, RecvTask);

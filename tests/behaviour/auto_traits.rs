//! Which types are `Send`, `Sync`, `Unpin`, `UnwindSafe` and `Debug`, depending on the item, mostly
//! checked at compile time; and how large the types are.

use std::cell::Cell;
use std::error::Error;
use std::fmt::Debug;
use std::fmt::Display;
use std::future;
use std::iter::FusedIterator;
use std::marker::PhantomPinned;
use std::mem::size_of;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::rc::Rc;
use std::sync::MutexGuard;

use futures_util::Stream;
#[cfg(feature = "futures")]
use futures_util::future::FusedFuture;
use futures_util::stream::FusedStream;
use static_assertions::assert_impl_all;
use static_assertions::assert_not_impl_any;
use tollgate::Abandon;
use tollgate::Builder;
use tollgate::Drain;
use tollgate::Drained;
use tollgate::Failure;
#[cfg(feature = "std")]
use tollgate::IntoIter;
use tollgate::IntoStream;
#[cfg(feature = "std")]
use tollgate::Iter;
use tollgate::JoinError;
use tollgate::Monitor;
use tollgate::Receiver;
use tollgate::RecvError;
use tollgate::RecvStream;
use tollgate::RecvTimeoutError;
use tollgate::RecvUntilError;
use tollgate::Report;
use tollgate::RetryError;
use tollgate::SendError;
use tollgate::SendTimeoutError;
use tollgate::SendUntilError;
use tollgate::Sender;
use tollgate::Stats;
use tollgate::Task;
use tollgate::TaskReceiver;
use tollgate::Ticket;
use tollgate::TryIter;
use tollgate::TryRecvError;
use tollgate::TrySendError;
use tollgate::WeakReceiver;
use tollgate::WeakSender;
use tollgate::future::Closed;
use tollgate::future::Failed;
use tollgate::future::Finished;
use tollgate::future::IntoFinished;
use tollgate::future::IntoJoin;
use tollgate::future::IntoRecv;
use tollgate::future::IntoSend;
use tollgate::future::Join;
use tollgate::future::Ready;
use tollgate::future::Recv;
use tollgate::future::RecvMany;
use tollgate::future::RecvUntil;
use tollgate::future::Send as SendFuture;
use tollgate::future::SendFrom;
use tollgate::future::SendMany;
use tollgate::future::SendUntil;
use tollgate::kind::Tasks;

use crate::common::Watchdog;
use crate::common::now;

type RecvTask<'a, T> = Recv<'a, T, Tasks>;
type RecvManyTasks<'a, T> = RecvMany<'a, T, Tasks>;

/// `Send` but not `Sync`.
type Lonely = Cell<u8>;
/// Neither `Send` nor `Sync`.
type Local = Rc<u8>;
/// `Sync` but not `Send`.
type Held = MutexGuard<'static, u8>;
/// Not `Unpin`.
type Rooted = PhantomPinned;
/// Neither `UnwindSafe` nor `Debug`.
struct Fragile(#[allow(dead_code)] &'static mut dyn FnMut());

macro_rules! for_every_type {
    ($($type:ident $(<$a:lifetime>)?),* $(,)?) => {$(
        // `Send` and `Sync` exactly if items are `Send`.
        assert_impl_all!($type<$($a,)? u8>: Send, Sync, Debug);
        assert_impl_all!($type<$($a,)? Lonely>: Send);
        assert_not_impl_any!($type<$($a,)? Local>: Send, Sync);
        assert_not_impl_any!($type<$($a,)? Held>: Send, Sync);
        assert_impl_all!($type<$($a,)? Rooted>: Unpin);
        assert_impl_all!($type<$($a,)? u8>: UnwindSafe, RefUnwindSafe);
    )*};
}

macro_rules! for_all_without_an_item {
    ($($type:ident $(<$a:lifetime>)?),* $(,)?) => {$(
        assert_impl_all!($type<$($a,)? Lonely>: Send, Sync);
        assert_impl_all!($type<$($a,)? Fragile>: UnwindSafe, RefUnwindSafe, Debug);
    )*};
}

for_every_type!(Sender, Receiver, TaskReceiver, Monitor);
for_every_type!(
    WeakSender,
    WeakReceiver,
    TryIter<'static>,
    Drain<'static>,
    RecvStream<'static>,
    IntoStream
);
#[cfg(feature = "std")]
for_every_type!(Iter<'static>, IntoIter);
for_every_type!(IntoSend, IntoRecv, IntoJoin, IntoFinished);
for_every_type!(RecvMany<'static>, RecvManyTasks<'static>, SendMany<'static>,);
for_every_type!(
    Recv<'static>,
    RecvTask<'static>,
    SendFuture<'static>,
    Ready<'static>,
    Closed<'static>,
    Join<'static>,
    Finished<'static>,
    Failed<'static>,
);
for_all_without_an_item!(Sender, Receiver, TaskReceiver, Monitor);
for_all_without_an_item!(
    WeakSender,
    WeakReceiver,
    TryIter<'static>,
    Drain<'static>,
    RecvStream<'static>,
    IntoStream
);
#[cfg(feature = "std")]
for_all_without_an_item!(Iter<'static>, IntoIter);
for_all_without_an_item!(IntoRecv, IntoJoin, IntoFinished);
for_all_without_an_item!(
    Recv<'static>,
    RecvTask<'static>,
    Ready<'static>,
    Closed<'static>,
    Join<'static>,
    Finished<'static>,
    Failed<'static>,
);

// All iterators are fused, and all streams, on channels of both kinds.
#[cfg(feature = "std")]
mod blocking {
    use super::*;

    assert_impl_all!(Iter<'static, Fragile>: FusedIterator<Item = Fragile>);
    assert_impl_all!(Iter<'static, Fragile, Tasks>: FusedIterator<Item = Task<Fragile>>);
    assert_impl_all!(IntoIter<Fragile>: FusedIterator<Item = Fragile>);
    assert_impl_all!(IntoIter<Fragile, Tasks>: FusedIterator<Item = Task<Fragile>>);
}
assert_impl_all!(TryIter<'static, Fragile>: FusedIterator<Item = Fragile>);
assert_impl_all!(TryIter<'static, Fragile, Tasks>: FusedIterator<Item = Task<Fragile>>);
assert_impl_all!(Drain<'static, Fragile>: FusedIterator<Item = Fragile>);
assert_impl_all!(Drain<'static, Fragile, Tasks>: FusedIterator<Item = Task<Fragile>>);
assert_impl_all!(RecvStream<'static, Fragile>: FusedStream<Item = Fragile>);
assert_impl_all!(RecvStream<'static, Fragile, Tasks>: FusedStream<Item = Task<Fragile>>);
assert_impl_all!(IntoStream<Fragile>: FusedStream<Item = Fragile>);
assert_impl_all!(IntoStream<Fragile, Tasks>: FusedStream<Item = Task<Fragile>>);

// These also contain the future that stops them, and are what it is.
assert_impl_all!(RecvUntil<'static, Lonely, future::Ready<u8>>: Send, Sync, Unpin, Debug);
assert_impl_all!(RecvUntil<'static, Rooted, Fragile, Tasks>: Unpin, Debug);
assert_impl_all!(SendUntil<'static, Lonely, future::Ready<u8>>: Send, Sync, Unpin, Debug);
assert_impl_all!(SendUntil<'static, Rooted, Fragile>: Unpin, Debug);
assert_not_impl_any!(RecvUntil<'static, Local, u8>: Send, Sync);
assert_not_impl_any!(RecvUntil<'static, u8, Local>: Send, Sync);
assert_not_impl_any!(RecvUntil<'static, u8, Rooted>: Unpin);
assert_not_impl_any!(SendUntil<'static, Local, u8>: Send, Sync);
assert_not_impl_any!(SendUntil<'static, u8, Local>: Send, Sync);
assert_not_impl_any!(SendUntil<'static, u8, Rooted>: Unpin);

#[cfg(feature = "futures")]
mod sink {
    use super::*;
    use tollgate::SendSink;

    for_every_type!(SendSink);
    assert_impl_all!(SendSink<Fragile>: Clone, Debug);
    assert_impl_all!(SendSink<Lonely>: Send, Sync);
    assert_impl_all!(SendSink<u8>: futures_util::Sink<u8, Error = SendError<()>>);
}

#[cfg(feature = "futures")]
mod run {
    use super::*;
    use tollgate::Run;

    type Done = future::Ready<Result<(), String>>;
    type Ended = future::Ready<()>;
    type Items<T> = Run<T, fn(T) -> Done, Done>;
    type OfTasks<T> = Run<T, fn(Task<T>) -> Ended, Ended, Task<T>>;

    assert_impl_all!(Items<Lonely>: Send, Sync, Unpin, Debug, FusedFuture<Output = ()>);
    assert_impl_all!(OfTasks<Lonely>: Send, Sync, Unpin, Debug, FusedFuture<Output = ()>);
    assert_impl_all!(Run<u8, fn(u8) -> Rooted, Rooted>: Unpin, Debug);
    assert_not_impl_any!(Items<Local>: Send, Sync);
    assert_not_impl_any!(OfTasks<Local>: Send, Sync);
    assert_not_impl_any!(Run<u8, Local, Done>: Send, Sync);
    assert_not_impl_any!(Run<u8, fn(u8) -> Local, Local>: Send, Sync);
}

// These borrow the caller's collection; they give no access to it.
assert_impl_all!(RecvMany<'static, Lonely>: Send, Sync);
assert_impl_all!(RecvMany<'static, Fragile>: Debug);
assert_impl_all!(SendMany<'static, Lonely>: Send, Sync);
assert_impl_all!(SendMany<'static, Fragile>: Debug);
assert_not_impl_any!(RecvMany<'static, Fragile>: UnwindSafe);
assert_not_impl_any!(SendMany<'static, Fragile>: UnwindSafe);

// These contain an item; the future gives no access to it.
assert_impl_all!(SendFuture<'static, Fragile>: Debug);
assert_impl_all!(SendFuture<'static, Lonely>: Send, Sync);
// It borrows the slot of an item.
assert_impl_all!(SendFrom<'static, u8>: Send, Sync, Debug, RefUnwindSafe);
assert_impl_all!(SendFrom<'static, Lonely>: Send, Sync);
assert_not_impl_any!(SendFrom<'static, Local>: Send, Sync);
assert_not_impl_any!(SendFrom<'static, Held>: Send, Sync);
assert_impl_all!(SendFrom<'static, Rooted>: Unpin);
assert_impl_all!(SendFrom<'static, Fragile>: Debug);
assert_impl_all!(Task<u8>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Debug);
assert_impl_all!(Task<Lonely>: Send);
assert_not_impl_any!(Task<Lonely>: Sync);
assert_not_impl_any!(Task<Local>: Send, Sync);
// Not even `Sync`: a `&Task` can send new items.
assert_not_impl_any!(Task<Held>: Send, Sync);
assert_not_impl_any!(Task<Fragile>: UnwindSafe);
assert_not_impl_any!(Task<u8>: Clone);

// A ticket is `Send` and `Sync` whatever its item was.
assert_impl_all!(Ticket: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Debug);
assert_not_impl_any!(Ticket: Clone);
const fn is_static<T: 'static>() {}
const _: () = is_static::<Ticket>();

// It contains nothing but items.
assert_impl_all!(Drained<u8>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, DoubleEndedIterator);
assert_impl_all!(Drained<u8>: ExactSizeIterator, FusedIterator);
assert_impl_all!(Drained<Fragile>: Debug);
assert_impl_all!(Drained<Lonely>: Send);
assert_not_impl_any!(Drained<Lonely>: Sync);
assert_not_impl_any!(Drained<Local>: Send, Sync);

assert_impl_all!(Builder: Send, Sync, Unpin, Clone, Debug, Default);
assert_impl_all!(Abandon: Send, Sync, Copy, Debug, Eq, Default);

// The handles that are counted can be cloned.
assert_impl_all!(Sender<Fragile>: Clone);
assert_impl_all!(Receiver<Fragile>: Clone, Stream<Item = Fragile>, FusedStream);
assert_impl_all!(TaskReceiver<Fragile>: Clone, Stream<Item = Task<Fragile>>, FusedStream);
assert_impl_all!(Monitor<Fragile>: Clone);

// Errors are `Send` if their items are, and implement `Error` for any item.
assert_impl_all!(SendError<Fragile>: Error, Debug, Display);
assert_impl_all!(TrySendError<Fragile>: Error, Debug, Display);
assert_impl_all!(SendTimeoutError<Fragile>: Error, Debug, Display);
assert_impl_all!(RetryError<Fragile>: Error, Debug, Display);
assert_impl_all!(SendUntilError<Fragile, Fragile>: Error, Debug, Display);
assert_impl_all!(SendUntilError<u8, u8>: Send, Sync, Copy, Eq);
assert_impl_all!(RecvUntilError<Fragile>: Error, Debug, Display);
assert_impl_all!(RecvUntilError<u8>: Send, Sync, Copy, Eq);
assert_impl_all!(RetryError<u8>: Send, Sync, Copy, Eq);
assert_impl_all!(SendError<u8>: Send, Sync, Copy, Eq);
assert_impl_all!(TrySendError<u8>: Send, Sync, Copy, Eq);
assert_impl_all!(SendTimeoutError<u8>: Send, Sync, Copy, Eq);
assert_impl_all!(RecvError: Error, Send, Sync, Copy, Eq);
assert_impl_all!(TryRecvError: Error, Send, Sync, Copy, Eq);
assert_impl_all!(RecvTimeoutError: Error, Send, Sync, Copy, Eq);
assert_impl_all!(JoinError: Error, Send, Sync, Clone);
assert_impl_all!(Failure: Display, Debug, Send, Sync, Clone);
assert_impl_all!(Report: Copy, Debug, Eq, Default, Send, Sync);
assert_impl_all!(Stats: Copy, Debug, Eq, Send, Sync);

const WORD: usize = size_of::<usize>();

/// With the feature `tracing`, a future knows when it began to wait.
#[cfg(target_pointer_width = "64")]
const TIME: usize = if cfg!(feature = "tracing") {
    size_of::<Option<std::time::Instant>>()
} else {
    0
};

/// Whether an error is no larger than its item with a tag beside it.
const fn is_item_and_tag<E, T>() -> bool {
    size_of::<E>() <= size_of::<(T, usize)>()
}

#[test]
fn handles_take_two_words_at_most() {
    assert!(size_of::<Sender<[u8; 64]>>() <= 2 * WORD);
    assert_eq!(size_of::<Option<Sender<u8>>>(), size_of::<Sender<u8>>());
    assert!(size_of::<Receiver<[u8; 64]>>() <= 2 * WORD);
    assert!(size_of::<TaskReceiver<[u8; 64]>>() <= 2 * WORD);
    assert!(size_of::<Monitor<[u8; 64]>>() <= 2 * WORD);
}

// With 32 bits, the numbers in them take two words.
#[cfg(target_pointer_width = "64")]
#[test]
fn streams_take_state_of_waiter_receiver_and_budget() {
    assert!(size_of::<RecvStream<'_, [u8; 64]>>() <= 5 * WORD + TIME);
    assert!(size_of::<IntoStream<[u8; 64]>>() <= 6 * WORD + TIME);
}

// With 32 bits, the numbers in them take two words.
#[cfg(target_pointer_width = "64")]
#[test]
fn futures_take_three_words_and_item() {
    assert!(size_of::<Recv<'_, [u8; 64]>>() <= 3 * WORD + TIME);
    assert!(size_of::<RecvTask<'_, [u8; 64]>>() <= 3 * WORD + TIME);
    assert!(size_of::<SendFuture<'_, u64>>() <= 3 * WORD + TIME + size_of::<u64>());
    assert!(size_of::<SendFuture<'_, [u8; 64]>>() <= 3 * WORD + TIME + 64);
    assert!(size_of::<SendFuture<'_, String>>() <= 3 * WORD + TIME + size_of::<String>());
    assert!(size_of::<SendFrom<'_, [u8; 64]>>() <= 4 * WORD + TIME);
    assert!(size_of::<Ready<'_, [u8; 64]>>() <= 3 * WORD + TIME);
    assert!(size_of::<SendMany<'_, u64>>() <= 4 * WORD + TIME);
    assert!(size_of::<RecvMany<'_, u64>>() <= 5 * WORD + TIME);
    assert!(size_of::<Join<'_, u64>>() <= 4 * WORD + TIME);
    // A flag, and the future that stops them.
    type Stop = future::Ready<[usize; 4]>;
    let stop = size_of::<Option<Stop>>();
    assert!(size_of::<RecvUntil<'_, [u8; 64], Stop>>() <= 4 * WORD + TIME + stop);
    assert!(size_of::<SendUntil<'_, u64, Stop>>() <= 4 * WORD + TIME + size_of::<u64>() + stop);
}

// With 32 bits, the numbers in them take two words.
#[cfg(target_pointer_width = "64")]
#[test]
fn task_takes_item_and_two_words() {
    assert_eq!(size_of::<Task<u64>>(), size_of::<u64>() + 2 * WORD);
    assert_eq!(size_of::<Task<String>>(), size_of::<String>() + 2 * WORD);
    assert!(size_of::<Ticket>() <= 2 * WORD);
}

#[test]
fn errors_take_item_and_tag() {
    assert_eq!(size_of::<SendError<u64>>(), size_of::<u64>());
    assert_eq!(size_of::<SendError<String>>(), size_of::<String>());
    assert!(is_item_and_tag::<TrySendError<u64>, u64>());
    assert!(is_item_and_tag::<TrySendError<[u8; 64]>, [u8; 64]>());
    assert!(size_of::<TrySendError<String>>() <= size_of::<String>() + WORD);
    // What Clippy calls a large error starts at 128 bytes.
    assert!(size_of::<JoinError>() < 128);
    assert_eq!(size_of::<RecvError>(), 0);
    assert_eq!(size_of::<TryRecvError>(), 1);
}

#[test]
fn ticket_outlives_borrow_of_item() {
    let text = String::from("borrowed");
    let (sender, receiver) = tollgate::tasks::<&str>(1);
    sender.try_send(&text).unwrap();
    let (item, ticket) = receiver.try_recv().unwrap().split();
    assert_eq!(item, "borrowed");
    drop((sender, receiver));
    drop(text);
    // The ticket outlives what its item borrowed.
    ticket.done();
}

#[test]
fn handles_move_to_another_thread() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::tasks(1);
    let monitor = sender.monitor();
    let worker = std::thread::spawn(move || {
        pollster::block_on(async {
            sender.send(Lonely::new(1)).await.unwrap();
            let (item, ticket) = receiver.recv().await.unwrap().split();
            assert_eq!(item.get(), 1);
            ticket
        })
    });
    worker.join().unwrap().done();
    assert_eq!(now(monitor.finished()).unwrap().done, 1);
}

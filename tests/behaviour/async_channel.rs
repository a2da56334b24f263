//! Every public item of async-channel 2.5, under its name and with its signature. Most of this is
//! checked at compile time.
//!
//! With `tollgate` replaced by `async_channel`, this file compiles and passes, too. So it uses neither
//! `common` nor anything that only this crate has. `guide::async_channel` lists the differences.

use std::cell::Cell;
use std::error::Error;
use std::fmt::Debug;
use std::fmt::Display;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::panic::catch_unwind;
use std::pin::pin;
use std::rc::Rc;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;

use futures_util::Stream;
use futures_util::StreamExt;
use futures_util::stream::FusedStream;
use static_assertions::assert_impl_all;
use static_assertions::assert_not_impl_any;
use tollgate::Closed;
use tollgate::Receiver;
use tollgate::Recv;
use tollgate::RecvError;
use tollgate::Send as SendFuture;
use tollgate::SendError;
use tollgate::Sender;
use tollgate::TryRecvError;
use tollgate::TrySendError;
use tollgate::WeakReceiver;
use tollgate::WeakSender;
use tollgate::bounded;
use tollgate::unbounded;

/// `Send` but not `Sync`.
type Lonely = Cell<u8>;
/// Neither `Send` nor `Sync`.
type Local = Rc<u8>;
/// What `force_send` returns.
type Forced<T> = Result<Option<T>, SendError<T>>;
/// Without any trait.
struct Bare(PhantomData<&'static mut dyn FnMut()>);

fn functions<T>() {
    let _: fn(usize) -> (Sender<T>, Receiver<T>) = bounded;
    let _: fn() -> (Sender<T>, Receiver<T>) = unbounded;
}

fn methods_of_sender<'a, T: 'a>() {
    let _: fn(&Sender<T>, T) -> Result<(), TrySendError<T>> = Sender::try_send;
    let _: fn(&'a Sender<T>, T) -> SendFuture<'a, T> = Sender::send;
    let _: fn(&'a Sender<T>) -> Closed<'a, T> = Sender::closed;
    let _: fn(&Sender<T>, T) -> Result<(), SendError<T>> = Sender::send_blocking;
    let _: fn(&Sender<T>, T) -> Forced<T> = Sender::force_send;
    let _: fn(&Sender<T>) -> bool = Sender::close;
    let _: fn(&Sender<T>) -> bool = Sender::is_closed;
    let _: fn(&Sender<T>) -> bool = Sender::is_empty;
    let _: fn(&Sender<T>) -> bool = Sender::is_full;
    let _: fn(&Sender<T>) -> usize = Sender::len;
    let _: fn(&Sender<T>) -> Option<usize> = Sender::capacity;
    let _: fn(&Sender<T>) -> usize = Sender::receiver_count;
    let _: fn(&Sender<T>) -> usize = Sender::sender_count;
    let _: fn(&Sender<T>) -> WeakSender<T> = Sender::downgrade;
    let _: fn(&Sender<T>, &Sender<T>) -> bool = Sender::same_channel;
    let _: fn(&WeakSender<T>) -> Option<Sender<T>> = WeakSender::upgrade;
}

fn methods_of_receiver<'a, T: 'a>() {
    let _: fn(&Receiver<T>) -> Result<T, TryRecvError> = Receiver::try_recv;
    let _: fn(&'a Receiver<T>) -> Recv<'a, T> = Receiver::recv;
    let _: fn(&Receiver<T>) -> Result<T, RecvError> = Receiver::recv_blocking;
    let _: fn(&Receiver<T>) -> bool = Receiver::close;
    let _: fn(&Receiver<T>) -> bool = Receiver::is_closed;
    let _: fn(&Receiver<T>) -> bool = Receiver::is_empty;
    let _: fn(&Receiver<T>) -> bool = Receiver::is_full;
    let _: fn(&Receiver<T>) -> usize = Receiver::len;
    let _: fn(&Receiver<T>) -> Option<usize> = Receiver::capacity;
    let _: fn(&Receiver<T>) -> usize = Receiver::receiver_count;
    let _: fn(&Receiver<T>) -> usize = Receiver::sender_count;
    let _: fn(&Receiver<T>) -> WeakReceiver<T> = Receiver::downgrade;
    let _: fn(&Receiver<T>, &Receiver<T>) -> bool = Receiver::same_channel;
    let _: fn(&WeakReceiver<T>) -> Option<Receiver<T>> = WeakReceiver::upgrade;
}

fn methods_of_errors<T>() {
    let _: fn(T) -> SendError<T> = SendError;
    let _: fn(SendError<T>) -> T = |error| error.0;
    let _: fn(SendError<T>) -> T = SendError::into_inner;
    let _: fn(T) -> TrySendError<T> = TrySendError::Full;
    let _: fn(T) -> TrySendError<T> = TrySendError::Closed;
    let _: fn(TrySendError<T>) -> T = TrySendError::into_inner;
    let _: fn(&TrySendError<T>) -> bool = TrySendError::is_full;
    let _: fn(&TrySendError<T>) -> bool = TrySendError::is_closed;
    let _: fn(&TryRecvError) -> bool = TryRecvError::is_empty;
    let _: fn(&TryRecvError) -> bool = TryRecvError::is_closed;
}

/// The enumerations have these variants, and no others.
fn variants_of_errors<T>(try_send: TrySendError<T>, try_recv: TryRecvError) {
    match try_send {
        TrySendError::Full(_) | TrySendError::Closed(_) => {}
    }
    match try_recv {
        TryRecvError::Empty | TryRecvError::Closed => {}
    }
    let RecvError = RecvError;
}

fn outputs<'a, T: 'a>() {
    fn has<F: Future<Output = O>, O>() {}
    has::<SendFuture<'a, T>, Result<(), SendError<T>>>();
    has::<Recv<'a, T>, Result<T, RecvError>>();
    has::<Closed<'a, T>, ()>();
    fn yields<S: Stream<Item = T> + FusedStream, T>() {}
    yields::<Receiver<T>, T>();
}

/// The second parameter of `Receiver` is not named.
trait Receive {
    fn receive(&self) -> Option<u8>;
}

impl Receive for Receiver<u8> {
    fn receive(&self) -> Option<u8> {
        Receiver::clone(self).try_recv().ok()
    }
}

/// The compiler has checked all of this before it runs.
#[test]
fn names_have_their_signatures() {
    functions::<Bare>();
    methods_of_sender::<Bare>();
    methods_of_receiver::<Bare>();
    methods_of_errors::<Bare>();
    variants_of_errors(TrySendError::Full(1), TryRecvError::Empty);
    outputs::<Bare>();
    let (sender, receiver) = bounded(1);
    sender.try_send(1).unwrap();
    assert_eq!(receiver.receive(), Some(1));
}

macro_rules! for_handles {
    ($($type:ident),*) => {$(
        assert_impl_all!($type<Lonely>: Send, Sync);
        assert_not_impl_any!($type<Local>: Send, Sync);
        assert_impl_all!($type<Bare>: Clone, Debug, UnwindSafe, RefUnwindSafe);
    )*};
}

for_handles!(Sender, Receiver, WeakSender, WeakReceiver);
assert_impl_all!(Sender<Bare>: Unpin);
assert_impl_all!(WeakSender<Bare>: Unpin);
assert_impl_all!(WeakReceiver<Bare>: Unpin);

macro_rules! for_futures {
    ($($type:ident),*) => {$(
        assert_impl_all!($type<'static, u8>: Send, Sync, Debug, UnwindSafe, RefUnwindSafe);
        assert_impl_all!($type<'static, Lonely>: Send);
        assert_not_impl_any!($type<'static, Local>: Send, Sync);
    )*};
}

for_futures!(SendFuture, Recv, Closed);

assert_impl_all!(SendError<Bare>: Error, Debug, Display);
assert_impl_all!(SendError<u8>: Clone, Copy, PartialEq, Eq, Send, Sync, Unpin);
assert_impl_all!(TrySendError<Bare>: Error, Debug, Display);
assert_impl_all!(TrySendError<u8>: Clone, Copy, PartialEq, Eq, Send, Sync, Unpin);
assert_impl_all!(RecvError: Error, Debug, Display, Clone, Copy, PartialEq, Eq, Send, Sync);
assert_impl_all!(TryRecvError: Error, Debug, Display, Clone, Copy, PartialEq, Eq, Send, Sync);

#[test]
fn texts_are_those_of_async_channel() {
    let (sender, receiver) = bounded::<u8>(1);
    assert_eq!(format!("{sender:?}"), "Sender { .. }");
    assert_eq!(format!("{receiver:?}"), "Receiver { .. }");
    let (weak_sender, weak_receiver) = (sender.downgrade(), receiver.downgrade());
    assert_eq!(format!("{weak_sender:?}"), "WeakSender { .. }");
    assert_eq!(format!("{weak_receiver:?}"), "WeakReceiver { .. }");

    let send = [
        format!("{:?}", SendError(1)),
        format!("{:?}", TrySendError::Full(1)),
        format!("{:?}", TrySendError::Closed(1)),
    ];
    assert_eq!(send, ["SendError(..)", "Full(..)", "Closed(..)"]);
    let recv = [
        format!("{RecvError:?}"),
        format!("{:?}", TryRecvError::Empty),
        format!("{:?}", TryRecvError::Closed),
    ];
    assert_eq!(recv, ["RecvError", "Empty", "Closed"]);

    let closed = "sending into a closed channel";
    assert_eq!(SendError(1).to_string(), closed);
    assert_eq!(TrySendError::Closed(1).to_string(), closed);
    let full = TrySendError::Full(1).to_string();
    assert_eq!(full, "sending into a full channel");
    let ended = "receiving from an empty and closed channel";
    assert_eq!(RecvError.to_string(), ended);
    assert_eq!(TryRecvError::Closed.to_string(), ended);
    let empty = TryRecvError::Empty.to_string();
    assert_eq!(empty, "receiving from an empty channel");
}

#[test]
fn capacity_zero_panics() {
    assert!(catch_unwind(|| bounded::<u8>(0)).is_err());
}

/// Programs for async-channel pin futures and streams, which are not `Unpin` there.
#[test]
fn pinned_futures_and_streams_complete() {
    let (sender, receiver) = bounded(1);
    pollster::block_on(async {
        let mut send = pin!(sender.send(1));
        assert_eq!(send.as_mut().await, Ok(()));
        let mut recv = pin!(receiver.recv());
        assert_eq!(recv.as_mut().await, Ok(1));
    });
    let mut closed = pin!(sender.closed());
    let cx = &mut Context::from_waker(Waker::noop());
    assert_eq!(closed.as_mut().poll(cx), Poll::Pending);

    let mut stream = pin!(receiver.clone());
    assert_eq!(stream.as_mut().poll_next(cx), Poll::Pending);
    sender.try_send(2).unwrap();
    assert!(receiver.close());
    assert_eq!(closed.as_mut().poll(cx), Poll::Ready(()));
    pollster::block_on(async {
        assert_eq!(stream.next().await, Some(2));
        assert_eq!(stream.next().await, None);
        assert_eq!(stream.next().await, None);
    });
    assert!(stream.is_terminated());
}

#[test]
fn errors_convert_by_question_mark() {
    fn fails() -> Result<(), Box<dyn Error + Send + Sync>> {
        let (sender, receiver) = bounded(1);
        sender.send_blocking(1)?;
        sender.try_send(2).map_err(TrySendError::into_inner).err();
        receiver.recv_blocking()?;
        receiver.close();
        receiver.try_recv()?;
        Ok(())
    }
    let error = fails().unwrap_err();
    assert!(error.is::<TryRecvError>(), "{error}");
}

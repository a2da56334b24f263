//! Large items: each verb on the stack of an ordinary thread.
//!
//! Without optimisation, each function that an item passes through has copies of it on the stack.

use std::collections::VecDeque;
use std::future::ready;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;
use std::thread;
use std::time::Duration;

#[cfg(feature = "futures")]
use futures_util::SinkExt;
use futures_util::StreamExt;
use pollster::block_on;
use tollgate::Sender;
use tollgate::TaskReceiver;

use crate::common::Kind;
use crate::common::Plain;
use crate::common::ReceiverOf;
use crate::common::Tasks;
use crate::common::Watchdog;

/// The stack of a thread that does not ask for another.
const STACK: usize = 2 << 20;

/// An item that each verb can move. With optimisation, a verb and its caller have at most three copies of
/// it on the stack.
const LARGE: usize = (if cfg!(debug_assertions) { 64 } else { 512 }) << 10;

/// An item that can be moved by the verbs that other channels have too.
const HUGE: usize = (if cfg!(debug_assertions) { 128 } else { 512 }) << 10;

type Ends<K, const N: usize> = (Sender<[u8; N]>, ReceiverOf<K, [u8; N]>);

#[inline(never)]
fn item<const N: usize>() -> [u8; N] {
    [1; N]
}

/// Calls `f` on a thread with a stack of this size.
fn on_stack<R: Send + 'static>(size: usize, f: impl FnOnce() -> R + Send + 'static) -> R {
    let thread = thread::Builder::new().stack_size(size).spawn(f);
    thread.unwrap().join().unwrap()
}

/// Makes a channel with `count` items on a large stack, and calls `verb` on an ordinary one.
fn run<K, const N: usize>(count: usize, verb: fn(&mut Ends<K, N>))
where
    K: Kind<[u8; N]>,
{
    let mut ends = on_stack(32 * STACK, move || {
        let (sender, receiver) = K::channel(4);
        (0..count).for_each(|_| assert!(sender.try_send(item()).is_ok()));
        (sender, receiver)
    });
    on_stack(STACK, move || verb(&mut ends));
}

/// Polls a future that is ready. Like `.await`, it has the future in its place at once: a function would
/// get it by value, and have a copy of the item.
macro_rules! poll {
    ($future:expr) => {
        match pin!($future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("the future is not ready"),
        }
    };
}

fn two_items<const N: usize>() -> VecDeque<[u8; N]> {
    let mut items = VecDeque::new();
    items.push_back(item());
    items.push_back(item());
    items
}

fn construction<K: Kind<[u8; N]>, const N: usize>() {
    run::<K, N>(0, |_| drop(K::channel(4)));
    run::<K, N>(0, |_| drop(K::unbounded()));
}

fn sending<K: Kind<[u8; N]>, const N: usize>() {
    run::<K, N>(0, |(sender, _)| assert!(sender.try_send(item()).is_ok()));
    run::<K, N>(4, |(sender, _)| assert!(sender.try_send(item()).is_err()));
    run::<K, N>(4, |(sender, _)| {
        assert!(sender.force_send(item()).is_ok_and(|it| it.is_some()));
    });
    run::<K, N>(0, |(sender, _)| assert!(poll!(sender.send(item())).is_ok()));
    run::<K, N>(0, |(sender, _)| {
        assert!(poll!(sender.clone().into_send(item())).is_ok());
    });
}

fn sending_until<K: Kind<[u8; N]>, const N: usize>() {
    run::<K, N>(0, |(sender, _)| {
        assert!(poll!(sender.send_until(item(), ready(()))).is_ok());
    });
    run::<K, N>(4, |(sender, _)| {
        assert!(poll!(sender.send_until(item(), ready(()))).is_err());
    });
    run::<K, N>(1, |(_, receiver)| {
        assert!(poll!(receiver.recv_until(ready(()))).is_ok());
    });
}

fn batches<K: Kind<[u8; N]>, const N: usize>() {
    run::<K, N>(0, |(sender, _)| {
        let mut items = two_items();
        assert_eq!(sender.try_send_many(&mut items), Ok(2));
    });
    run::<K, N>(0, |(sender, _)| {
        let mut items = two_items();
        assert!(poll!(sender.send_many(&mut items)).is_ok());
    });
    run::<K, N>(2, |(_, receiver)| {
        let max = NonZeroUsize::MAX;
        assert!(receiver.try_recv_many(&mut Vec::new(), max).is_ok());
    });
    run::<K, N>(2, |(_, receiver)| {
        let max = NonZeroUsize::MAX;
        assert!(poll!(receiver.recv_many(&mut Vec::new(), max)).is_ok());
    });
}

fn keeping<K: Kind<[u8; N]>, const N: usize>() {
    run::<K, N>(0, |(sender, _)| {
        assert!(poll!(sender.send_from(&mut Some(item()))).is_ok());
    });
    run::<K, N>(0, |(sender, _)| {
        assert!(sender.send(item()).into_inner().is_some());
    });
    #[cfg(feature = "futures")]
    run::<K, N>(3, |(sender, _)| {
        let mut sink = sender.clone().into_sink();
        assert!(sink.start_send_unpin(item()).is_ok());
        assert!(sink.start_send_unpin(item()).is_ok());
        assert!(sink.take().is_some());
    });
}

fn receiving<K: Kind<[u8; N]>, const N: usize>() {
    run::<K, N>(1, |(_, receiver)| assert!(receiver.try_recv().is_ok()));
    run::<K, N>(1, |(_, receiver)| assert!(poll!(receiver.recv()).is_ok()));
    run::<K, N>(1, |(_, receiver)| {
        assert!(poll!(receiver.clone().into_recv()).is_ok());
    });
    run::<K, N>(1, |(_, receiver)| assert!(poll!(receiver.next()).is_some()));
    run::<K, N>(4, |(_, receiver)| {
        assert!(receiver.try_iter().next().is_some());
    });
    run::<K, N>(4, |(_, receiver)| {
        assert!(receiver.close_now().next().is_some());
    });
}

fn streams<K: Kind<[u8; N]>, const N: usize>() {
    run::<K, N>(4, |(_, receiver)| {
        assert!(receiver.drain().next().is_some());
    });
    run::<K, N>(1, |(_, receiver)| {
        assert!(poll!(receiver.stream().next()).is_some());
    });
    run::<K, N>(1, |(_, receiver)| {
        assert!(poll!(receiver.clone().into_stream().next()).is_some());
    });
}

fn blocking<K: Kind<[u8; N]>, const N: usize>() {
    const SHORT: Duration = Duration::from_millis(1);
    run::<K, N>(0, |(sender, _)| {
        assert!(sender.send_blocking(item()).is_ok());
    });
    run::<K, N>(0, |(sender, _)| {
        assert!(sender.send_timeout(item(), SHORT).is_ok());
    });
    run::<K, N>(4, |(sender, _)| {
        assert!(sender.send_timeout(item(), SHORT).is_err());
    });
    run::<K, N>(1, |(_, receiver)| assert!(receiver.recv_blocking().is_ok()));
    run::<K, N>(1, |(_, receiver)| {
        assert!(receiver.recv_timeout(SHORT).is_ok());
    });
    run::<K, N>(1, |(_, receiver)| assert!(receiver.iter().next().is_some()));
}

/// Like the next two, it calls one verb, and is not inlined: its caller has no copy of the item.
#[inline(never)]
fn retry_after<const N: usize>(receiver: &TaskReceiver<[u8; N]>, delay: Duration) {
    receiver.try_recv().unwrap().retry_after(delay).unwrap();
}

#[inline(never)]
fn is_received<const N: usize>(receiver: &TaskReceiver<[u8; N]>) -> bool {
    receiver.recv_blocking().is_ok()
}

#[inline(never)]
fn is_taken_out<const N: usize>(receiver: &TaskReceiver<[u8; N]>) -> bool {
    receiver.close_now().next().is_some()
}

fn tasks<const N: usize>() {
    run::<Tasks, N>(1, |(_, receiver)| {
        receiver.try_recv().unwrap().done();
    });
    run::<Tasks, N>(1, |(_, receiver)| {
        receiver.try_recv().unwrap().fail("failed");
    });
    run::<Tasks, N>(1, |(_, receiver)| {
        receiver.try_recv().unwrap().split().1.done();
    });
    run::<Tasks, N>(1, |(_, receiver)| {
        receiver.try_recv().unwrap().retry().unwrap();
        assert!(receiver.try_recv().is_ok());
    });
    run::<Tasks, N>(1, |(_, receiver)| {
        let task = receiver.try_recv().unwrap();
        assert!(task.follow_up(item()).is_ok());
    });
    run::<Tasks, N>(1, |(_, receiver)| {
        retry_after(receiver, Duration::from_millis(1));
        assert!(is_received(receiver));
    });
    run::<Tasks, N>(1, |(_, receiver)| {
        let task = receiver.try_recv().unwrap();
        assert!(task.follow_up_after(item(), Duration::MAX).is_ok());
    });
    run::<Tasks, N>(1, |(_, receiver)| {
        retry_after(receiver, Duration::MAX);
        assert!(is_taken_out(receiver));
    });
    run::<Tasks, N>(1, |(_, receiver)| drop(receiver.try_recv()));
}

#[test]
fn large_items_fit_on_stack_of_thread() {
    let _watchdog = Watchdog::start();
    construction::<Plain, LARGE>();
    construction::<Tasks, LARGE>();
    sending::<Plain, LARGE>();
    sending_until::<Plain, LARGE>();
    sending_until::<Tasks, LARGE>();
    batches::<Plain, LARGE>();
    batches::<Tasks, LARGE>();
    keeping::<Plain, LARGE>();
    receiving::<Plain, LARGE>();
    receiving::<Tasks, LARGE>();
    streams::<Plain, LARGE>();
    streams::<Tasks, LARGE>();
    blocking::<Plain, LARGE>();
    blocking::<Tasks, LARGE>();
    tasks::<LARGE>();
}

#[test]
fn huge_items_fit_on_stack_of_thread() {
    let _watchdog = Watchdog::start();
    construction::<Plain, HUGE>();
    sending::<Plain, HUGE>();
    receiving::<Plain, HUGE>();
    receiving::<Tasks, HUGE>();
    blocking::<Plain, HUGE>();
    blocking::<Tasks, HUGE>();
}

/// The thread of the timer neither moves items nor has room for one when it frees a channel.
#[test]
fn delayed_item_may_be_larger_than_stack_of_timer() {
    const MILLI: Duration = Duration::from_millis(1);
    /// A channel with two items in hand.
    fn with(f: fn(Sender<[u8; STACK]>, TaskReceiver<[u8; STACK]>)) {
        on_stack(64 * STACK, move || {
            let (sender, receiver) = tollgate::unbounded_tasks();
            (0..2).for_each(|_| assert!(sender.try_send(item()).is_ok()));
            f(sender, receiver);
        });
    }
    let _watchdog = Watchdog::start();
    with(|_, receiver| {
        retry_after(&receiver, MILLI);
        retry_after(&receiver, MILLI);
        for _ in 0..2 {
            let task = receiver.recv_blocking().unwrap();
            assert_eq!((task.attempt(), task.iter().all(|it| *it == 1)), (2, true));
            task.done();
        }
    });
    with(|_, receiver| {
        retry_after(&receiver, MILLI);
        retry_after(&receiver, MILLI);
        let mut tasks = Vec::new();
        while tasks.len() < 2 {
            let received = receiver.recv_many(&mut tasks, NonZeroUsize::MAX);
            assert!(block_on(received).is_ok());
        }
        assert!(
            tasks
                .iter()
                .all(|it| it.attempt() == 2 && it[STACK - 1] == 1)
        );
    });
    // One is delayed, and the other may be receivable.
    with(|sender, receiver| {
        retry_after(&receiver, Duration::MAX);
        retry_after(&receiver, MILLI);
        assert!(sender.close_now().all(|it| it[STACK - 1] == 1));
    });
    with(|_, receiver| {
        retry_after(&receiver, Duration::MAX);
        retry_after(&receiver, MILLI);
        drop(receiver);
    });
}

/// Slots are made where they stay, without an item, and a channel that is freed holds none.
#[test]
fn channel_is_made_and_freed_on_stack_smaller_than_item() {
    let _watchdog = Watchdog::start();
    let make = || {
        let bounded = tollgate::bounded::<[u8; STACK]>(4);
        (bounded, tollgate::unbounded_tasks::<[u8; STACK]>())
    };
    let ((one, receiver), (other, tasks)) = on_stack(STACK, make);
    // Dropping the last receiver removes all items, for which it needs room on the stack.
    on_stack(32 * STACK, || drop((receiver, tasks)));
    on_stack(STACK, || drop((one, other)));
}

//! Every operation in which user code may panic, while futures of every kind wait.

#![expect(clippy::result_large_err, reason = "items are large on purpose")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::future::Future;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::mem;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
#[cfg(feature = "std")]
use std::time::Duration;

use futures_util::FutureExt;
#[cfg(feature = "futures")]
use futures_util::SinkExt;
use futures_util::StreamExt;
use tollgate::Monitor;
use tollgate::Receiver;
use tollgate::RecvUntilError;
use tollgate::Report;
use tollgate::Sender;
use tollgate::kind;

use super::faults::Fault;
use super::faults::FaultyItem;
use super::faults::FaultyWaiter;
use super::faults::FaultyWaker;
use super::faults::Outcome;
use super::faults::Reason;
use super::faults::Site;
use super::faults::arm;
use super::faults::call;
use super::faults::disarm;
use super::faults::drop_in_call;
use super::faults::drop_in_panic;
use super::faults::may_panic;
use super::faults::run_until_idle;
use super::faults::set_unwinding;
use crate::common::Given;
use crate::common::Kind;
use crate::common::Measured;
use crate::common::Plain;
use crate::common::ReceiverOf;
use crate::common::Requeued;
use crate::common::Tally;
use crate::common::Tasks;
use crate::common::assert_adds_up;
use crate::common::now;
use crate::common::take_one;

/// A kind of channel, as a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Name {
    Plain,
    Tasks,
    Requeued,
    /// As `Tasks`, but each task is in a list until it ends.
    Measured,
}

/// What waits at first, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stage {
    /// Receivers, since the channel is empty.
    Empty,
    /// Senders, since it is full.
    Full,
    /// Receivers, since the channel is closed and tasks are in hand.
    Closed,
}

/// The operation during which something panics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Act {
    TrySend,
    ForceSend,
    Send,
    SendUntil,
    SendFrom,
    Ready,
    /// A sender is polled by itself, and dropped.
    PollReady,
    /// The last sender waits, then makes a send, which is given up.
    IntoInner,
    /// The last sender is polled as a sink, closed, and dropped.
    #[cfg(feature = "futures")]
    Sink,
    TrySendMany,
    SendMany,
    TryRecv,
    Recv,
    RecvUntil,
    TryRecvMany,
    RecvMany,
    Stream,
    IntoStream,
    /// Another future starts to wait.
    WaitToo,
    /// All waiters are polled with other wakers.
    ReplaceWakers,
    /// The first is notified, and the others are polled.
    PollOutOfTurn,
    Close,
    /// The returned items are dropped.
    CloseNow,
    CloseNowAndCount,
    CloseNowAndKeepLast,
    DropLastSender,
    /// The last sender waits, and ends with an error.
    FailLastSender,
    DropLastReceiver,
    DropWaiters,
    DropEverything,
    Done,
    Fail,
    Retry,
    RetryOrFail,
    #[cfg(feature = "std")]
    RetryAfter,
    #[cfg(feature = "std")]
    RetryAfterOrFail,
    /// No attempt is left, or no receiver.
    #[cfg(feature = "std")]
    RefusedRetryAfter,
    /// No attempt is left, or no receiver.
    RefusedRetry,
    FollowUp,
    #[cfg(feature = "std")]
    FollowUpAfter,
    Abandon,
    /// No attempt is left, or no receiver.
    RefusedAbandon,
    TicketDone,
    TicketFail,
    TicketDrop,
    /// A panic drops tasks, waiters and handles.
    Unwind,
    /// A panic drops the items that `close_now` returned.
    UnwindDrained,
}

const ACTS: &[Act] = &[
    Act::TrySend,
    Act::ForceSend,
    Act::Send,
    Act::SendUntil,
    Act::SendFrom,
    Act::Ready,
    Act::PollReady,
    Act::IntoInner,
    #[cfg(feature = "futures")]
    Act::Sink,
    Act::TrySendMany,
    Act::SendMany,
    Act::TryRecv,
    Act::Recv,
    Act::RecvUntil,
    Act::TryRecvMany,
    Act::RecvMany,
    Act::Stream,
    Act::IntoStream,
    Act::WaitToo,
    Act::ReplaceWakers,
    Act::PollOutOfTurn,
    Act::Close,
    Act::CloseNow,
    Act::CloseNowAndCount,
    Act::CloseNowAndKeepLast,
    Act::DropLastSender,
    Act::FailLastSender,
    Act::DropLastReceiver,
    Act::DropWaiters,
    Act::DropEverything,
    Act::Done,
    Act::Fail,
    Act::Retry,
    Act::RetryOrFail,
    #[cfg(feature = "std")]
    Act::RetryAfter,
    #[cfg(feature = "std")]
    Act::RetryAfterOrFail,
    #[cfg(feature = "std")]
    Act::RefusedRetryAfter,
    Act::RefusedRetry,
    Act::FollowUp,
    #[cfg(feature = "std")]
    Act::FollowUpAfter,
    Act::Abandon,
    Act::RefusedAbandon,
    Act::TicketDone,
    Act::TicketFail,
    Act::TicketDrop,
    Act::Unwind,
    Act::UnwindDrained,
];

impl Act {
    /// Whether it needs tasks in hand.
    fn ends_tasks(self) -> bool {
        ACTS.iter().position(|it| *it == self) >= ACTS.iter().position(|it| *it == Act::Done)
            && self != Act::Unwind
            && self != Act::UnwindDrained
    }

    /// Whether no attempt is left for what it retries, or no receiver.
    fn is_refused(self) -> bool {
        match self {
            Self::RefusedRetry | Self::RefusedAbandon => true,
            #[cfg(feature = "std")]
            Self::RefusedRetryAfter => true,
            _ => false,
        }
    }
}

/// Longer than any test.
#[cfg(feature = "std")]
const HOUR: Duration = Duration::from_secs(60 * 60);

/// An operation, and the state of the channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) kind: Name,
    pub(crate) stage: Stage,
    pub(crate) capacity: usize,
    /// How many futures wait for each condition: one in front, others behind.
    pub(crate) waiters: usize,
    /// Whether a task has failed before.
    pub(crate) failed: bool,
    pub(crate) act: Act,
    /// Whether a destructor makes each call while the thread unwinds.
    pub(crate) unwinding: bool,
}

impl Setup {
    /// All setups for a kind of channel.
    pub(crate) fn all(kind: Name) -> Vec<Self> {
        let mut all = Vec::new();
        for stage in [Stage::Empty, Stage::Full, Stage::Closed] {
            for (capacity, waiters) in [(1, 1), (1, 3), (2, 0), (2, 1), (2, 3)] {
                for failed in [false, true] {
                    for &act in ACTS {
                        for unwinding in [false, true] {
                            all.push(Self {
                                kind,
                                stage,
                                capacity,
                                waiters,
                                failed,
                                act,
                                unwinding,
                            });
                        }
                    }
                }
            }
        }
        all.retain(Self::makes_sense);
        all
    }

    /// Whether user code runs while the thread unwinds, although that code has not panicked.
    pub(crate) fn unwinds(&self) -> bool {
        self.unwinding || self.crashes()
    }

    fn crashes(&self) -> bool {
        matches!(self.act, Act::Unwind | Act::UnwindDrained)
    }

    fn makes_sense(&self) -> bool {
        let is_plain = self.kind == Name::Plain;
        // Without a receiver, only senders can wait.
        let orphaned = self.act.is_refused() && matches!(self.kind, Name::Tasks | Name::Measured);
        // A received plain item belongs to the user.
        !(is_plain && (self.failed || self.act.ends_tasks()))
            && !(orphaned && self.stage != Stage::Full)
            && !(self.crashes() && self.unwinding)
    }

    /// Runs it, and checks that a panic affects nothing else.
    pub(crate) fn run(self, faults: &[Fault]) -> Outcome {
        with_name((self, faults), || match self.kind {
            Name::Plain => run::<Plain>(self, faults),
            Name::Tasks => run::<Tasks>(self, faults),
            Name::Requeued => run::<Requeued>(self, faults),
            Name::Measured => run::<Measured>(self, faults),
        })
    }
}

/// Runs a case, and prints it if it fails.
pub(crate) fn with_name<R>(name: impl Debug, run: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        eprintln!("failed: {name:?}");
        resume_unwind(panic);
    })
}

/// The handles that the waiters use.
struct Own<K: Kind<FaultyItem>> {
    sender: Option<Sender<FaultyItem>>,
    receiver: Option<ReceiverOf<K, FaultyItem>>,
    monitor: Monitor<FaultyItem>,
}

impl<K: Kind<FaultyItem>> Own<K> {
    fn send(&self, item: FaultyItem) -> impl Future<Output = Option<FaultyItem>> + '_ {
        send(self.sender.as_ref().unwrap(), item)
    }

    fn recv(&self) -> impl Future<Output = Option<FaultyItem>> + '_ {
        recv(self.receiver.as_ref().unwrap())
    }

    /// The futures that wait at first.
    fn waiters(&self, setup: Setup, item: impl Fn() -> FaultyItem) -> Vec<FaultyWaiter<'_>> {
        let mut waiters = Vec::new();
        for _ in 0..setup.waiters {
            if let Some(sender) = &self.sender {
                waiters.push(FaultyWaiter::if_waiting(self.send(item())));
                let items = Batch::new([item(), item()].into());
                waiters.push(FaultyWaiter::if_waiting(send_many(sender, items)));
                waiters.push(FaultyWaiter::if_waiting(sender.closed().map(|()| None)));
            }
            if let Some(receiver) = &self.receiver {
                waiters.push(FaultyWaiter::if_waiting(self.recv()));
                waiters.push(FaultyWaiter::if_waiting(recv_many(receiver)));
            }
            let monitor = &self.monitor;
            waiters.push(FaultyWaiter::if_waiting(monitor.join().map(|_| None)));
            waiters.push(FaultyWaiter::if_waiting(monitor.finished().map(|_| None)));
            waiters.push(FaultyWaiter::if_waiting(monitor.failed().map(|_| None)));
        }
        if let (Some(sender), 1..) = (&self.sender, setup.waiters) {
            waiters.push(FaultyWaiter::if_waiting(sender.ready().map(|_| None)));
        }
        if let (Some(receiver), 1..) = (&self.receiver, setup.waiters) {
            waiters.push(FaultyWaiter::if_waiting(stream(receiver.clone())));
        }
        waiters.into_iter().flatten().collect()
    }
}

fn send(
    sender: &Sender<FaultyItem>,
    item: FaultyItem,
) -> impl Future<Output = Option<FaultyItem>> + '_ {
    let send = sender.send(item);
    send.map(|result| result.err().map(|error| error.into_inner()))
}

/// A slot of the caller. The channel does not drop what is in it, so no destructor of an item runs.
struct Slot(Option<FaultyItem>);

impl Drop for Slot {
    fn drop(&mut self) {
        drop(self.0.take().map(FaultyItem::into_item));
    }
}

async fn send_from(sender: &Sender<FaultyItem>, item: FaultyItem) -> Option<FaultyItem> {
    let mut slot = Slot(Some(item));
    let _ = sender.send_from(&mut slot.0).await;
    slot.0.take()
}

async fn poll_ready(mut sender: Sender<FaultyItem>) -> Option<FaultyItem> {
    let _ = poll_fn(|cx| sender.poll_ready(cx)).await;
    None
}

/// Sends an item into a sink, which keeps it if the channel is full, and closes the sink.
#[cfg(feature = "futures")]
async fn sink(sender: Sender<FaultyItem>, item: FaultyItem) -> Option<FaultyItem> {
    let mut sink = sender.into_sink();
    let _ = sink.start_send_unpin(item);
    let _ = sink.close().await;
    sink.take()
}

fn recv<K>(receiver: &Receiver<FaultyItem, K>) -> impl Future<Output = Option<FaultyItem>> + '_
where
    K: kind::Kind<Received<FaultyItem>: Given<FaultyItem>>,
{
    receiver.recv().map(|given| given.ok().map(Given::end))
}

/// A collection of the caller. What is left in it is dropped at the end, outside of calls: the
/// destructors of several items must not panic while one future is dropped, and the channel does not
/// call them.
struct Kept<C, G>(C, PhantomData<G>)
where
    C: IntoIterator<Item = G> + Default,
    G: Given<FaultyItem>;

thread_local! {
    static KEPT: RefCell<Vec<FaultyItem>> = const { RefCell::new(Vec::new()) };
}

impl<C, G> Kept<C, G>
where
    C: IntoIterator<Item = G> + Default,
    G: Given<FaultyItem>,
{
    fn new(collection: C) -> Self {
        Self(collection, PhantomData)
    }
}

impl<C, G> Drop for Kept<C, G>
where
    C: IntoIterator<Item = G> + Default,
    G: Given<FaultyItem>,
{
    fn drop(&mut self) {
        for given in mem::take(&mut self.0) {
            let item = given.end();
            KEPT.with_borrow_mut(|kept| kept.push(item));
        }
    }
}

/// Two items, for a batch.
type Batch = Kept<VecDeque<FaultyItem>, FaultyItem>;

async fn send_many(sender: &Sender<FaultyItem>, mut items: Batch) -> Option<FaultyItem> {
    let _ = sender.send_many(&mut items.0).await;
    None
}

async fn recv_many<K>(receiver: &Receiver<FaultyItem, K>) -> Option<FaultyItem>
where
    K: kind::Kind<Received<FaultyItem>: Given<FaultyItem>>,
{
    let mut buf = Kept::new(Vec::new());
    let _ = receiver.recv_many(&mut buf.0, NonZeroUsize::MAX).await;
    None
}

fn stream<K>(receiver: Receiver<FaultyItem, K>) -> impl Future<Output = Option<FaultyItem>>
where
    K: kind::Kind<Received<FaultyItem>: Given<FaultyItem>>,
{
    let next = receiver.into_future();
    next.map(|(given, _receiver)| given.map(Given::end))
}

fn next_of_owned_stream<K>(
    receiver: Receiver<FaultyItem, K>,
) -> impl Future<Output = Option<FaultyItem>>
where
    K: kind::Kind<Received<FaultyItem>: Given<FaultyItem>>,
{
    let next = receiver.into_stream().into_future();
    next.map(|(given, _stream)| given.map(Given::end))
}

/// Stops a `send_until` or `recv_until`.
struct Stop {
    is_ready: bool,
    tally: Tally,
}

impl Stop {
    /// One that is never ready, and one that is ready at once.
    fn both(tally: &Tally) -> [Self; 2] {
        [false, true].map(|is_ready| Self {
            is_ready,
            tally: tally.clone(),
        })
    }
}

impl Future for Stop {
    type Output = FaultyItem;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<FaultyItem> {
        may_panic(Site::JobPoll);
        match self.is_ready {
            true => Poll::Ready(FaultyItem::of(&self.tally)),
            false => Poll::Pending,
        }
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        may_panic(Site::JobDrop);
    }
}

fn send_until(
    sender: &Sender<FaultyItem>,
    item: FaultyItem,
    stop: Stop,
) -> impl Future<Output = Option<FaultyItem>> + '_ {
    let send = sender.send_until(item, stop);
    send.map(|result| result.err().map(|error| error.into_inner()))
}

fn recv_until<K>(
    receiver: &Receiver<FaultyItem, K>,
    stop: Stop,
) -> impl Future<Output = Option<FaultyItem>> + '_
where
    K: kind::Kind<Received<FaultyItem>: Given<FaultyItem>>,
{
    receiver.recv_until(stop).map(|result| match result {
        Ok(given) => Some(given.end()),
        Err(RecvUntilError::Stopped(output)) => Some(output),
        Err(RecvUntilError::Closed) => None,
    })
}

/// Polls a future once and drops it.
fn poll_once_and_drop<'a>(
    future: impl Future<Output = Option<FaultyItem>> + 'a,
) -> FaultyWaiter<'static> {
    let mut waiter = FaultyWaiter::new(future);
    let _ = waiter.poll();
    waiter.into_dropped()
}

fn run<K: Kind<FaultyItem>>(setup: Setup, faults: &[Fault]) -> Outcome {
    let Setup {
        stage,
        capacity,
        act,
        ..
    } = setup;
    let tally = Tally::new();
    let new_item = || FaultyItem::of(&tally);
    let reason = || Reason::of(&tally);
    let (sender, receiver) = K::channel(capacity);
    let monitor = sender.monitor();

    if setup.failed {
        assert!(sender.try_send(new_item()).is_ok());
        drop(receiver.try_recv().unwrap().fail(reason()));
    }
    // Two tasks in hand.
    let mut hand = Vec::new();
    for _ in 0..2 {
        assert!(sender.try_send(new_item()).is_ok());
        hand.push(receiver.try_recv().unwrap());
    }
    let is_refused = act.is_refused();
    if is_refused && setup.kind == Name::Requeued {
        hand.drain(..).for_each(Given::retry);
        hand.extend([(); 2].map(|()| receiver.try_recv().unwrap()));
    }
    if stage == Stage::Full {
        while sender.try_send(new_item()).is_ok() {}
    }
    if stage == Stage::Closed {
        sender.close();
    }
    let own = Own::<K> {
        sender: (stage == Stage::Full).then(|| sender.clone()),
        receiver: (stage != Stage::Full).then(|| receiver.clone()),
        monitor: sender.monitor(),
    };
    let mut waiters = own.waiters(setup, new_item);
    let mut sender = Some(sender);
    let mut receiver = Some(receiver);
    if is_refused && matches!(setup.kind, Name::Tasks | Name::Measured) {
        receiver = None;
    }
    if act == Act::PollOutOfTurn {
        match stage {
            Stage::Empty => assert!(sender.as_ref().unwrap().try_send(new_item()).is_ok()),
            Stage::Full => drop(take_one(receiver.as_ref().unwrap())),
            Stage::Closed => {}
        }
    }

    // Results are dropped outside of calls, so that their destructors do not panic.
    let mut visitors = Vec::new();
    set_unwinding(setup.unwinding);
    arm(faults);
    match act {
        Act::TrySend => {
            let item = new_item();
            call(|| sender.as_ref().unwrap().try_send(item));
        }
        Act::ForceSend => {
            let item = new_item();
            call(|| sender.as_ref().unwrap().force_send(item));
        }
        Act::Send => visitors.push(poll_once_and_drop(send(
            sender.as_ref().unwrap(),
            new_item(),
        ))),
        Act::SendUntil => {
            for stop in Stop::both(&tally) {
                let sender = sender.as_ref().unwrap();
                visitors.push(poll_once_and_drop(send_until(sender, new_item(), stop)));
            }
        }
        Act::SendFrom => visitors.push(poll_once_and_drop(send_from(
            sender.as_ref().unwrap(),
            new_item(),
        ))),
        Act::Ready => visitors.push(poll_once_and_drop(
            sender.as_ref().unwrap().ready().map(|_| None),
        )),
        Act::PollReady => {
            visitors.push(poll_once_and_drop(poll_ready(sender.clone().unwrap())));
        }
        Act::IntoInner => {
            let mut last = sender.take().unwrap();
            let item = new_item();
            let waker = Arc::new(FaultyWaker::default()).waker();
            let cx = &mut Context::from_waker(&waker);
            let waits = stage == Stage::Full;
            if waits {
                let _ = call(|| last.poll_ready(cx));
            }
            if let Some(mut send) = call(|| last.into_send(item)) {
                if waits {
                    call(|| drop(send.poll_unpin(cx)));
                }
                drop(call(|| send.into_inner()));
            }
        }
        #[cfg(feature = "futures")]
        Act::Sink => visitors.push(poll_once_and_drop(sink(sender.take().unwrap(), new_item()))),
        Act::TryRecv => {
            let given = call(|| receiver.as_ref().unwrap().try_recv());
            if let Some(Ok(given)) = given {
                call(|| given.end());
            }
        }
        Act::TrySendMany => {
            let mut items = Batch::new([new_item(), new_item()].into());
            call(|| sender.as_ref().unwrap().try_send_many(&mut items.0));
        }
        Act::SendMany => {
            let items = Batch::new([new_item(), new_item()].into());
            visitors.push(poll_once_and_drop(send_many(
                sender.as_ref().unwrap(),
                items,
            )));
        }
        Act::TryRecvMany => {
            let mut buf = Kept::new(Vec::new());
            let receiver = receiver.as_ref().unwrap();
            call(|| receiver.try_recv_many(&mut buf.0, NonZeroUsize::MAX));
            for given in mem::take(&mut buf.0) {
                call(|| given.end());
            }
        }
        Act::RecvMany => visitors.push(poll_once_and_drop(recv_many(receiver.as_ref().unwrap()))),
        Act::Recv => visitors.push(poll_once_and_drop(recv(receiver.as_ref().unwrap()))),
        Act::RecvUntil => {
            for stop in Stop::both(&tally) {
                let receiver = receiver.as_ref().unwrap();
                visitors.push(poll_once_and_drop(recv_until(receiver, stop)));
            }
        }
        Act::IntoStream => visitors.push(poll_once_and_drop(next_of_owned_stream(
            receiver.clone().unwrap(),
        ))),
        Act::Stream => visitors.push(poll_once_and_drop(stream(receiver.clone().unwrap()))),
        Act::WaitToo => {
            let first = waiters.len();
            waiters.push(FaultyWaiter::new(match stage {
                Stage::Full => own.send(new_item()).boxed_local(),
                Stage::Empty | Stage::Closed => own.recv().boxed_local(),
            }));
            waiters.push(FaultyWaiter::new(own.monitor.finished().map(|_| None)));
            for waiter in &mut waiters[first..] {
                let _ = waiter.poll();
            }
        }
        Act::ReplaceWakers => {
            for waiter in &mut waiters {
                waiter.replace_waker();
                let _ = waiter.poll();
            }
        }
        Act::PollOutOfTurn => {
            for waiter in waiters.iter_mut().skip(1) {
                let _ = waiter.poll();
            }
        }
        Act::Close => drop(call(|| monitor.close())),
        Act::CloseNow => {
            let drained = call(|| monitor.close_now());
            drop_in_call(drained);
        }
        Act::CloseNowAndCount => {
            let drained = call(|| monitor.close_now());
            call(|| drained.map(Iterator::count));
        }
        Act::CloseNowAndKeepLast => {
            let drained = call(|| monitor.close_now());
            call(|| drained.map(Iterator::last));
        }
        Act::DropLastSender => drop_in_call(sender.take()),
        Act::FailLastSender => {
            let mut last = sender.take().unwrap();
            if stage == Stage::Full {
                let waker = Arc::new(FaultyWaker::default()).waker();
                let _ = call(|| last.poll_ready(&mut Context::from_waker(&waker)));
            }
            let reason = reason();
            call(|| last.fail(reason));
        }
        Act::DropLastReceiver => drop_in_call(receiver.take()),
        Act::DropWaiters => waiters.iter_mut().rev().for_each(FaultyWaiter::drop_future),
        Act::DropEverything => {
            let futures: Vec<_> = waiters.iter_mut().map(FaultyWaiter::take_future).collect();
            drop_in_call((receiver.take(), futures, sender.take()));
        }
        Act::Done => {
            for given in hand.drain(..) {
                call(|| given.end());
            }
        }
        Act::Fail => {
            for given in hand.drain(..) {
                let reason = reason();
                call(|| given.fail(reason));
            }
        }
        Act::Retry => {
            for given in hand.drain(..) {
                call(|| given.retry());
            }
        }
        Act::RetryOrFail | Act::RefusedRetry => {
            for given in hand.drain(..) {
                let reason = reason();
                call(|| given.retry_or_fail(reason));
            }
        }
        #[cfg(feature = "std")]
        Act::RetryAfter => {
            for given in hand.drain(..) {
                call(|| given.retry_after(HOUR));
            }
        }
        #[cfg(feature = "std")]
        Act::RetryAfterOrFail | Act::RefusedRetryAfter => {
            for given in hand.drain(..) {
                let reason = reason();
                call(|| given.retry_after_or_fail(HOUR, reason));
            }
        }
        Act::FollowUp => {
            for given in &hand {
                let item = new_item();
                call(|| given.follow_up(item));
            }
        }
        #[cfg(feature = "std")]
        Act::FollowUpAfter => {
            for given in &hand {
                let item = new_item();
                call(|| given.follow_up_after(item, HOUR));
            }
        }
        Act::Abandon | Act::RefusedAbandon => drop_in_call(mem::take(&mut hand)),
        Act::TicketDone | Act::TicketFail | Act::TicketDrop => {
            let parts: Vec<_> = hand.drain(..).map(Given::split).collect();
            for (_item, ticket) in parts {
                let (ticket, reason) = (ticket.unwrap(), reason());
                match act {
                    Act::TicketDone => drop(call(|| ticket.done())),
                    Act::TicketFail => drop(call(|| ticket.fail(reason))),
                    _ => drop_in_call(ticket),
                }
            }
        }
        Act::Unwind => {
            let futures: Vec<_> = waiters.iter_mut().map(FaultyWaiter::take_future).collect();
            let tasks = match setup.kind {
                Name::Plain => Vec::new(),
                _ => mem::take(&mut hand),
            };
            drop_in_panic((sender.take(), tasks, futures, receiver.take()));
        }
        Act::UnwindDrained => {
            let drained = monitor.close_now();
            drop_in_panic(drained);
        }
    }
    let outcome = disarm();
    set_unwinding(false);
    if receiver.is_none() && own.receiver.is_none() {
        assert_eq!(monitor.stats().queued, 0, "not dropped at once");
    }
    run_until_idle(&mut waiters);

    // At the end every waiter completes and every item is counted.
    hand.clear();
    drop(sender);
    monitor.close();
    if monitor.stats().delayed > 0 {
        // Otherwise the end would come in an hour.
        drop(monitor.close_now());
    }
    if let Some(receiver) = receiver.or(own.receiver.clone()) {
        while take_one(&receiver).is_ok() {}
    }
    run_until_idle(&mut waiters);
    for (index, waiter) in waiters.iter().enumerate() {
        assert!(waiter.is_done(), "number {index} still waits");
    }
    expect_to_add_up(&monitor);
    waiters.extend(visitors);
    assert!(
        waiters.iter().all(FaultyWaiter::has_all_wakers),
        "a waker leaks"
    );
    drop(waiters);
    drop(own);
    drop(monitor);
    drop(KEPT.take());
    expect_each_dropped_once(&tally);
    outcome
}

/// Checks that the channel is finished and its report adds up.
pub(crate) fn expect_to_add_up<T>(monitor: &Monitor<T>) -> Report {
    let report = match now(monitor.finished()) {
        Ok(report) => report,
        Err(error) => error.report,
    };
    assert_adds_up(&report);
    report
}

pub(crate) fn expect_each_dropped_once(tally: &Tally) {
    for (id, drops) in tally.drops().into_iter().enumerate() {
        assert_eq!(drops, 1, "drops of item {id}");
    }
}

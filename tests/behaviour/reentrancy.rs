//! Wakers may use the channel: send, receive, close, drop waiters and handles, and poll, from
//! inside their own `clone`, `wake` and `drop`. So may the destructors of items and errors.

use std::cell::Cell;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::future::pending;
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::task::RawWaker;
use std::task::RawWakerVTable;
use std::task::Wake;
use std::task::Waker;

use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::future::LocalBoxFuture;
use tollgate::Monitor;
use tollgate::Sender;

use crate::common::CountingWaker;
use crate::common::Given;
use crate::common::Item;
use crate::common::Kind;
use crate::common::Plain;
use crate::common::Tasks;
use crate::common::Watchdog;
use crate::common::now;
use crate::world::Op;
use crate::world::World;

/// The function of a waker that uses the channel.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Hook {
    Clone,
    Wake,
    Drop,
}

/// Longer than any test.
#[cfg(feature = "std")]
const HOUR: std::time::Duration = std::time::Duration::from_secs(60 * 60);

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    TrySend,
    ForceSend,
    PollSend,
    TryRecv,
    PollRecv,
    PollJoin,
    Retry,
    FollowUp,
    #[cfg(feature = "std")]
    RetryAfter,
    #[cfg(feature = "std")]
    FollowUpAfter,
    Close,
    CloseNow,
    DropAnother,
    FailSender,
    DropLastSender,
    DropLastReceiver,
}

/// What makes the channel call a function of the waker, after the first poll.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Touch {
    Grant,
    /// What it waits for happens, but another waiter is notified; then it is polled.
    OutOfTurn,
    ReplaceWaker,
    Cancel,
    Close,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    hook: Hook,
    action: Action,
    op: Op,
    touch: Touch,
    in_overflow: bool,
}

const HOOKS: [Hook; 3] = [Hook::Clone, Hook::Wake, Hook::Drop];
const ACTIONS: &[Action] = &[
    Action::TrySend,
    Action::ForceSend,
    Action::PollSend,
    Action::TryRecv,
    Action::PollRecv,
    Action::PollJoin,
    Action::Retry,
    Action::FollowUp,
    #[cfg(feature = "std")]
    Action::RetryAfter,
    #[cfg(feature = "std")]
    Action::FollowUpAfter,
    Action::Close,
    Action::CloseNow,
    Action::DropAnother,
    Action::FailSender,
    Action::DropLastSender,
    Action::DropLastReceiver,
];
const OPS: [Op; 15] = [
    Op::Recv,
    Op::RecvUntil,
    Op::RecvMany,
    Op::Stream,
    Op::BorrowedStream,
    Op::OwnedStream,
    Op::Send,
    Op::SendUntil,
    Op::SendFrom,
    Op::Ready,
    Op::PollReady,
    Op::SendMany,
    Op::Join,
    Op::Finished,
    Op::Failed,
];
const TOUCHES: [Touch; 5] = [
    Touch::Grant,
    Touch::OutOfTurn,
    Touch::ReplaceWaker,
    Touch::Cancel,
    Touch::Close,
];

#[test]
fn every_waker_function_may_use_channel() {
    let mut cases = 0;
    let mut done = 0;
    for hook in HOOKS {
        for &action in ACTIONS {
            for op in OPS {
                for touch in TOUCHES {
                    for in_overflow in [false, true] {
                        let case = Case {
                            hook,
                            action,
                            op,
                            touch,
                            in_overflow,
                        };
                        for run in [run::<Plain>, run::<Tasks>] {
                            let _watchdog = Watchdog::over(&format!("{case:?}"), 60);
                            cases += 1;
                            done += usize::from(run(case));
                        }
                    }
                }
            }
        }
    }
    println!("{cases} cases, the action was performed in {done}");
    assert_eq!(
        cases,
        HOOKS.len() * ACTIONS.len() * OPS.len() * TOUCHES.len() * 2 * 2
    );
    assert!(done > cases / 2, "too few actions: {done}");
}

type Job = LocalBoxFuture<'static, ()>;

/// A waker that performs its action once, in one of its functions.
struct Hostile {
    hook: Hook,
    action: RefCell<Option<Box<dyn FnOnce()>>>,
    woken: Cell<bool>,
}

impl Hostile {
    fn run(&self, hook: Hook) {
        if hook == Hook::Wake {
            self.woken.set(true);
        }
        if hook == self.hook {
            let action = self.action.take();
            action.into_iter().for_each(|action| action());
        }
    }

    fn waker(self: &Rc<Self>) -> Waker {
        let data = Rc::into_raw(Rc::clone(self)).cast();
        // SAFETY: the functions of `HOSTILE` keep the contract of a `RawWaker`, except that they
        // are not thread-safe; the tests that use them have one thread.
        unsafe { Waker::from_raw(RawWaker::new(data, &HOSTILE)) }
    }
}

static HOSTILE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY: the pointer is from `Rc::into_raw`, and this waker keeps the value alive.
        let hostile = unsafe { &*data.cast::<Hostile>() };
        hostile.run(Hook::Clone);
        // SAFETY: as above.
        unsafe { Rc::increment_strong_count(data.cast::<Hostile>()) };
        RawWaker::new(data, &HOSTILE)
    },
    |data| {
        // SAFETY: the pointer is from `Rc::into_raw`, and this call consumes the waker.
        unsafe { Rc::from_raw(data.cast::<Hostile>()) }.run(Hook::Wake);
    },
    |data| {
        // SAFETY: the pointer is from `Rc::into_raw`, and this waker keeps the value alive.
        unsafe { &*data.cast::<Hostile>() }.run(Hook::Wake);
    },
    |data| {
        // SAFETY: the pointer is from `Rc::into_raw`, and this call consumes the waker.
        unsafe { Rc::from_raw(data.cast::<Hostile>()) }.run(Hook::Drop);
    },
);

/// What the actions use.
struct Scene<K: Kind<Item>> {
    world: World<K>,
    another: RefCell<Option<Job>>,
}

impl<K: Kind<Item>> Scene<K> {
    fn perform(&self, action: Action) {
        let world = &self.world;
        match action {
            Action::TrySend => world.put(),
            Action::ForceSend => world.force(),
            Action::PollSend => {
                let item = world.tally.item();
                let _ = world.sender().map(|it| it.send(item).now_or_never());
            }
            Action::TryRecv => {
                world.take();
            }
            Action::PollRecv => {
                let given = world.receiver().and_then(|it| it.recv().now_or_never());
                let _ = given.map(|given| given.map(Given::end));
            }
            Action::PollJoin => {
                let _ = world.monitor.join().now_or_never();
            }
            Action::Retry => drop(world.receive().map(Given::retry)),
            Action::FollowUp => {
                if let Some(given) = world.receive() {
                    given.follow_up(world.tally.item());
                    given.end();
                }
            }
            #[cfg(feature = "std")]
            Action::RetryAfter => drop(world.receive().map(|it| it.retry_after(HOUR))),
            #[cfg(feature = "std")]
            Action::FollowUpAfter => {
                if let Some(given) = world.receive() {
                    given.follow_up_after(world.tally.item(), HOUR);
                    given.end();
                }
            }
            Action::Close => {
                world.monitor.close();
            }
            Action::CloseNow => world.monitor.close_now().for_each(drop),
            Action::DropAnother => drop(self.another.take()),
            Action::FailSender => world.fail_sender(),
            Action::DropLastSender => world.drop_sender(),
            Action::DropLastReceiver => world.drop_receiver(),
        }
    }

    /// A future that waits, with handles of its own.
    fn job(&self, op: Op) -> Job {
        let monitor = self.world.monitor.clone();
        let sender = || self.world.sender().unwrap();
        let receiver = || self.world.receiver().unwrap();
        match op {
            Op::Recv => {
                let receiver = receiver();
                async move {
                    let _ = receiver.recv().await.map(Given::end);
                }
                .boxed_local()
            }
            Op::RecvMany => {
                let receiver = receiver();
                async move {
                    let mut buf = Vec::new();
                    let _ = receiver.recv_many(&mut buf, NonZeroUsize::MAX).await;
                    buf.into_iter().map(Given::end).for_each(drop);
                }
                .boxed_local()
            }
            Op::SendMany => {
                let sender = sender();
                // Several polls, as there is room for one item only.
                let mut items = VecDeque::from([(); 2].map(|()| self.world.tally.item()));
                async move {
                    let _ = sender.send_many(&mut items).await;
                }
                .boxed_local()
            }
            Op::Stream => {
                let mut receiver = receiver();
                async move {
                    let _ = receiver.next().await.map(Given::end);
                }
                .boxed_local()
            }
            Op::RecvUntil => {
                let receiver = receiver();
                async move {
                    let recv = receiver.recv_until(pending::<()>());
                    let _ = recv.await.map(Given::end);
                }
                .boxed_local()
            }
            Op::BorrowedStream => {
                let receiver = receiver();
                async move {
                    let _ = receiver.stream().next().await.map(Given::end);
                }
                .boxed_local()
            }
            Op::OwnedStream => {
                let mut stream = receiver().into_stream();
                async move {
                    let _ = stream.next().await.map(Given::end);
                }
                .boxed_local()
            }
            Op::Send => {
                let (sender, item) = (sender(), self.world.tally.item());
                async move {
                    let _ = sender.send(item).await;
                }
                .boxed_local()
            }
            Op::SendUntil => {
                let (sender, item) = (sender(), self.world.tally.item());
                async move {
                    let _ = sender.send_until(item, pending::<()>()).await;
                }
                .boxed_local()
            }
            Op::SendFrom => {
                let (sender, mut slot) = (sender(), Some(self.world.tally.item()));
                async move { sender.send_from(&mut slot).map(|_| ()).await }.boxed_local()
            }
            Op::Ready => {
                let sender = sender();
                async move { sender.ready().map(|_| ()).await }.boxed_local()
            }
            Op::PollReady => {
                let mut sender = sender();
                async move { poll_fn(|cx| sender.poll_ready(cx).map(|_| ())).await }.boxed_local()
            }
            Op::Closed => {
                let sender = sender();
                async move { sender.closed().await }.boxed_local()
            }
            Op::Join => async move { drop(monitor.join().await) }.boxed_local(),
            Op::Finished => async move { drop(monitor.finished().await) }.boxed_local(),
            Op::Failed => async move { drop(monitor.failed().await) }.boxed_local(),
        }
    }
}

/// Runs a case; returns whether the action was performed.
fn run<K: Kind<Item>>(case: Case) -> bool {
    let scene = Rc::new(Scene::<K> {
        world: World::new(1),
        another: None.into(),
    });
    let world = &scene.world;
    if case.op.waits_for_room() || case.op == Op::Join {
        world.put();
    }
    let hostile = || {
        let scene = Rc::clone(&scene);
        Rc::new(Hostile {
            hook: case.hook,
            action: RefCell::new(Some(Box::new(move || scene.perform(case.action)))),
            woken: Cell::new(false),
        })
    };
    let mut quiet = Context::from_waker(Waker::noop());

    let mut ahead = Some(scene.job(case.op));
    let mut job = Some(scene.job(case.op));
    let mut another = scene.job(case.op);
    if let (true, Some(ahead)) = (case.in_overflow, &mut ahead) {
        assert!(ahead.poll_unpin(&mut quiet).is_pending());
    }
    let first = hostile();
    let other = hostile();
    // Kept until the end, so that no waker but the channel's clones is dropped before.
    let (waker, other_waker) = (first.waker(), other.waker());
    let mut polls = vec![poll(&mut job, &waker)];
    if another.poll_unpin(&mut quiet).is_pending() {
        *scene.another.borrow_mut() = Some(another);
    }
    match case.touch {
        Touch::Grant => {
            ahead = None;
            world.grant(case.op);
        }
        Touch::OutOfTurn => {
            world.grant(case.op);
            polls.push(poll(&mut job, &waker));
        }
        Touch::ReplaceWaker => polls.push(poll(&mut job, &other_waker)),
        Touch::Cancel => job = None,
        Touch::Close => drop(world.monitor.close()),
    }

    // The channel still works: every waiter completes and every item is dropped.
    world.monitor.close();
    if world.monitor.stats().delayed > 0 {
        // Otherwise the end would come in an hour.
        world.monitor.close_now().for_each(drop);
    }
    while world.take() {}
    world.drop_sender();
    if let Some(mut job) = job {
        assert!(first.woken.get() || polls.len() > 1, "{case:?}: not woken");
        assert!(job.poll_unpin(&mut quiet).is_ready(), "{case:?}");
    }
    if let Some(mut another) = scene.another.take() {
        assert!(another.poll_unpin(&mut quiet).is_ready(), "{case:?}");
    }
    world.drop_receiver();
    let _ = now(world.monitor.finished());
    drop(ahead);
    assert!(world.tally.drops().iter().all(|it| *it == 1), "{case:?}");
    let spent = |hostile: &Hostile| hostile.action.take().is_none();
    spent(&first) | spent(&other)
}

/// Polls a job once, and drops it if it is ready.
fn poll(job: &mut Option<Job>, waker: &Waker) -> Poll<()> {
    let Some(future) = job else {
        return Poll::Ready(());
    };
    let poll = future.poll_unpin(&mut Context::from_waker(waker));
    if poll.is_ready() {
        *job = None;
    }
    poll
}

/// A task of an executor that polls it inside `wake`.
struct Inline {
    future: Mutex<Option<BoxFuture<'static, ()>>>,
    again: AtomicBool,
}

impl Wake for Inline {
    fn wake(self: Arc<Self>) {
        self.again.store(true, Ordering::SeqCst);
        // It is being polled further down this stack, and will be polled again there.
        let Ok(mut future) = self.future.try_lock() else {
            return;
        };
        while self.again.swap(false, Ordering::SeqCst) {
            let waker = Waker::from(Arc::clone(&self));
            if let Some(running) = &mut *future {
                if running
                    .poll_unpin(&mut Context::from_waker(&waker))
                    .is_ready()
                {
                    *future = None;
                }
            }
        }
    }
}

fn spawn_inline(future: impl Future<Output = ()> + Send + 'static) -> Arc<Inline> {
    let task = Arc::new(Inline {
        future: Mutex::new(Some(future.boxed())),
        again: AtomicBool::new(false),
    });
    Arc::clone(&task).wake();
    task
}

/// The workers run on the thread of the timer, and delay items there.
#[cfg(feature = "std")]
#[test]
fn worker_that_timer_polls_may_delay_items() {
    const DELAY: std::time::Duration = std::time::Duration::from_micros(100);
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::tasks::<usize>(2);
    let monitor = sender.monitor();
    sender.try_send(0).unwrap();
    sender.try_send(1).unwrap();
    drop(sender);
    let workers = [(); 2].map(|()| {
        let receiver = receiver.clone();
        spawn_inline(async move {
            while let Ok(task) = receiver.recv().await {
                if task.attempt() < 20 {
                    task.retry_after(DELAY).unwrap();
                } else if *task < 10 {
                    task.follow_up_after(*task + 2, DELAY).unwrap();
                    task.done();
                } else {
                    task.done();
                }
            }
        })
    });
    drop(receiver);
    let report = monitor.finished_blocking().unwrap();
    assert_eq!((report.done, report.retried), (12, 12 * 19));
    drop(workers);
}

#[test]
fn executor_that_polls_inside_wake_completes() {
    for capacity in [1, 3] {
        let _watchdog = Watchdog::start();
        let (sender, receiver) = tollgate::tasks::<usize>(capacity);
        let monitor = sender.monitor();
        let sum = Arc::new(AtomicUsize::new(0));
        let mut tasks = Vec::new();
        for worker in 0..4 {
            let (mut receiver, sum) = (receiver.clone(), Arc::clone(&sum));
            tasks.push(spawn_inline(async move {
                while let Some(task) = match worker % 2 {
                    0 => receiver.next().await,
                    _ => receiver.recv().await.ok(),
                } {
                    sum.fetch_add(task.done(), Ordering::SeqCst);
                }
            }));
        }
        drop(receiver);
        let finished = Arc::new(AtomicBool::new(false));
        let is_finished = Arc::clone(&finished);
        tasks.push(spawn_inline(async move {
            monitor.finished().await.unwrap();
            is_finished.store(true, Ordering::SeqCst);
        }));
        for _ in 0..4 {
            let sender = sender.clone();
            tasks.push(spawn_inline(async move {
                for item in 1..=100 {
                    sender.send(item).await.unwrap();
                }
            }));
        }
        drop(sender);
        assert!(finished.load(Ordering::SeqCst));
        assert_eq!(sum.load(Ordering::SeqCst), 4 * 5050);
        assert!(tasks.iter().all(|it| it.future.lock().unwrap().is_none()));
    }
}

/// A receiver that runs inside `wake` makes room as fast as a batch is sent. Each poll still ends.
#[test]
fn send_many_to_inline_receiver_ends_its_polls() {
    const COUNT: usize = 1_000;
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::bounded::<usize>(1);
    let received = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&received);
    let _task = spawn_inline(async move {
        while receiver.recv().await.is_ok() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let mut items = VecDeque::from_iter(0..COUNT);
    let mut send = sender.send_many(&mut items);
    let waker = CountingWaker::new();
    let mut polls = 1;
    while crate::common::poll(&mut send, &waker).is_pending() {
        assert_eq!(waker.wakes(), polls, "it asks to be polled again");
        polls += 1;
    }
    assert!((10..100).contains(&polls), "{polls} polls");
    drop(send);
    assert_eq!(received.load(Ordering::SeqCst), COUNT);
}

/// Uses its channel when it is dropped.
struct Reentrant {
    sender: Mutex<Option<Sender<u32>>>,
    monitor: Monitor<u32>,
    dropped: Arc<AtomicUsize>,
}

impl Drop for Reentrant {
    fn drop(&mut self) {
        let _ = self.monitor.join().now_or_never();
        let _ = self.monitor.failed().now_or_never();
        let _ = self.monitor.take_failure();
        self.monitor.close();
        let sender = self.sender.lock().unwrap().take();
        assert!(sender.is_none_or(|it| it.try_send(0).is_err() && it.force_send(0).is_err()));
        self.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

impl fmt::Debug for Reentrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reentrant")
    }
}

impl fmt::Display for Reentrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it enters again")
    }
}

impl Error for Reentrant {}

#[test]
fn error_destructor_may_use_channel() {
    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::tasks(3);
    let monitor = sender.monitor();
    let dropped = Arc::new(AtomicUsize::new(0));
    let error = || Reentrant {
        sender: Mutex::new(Some(sender.clone())),
        monitor: monitor.clone(),
        dropped: Arc::clone(&dropped),
    };
    (0..3).for_each(|item| sender.try_send(item).unwrap());
    receiver.try_recv().unwrap().fail(error());
    // It is not the first failure, so it is dropped at once; its destructor takes the first one
    // away.
    receiver.try_recv().unwrap().fail(error());
    assert_eq!(dropped.load(Ordering::SeqCst), 2);
    assert!(sender.is_closed());
    receiver.try_recv().unwrap().fail(error());
    assert_eq!(now(monitor.finished()).unwrap_err().report.failed, 3);
    drop(monitor.take_failure());
    assert_eq!(dropped.load(Ordering::SeqCst), 3);
}

#[test]
fn item_destructor_may_use_channel() {
    struct Item {
        sender: Option<Sender<Self>>,
        monitor: Monitor<Self>,
    }

    impl Drop for Item {
        fn drop(&mut self) {
            let _ = self.monitor.join().now_or_never();
            self.monitor.close();
            let monitor = self.monitor.clone();
            if let Some(sender) = self.sender.take() {
                let refused = sender.try_send(Self {
                    sender: None,
                    monitor,
                });
                assert!(refused.is_err());
            }
        }
    }

    fn fill(sender: &Sender<Item>) -> Monitor<Item> {
        while !sender.is_full() {
            let sent = sender.try_send(Item {
                sender: Some(sender.clone()),
                monitor: sender.monitor(),
            });
            assert!(sent.is_ok());
        }
        sender.monitor()
    }

    let _watchdog = Watchdog::start();
    let (sender, receiver) = tollgate::bounded(3);
    let monitor = fill(&sender);
    drop(receiver);
    assert_eq!(now(monitor.finished()).unwrap_err().report.discarded, 3);

    let (sender, receiver) = tollgate::tasks(3);
    let monitor = fill(&sender);
    drop(sender);
    drop(receiver.try_recv().unwrap());
    drop(receiver);
    let report = now(monitor.finished()).unwrap_err().report;
    assert_eq!((report.abandoned, report.discarded), (1, 2));
}

//! Proves that a panic in a user's code (a waker, a destructor, a conversion) costs nobody else
//! anything: whoever waits is still told, counts stay right, nothing is dropped twice or leaked.

#![cfg(not(loom))]

mod common;

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
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
use futures_util::future::LocalBoxFuture;
use tollgate::Failure;
use tollgate::Monitor;
use tollgate::Sender;

use common::Inlet;
use common::Item;
use common::Kind;
use common::Plain;
use common::Requeued;
use common::Tally;
use common::Tasks;
use common::Watchdog;
use common::now;
use common::on_both_kinds;

/// Where a panic is injected.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Site {
    WakerClone,
    WakerWake,
    WakerDrop,
    ItemDrop,
    ErrorInto,
    ErrorDrop,
}

const SITES: [Site; 6] = [
    Site::WakerClone,
    Site::WakerWake,
    Site::WakerDrop,
    Site::ItemDrop,
    Site::ErrorInto,
    Site::ErrorDrop,
];

thread_local! {
    /// At which call from now on, of which site, this thread panics; 0: at every call.
    static FUSE: Cell<Option<(Site, u32)>> = const { Cell::new(None) };
}

/// What user code calls where it might panic.
fn burn(site: Site) {
    let Some((armed, calls)) = FUSE.get() else {
        return;
    };
    if armed == site {
        if calls > 0 {
            FUSE.set((calls > 1).then(|| (site, calls - 1)));
        }
        if calls <= 1 {
            // Without the message of `panic`.
            resume_unwind(Box::new(site));
        }
    }
}

/// Runs `act`, which panics at the given call of the site; whether it did.
fn with_fuse(site: Site, call: u32, act: impl FnOnce()) -> bool {
    FUSE.set(Some((site, call)));
    let result = catch_unwind(AssertUnwindSafe(act));
    FUSE.set(None);
    if let Err(panic) = &result {
        assert!(panic.is::<Site>(), "the channel panicked by itself");
    }
    result.is_err()
}

/// A waker that counts its wakes and may panic.
#[derive(Default)]
struct Probe(AtomicUsize);

static PROBE: RawWakerVTable = RawWakerVTable::new(
    |probe| {
        burn(Site::WakerClone);
        // SAFETY: of `Arc::into_raw`, and alive.
        unsafe { Arc::increment_strong_count(probe.cast::<Probe>()) };
        RawWaker::new(probe, &PROBE)
    },
    |probe| {
        // SAFETY: of `Arc::into_raw`, and given up with this.
        let probe = unsafe { Arc::from_raw(probe.cast::<Probe>()) };
        probe.0.fetch_add(1, Ordering::SeqCst);
        burn(Site::WakerWake);
    },
    |probe| {
        // SAFETY: of `Arc::into_raw`, and alive.
        let probe = unsafe { &*probe.cast::<Probe>() };
        probe.0.fetch_add(1, Ordering::SeqCst);
        burn(Site::WakerWake);
    },
    |probe| {
        // SAFETY: of `Arc::into_raw`, and given up with this.
        let _probe = unsafe { Arc::from_raw(probe.cast::<Probe>()) };
        burn(Site::WakerDrop);
    },
);

impl Probe {
    fn waker(self: &Arc<Self>) -> Waker {
        let data = Arc::into_raw(Arc::clone(self)).cast();
        // SAFETY: the functions above keep the contract of a `RawWaker`.
        unsafe { Waker::from_raw(RawWaker::new(data, &PROBE)) }
    }

    fn wakes(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// An item whose destructor may panic.
struct Bomb(#[allow(dead_code)] Item);

impl Drop for Bomb {
    fn drop(&mut self) {
        burn(Site::ItemDrop);
    }
}

/// A reason to fail whose conversion may panic, as may the destructor of what comes of it.
struct Reason;

#[derive(Debug)]
struct ReasonError;

impl From<Reason> for Box<dyn Error + Send + Sync> {
    fn from(Reason: Reason) -> Self {
        burn(Site::ErrorInto);
        Box::new(ReasonError)
    }
}

impl fmt::Display for ReasonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("for a reason")
    }
}

impl Error for ReasonError {}

impl Drop for ReasonError {
    fn drop(&mut self) {
        burn(Site::ErrorDrop);
    }
}

/// Who waits at first.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// Receivers, for the channel is empty.
    Empty,
    /// Senders, for it is full.
    Full,
}

/// What is done while something panics.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    TrySend,
    Send,
    TryRecv,
    Recv,
    /// One more comes to wait.
    WaitToo,
    /// All who wait are polled with other wakers.
    ReplaceWakers,
    /// A wake goes to the first, and the second is polled.
    PollOutOfTurn,
    Close,
    CloseNow,
    DropLastSender,
    DropLastReceiver,
    DropWaiters,
    DropEverything,
    Done,
    Fail,
    Retry,
    FollowUp,
    Abandon,
    Unwind,
}

const ACTS: [Act; 19] = [
    Act::TrySend,
    Act::Send,
    Act::TryRecv,
    Act::Recv,
    Act::WaitToo,
    Act::ReplaceWakers,
    Act::PollOutOfTurn,
    Act::Close,
    Act::CloseNow,
    Act::DropLastSender,
    Act::DropLastReceiver,
    Act::DropWaiters,
    Act::DropEverything,
    Act::Done,
    Act::Fail,
    Act::Retry,
    Act::FollowUp,
    Act::Abandon,
    Act::Unwind,
];

#[test]
fn a_panic_at_any_call_of_any_user_code_costs_nobody_else_anything() {
    let _watchdog = Watchdog::start();
    let mut cases = [0; SITES.len()];
    for (site, cases) in SITES.into_iter().zip(&mut cases) {
        for act in ACTS {
            // An item's destructor that panics while its thread unwinds aborts: that is Rust's.
            if (site, act) == (Site::ItemDrop, Act::Unwind) {
                continue;
            }
            for stage in [Stage::Empty, Stage::Full] {
                for capacity in [1, 2] {
                    for run in [run::<Plain>, run::<Tasks>, run::<Requeued>] {
                        *cases += (1..)
                            .take_while(|&call| run(stage, capacity, act, site, call))
                            .count();
                    }
                }
            }
        }
    }
    println!("{cases:?} cases, by site");
    // About as many as there are; a change of how often a waker is cloned may change them a little.
    let expected = [150, 400, 850, 150, 12, 6];
    let enough = |(cases, expected)| cases >= expected;
    assert!(cases.into_iter().zip(expected).all(enough), "{cases:?}");
}

#[test]
fn when_every_waker_panics_everybody_is_called_nevertheless() {
    let _watchdog = Watchdog::start();
    for act in ACTS {
        for stage in [Stage::Empty, Stage::Full] {
            for capacity in [1, 2] {
                for run in [run::<Plain>, run::<Tasks>, run::<Requeued>] {
                    run(stage, capacity, act, Site::WakerWake, 0);
                }
            }
        }
    }
}

/// One that waits.
struct Player<'a> {
    future: Option<LocalBoxFuture<'a, Option<Bomb>>>,
    probe: Arc<Probe>,
    waker: Waker,
    heard: usize,
}

impl<'a> Player<'a> {
    fn new(future: impl Future<Output = Option<Bomb>> + 'a) -> Self {
        let probe = Arc::new(Probe::default());
        Self {
            future: Some(future.boxed_local()),
            waker: probe.waker(),
            probe,
            heard: 0,
        }
    }

    fn waiting(future: impl Future<Output = Option<Bomb>> + 'a) -> Self {
        let mut player = Self::new(future);
        assert!(player.poll().is_pending());
        player
    }

    /// As an executor does: a future that panics is dropped.
    fn poll(&mut self) -> Poll<()> {
        let Some(future) = &mut self.future else {
            return Poll::Ready(());
        };
        self.heard = self.probe.wakes();
        let mut cx = Context::from_waker(&self.waker);
        let poll = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx)));
        match poll {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(given)) => {
                self.future = None;
                drop(given);
            }
            Err(panic) => {
                self.future = None;
                resume_unwind(panic);
            }
        }
        Poll::Ready(())
    }

    fn is_woken(&self) -> bool {
        self.future.is_some() && self.probe.wakes() > self.heard
    }
}

/// Polls all who have been woken until nobody is; then nobody may have been forgotten.
fn run_to_rest(players: &mut [Player<'_>], what: &str) {
    while let Some(player) = players.iter_mut().find(|player| player.is_woken()) {
        let _ = player.poll();
    }
    for (index, player) in players.iter_mut().enumerate() {
        if player.future.is_some() {
            assert!(
                player.poll().is_pending(),
                "{what}: stranded number {index}"
            );
        }
    }
}

/// The handles that the players use.
struct Own<K: Kind> {
    sender: Option<Sender<Bomb>>,
    receiver: Option<K::Receiver<Bomb>>,
    monitor: Monitor<Bomb>,
}

impl<K: Kind> Own<K> {
    fn recv(&self) -> impl Future<Output = Option<Bomb>> + '_ {
        let recv = self.receiver.as_ref().unwrap().recv();
        recv.map(|given| given.ok().map(K::Receiver::end))
    }

    fn stream(&self) -> impl Future<Output = Option<Bomb>> + '_ {
        let stream = self.receiver.as_ref().unwrap().clone();
        let next = stream.into_future();
        next.map(|(given, _stream)| given.map(K::Receiver::end))
    }

    fn send(&self, item: Bomb) -> impl Future<Output = Option<Bomb>> + '_ {
        let send = self.sender.as_ref().unwrap().send(item);
        send.map(|result| result.err().map(|error| error.into_inner()))
    }

    /// All who wait at first, three for each thing: in the seat and in the crowd.
    fn players(&self, stage: Stage, item: impl Fn() -> Bomb) -> Vec<Player<'_>> {
        let mut players = Vec::new();
        for _ in 0..3 {
            match stage {
                Stage::Empty => players.push(Player::waiting(self.recv())),
                Stage::Full => {
                    players.push(Player::waiting(self.send(item())));
                    let closed = self.sender.as_ref().unwrap().closed();
                    players.push(Player::waiting(closed.map(|()| None)));
                }
            }
            let monitor = &self.monitor;
            if monitor.outstanding() > 0 {
                players.push(Player::waiting(monitor.join().map(|_| None)));
            }
            players.push(Player::waiting(monitor.finished().map(|_| None)));
            players.push(Player::waiting(monitor.failed().map(|_| None)));
        }
        if stage == Stage::Empty {
            players.push(Player::waiting(self.stream()));
        }
        players
    }
}

/// One case; whether the injected panic came.
fn run<K: Kind>(stage: Stage, capacity: usize, act: Act, site: Site, call: u32) -> bool {
    let what = format!("{stage:?} of {capacity}, {act:?}, panic at call {call} of {site:?}");
    let tally = Tally::new();
    let bomb = || Bomb(tally.item());
    let (sender, receiver) = K::channel::<Bomb>(capacity);
    let monitor = sender.monitor();

    // Two tasks in hand.
    let mut hand = Vec::new();
    for _ in 0..2 {
        assert!(sender.try_send(bomb()).is_ok());
        hand.push(receiver.try_recv().unwrap());
    }
    if stage == Stage::Full {
        while sender.try_send(bomb()).is_ok() {}
    }
    let own = Own::<K> {
        sender: (stage == Stage::Full).then(|| sender.clone()),
        receiver: (stage == Stage::Empty).then(|| receiver.clone()),
        monitor: sender.monitor(),
    };
    let mut players = own.players(stage, bomb);
    let mut sender = Some(sender);
    let mut receiver = Some(receiver);

    if act == Act::PollOutOfTurn {
        match stage {
            Stage::Empty => assert!(sender.as_ref().unwrap().try_send(bomb()).is_ok()),
            Stage::Full => drop(receiver.as_ref().unwrap().take_one()),
        }
    }
    let blown = with_fuse(site, call, || match act {
        Act::TrySend => drop(sender.as_ref().unwrap().try_send(bomb())),
        Act::Send => drop(sender.as_ref().unwrap().send(bomb()).now_or_never()),
        Act::TryRecv => drop(receiver.as_ref().unwrap().take_one()),
        Act::Recv => drop(receiver.as_ref().unwrap().recv().now_or_never()),
        Act::WaitToo => {
            players.push(Player::new(own.monitor.finished().map(|_| None)));
            players.push(match stage {
                Stage::Empty => Player::new(own.recv()),
                Stage::Full => Player::new(own.send(bomb())),
            });
            for player in players.iter_mut().rev().take(2) {
                let _ = player.poll();
            }
        }
        Act::ReplaceWakers => {
            for player in &mut players {
                let other = Player::new(std::future::pending());
                player.probe = Arc::clone(&other.probe);
                player.heard = 0;
                player.waker = other.probe.waker();
                let _ = player.poll();
            }
        }
        Act::PollOutOfTurn => {
            for player in players.iter_mut().skip(1) {
                let _ = player.poll();
            }
        }
        Act::Close => drop(monitor.close()),
        Act::CloseNow => drop(monitor.close_now()),
        Act::DropLastSender => sender = None,
        Act::DropLastReceiver => receiver = None,
        Act::DropWaiters => {
            while let Some(player) = players.pop() {
                drop(player);
            }
        }
        Act::DropEverything => {
            receiver = None;
            sender = None;
            players.clear();
            hand.clear();
        }
        Act::Done => hand
            .drain(..)
            .for_each(|given| drop(K::Receiver::end(given))),
        Act::Fail => hand
            .drain(..)
            .for_each(|given| drop(K::Receiver::fail(given, Reason))),
        Act::Retry => hand.drain(..).for_each(K::Receiver::retry),
        Act::FollowUp => hand
            .iter()
            .for_each(|given| K::Receiver::follow_up(given, bomb())),
        Act::Abandon => hand.clear(),
        Act::Unwind => {
            let hand = mem::take(&mut hand);
            let worker = AssertUnwindSafe(|| {
                let _hand = hand;
                resume_unwind(Box::new(site));
            });
            let _ = catch_unwind(worker);
        }
    });
    if receiver.is_none() && own.receiver.is_none() {
        assert_eq!(monitor.stats().queued, 0, "{what}: not dropped at once");
    }
    run_to_rest(&mut players, &what);

    // The end: all hear of it, and everything is accounted for.
    hand.clear();
    drop(sender);
    monitor.close();
    if let Some(receiver) = receiver.or(own.receiver.clone()) {
        while receiver.take_one().is_ok() {}
    }
    run_to_rest(&mut players, &what);
    for (index, player) in players.iter().enumerate() {
        assert!(
            player.future.is_none(),
            "{what}: number {index} still waits"
        );
    }
    let report = match now(monitor.finished()) {
        Ok(report) => report,
        Err(error) => error.report,
    };
    let queued = report.sent + report.followed_up + report.retried;
    assert_eq!(queued, report.received + report.discarded, "{what}");
    let ended = report.done + report.failed + report.abandoned + report.panicked;
    assert_eq!(report.received, ended + report.retried, "{what}");
    for player in &players {
        // The player's own, and the one of its waker.
        assert_eq!(Arc::strong_count(&player.probe), 2, "{what}: a waker leaks");
    }
    drop(players);
    drop(own);
    for (id, drops) in tally.drops().into_iter().enumerate() {
        assert_eq!(drops, 1, "{what}: drops of item {id}");
    }
    blown
}

on_both_kinds! {
    a_send_whose_receiver_panics_when_woken_still_passes_room_on,
    a_receive_that_passes_an_item_on_to_one_who_panics_ends_what_it_took,
    an_error_is_dropped_once_though_its_destructor_panics,
    what_the_last_receiver_leaves_is_dropped_at_once_though_a_waker_panics,
    what_was_to_be_handed_back_is_dropped_though_wakers_and_a_destructor_panic,
    a_waiter_goes_while_its_thread_unwinds_though_its_waker_panics_too,
}

fn a_send_whose_receiver_panics_when_woken_still_passes_room_on<K: Kind>() {
    let (sender, receiver) = K::channel::<u32>(2);
    let mut recvs = [(); 3].map(|()| Player::waiting(receiver.recv().map(|_| None)));
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    // Two receivers are called; the third still waits when the senders come.
    let send = |item| sender.send(item).map(|_| None);
    let mut sends = [3, 4, 5].map(|item| Player::waiting(send(item)));
    receiver.take_one().unwrap();
    receiver.take_one().unwrap();
    assert!(sends[0].is_woken() && sends[1].is_woken() && !sends[2].is_woken());

    // The first is never polled again. The second sends and wakes the third receiver.
    let panicked = with_fuse(Site::WakerWake, 1, || {
        let _ = sends[1].poll();
    });
    assert!(panicked && recvs[2].is_woken());
    assert!(sends[2].is_woken(), "there is room for it");
    assert!(sends[2].poll().is_ready());
    assert_eq!((receiver.take_one(), receiver.take_one()), (Ok(4), Ok(5)));
    let _ = recvs.iter_mut().map(Player::poll);
}

fn a_receive_that_passes_an_item_on_to_one_who_panics_ends_what_it_took<K: Kind>() {
    let tally = Tally::new();
    let (sender, receiver) = K::channel(2);
    let monitor = sender.monitor();
    let mut recvs = [(); 3].map(|()| Player::waiting(receiver.recv().map(|_| None)));
    assert!(sender.try_send(tally.item()).is_ok());
    assert!(sender.try_send(tally.item()).is_ok());
    let panicked = with_fuse(Site::WakerWake, 1, || {
        let _ = recvs[0].poll();
    });
    assert!(panicked && recvs[2].is_woken());
    assert_eq!(tally.drops(), [1, 0]);
    assert_eq!(monitor.outstanding(), 1);
    drop(receiver.take_one().unwrap());
    assert!(monitor.join().now_or_never().is_some());
}

fn an_error_is_dropped_once_though_its_destructor_panics<K: Kind>() {
    let (sender, receiver) = K::channel(2);
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    let given = [(); 2].map(|()| receiver.try_recv().unwrap());
    let monitor = sender.monitor();
    let dropped = with_fuse(Site::ErrorDrop, 1, || {
        for given in given {
            K::Receiver::fail(given, ReasonError);
        }
    });
    assert!(dropped);
    assert_eq!(monitor.outstanding(), 0);
    assert!(monitor.join().now_or_never().is_some());
}

fn what_the_last_receiver_leaves_is_dropped_at_once_though_a_waker_panics<K: Kind>() {
    let tally = Tally::new();
    let (sender, receiver) = K::channel(2);
    let monitor = sender.monitor();
    let failed = Player::waiting(monitor.failed().map(|_| None));
    let mut join = monitor.join();
    assert!(sender.try_send(tally.item()).is_ok());
    assert!(sender.try_send(tally.item()).is_ok());
    let join_waker = common::CountingWaker::new();
    assert!(common::poll(&mut join, &join_waker).is_pending());
    assert!(with_fuse(Site::WakerWake, 1, || drop(receiver)));
    // Not later, for a ticket may free the channel on any thread, after what the items borrow.
    assert_eq!(tally.drops(), [1; 2]);
    assert!(failed.is_woken() && join_waker.wakes() > 0);
    assert!(common::poll(&mut join, &join_waker).is_ready());
}

/// Two panics at once would end the process.
fn what_was_to_be_handed_back_is_dropped_though_wakers_and_a_destructor_panic<K: Kind>() {
    struct PanickingWaker;

    impl Wake for PanickingWaker {
        fn wake(self: Arc<Self>) {
            panic!("a waker");
        }
    }

    struct PanickingItem(Rc<Cell<u32>>);

    impl Drop for PanickingItem {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
            panic!("a destructor");
        }
    }

    let drops = Rc::new(Cell::new(0));
    let (sender, receiver) = K::channel(2);
    for _ in 0..2 {
        let item = PanickingItem(Rc::clone(&drops));
        assert!(sender.try_send(item).is_ok());
    }
    // One hears that no work is left, the other of the close.
    let (mut join, mut closed) = (sender.join(), sender.closed());
    let waker = Waker::from(Arc::new(PanickingWaker));
    let mut cx = Context::from_waker(&waker);
    assert!(Pin::new(&mut join).poll(&mut cx).is_pending());
    assert!(Pin::new(&mut closed).poll(&mut cx).is_pending());
    let closing = catch_unwind(AssertUnwindSafe(|| drop(sender.close_now())));
    assert_eq!(closing.unwrap_err().downcast_ref(), Some(&"a waker"));
    assert_eq!(drops.get(), 2);
    drop(receiver);
}

/// Here too.
fn a_waiter_goes_while_its_thread_unwinds_though_its_waker_panics_too<K: Kind>() {
    struct Explosive(Arc<AtomicUsize>);

    impl Wake for Explosive {
        fn wake(self: Arc<Self>) {}
    }

    impl Drop for Explosive {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
            panic!("a waker");
        }
    }

    let drops = Arc::new(AtomicUsize::new(0));
    let (_sender, receiver) = K::channel::<u32>(1);
    // In the seat, and in the crowd.
    let unwind = AssertUnwindSafe(|| {
        let mut waiting = [receiver.recv(), receiver.recv()];
        for recv in &mut waiting {
            let waker = Waker::from(Arc::new(Explosive(Arc::clone(&drops))));
            let polled = Pin::new(recv).poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
        }
        panic!("a worker");
    });
    let worker = catch_unwind(unwind).unwrap_err();
    assert_eq!(worker.downcast_ref(), Some(&"a worker"));
    assert_eq!(drops.load(Ordering::Relaxed), 2);
}

#[test]
fn a_receive_whose_sender_panics_when_woken_still_tells_who_joins() {
    let (sender, receiver) = tollgate::bounded(1);
    let monitor = sender.monitor();
    sender.try_send(1).unwrap();
    let send = Player::waiting(sender.send(2).map(|_| None));
    let joins = [(); 2].map(|()| Player::waiting(monitor.join().map(|_| None)));
    let panicked = with_fuse(Site::WakerWake, 1, || {
        assert_eq!(receiver.try_recv(), Ok(1));
    });
    assert!(panicked && send.is_woken());
    // It will not send after all: there was nothing more to wait for.
    drop(send);
    assert!(joins.iter().all(Player::is_woken));
}

#[test]
fn a_conversion_that_panics_ends_the_task_as_panicked() {
    let (sender, receiver) = tollgate::tasks(2);
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    let (task, other) = (receiver.try_recv().unwrap(), receiver.try_recv().unwrap());
    let (_, ticket) = other.split();
    let fail = || assert_eq!(task.fail(Reason), 1);
    assert!(with_fuse(Site::ErrorInto, 1, fail));
    assert!(with_fuse(Site::ErrorInto, 1, || ticket.fail(Reason)));
    let error = now(sender.join()).unwrap_err();
    assert!(matches!(error.first, Failure::Panicked));
    assert_eq!((error.report.panicked, error.report.failed), (2, 0));
}

#[test]
fn an_item_that_panics_when_dropped_ends_its_task_as_panicked() {
    let tally = Tally::new();
    let (sender, receiver) = tollgate::tasks(1);
    assert!(sender.try_send(Bomb(tally.item())).is_ok());
    let task = receiver.try_recv().unwrap();
    assert!(with_fuse(Site::ItemDrop, 1, || drop(task)));
    assert_eq!(tally.drops(), [1]);
    assert_eq!(now(sender.join()).unwrap_err().report.panicked, 1);
}

//! User code that panics on demand: wakers, items, errors, and the tasks that use them.

#![allow(dead_code)] // Each test binary uses a part.

use std::any::Any;
use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::task::RawWaker;
use std::task::RawWakerVTable;
use std::task::Waker;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use crate::common::Item;
use crate::common::Tally;

/// Where a panic is injected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Site {
    WakerClone,
    WakerWake,
    WakerDrop,
    ItemDrop,
    ErrorInto,
    ErrorDrop,
    /// The closure of a `run`, and the futures that it gives.
    JobBegin,
    JobPoll,
    JobDrop,
    CrewDrop,
}

pub(crate) const SITES: [Site; 10] = [
    Site::WakerClone,
    Site::WakerWake,
    Site::WakerDrop,
    Site::ItemDrop,
    Site::ErrorInto,
    Site::ErrorDrop,
    Site::JobBegin,
    Site::JobPoll,
    Site::JobDrop,
    Site::CrewDrop,
];

/// At which call of a site it panics; 0: at every call. Of two fuses of one site, the second
/// counts from where the first has blown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fuse {
    pub(crate) site: Site,
    pub(crate) call: u32,
}

#[derive(Clone, Copy)]
struct Armed {
    fuse: Fuse,
    calls: u32,
    blown: bool,
}

thread_local! {
    static FUSES: Cell<[Option<Armed>; 2]> = const { Cell::new([None; 2]) };
    /// How often each site was called.
    static CALLS: Cell<[u32; SITES.len()]> = const { Cell::new([0; SITES.len()]) };
    /// How many panics have been injected.
    static BURNT: Cell<u32> = const { Cell::new(0) };
    /// Whether a [`call`] is running; elsewhere nothing panics.
    static CALLING: Cell<bool> = const { Cell::new(false) };
    /// Whether each [`call`] is made by a destructor, while the thread unwinds.
    static UNWINDING: Cell<bool> = const { Cell::new(false) };
}

/// A panic that was injected: the n-th. Its destructor is user code too, which no call owes.
struct Burnt(u32);

impl Drop for Burnt {
    fn drop(&mut self) {
        if CALLING.get() {
            resume_unwind(Box::new("the channel dropped what a panic carried"));
        }
    }
}

/// What a worker panics with.
struct Crash;

/// What user code calls where it might panic.
pub(crate) fn burn(site: Site) {
    if !CALLING.get() {
        return;
    }
    let mut calls = CALLS.get();
    calls[site as usize] += 1;
    CALLS.set(calls);
    let mut fuses = FUSES.get();
    let mut armed = fuses.iter_mut().flatten();
    let is_next = |it: &&mut Armed| it.fuse.site == site && (it.fuse.call == 0 || !it.blown);
    let Some(armed) = armed.find(is_next) else {
        return;
    };
    armed.calls += 1;
    let blows = armed.fuse.call == 0 || armed.fuse.call == armed.calls;
    armed.blown |= blows;
    FUSES.set(fuses);
    if blows {
        BURNT.set(BURNT.get() + 1);
        // Without the message of `panic`.
        resume_unwind(Box::new(Burnt(BURNT.get())));
    }
}

/// Whether the calls of user code that follow are to be made while the thread unwinds.
pub(crate) fn unwind_meanwhile(unwinding: bool) {
    UNWINDING.set(unwinding);
}

/// Arms up to two fuses.
pub(crate) fn arm(fuses: &[Fuse]) {
    let mut armed = [None; 2];
    for (armed, &fuse) in armed.iter_mut().zip(fuses) {
        *armed = Some(Armed {
            fuse,
            calls: 0,
            blown: false,
        });
    }
    FUSES.set(armed);
    CALLS.set([0; SITES.len()]);
}

/// What the fuses came to: which have blown, and how often each site was called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ashes {
    pub(crate) blown: [bool; 2],
    pub(crate) calls: [u32; SITES.len()],
}

pub(crate) fn disarm() -> Ashes {
    let fuses = FUSES.take();
    Ashes {
        blown: fuses.map(|armed| armed.is_some_and(|it| it.blown)),
        calls: CALLS.get(),
    }
}

/// Makes a call of the channel, in which user code may panic. The first panic must come out, and
/// no other; then there is no result. While the thread unwinds, it may be swallowed, too.
pub(crate) fn call<R>(act: impl FnOnce() -> R) -> Option<R> {
    let before = BURNT.get();
    let mut result = None;
    let act = || {
        CALLING.set(true);
        result = Some(catch_unwind(AssertUnwindSafe(act)));
        CALLING.set(false);
    };
    if !UNWINDING.get() {
        act();
    } else {
        let worker = || {
            let _late = Late(Some(act));
            resume_unwind(Box::new(Crash));
        };
        let crash = catch_unwind(AssertUnwindSafe(worker)).unwrap_err();
        assert!(crash.is::<Crash>());
    }
    match result.unwrap() {
        Ok(result) => {
            let swallowed = BURNT.get() - before;
            assert!(UNWINDING.get() || swallowed == 0, "a panic did not go on");
            Some(result)
        }
        Err(panic) => {
            expect_first(&*panic, before);
            None
        }
    }
}

/// A [`call`] that drops what is the channel's. While the thread unwinds, nothing may come out.
pub(crate) fn let_go<L>(load: L) {
    let dropped = call(|| drop(load));
    assert!(!UNWINDING.get() || dropped.is_some(), "it would abort");
}

/// Calls a worker that drops `load` by a panic, which is all that comes out of it.
pub(crate) fn crash_with<L>(load: L) {
    CALLING.set(true);
    let worker = || {
        let _load = load;
        resume_unwind(Box::new(Crash));
    };
    let crash = catch_unwind(AssertUnwindSafe(worker)).unwrap_err();
    CALLING.set(false);
    assert!(crash.is::<Crash>(), "another panic took its place");
}

fn expect_first(panic: &(dyn Any + Send), before: u32) {
    match panic.downcast_ref() {
        Some(_) if UNWINDING.get() => {}
        Some(&Burnt(nth)) => assert_eq!(nth, before + 1, "not the first panic went on"),
        None => panic!("the channel panicked by itself: {:?}", message(panic)),
    }
}

pub(crate) fn message(panic: &(dyn Any + Send)) -> Option<&str> {
    let of_format = panic.downcast_ref::<String>().map(|it| &**it);
    of_format.or_else(|| panic.downcast_ref::<&str>().copied())
}

/// Runs when it is dropped.
struct Late<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for Late<F> {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|act| act());
    }
}

/// A waker that counts its wakes and may panic.
#[derive(Default)]
pub(crate) struct Probe(AtomicUsize);

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
    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        let data = Arc::into_raw(Arc::clone(self)).cast();
        // SAFETY: the functions above keep the contract of a `RawWaker`.
        unsafe { Waker::from_raw(RawWaker::new(data, &PROBE)) }
    }

    pub(crate) fn wakes(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// An item whose destructor may panic.
pub(crate) struct Bomb(Option<Item>);

impl Bomb {
    pub(crate) fn of(tally: &Tally) -> Self {
        Self(Some(tally.item()))
    }

    /// Takes out what will not panic.
    pub(crate) fn defuse(mut self) -> Option<Item> {
        self.0.take()
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if let Some(_item) = self.0.take() {
            burn(Site::ItemDrop);
        }
    }
}

/// A reason to fail whose conversion may panic, as may its destructor and that of the error.
pub(crate) struct Reason(Option<Item>);

#[derive(Debug)]
pub(crate) struct ReasonError(#[allow(dead_code)] Item);

impl Reason {
    pub(crate) fn of(tally: &Tally) -> Self {
        Self(Some(tally.item()))
    }
}

impl Drop for Reason {
    fn drop(&mut self) {
        if let Some(_item) = self.0.take() {
            burn(Site::ErrorDrop);
        }
    }
}

impl From<Reason> for Box<dyn Error + Send + Sync> {
    fn from(mut reason: Reason) -> Self {
        let item = reason.0.take().unwrap();
        burn(Site::ErrorInto);
        Box::new(ReasonError(item))
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

/// One that waits.
pub(crate) struct Player<'a> {
    future: Option<LocalBoxFuture<'a, Option<Bomb>>>,
    /// The last is what it is polled with.
    wakers: Vec<(Arc<Probe>, Waker)>,
    heard: usize,
}

impl<'a> Player<'a> {
    pub(crate) fn new(future: impl Future<Output = Option<Bomb>> + 'a) -> Self {
        let mut player = Self {
            future: Some(future.boxed_local()),
            wakers: Vec::new(),
            heard: 0,
        };
        player.replace_waker();
        player
    }

    /// One that has been polled; none if it has nothing to wait for.
    pub(crate) fn if_waiting(future: impl Future<Output = Option<Bomb>> + 'a) -> Option<Self> {
        let mut player = Self::new(future);
        player.poll().is_pending().then_some(player)
    }

    #[track_caller]
    pub(crate) fn waiting(future: impl Future<Output = Option<Bomb>> + 'a) -> Self {
        Self::if_waiting(future).expect("something to wait for")
    }

    pub(crate) fn replace_waker(&mut self) {
        let probe = Arc::new(Probe::default());
        let waker = probe.waker();
        self.wakers.push((probe, waker));
        self.heard = 0;
    }

    fn wakes(&self) -> usize {
        self.wakers.last().map_or(0, |(probe, _)| probe.wakes())
    }

    /// As an executor does: a future that panics is dropped.
    pub(crate) fn poll(&mut self) -> Poll<()> {
        self.heard = self.wakes();
        let (Some(future), Some((_, waker))) = (&mut self.future, self.wakers.last()) else {
            return Poll::Ready(());
        };
        let polled = call(|| future.poll_unpin(&mut Context::from_waker(waker)));
        if matches!(polled, Some(Poll::Pending)) {
            return Poll::Pending;
        }
        self.leave();
        Poll::Ready(())
    }

    pub(crate) fn leave(&mut self) {
        let_go(self.future.take());
    }

    /// One that has left, and so borrows nothing any more.
    pub(crate) fn gone(mut self) -> Player<'static> {
        self.leave();
        Player {
            future: None,
            wakers: self.wakers,
            heard: self.heard,
        }
    }

    /// One whose future has been forgotten.
    pub(crate) fn forgotten(mut self) -> Player<'static> {
        std::mem::forget(self.future.take());
        self.gone()
    }

    /// Gives the future to another task.
    pub(crate) fn take_future(&mut self) -> Option<LocalBoxFuture<'a, Option<Bomb>>> {
        self.future.take()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.future.is_none()
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.future.is_some() && self.wakes() > self.heard
    }

    /// Whether nothing else holds its wakers.
    pub(crate) fn has_all_wakers(&self) -> bool {
        // This, and the one in the waker.
        let has = |(probe, _): &(Arc<Probe>, Waker)| Arc::strong_count(probe) == 2;
        self.wakers.iter().all(has)
    }
}

/// Polls all that have been woken until none is.
pub(crate) fn run_to_rest(players: &mut [Player<'_>]) {
    while let Some(player) = players.iter_mut().find(|player| player.is_woken()) {
        let _ = player.poll();
    }
    for (index, player) in players.iter_mut().enumerate() {
        if !player.is_over() {
            assert!(player.poll().is_pending(), "stranded number {index}");
        }
    }
}

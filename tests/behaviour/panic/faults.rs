//! User code that panics on demand: wakers, items, errors, and futures with such wakers.

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
    /// The closure of a pool, and the futures that it returns. `JobPoll` and `JobDrop` are also the
    /// sites of the futures that stop a `send_until` or `recv_until`.
    JobBegin,
    JobPoll,
    JobDrop,
    ClosureDrop,
}

impl Site {
    /// Whether it is in the processing of an item by a pool, whenever it is called.
    fn is_of_one_item(self) -> bool {
        matches!(
            self,
            Self::ErrorInto | Self::JobBegin | Self::JobPoll | Self::JobDrop
        )
    }
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
    Site::ClosureDrop,
];

/// At which call of a site it panics; 0 means every call. Of two faults at one site, the second
/// counts from the call at which the first has fired.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fault {
    pub(crate) site: Site,
    pub(crate) call: u32,
}

#[derive(Clone, Copy)]
struct Armed {
    fault: Fault,
    calls: u32,
    fired: bool,
}

thread_local! {
    static FAULTS: Cell<[Option<Armed>; 2]> = const { Cell::new([None; 2]) };
    /// How often each site was called.
    static CALLS: Cell<[u32; SITES.len()]> = const { Cell::new([0; SITES.len()]) };
    /// How many panics have been injected.
    static INJECTED: Cell<u32> = const { Cell::new(0) };
    /// Whether a [`call`] is running; outside of calls, nothing panics.
    static CALLING: Cell<bool> = const { Cell::new(false) };
    /// Whether a destructor makes each [`call`], while the thread unwinds.
    static UNWINDING: Cell<bool> = const { Cell::new(false) };
    /// Whether a pool contains the panics of single items.
    static CONTAINING: Cell<bool> = const { Cell::new(false) };
}

/// The payload of the n-th injected panic. Its destructor is user code too. A call should run it only
/// where the panic of the destructor is contained as well.
struct Injected {
    nth: u32,
    site: Site,
}

impl Drop for Injected {
    fn drop(&mut self) {
        if CALLING.get() {
            resume_unwind(Box::new("the channel dropped the payload of a panic"));
        }
    }
}

/// The payload of a worker's panic.
struct Crash;

/// User code calls this where it might panic.
pub(crate) fn may_panic(site: Site) {
    if !CALLING.get() {
        return;
    }
    let mut calls = CALLS.get();
    calls[site as usize] += 1;
    CALLS.set(calls);
    let mut faults = FAULTS.get();
    let mut armed = faults.iter_mut().flatten();
    let is_next = |it: &&mut Armed| it.fault.site == site && (it.fault.call == 0 || !it.fired);
    let Some(armed) = armed.find(is_next) else {
        return;
    };
    armed.calls += 1;
    let fires = armed.fault.call == 0 || armed.fault.call == armed.calls;
    armed.fired |= fires;
    FAULTS.set(faults);
    if fires {
        INJECTED.set(INJECTED.get() + 1);
        // Without the message of `panic!`.
        resume_unwind(Box::new(Injected {
            nth: INJECTED.get(),
            site,
        }));
    }
}

/// Sets whether the calls that follow are made while the thread unwinds.
pub(crate) fn set_unwinding(unwinding: bool) {
    UNWINDING.set(unwinding);
}

/// Sets whether the calls that follow poll or drop a pool with `catch_panics`.
#[cfg(feature = "futures")]
pub(crate) fn set_containing(containing: bool) {
    CONTAINING.set(containing);
}

/// Arms up to two faults.
pub(crate) fn arm(faults: &[Fault]) {
    let mut armed = [None; 2];
    for (armed, &fault) in armed.iter_mut().zip(faults) {
        *armed = Some(Armed {
            fault,
            calls: 0,
            fired: false,
        });
    }
    FAULTS.set(armed);
    CALLS.set([0; SITES.len()]);
}

/// Which faults have fired, and how often each site was called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) fired: [bool; 2],
    pub(crate) calls: [u32; SITES.len()],
}

pub(crate) fn disarm() -> Outcome {
    let faults = FAULTS.take();
    Outcome {
        fired: faults.map(|armed| armed.is_some_and(|it| it.fired)),
        calls: CALLS.get(),
    }
}

/// Makes a call of the channel in which user code may panic. The first panic must propagate, and no
/// other; then there is no result. While the thread unwinds, it may also be swallowed. So may it while
/// panics are contained; one in the processing of an item then must be.
pub(crate) fn call<R>(act: impl FnOnce() -> R) -> Option<R> {
    let before = INJECTED.get();
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
            let _on_drop = OnDrop(Some(act));
            resume_unwind(Box::new(Crash));
        };
        let crash = catch_unwind(AssertUnwindSafe(worker)).unwrap_err();
        assert!(crash.is::<Crash>());
    }
    match result.unwrap() {
        Ok(result) => {
            let swallowed = INJECTED.get() - before;
            assert!(
                UNWINDING.get() || CONTAINING.get() || swallowed == 0,
                "a panic did not propagate"
            );
            Some(result)
        }
        Err(panic) => {
            expect_first(&*panic, before);
            None
        }
    }
}

/// A [`call`] that drops a value of the channel. While the thread unwinds, no panic may propagate.
pub(crate) fn drop_in_call<L>(load: L) {
    let dropped = call(|| drop(load));
    assert!(
        !UNWINDING.get() || dropped.is_some(),
        "a panic would abort the process"
    );
}

/// Runs a worker that drops `load` in a panic; no other panic may propagate.
pub(crate) fn drop_in_panic<L>(load: L) {
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
        Some(Injected { site, .. }) if CONTAINING.get() => {
            assert!(!site.is_of_one_item(), "a panic at {site:?} propagated");
        }
        Some(_) if UNWINDING.get() => {}
        Some(Injected { nth, .. }) => {
            assert_eq!(*nth, before + 1, "not the first panic propagated");
        }
        None => panic!("the channel panicked by itself: {:?}", message(panic)),
    }
}

pub(crate) fn message(panic: &(dyn Any + Send)) -> Option<&str> {
    let of_format = panic.downcast_ref::<String>().map(|it| &**it);
    of_format.or_else(|| panic.downcast_ref::<&str>().copied())
}

/// Runs a closure when it is dropped.
struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|act| act());
    }
}

/// A waker that counts its wakes and may panic.
#[derive(Default)]
pub(crate) struct FaultyWaker(AtomicUsize);

static FAULTY_WAKER: RawWakerVTable = RawWakerVTable::new(
    |waker| {
        may_panic(Site::WakerClone);
        // SAFETY: the pointer is from `Arc::into_raw`, and this waker keeps the value alive.
        unsafe { Arc::increment_strong_count(waker.cast::<FaultyWaker>()) };
        RawWaker::new(waker, &FAULTY_WAKER)
    },
    |waker| {
        // SAFETY: the pointer is from `Arc::into_raw`, and this call consumes the waker.
        let waker = unsafe { Arc::from_raw(waker.cast::<FaultyWaker>()) };
        waker.0.fetch_add(1, Ordering::SeqCst);
        may_panic(Site::WakerWake);
    },
    |waker| {
        // SAFETY: the pointer is from `Arc::into_raw`, and this waker keeps the value alive.
        let waker = unsafe { &*waker.cast::<FaultyWaker>() };
        waker.0.fetch_add(1, Ordering::SeqCst);
        may_panic(Site::WakerWake);
    },
    |waker| {
        // SAFETY: the pointer is from `Arc::into_raw`, and this call consumes the waker.
        let _waker = unsafe { Arc::from_raw(waker.cast::<FaultyWaker>()) };
        may_panic(Site::WakerDrop);
    },
);

impl FaultyWaker {
    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        let data = Arc::into_raw(Arc::clone(self)).cast();
        // SAFETY: the functions above keep the contract of a `RawWaker`.
        unsafe { Waker::from_raw(RawWaker::new(data, &FAULTY_WAKER)) }
    }

    pub(crate) fn wakes(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// An item whose destructor may panic.
pub(crate) struct FaultyItem(Option<Item>);

impl FaultyItem {
    pub(crate) fn of(tally: &Tally) -> Self {
        Self(Some(tally.item()))
    }

    /// Takes out the item, whose destructor does not panic.
    pub(crate) fn into_item(mut self) -> Option<Item> {
        self.0.take()
    }
}

impl Drop for FaultyItem {
    fn drop(&mut self) {
        if let Some(_item) = self.0.take() {
            may_panic(Site::ItemDrop);
        }
    }
}

/// Converts into an error. The conversion may panic, and so may the destructors of both.
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
            may_panic(Site::ErrorDrop);
        }
    }
}

impl From<Reason> for Box<dyn Error + Send + Sync> {
    fn from(mut reason: Reason) -> Self {
        let item = reason.0.take().unwrap();
        may_panic(Site::ErrorInto);
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
        may_panic(Site::ErrorDrop);
    }
}

/// A waiting future, and the wakers it was polled with.
pub(crate) struct FaultyWaiter<'a> {
    future: Option<LocalBoxFuture<'a, Option<FaultyItem>>>,
    /// It is polled with the last one.
    wakers: Vec<(Arc<FaultyWaker>, Waker)>,
    seen: usize,
}

impl<'a> FaultyWaiter<'a> {
    pub(crate) fn new(future: impl Future<Output = Option<FaultyItem>> + 'a) -> Self {
        let mut waiter = Self {
            future: Some(future.boxed_local()),
            wakers: Vec::new(),
            seen: 0,
        };
        waiter.replace_waker();
        waiter
    }

    /// Polls the future; returns `None` if it has nothing to wait for.
    pub(crate) fn if_waiting(
        future: impl Future<Output = Option<FaultyItem>> + 'a,
    ) -> Option<Self> {
        let mut waiter = Self::new(future);
        waiter.poll().is_pending().then_some(waiter)
    }

    #[track_caller]
    pub(crate) fn waiting(future: impl Future<Output = Option<FaultyItem>> + 'a) -> Self {
        Self::if_waiting(future).expect("something to wait for")
    }

    pub(crate) fn replace_waker(&mut self) {
        let faulty = Arc::new(FaultyWaker::default());
        let waker = faulty.waker();
        self.wakers.push((faulty, waker));
        self.seen = 0;
    }

    fn wakes(&self) -> usize {
        self.wakers.last().map_or(0, |(faulty, _)| faulty.wakes())
    }

    /// Polls as an executor does: a future that panics is dropped.
    pub(crate) fn poll(&mut self) -> Poll<()> {
        self.seen = self.wakes();
        let (Some(future), Some((_, waker))) = (&mut self.future, self.wakers.last()) else {
            return Poll::Ready(());
        };
        let polled = call(|| future.poll_unpin(&mut Context::from_waker(waker)));
        if matches!(polled, Some(Poll::Pending)) {
            return Poll::Pending;
        }
        self.drop_future();
        Poll::Ready(())
    }

    pub(crate) fn drop_future(&mut self) {
        drop_in_call(self.future.take());
    }

    /// Drops the future, so that it borrows nothing any more.
    pub(crate) fn into_dropped(mut self) -> FaultyWaiter<'static> {
        self.drop_future();
        FaultyWaiter {
            future: None,
            wakers: self.wakers,
            seen: self.seen,
        }
    }

    /// Leaks the future.
    pub(crate) fn forgotten(mut self) -> FaultyWaiter<'static> {
        std::mem::forget(self.future.take());
        self.into_dropped()
    }

    /// Takes out the future, for another task.
    pub(crate) fn take_future(&mut self) -> Option<LocalBoxFuture<'a, Option<FaultyItem>>> {
        self.future.take()
    }

    pub(crate) fn is_done(&self) -> bool {
        self.future.is_none()
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.future.is_some() && self.wakes() > self.seen
    }

    /// Whether every other clone of the wakers was dropped.
    pub(crate) fn has_all_wakers(&self) -> bool {
        // `faulty`, and the one in the waker.
        let has = |(faulty, _): &(Arc<FaultyWaker>, Waker)| Arc::strong_count(faulty) == 2;
        self.wakers.iter().all(has)
    }
}

/// Polls the woken futures until none is woken.
pub(crate) fn run_until_idle(waiters: &mut [FaultyWaiter<'_>]) {
    while let Some(waiter) = waiters.iter_mut().find(|waiter| waiter.is_woken()) {
        let _ = waiter.poll();
    }
    for (index, waiter) in waiters.iter_mut().enumerate() {
        if !waiter.is_done() {
            assert!(
                waiter.poll().is_pending(),
                "number {index} was ready, but not woken"
            );
        }
    }
}

//! Waiting: one list of waiters per condition, and the one wait loop of all futures and streams.
//!
//! A [`Waiters`] is a list named by the condition its waiters want (`not_empty`, `not_full`, …). A
//! [`Wait`] is where one future stands in one list. Items are not known here: whoever is woken
//! tries again, and may find that somebody else was quicker.
//!
//! Nobody waits: a wake is one load. The first to wait takes the *seat*, which holds its waker in
//! place; whoever comes while somebody waits stands in the *crowd*, a FIFO of event-listener.
//!
//! # Invariants
//!
//! * **W1** `waiting` is at least the number of waiters in the seat and in the crowd that no wake
//!   has been spent on. It is raised before a waiter sits or stands, and lowered after that waiter
//!   is called or leaves; by whoever calls it, or by the waiter if it leaves uncalled.
//! * **W2** The seat is taken only by who found `waiting` at zero, so its occupant has waited
//!   longest and is called first.
//! * **W3** No wake is lost. A waiter, having sat or stood, fences and tries again before it
//!   sleeps. Who makes the condition true does so by a `SeqCst` read-modify-write, or fences after
//!   it; who passes a wake on sees the condition true by a `SeqCst` load; and then looks at
//!   `waiting`. Whichever comes second in the order of `SeqCst` operations sees the other.
//! * **W4** A wake is spent on one waiter, which answers for it: it finds the condition untrue at
//!   one instant after, or leaves the list and has the wake passed on if the condition still holds.
//! * **W5** A user's waker is cloned, called and dropped outside all locks, event-listener's
//!   included. What event-listener holds is a [`Bystander`]: called under the list's lock, it moves
//!   the user's waker to `called`, and [`Waiters::wake`] runs it when that lock is gone.

use std::collections::VecDeque;
use std::future::Future;
use std::mem;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Wake;
use std::task::Waker;

use event_listener::Event;
use event_listener::EventListener;
use event_listener::IntoNotification;
use event_listener::Listener;

use crate::sync::Backoff;
use crate::sync::Mutex;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering;
use crate::sync::atomic::fence;
use crate::sync::spin_loop;
use crate::sync::with_lock;
use crate::unwind::Guarded;
use crate::unwind::run_all;

/// The waiters for one condition.
pub(crate) struct Waiters {
    waiting: AtomicUsize,
    places: Mutex<Places>,
}

/// Where waiters wait. Small, for every channel has several lists.
struct Places {
    /// The seat: the waker of the waiter that came when nobody waited; none when it is free.
    seated: Guarded<Option<Waker>>,
    /// Which waiter sits, or sat last: the n-th to do so has ticket n.
    ticket: u64,
    /// Made when a second waiter comes.
    crowd: Option<Arc<Crowd>>,
}

/// The waiters that came when others waited.
struct Crowd {
    event: Event,
    /// Wakers whose waiters have been called and that are still to be run, in order.
    called: Mutex<VecDeque<Waker>>,
}

/// What event-listener holds of a waiter in the crowd (W5).
struct Bystander {
    crowd: Arc<Crowd>,
    waker: Mutex<Option<Waker>>,
}

impl Places {
    /// The waker of the holder of `ticket`, if it still sits there.
    fn seat_of(&mut self, ticket: u64) -> Option<&mut Waker> {
        self.seated.as_mut().filter(|_| self.ticket == ticket)
    }
}

impl Wake for Bystander {
    /// Runs under the lock of event-listener's list. The locks taken here are held for a move
    /// each, and never while taking another.
    fn wake(self: Arc<Self>) {
        if let Some(waker) = with_lock(&self.waker, Option::take) {
            with_lock(&self.crowd.called, |called| called.push_back(waker));
        }
    }
}

impl Crowd {
    fn next_called(&self) -> Option<Waker> {
        /// How much room is kept for the next burst.
        const KEPT: usize = 32;
        with_lock(&self.called, |called| {
            let waker = called.pop_front();
            if called.is_empty() && called.capacity() > KEPT {
                *called = VecDeque::new();
            }
            waker
        })
    }
}

impl Waiters {
    pub(crate) fn new() -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            places: Mutex::new(Places {
                seated: Guarded::new(None),
                ticket: 0,
                crowd: None,
            }),
        }
    }

    /// Wakes up to `count` waiters, those that have waited longest.
    ///
    /// What W3 asks of the caller, and why:
    ///
    /// 1. A receiver finds the ring empty.
    /// 2. A sender claims a slot and fills it.
    /// 3. The sender looks here and sees nobody waiting.
    /// 4. The receiver raises `waiting`, sits down, and sleeps with an item in the ring.
    ///
    /// Step 4 does not sleep: after sitting down it fences and tries again. By 3, the sender's look
    /// came before the raise, so its claim came before that fence and the receiver sees it.
    #[inline]
    pub(crate) fn wake(&self, count: usize) {
        if self.is_awaited() {
            self.call(count);
        }
    }

    /// The look by itself: whether a [`wake`](Self::wake) would find somebody.
    #[inline]
    pub(crate) fn is_awaited(&self) -> bool {
        // SeqCst: pairs with the raise in `Wait::enter`.
        self.waiting.load(Ordering::SeqCst) != 0
    }

    /// [`wake`](Self::wake)s all waiters.
    pub(crate) fn wake_all(&self) {
        self.wake(usize::MAX);
    }

    #[cold]
    fn call(&self, count: usize) {
        let (mut seated, crowd) = with_lock(&self.places, |places| {
            (places.seated.take(), places.crowd.clone())
        });
        let mut called = usize::from(seated.is_some());
        if let Some(crowd) = &crowd {
            if called < count {
                called += crowd.event.notify((count - called).additional());
            }
        }
        // Relaxed: late is safe (W1).
        self.waiting.fetch_sub(called, Ordering::Relaxed);
        run_all(
            || seated.take().or_else(|| crowd.as_ref()?.next_called()),
            Waker::wake,
        );
    }
}

/// Where one future stands in one list of waiters. Nowhere, to begin with.
#[derive(Default)]
pub(crate) struct Wait(Place);

#[derive(Default)]
enum Place {
    /// In no list.
    #[default]
    Away,
    /// In no list, with a wake to answer for (W4).
    Called,
    /// In the seat, if it still has this ticket.
    Seat(u64),
    Crowd(Box<Standing>),
}

/// A place in the crowd.
struct Standing {
    listener: EventListener,
    bystander: Arc<Bystander>,
}

// A panic of user code leaves it where it was, or nowhere.
impl UnwindSafe for Wait {}
impl RefUnwindSafe for Wait {}

/// What a try at the thing waited for came to.
pub(crate) enum Attempt<R> {
    /// It is there.
    Ready(R),
    /// It was not there at one instant during the call; a wake will tell when it may be.
    Blocked,
    /// Another thread is within a few instructions of deciding it, and no wake will tell.
    Busy,
}

impl<R> Attempt<R> {
    #[inline]
    pub(crate) fn map<S>(self, f: impl FnOnce(R) -> S) -> Attempt<S> {
        match self {
            Self::Ready(result) => Attempt::Ready(f(result)),
            Self::Blocked => Attempt::Blocked,
            Self::Busy => Attempt::Busy,
        }
    }

    /// What an attempt comes to once it is decided; none if it is blocked. For those who do not
    /// wait.
    #[inline]
    pub(crate) fn decided(mut attempt: impl FnMut() -> Self) -> Option<R> {
        let mut backoff = Backoff::default();
        loop {
            match attempt() {
                Self::Ready(result) => return Some(result),
                Self::Blocked => return None,
                Self::Busy => backoff.snooze(),
            }
        }
    }
}

impl Wait {
    /// The wait loop: tries, lists itself if that was in vain, tries again, sleeps.
    ///
    /// `attempt` may be called several times, and not after it is ready. Then no user code has run
    /// since, and the waiter may still be listed: the caller does at once what the success calls
    /// for, and then [`cancel`](Self::cancel)s.
    #[inline]
    pub(crate) fn poll<R>(
        &mut self,
        waiters: &Waiters,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut() -> Attempt<R>,
    ) -> Poll<R> {
        /// How often to look again for what another thread is about to decide, before polling gives
        /// way to other futures. It is a matter of a few instructions unless that thread has lost
        /// its processor, and then spinning only keeps it from getting it back.
        const SPINS: u32 = if cfg!(loom) { 0 } else { 16 };
        let mut spins = 0;
        let mut entered = false;
        loop {
            match attempt() {
                Attempt::Ready(result) => return Poll::Ready(result),
                Attempt::Blocked if self.is_listed() => {
                    // Who has just entered left this very waker there.
                    if entered || self.stay(waiters, cx.waker()) {
                        return Poll::Pending;
                    }
                }
                Attempt::Blocked => {
                    // Any call came before the attempt, so it is answered for.
                    self.enter(waiters, cx.waker());
                    entered = true;
                }
                Attempt::Busy => {
                    spin_loop();
                    if spins == SPINS {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    spins += 1;
                }
            }
        }
    }

    /// Whether it is in no list and has no wake to answer for.
    #[inline]
    pub(crate) fn is_away(&self) -> bool {
        matches!(self.0, Place::Away)
    }

    #[inline]
    fn is_listed(&self) -> bool {
        matches!(self.0, Place::Seat(_) | Place::Crowd(_))
    }

    #[cold]
    fn enter(&mut self, waiters: &Waiters, waker: &Waker) {
        let own = waker.clone();
        // SeqCst: pairs with the look in `Waiters::wake`.
        let nobody_waits = waiters.waiting.fetch_add(1, Ordering::SeqCst) == 0;
        let seated = match nobody_waits {
            true => waiters.sit(own),
            false => Err(own),
        };
        match seated {
            Ok(ticket) => self.0 = Place::Seat(ticket),
            Err(own) => {
                self.0 = Place::Crowd(Box::new(waiters.stand(own)));
                // Leaves a waker with event-listener.
                self.stay(waiters, waker);
            }
        }
        // Pairs with what comes before `Waiters::wake`: W3.
        fence(Ordering::SeqCst);
    }

    /// Whether a listed waiter has not been called yet; if so, `waker` is the one to run.
    #[cold]
    fn stay(&mut self, waiters: &Waiters, waker: &Waker) -> bool {
        let stays = match &mut self.0 {
            Place::Away | Place::Called => false,
            Place::Seat(ticket) => waiters.stay_seated(*ticket, waker),
            Place::Crowd(standing) => standing.stay(waker),
        };
        if !stays {
            self.0 = Place::Called;
        }
        stays
    }

    /// Leaves the list, with success or without; true if a wake was spent on this waiter. The
    /// caller answers for it: if the condition still holds, it wakes another (W4).
    ///
    /// After a success too, for that makes up for wakes that others sit on:
    ///
    /// 1. Stream S and receivers R and Q wait, in this order; two items come, and S and R are
    ///    called.
    /// 2. S is not polled again, nor dropped. R takes the first item.
    /// 3. The second item is there, and Q sleeps: its wake went to S.
    #[inline]
    #[must_use = "a wake that was spent on this waiter must be passed on"]
    pub(crate) fn cancel(&mut self, waiters: &Waiters) -> bool {
        match self.0 {
            Place::Away => false,
            _ => self.leave(waiters),
        }
    }

    #[cold]
    fn leave(&mut self, waiters: &Waiters) -> bool {
        let (called, mut waker) = match mem::take(&mut self.0) {
            Place::Away => return false,
            Place::Called => return true,
            Place::Seat(ticket) => {
                let waker = waiters.rise(ticket);
                (waker.is_none(), waker)
            }
            Place::Crowd(standing) => {
                let called = standing.listener.discard();
                (called, with_lock(&standing.bystander.waker, Option::take))
            }
        };
        if !called {
            // Relaxed: late is safe (W1).
            waiters.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        run_all(|| waker.take(), drop);
        called
    }
}

impl Waiters {
    /// Takes the seat and gives the ticket; or gives the waker back, if somebody sits there.
    fn sit(&self, waker: Waker) -> Result<u64, Waker> {
        with_lock(&self.places, |places| {
            if places.seated.is_some() {
                return Err(waker);
            }
            *places.seated = Some(waker);
            places.ticket += 1;
            Ok(places.ticket)
        })
    }

    /// Whether the holder of `ticket` still sits; if so, `waker` is the one to run.
    fn stay_seated(&self, ticket: u64, waker: &Waker) -> bool {
        let up_to_date = with_lock(&self.places, |places| {
            places.seat_of(ticket).map(|it| it.will_wake(waker))
        });
        if up_to_date != Some(false) {
            return up_to_date.is_some();
        }
        // Cloned before and dropped after the lock is held (W5).
        let mut waker = waker.clone();
        with_lock(&self.places, |places| {
            let seat = places.seat_of(ticket);
            seat.map(|current| mem::swap(current, &mut waker)).is_some()
        })
    }

    /// Frees the seat, if the holder of `ticket` still sits; none if it had been called.
    fn rise(&self, ticket: u64) -> Option<Waker> {
        with_lock(&self.places, |places| {
            places.seat_of(ticket)?;
            places.seated.take()
        })
    }

    /// A place in the crowd, with `waker` to run.
    fn stand(&self, waker: Waker) -> Standing {
        let crowd = with_lock(&self.places, |places| {
            let crowd = places.crowd.get_or_insert_with(|| {
                Arc::new(Crowd {
                    event: Event::new(),
                    called: Mutex::new(VecDeque::new()),
                })
            });
            Arc::clone(crowd)
        });
        Standing {
            listener: crowd.event.listen(),
            bystander: Arc::new(Bystander {
                crowd,
                waker: Mutex::new(Some(waker)),
            }),
        }
    }
}

impl Standing {
    /// Whether this waiter has not been called yet; if so, `waker` is the one to run.
    fn stay(&mut self, waker: &Waker) -> bool {
        let set = |current: &Option<Waker>| current.as_ref().is_some_and(|it| it.will_wake(waker));
        if !with_lock(&self.bystander.waker, |current| set(current)) {
            // Cloned before and dropped after the lock is held (W5).
            let mut waker = Some(waker.clone());
            with_lock(&self.bystander.waker, |current| {
                mem::swap(current, &mut waker);
            });
        }
        let harmless = Waker::from(Arc::clone(&self.bystander));
        Pin::new(&mut self.listener)
            .poll(&mut Context::from_waker(&harmless))
            .is_pending()
    }
}

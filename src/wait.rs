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
//! * **W3** No wake is lost. A waiter, having sat or stood, fences and tries again before it sleeps;
//!   a waker makes the condition true by a `SeqCst` read-modify-write, then looks at `waiting`.
//!   Whichever comes second in the order of `SeqCst` operations sees the other.
//! * **W4** A wake is spent on one waiter, which answers for it: it succeeds, or finds the condition
//!   untrue at one instant after, or (dropped, or successful while the condition still holds) has
//!   it passed on by [`Wait::cancel`]'s and [`Wait::poll`]'s callers.
//! * **W5** A user's waker is cloned, called and dropped outside all locks, event-listener's included.
//!   What event-listener holds is a [`Place in the crowd`](Standing): called under the list's
//!   lock, it moves the user's waker to `called`, and [`Waiters::wake`] runs it when that lock is gone.

use std::collections::VecDeque;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::task::Context;
use std::task::Poll;
use std::task::Wake;
use std::task::Waker;

use event_listener::Event;
use event_listener::EventListener;
use event_listener::IntoNotification;
use event_listener::Listener;

use crate::sync::Mutex;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering;
use crate::sync::atomic::fence;
use crate::sync::seqcst_accesses_are_ordered;
use crate::sync::spin_loop;
use crate::sync::with_lock;
use crate::unwind::run_all;

/// The waiters for one condition.
pub(crate) struct Waiters {
    waiting: AtomicUsize,
    seat: Mutex<Seat>,
    /// Made when a second waiter comes.
    crowd: OnceLock<Arc<Crowd>>,
}

/// The place of a waiter that came when nobody waited.
struct Seat {
    /// Says which waiter sits, or sat last: the n-th to do so has ticket n.
    ticket: u64,
    /// The occupant's waker; none when the seat is free.
    waker: Option<Waker>,
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
            seat: Mutex::new(Seat {
                ticket: 0,
                waker: None,
            }),
            crowd: OnceLock::new(),
        }
    }

    /// Wakes up to `count` waiters, those that have waited longest.
    ///
    /// The caller has made the condition true by a `SeqCst` read-modify-write, or has fenced since
    /// (W3):
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
        seqcst_accesses_are_ordered();
        // SeqCst: pairs with the raise in `Wait::enter`.
        if self.waiting.load(Ordering::SeqCst) != 0 {
            self.call(count);
        }
    }

    /// [`wake`](Self::wake)s all waiters.
    pub(crate) fn wake_all(&self) {
        self.wake(usize::MAX);
    }

    #[cold]
    fn call(&self, count: usize) {
        let mut seated = with_lock(&self.seat, |seat| seat.waker.take());
        let called = usize::from(seated.is_some());
        if called != 0 {
            // Relaxed: late is safe (W1).
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        let crowd = self.crowd.get();
        if let Some(crowd) = crowd {
            if count > called {
                let called = crowd.event.notify((count - called).additional());
                // Relaxed: late is safe (W1).
                self.waiting.fetch_sub(called, Ordering::Relaxed);
            }
        }
        run_all(
            || seated.take().or_else(|| crowd?.next_called()),
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

/// What a try at the thing waited for came to.
pub(crate) enum Attempt<R> {
    /// It is there.
    Ready(R),
    /// It was not there at one instant during the call; a wake will tell when it may be.
    Blocked,
    /// Another thread is within a few instructions of deciding it, and no wake will tell.
    Busy,
}

/// What [`Wait::poll`] waited for, and whether a wake was spent on it.
pub(crate) struct Woken<R> {
    pub(crate) result: R,
    /// If so, the caller wakes one more if the condition still holds (W4). That makes up for wakes
    /// that others sit on:
    ///
    /// 1. Stream S and receivers R and Q wait, in this order; two items come, and S and R are called.
    /// 2. S is not polled again, neither dropped. R takes the first item.
    /// 3. The second item is there, and Q sleeps: its wake went to S.
    pub(crate) called: bool,
}

impl Wait {
    /// The wait loop: tries, lists itself if that was in vain, tries again, sleeps.
    ///
    /// `attempt` may be called several times, and not after it is ready.
    #[inline]
    pub(crate) fn poll<R>(
        &mut self,
        waiters: &Waiters,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut() -> Attempt<R>,
    ) -> Poll<Woken<R>> {
        /// How often to look again for what another thread is about to decide, before polling gives
        /// way to other futures. It is a matter of a few instructions unless that thread has lost
        /// its processor, and then spinning only keeps it from getting it back.
        const SPINS: u32 = if cfg!(loom) { 0 } else { 16 };
        let mut spins = 0;
        let mut entered = false;
        loop {
            match attempt() {
                Attempt::Ready(result) => {
                    let called = self.cancel(waiters);
                    return Poll::Ready(Woken { result, called });
                }
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
        // Pairs with the read-modify-write (or fence) before `Waiters::wake`: W3.
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

    /// Leaves the list; true if a wake was spent on this waiter. The caller answers for it: unless
    /// the condition no longer holds, it wakes another (W4).
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
        let called = match mem::take(&mut self.0) {
            Place::Away => return false,
            Place::Called => return true,
            Place::Seat(ticket) => waiters.rise(ticket),
            Place::Crowd(standing) => standing.listener.discard(),
        };
        if !called {
            // Relaxed: late is safe (W1).
            waiters.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        called
    }
}

impl Waiters {
    /// Takes the seat and gives the ticket; or gives the waker back, if somebody sits there.
    fn sit(&self, waker: Waker) -> Result<u64, Waker> {
        with_lock(&self.seat, |seat| {
            if seat.waker.is_some() {
                return Err(waker);
            }
            seat.ticket += 1;
            seat.waker = Some(waker);
            Ok(seat.ticket)
        })
    }

    /// Whether the holder of `ticket` still sits; if so, `waker` is the one to run.
    fn stay_seated(&self, ticket: u64, waker: &Waker) -> bool {
        let sits = |seat: &Seat| seat.ticket == ticket && seat.waker.is_some();
        let up_to_date = with_lock(&self.seat, |seat| {
            sits(seat).then(|| seat.waker.as_ref().is_some_and(|old| old.will_wake(waker)))
        });
        match up_to_date {
            None => false,
            Some(true) => true,
            Some(false) => {
                // Cloned before and dropped after the lock is held (W5).
                let mut waker = Some(waker.clone());
                with_lock(&self.seat, |seat| {
                    let sits = sits(seat);
                    if sits {
                        mem::swap(&mut seat.waker, &mut waker);
                    }
                    sits
                })
            }
        }
    }

    /// Frees the seat if the holder of `ticket` still sits; true if it had been called.
    fn rise(&self, ticket: u64) -> bool {
        let waker = with_lock(&self.seat, |seat| {
            if seat.ticket == ticket {
                seat.waker.take()
            } else {
                None
            }
        });
        waker.is_none()
    }

    fn stand(&self, waker: Waker) -> Standing {
        let crowd = self.crowd.get_or_init(|| {
            Arc::new(Crowd {
                event: Event::new(),
                called: Mutex::new(VecDeque::new()),
            })
        });
        Standing {
            listener: crowd.event.listen(),
            bystander: Arc::new(Bystander {
                crowd: Arc::clone(crowd),
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

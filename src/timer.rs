//! The timer: one thread of the process, which makes delayed items receivable when they are due.
//!
//! The thread starts when a call delays an item and it does not run. It has an *entry* for each channel
//! with delayed items. When the first of these is due, it *visits* the channel. When no item of any channel
//! is delayed any more, it *lingers*, and then ends. So if a single job is delayed again and again, this
//! does not start a thread each time.
//!
//! # Invariants
//!
//! * **T1** While a channel has delayed items, there is an entry of this channel whose time is not later
//!   than that at which the first item is due; or the thread visits the channel, and puts the entry back
//!   afterwards; or the call that queued the first item is about to [set](Alarm::set) the entry.
//! * **T2** The thread runs while there is an entry or an [`Alarm`], and until there has been none for the
//!   time [`LINGER`].
//! * **T3** While the timer is locked, no channel is used and no user code runs: no waker, and no
//!   destructor of an entry, which may free a channel. While a lock of a channel is held, the timer is not
//!   locked.
//! * **T4** A channel that has ended, and so delays nothing any more, soon has no entry. Otherwise it would
//!   keep its memory, and the thread, until the time of the entry, which may be never.
//!
//! # Races
//!
//! T2, of a call that delays an item and the thread, which is about to end:
//!
//! 1. The call sees that the thread runs.
//! 2. The thread has lingered, finds no entry, and ends.
//! 3. The call queues the item and sets its entry, which no thread looks at.
//!
//! The call creates an alarm before it queues the item. The thread ends only if there is no alarm, and says
//! so while the timer is still locked. Steps 1 and 2 exclude each other.
//!
//! An alarm that is dropped does not notify the thread: as long as there is no entry, it sleeps no longer
//! than it lingers, whether there is an alarm or not.
//!
//! T1, of a call that sets an entry and the thread, which is about to sleep:
//!
//! 1. The thread reads the time of the first entry.
//! 2. The call sets an entry with an earlier time, and notifies the thread, which is still awake.
//! 3. The thread sleeps for too long.
//!
//! The thread reads the time while the timer is locked, and the condition variable unlocks it once the
//! thread can be notified.
//!
//! T4, of a call that sets an entry and another that ends the channel:
//!
//! 1. Call A queues an item.
//! 2. Call B ends the channel, takes out the item, and finds no entry to forget.
//! 3. A sets the entry.
//!
//! After step 3, A looks whether the channel has ended, and then forgets the entry itself. If A sees no end,
//! B ends the channel after that, and finds the entry. The same is true of the thread instead of A, which
//! puts an entry back after a visit. B marks the visit as over, so the thread does not put it back.

use alloc::collections::BTreeMap;
use core::ptr::NonNull;
use core::time::Duration;
use std::io;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::thread;
use std::time::Instant;

/// The thread sleeps no longer than this at a time. Systems differ in how long a sleep may be.
const LONGEST_SLEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the thread stays when there is nothing to do.
///
/// To start it costs up to a few hundred microseconds. So if pauses are longer than this, starting it for
/// each delay takes less than a hundredth of the time. While it lingers, the thread only keeps the memory
/// of its stack. (Miri reports a thread that is left when the program ends.)
const LINGER: Duration = Duration::from_millis(if cfg!(miri) { 0 } else { 100 });

/// A name that Linux does not shorten.
const THREAD: &str = "tollgate-timer";

static TIMER: Timer = Timer {
    state: Mutex::new(State::new()),
    changed: Condvar::new(),
};

/// The thread of a model would wait for the clock. So models have none: they visit their channels
/// themselves. For the same reason, the lock is that of the standard library.
struct Timer {
    state: Mutex<State>,
    changed: Condvar,
}

/// A handle of a channel, whose type of item is erased. It keeps the channel's memory.
pub(crate) struct Entry {
    channel: NonNull<()>,
    visit: unsafe fn(NonNull<()>, Instant) -> Option<Instant>,
    release: unsafe fn(NonNull<()>),
}

// SAFETY: by the contract of `new`.
unsafe impl Send for Entry {}

impl Entry {
    /// # Safety
    ///
    /// `visit` can be called with `channel` on any thread, until `release` is called with it, once. Neither
    /// panics.
    pub(crate) unsafe fn new(
        channel: NonNull<()>,
        visit: unsafe fn(NonNull<()>, Instant) -> Option<Instant>,
        release: unsafe fn(NonNull<()>),
    ) -> Self {
        Self {
            channel,
            visit,
            release,
        }
    }

    /// Makes items receivable that are due at `now`. Returns when the next one is due.
    fn visit(&self, now: Instant) -> Option<Instant> {
        // SAFETY: the contract of `new`; it is not released yet.
        unsafe { (self.visit)(self.channel, now) }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // SAFETY: the contract of `new`; this is the only call.
        unsafe { (self.release)(self.channel) };
    }
}

/// Identifies a channel while it has an entry.
type Id = usize;

fn id_of(channel: NonNull<()>) -> Id {
    channel.as_ptr().addr()
}

struct State {
    /// In order of time.
    entries: BTreeMap<(Instant, Id), Entry>,
    /// The time of each entry.
    times: BTreeMap<Id, Instant>,
    /// How many alarms there are.
    alarms: usize,
    is_running: bool,
    /// When the thread ends, if it lingers.
    lingers_until: Option<Instant>,
    /// The channel that the thread visits, until it is forgotten.
    visited: Option<Id>,
}

/// What the thread does next.
enum Step {
    Visit(Entry),
    Sleep(Duration),
    End,
}

impl State {
    const fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            times: BTreeMap::new(),
            alarms: 0,
            is_running: false,
            lingers_until: None,
            visited: None,
        }
    }

    fn first_time(&self) -> Option<Instant> {
        self.entries.keys().next().map(|(time, _)| *time)
    }

    /// Adds an entry. Of two entries of a channel, only that with the earlier time is left; returns the
    /// other.
    fn insert(&mut self, time: Instant, entry: Entry) -> Option<Entry> {
        let id = id_of(entry.channel);
        if self.times.get(&id).is_some_and(|other| *other <= time) {
            return Some(entry);
        }
        let later = self.remove(id);
        self.lingers_until = None;
        self.times.insert(id, time);
        self.entries.insert((time, id), entry);
        later
    }

    fn remove(&mut self, id: Id) -> Option<Entry> {
        let time = self.times.remove(&id)?;
        self.entries.remove(&(time, id))
    }

    /// Removes the entry of a channel, and sees to it that a visit does not put it back.
    fn forget(&mut self, id: Id) -> Option<Entry> {
        self.visited.take_if(|visited| *visited == id);
        self.remove(id)
    }

    /// Decides what the thread does next. If it ends, another may be started from now on.
    fn step(&mut self, now: Instant) -> Step {
        match self.first_time() {
            None => self.linger(now),
            Some(time) if time > now => {
                Step::Sleep(time.saturating_duration_since(now).min(LONGEST_SLEEP))
            }
            Some(_) => match self.entries.pop_first() {
                Some(((_, id), entry)) => {
                    self.times.remove(&id);
                    self.visited = Some(id);
                    Step::Visit(entry)
                }
                None => unreachable!("there is a first entry"),
            },
        }
    }

    /// Decides what the thread does next if there is no entry.
    fn linger(&mut self, now: Instant) -> Step {
        let is_in_use = self.alarms > 0;
        let end = match self.lingers_until.take() {
            Some(end) if !is_in_use => end,
            _ => now + LINGER,
        };
        if !is_in_use && end <= now {
            self.is_running = false;
            return Step::End;
        }
        self.lingers_until = Some(end);
        Step::Sleep(end.saturating_duration_since(now))
    }

    /// Ends a visit. Returns an entry that is not needed any more.
    fn end_visit(&mut self, entry: Entry, next: Option<Instant>) -> Option<Entry> {
        let is_forgotten = self.visited.take().is_none();
        match next {
            Some(time) if !is_forgotten => self.insert(time, entry),
            _ => Some(entry),
        }
    }

    /// Adds an alarm, and starts the thread unless it runs. Does nothing if that fails.
    fn add_alarm(&mut self, start: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if !self.is_running {
            start()?;
            self.is_running = true;
        }
        self.alarms += 1;
        Ok(())
    }
}

impl Timer {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the timer is locked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the thread does.
    fn run(&self) {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            match state.step(now) {
                Step::End => return,
                Step::Sleep(duration) => {
                    let slept = self.changed.wait_timeout(state, duration);
                    state = slept.unwrap_or_else(PoisonError::into_inner).0;
                }
                Step::Visit(entry) => {
                    drop(state);
                    let next = entry.visit(now);
                    let surplus = self.lock().end_visit(entry, next);
                    drop(surplus);
                    state = self.lock();
                }
            }
        }
    }
}

fn start_thread() -> io::Result<()> {
    let builder = thread::Builder::new().name(THREAD.into());
    builder.spawn(|| TIMER.run()).map(drop)
}

/// A time at which the timer is to visit a channel. While it exists, the thread of the timer runs.
pub(crate) struct Alarm(Instant);

impl Alarm {
    /// # Panics
    ///
    /// Panics if the thread cannot be started.
    pub(crate) fn at(time: Instant) -> Self {
        if !cfg!(loom) {
            let started = TIMER.lock().add_alarm(start_thread);
            if let Err(error) = started {
                panic!("cannot start the thread that a delay needs: {error}");
            }
        }
        Self(time)
    }

    pub(crate) fn time(&self) -> Instant {
        self.0
    }

    /// Adds an entry.
    pub(crate) fn set(self, entry: Entry) {
        let mut state = TIMER.lock();
        let is_first = state.first_time().is_none_or(|first| self.0 < first);
        let surplus = state.insert(self.0, entry);
        drop(state);
        if is_first {
            TIMER.changed.notify_one();
        }
        drop(surplus);
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if cfg!(loom) {
            return;
        }
        TIMER.lock().alarms -= 1;
    }
}

/// Removes the entry of a channel that has ended.
pub(crate) fn forget(channel: NonNull<()>) {
    let entry = TIMER.lock().forget(id_of(channel));
    if entry.is_some() {
        // The thread may have to linger and end.
        TIMER.changed.notify_one();
    }
    drop(entry);
}

/// `time`, if it is in the future.
pub(crate) fn at(time: Instant) -> Option<Instant> {
    (time > Instant::now()).then_some(time)
}

/// The time after a delay, if it is in the future.
pub(crate) fn after(delay: Duration) -> Option<Instant> {
    if delay.is_zero() {
        return None;
    }
    at(end_of(delay))
}

/// The time after a delay. If the clock cannot represent it, a time in the far future.
fn end_of(mut delay: Duration) -> Instant {
    let now = Instant::now();
    loop {
        match now.checked_add(delay) {
            Some(time) => return time,
            None => delay /= 2,
        }
    }
}

#[cfg(test)]
mod tests;

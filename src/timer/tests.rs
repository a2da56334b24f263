//! The decisions of the timer, without its thread.

use core::cell::Cell;
use core::ptr::NonNull;
use core::time::Duration;
use std::io;
use std::time::Instant;

use super::Entry;
use super::LINGER;
use super::LONGEST_SLEEP;
use super::State;
use super::Step;
use super::end_of;

/// A channel that counts what is done to it.
#[derive(Default)]
struct Visits {
    visits: Cell<u32>,
    releases: Cell<u32>,
}

impl Visits {
    fn entry(&self) -> Entry {
        unsafe fn visit(channel: NonNull<()>, _: Instant) -> Option<Instant> {
            // SAFETY: it is from `entry`, and the test keeps it.
            let this = unsafe { channel.cast::<Visits>().as_ref() };
            this.visits.set(this.visits.get() + 1);
            None
        }
        unsafe fn release(channel: NonNull<()>) {
            // SAFETY: as above.
            let this = unsafe { channel.cast::<Visits>().as_ref() };
            this.releases.set(this.releases.get() + 1);
        }
        // SAFETY: the tests use one thread.
        unsafe { Entry::new(NonNull::from(self).cast(), visit, release) }
    }

    fn id(&self) -> usize {
        NonNull::from(self).cast::<()>().as_ptr().addr()
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn due(step: Step) -> Entry {
    match step {
        Step::Visit(entry) => entry,
        Step::Sleep(_) | Step::End => panic!("an entry is due"),
    }
}

/// Whether the thread ends after it has lingered, and not before.
fn lingers_and_ends(state: &mut State, now: Instant) -> bool {
    let rest = match state.step(now) {
        Step::Sleep(rest) if rest <= LINGER => rest,
        // In Miri.
        Step::End => return LINGER.is_zero(),
        Step::Sleep(_) | Step::Visit(_) => return false,
    };
    let almost = rest - Duration::from_nanos(1);
    assert_eq!(sleep(state.step(now + almost)), Duration::from_nanos(1));
    matches!(state.step(now + rest), Step::End)
}

fn sleep(step: Step) -> Duration {
    match step {
        Step::Sleep(duration) => duration,
        Step::Visit(_) | Step::End => panic!("no entry is due"),
    }
}

#[test]
fn entries_are_visited_in_order_of_time_and_not_before() {
    let now = Instant::now();
    let channels = [(); 3].map(|()| Visits::default());
    let mut state = State::new();
    for (channel, seconds) in channels.iter().zip([3, 1, 2]) {
        assert!(
            state
                .insert(now + SECOND * seconds, channel.entry())
                .is_none()
        );
    }
    assert_eq!(sleep(state.step(now)), SECOND);
    let almost = now + SECOND - Duration::from_nanos(1);
    assert_eq!(sleep(state.step(almost)), Duration::from_nanos(1));
    for channel in [1, 2, 0] {
        let entry = due(state.step(now + 3 * SECOND));
        let next = entry.visit(now);
        drop(state.end_visit(entry, next));
        assert_eq!(channels[channel].visits.get(), 1);
    }
    assert!(lingers_and_ends(&mut state, now));
    assert!(channels.iter().all(|it| it.releases.get() == 1));
}

#[test]
fn channel_has_one_entry_with_earliest_time() {
    let now = Instant::now();
    let channel = Visits::default();
    let mut state = State::new();
    for (seconds, releases) in [(3, 0), (5, 1), (3, 2), (2, 3), (1, 4)] {
        drop(state.insert(now + seconds * SECOND, channel.entry()));
        assert_eq!(channel.releases.get(), releases);
        assert_eq!((state.entries.len(), state.times.len()), (1, 1));
    }
    assert_eq!(sleep(state.step(now)), SECOND);
}

#[test]
fn visit_leaves_earlier_entry_that_was_set_meanwhile() {
    let now = Instant::now();
    let channel = Visits::default();
    for (set, next, first) in [(1, Some(2), 1), (2, Some(1), 1), (1, None, 1)] {
        let mut state = State::new();
        drop(state.insert(now, channel.entry()));
        let entry = due(state.step(now));
        drop(state.insert(now + set * SECOND, channel.entry()));
        drop(state.end_visit(entry, next.map(|it: u32| now + it * SECOND)));
        assert_eq!(sleep(state.step(now)), first * SECOND);
        assert_eq!(state.entries.len(), 1);
    }
}

#[test]
fn entry_that_was_forgotten_during_visit_is_not_put_back() {
    let now = Instant::now();
    let (channel, other) = (Visits::default(), Visits::default());
    for id in [channel.id(), other.id()] {
        let mut state = State::new();
        drop(state.insert(now, channel.entry()));
        let entry = due(state.step(now));
        state.forget(id);
        drop(state.end_visit(entry, Some(now + SECOND)));
        let is_over = lingers_and_ends(&mut state, now);
        assert_eq!(is_over, id == channel.id());
    }
}

#[test]
fn thread_runs_while_there_is_alarm() {
    let now = Instant::now();
    let starts = Cell::new(0);
    let start = || {
        starts.set(starts.get() + 1);
        Ok(())
    };
    let mut state = State::new();
    for _ in 0..2 {
        state.add_alarm(start).unwrap();
    }
    assert_eq!(starts.get(), 1);
    state.alarms -= 1;
    for seconds in 0..3 {
        assert_eq!(sleep(state.step(now + seconds * SECOND)), LINGER);
    }
    state.alarms -= 1;
    let now = now + 2 * SECOND;
    assert!(lingers_and_ends(&mut state, now));
    // It has decided to end, so another is started.
    state.add_alarm(start).unwrap();
    assert_eq!(starts.get(), 2);
}

/// A job that is delayed again and again, with pauses in which nothing is delayed.
#[test]
fn pauses_that_are_short_start_no_thread() {
    let channel = Visits::default();
    let starts = Cell::new(0);
    let start = || {
        starts.set(starts.get() + 1);
        Ok(())
    };
    let mut now = Instant::now();
    let mut state = State::new();
    for _ in 0..5 {
        state.add_alarm(start).unwrap();
        drop(state.insert(now + SECOND, channel.entry()));
        state.alarms -= 1;
        assert_eq!(sleep(state.step(now)), SECOND);
        now += SECOND;
        let entry = due(state.step(now));
        drop(state.end_visit(entry, None));
        // Each pause is as long as the others.
        if !LINGER.is_zero() {
            assert_eq!(sleep(state.step(now)), LINGER);
            now += LINGER / 2;
            assert_eq!(sleep(state.step(now)), LINGER - LINGER / 2);
        }
    }
    assert_eq!(starts.get(), 1);
    assert!(lingers_and_ends(&mut state, now));
    assert!(!state.is_running);
}

#[test]
fn alarm_of_thread_that_cannot_start_is_none() {
    let mut state = State::new();
    let refused = state.add_alarm(|| Err(io::ErrorKind::OutOfMemory.into()));
    assert!(refused.is_err());
    assert_eq!((state.alarms, state.is_running), (0, false));
    state.add_alarm(|| Ok(())).unwrap();
    assert_eq!((state.alarms, state.is_running), (1, true));
}

#[test]
fn every_delay_ends_in_future() {
    let now = Instant::now();
    for delay in [Duration::ZERO, SECOND, Duration::MAX] {
        assert!(end_of(delay) >= now + delay.min(SECOND));
    }
    assert!(end_of(Duration::MAX) > now + 365 * 24 * 60 * 60 * SECOND);
}

#[test]
fn sleep_is_limited() {
    let now = Instant::now();
    let channel = Visits::default();
    let mut state = State::new();
    drop(state.insert(end_of(Duration::MAX), channel.entry()));
    assert_eq!(sleep(state.step(now)), LONGEST_SLEEP);
}

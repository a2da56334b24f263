//! Pausing briefly before waiting, where that has paid before.
//!
//! Two threads that work at the two ends of a channel are fastest when each finds several items, or
//! several vacant slots, at a time: to wait and to be woken costs as much as a dozen items, and two
//! ends that follow each other closely fight for the same cache lines. So a caller that finds
//! nothing may pause before it waits, for a few microseconds at most, until the other end has made a
//! *batch* of progress. Where both ends run on one thread nothing changes meanwhile, so whether to
//! pause is learnt from how earlier pauses ended.
//!
//! Pauses that pay earn *credit*. While there is credit, every caller that would wait pauses first.
//! Without credit only *probes* do: one caller in many. A probe may take a small share of the time
//! that has passed since the last one. So it is short where a wait is cheap, as between two tasks of
//! one thread. Where waiting puts threads to sleep, it is long enough for the other thread to wake
//! up, and then both find each other by short pauses.
//!
//! A task whose pauses pay never has to wait, and would not let other tasks run. So it yields to
//! them after a number of pauses.
//!
//! While it pauses, a caller reads only what it shares with its own side, and seldom: each look
//! takes a cache line away from the other end.
//!
//! All of it is a heuristic. A pause decides nothing: the caller tries afterwards like any other,
//! and nothing is ordered by what is kept here. The figures were chosen by measurement
//! (`benches/peers`), on two cores whose caches were near each other and far apart.

use crate::sync::Hint;
use crate::sync::nanoseconds;
use crate::sync::pause;

/// How much a pause that paid raises the credit, how much one that did not lowers it, and up to
/// where it rises.
const PAID: usize = 4;
const FAILED: usize = 4;
const ENOUGH_CREDIT: usize = 64;

/// The longest probe, in pauses of the processor.
const LONGEST_PROBE: usize = 2048;
/// How long a pause of the processor takes: ten to forty nanoseconds, so this is an estimate.
const NANOSECONDS_PER_PAUSE: usize = 20;

/// How many callers there are between two probes: at first, and at most. The number is multiplied
/// by four after each probe that failed.
const FIRST_INTERVAL: usize = 16;
const RAREST_INTERVAL: usize = 1024;
/// A probe lasts at most 1/32 of the time since the last one; 1/256 when probes are rarest.
const FIRST_SHARE: usize = 32;

/// After how many pauses in a row that paid a task yields to others.
const PAUSES_PER_YIELD: usize = 64;

/// What has been learnt about pausing for one condition.
pub(crate) struct Dwell {
    /// How many callers do not pause before the next that does.
    until_pause: Hint,
    /// While it is above zero, every caller pauses; otherwise those that pause are probes.
    credit: Hint,
    /// How many pauses in a row have paid since a task yielded last.
    paid: Hint,
    /// How many callers there are between two probes.
    interval: Hint,
    /// When the last probe began; zero before the first.
    last_probe: Hint,
}

impl Dwell {
    pub(crate) fn new() -> Self {
        // A new channel has to earn credit; a model looks once.
        let (until_pause, credit) = if cfg!(loom) {
            (0, 1)
        } else {
            (FIRST_INTERVAL, 0)
        };
        Self {
            until_pause: Hint::new(until_pause),
            credit: Hint::new(credit),
            paid: Hint::new(0),
            interval: Hint::new(FIRST_INTERVAL),
            last_probe: Hint::new(0),
        }
    }

    /// Whether a pause is likely to pay, or whether it is time for a probe.
    #[inline]
    pub(crate) fn may_pay(&self) -> bool {
        let until_pause = self.until_pause.get();
        if until_pause > 0 {
            self.until_pause.set(until_pause - 1);
        }
        until_pause == 0
    }

    /// Pauses until a batch is there, or for long enough; whether the task should then yield to
    /// others. `are_there` looks for so many items, or vacant slots, of a channel of the given
    /// capacity.
    #[cold]
    #[inline(never)]
    pub(crate) fn pause(&self, capacity: usize, are_there: impl Fn(u64) -> bool) -> bool {
        self.pause_at(nanoseconds, capacity, are_there)
    }

    fn pause_at(
        &self,
        now: impl FnOnce() -> usize,
        capacity: usize,
        are_there: impl Fn(u64) -> bool,
    ) -> bool {
        let capacity = capacity.min(256);
        let usual = (capacity * 2).clamp(64, 256);
        if self.credit.get() > 0 {
            match pause_for(usual, capacity, are_there) {
                Paused::Paid(_) => return self.has_paid(),
                Paused::HardlyPaid => self.lower_credit(1),
                Paused::InVain => self.lower_credit(FAILED),
            }
        } else {
            let longest = self.begin_probe(now(), usual);
            match pause_for(longest, capacity, are_there) {
                Paused::Paid(paused) if paused <= usual => return self.has_paid(),
                // The other end has woken up, or items are rare: a short pause will tell.
                Paused::Paid(_) => {
                    self.credit.set(PAID);
                    self.until_pause.set(0);
                }
                Paused::HardlyPaid => {}
                Paused::InVain => self.probe_less_often(),
            }
        }
        false
    }

    /// How long a probe that begins now may be. The first, which has no time to compare with, is as
    /// long as usual pauses.
    fn begin_probe(&self, now: usize, usual: usize) -> usize {
        // Meanwhile others are no probes.
        let interval = self.interval.get();
        self.until_pause.set(interval);
        let last = self.last_probe.get();
        self.last_probe.set(now.max(1));
        if last == 0 {
            return usual;
        }
        // Another thread may have begun later.
        let passed = (now.wrapping_sub(last) as isize).max(0) as usize;
        let share = (interval / 4).max(FIRST_SHARE);
        (passed / share / NANOSECONDS_PER_PAUSE).clamp(8, LONGEST_PROBE)
    }

    /// Whether the task should yield.
    fn has_paid(&self) -> bool {
        let credit = self.credit.get();
        if credit < ENOUGH_CREDIT {
            self.credit.set(credit + PAID);
        }
        self.until_pause.set(0);
        self.interval.set(FIRST_INTERVAL);
        let paid = self.paid.get() + 1;
        let yields = paid >= PAUSES_PER_YIELD;
        self.paid.set(if yields { 0 } else { paid });
        yields
    }

    fn lower_credit(&self, by: usize) {
        self.paid.set(0);
        self.credit.set(self.credit.get().saturating_sub(by));
    }

    fn probe_less_often(&self) {
        let interval = (self.interval.get() * 4).min(RAREST_INTERVAL);
        self.interval.set(interval);
        self.until_pause.set(interval);
    }
}

/// How a pause has ended.
enum Paused {
    /// With a batch, after so many pauses of the processor.
    Paid(usize),
    /// With less than a batch.
    HardlyPaid,
    InVain,
}

/// Pauses the processor about so many times at most.
#[inline]
fn pause_for(longest: usize, capacity: usize, are_there: impl Fn(u64) -> bool) -> Paused {
    // No time passes in a model: it looks once.
    let longest = if cfg!(loom) { 0 } else { longest };
    let step = (capacity / 4).clamp(1, 16);
    let batch = (capacity / 4).clamp(1, 32) as u64;
    // How many must be there after the next step, for it to be worth while to go on.
    let mut wanted = 1;
    let mut paused = 0;
    while paused < longest {
        pause(step as u32);
        paused += step;
        if are_there(batch) {
            return Paused::Paid(paused);
        }
        if are_there(wanted) {
            wanted += 2;
        } else if wanted > 1 {
            // They come one by one.
            break;
        }
    }
    match are_there(1) {
        true => Paused::HardlyPaid,
        false => Paused::InVain,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::Dwell;
    use super::FIRST_INTERVAL;
    use super::LONGEST_PROBE;
    use super::NANOSECONDS_PER_PAUSE;
    use super::PAUSES_PER_YIELD;

    /// Calls as a caller that would wait does; whether it paused.
    fn wait(dwell: &Dwell, pays: bool) -> bool {
        let pauses = dwell.may_pay();
        if pauses {
            dwell.pause(16, |_| pays);
        }
        pauses
    }

    fn pauses_in(dwell: &Dwell, waits: usize, pays: bool) -> usize {
        (0..waits).filter(|_| wait(dwell, pays)).count()
    }

    #[test]
    fn pauses_that_never_pay_become_rare() {
        let dwell = Dwell::new();
        assert!((4..=12).contains(&pauses_in(&dwell, 10_000, false)));
        assert!((9..=10).contains(&pauses_in(&dwell, 10_240, false)));
    }

    #[test]
    fn pauses_that_pay_go_on() {
        let dwell = Dwell::new();
        assert_eq!(pauses_in(&dwell, FIRST_INTERVAL + 100, true), 100);
    }

    #[test]
    fn pauses_end_when_they_pay_no_more() {
        let dwell = Dwell::new();
        pauses_in(&dwell, 1_000, true);
        assert!((20..=32).contains(&pauses_in(&dwell, 10_000, false)));
    }

    #[test]
    fn task_whose_pauses_pay_yields() {
        let dwell = Dwell::new();
        pauses_in(&dwell, FIRST_INTERVAL, true);
        let yields: Vec<bool> = (0..2 * PAUSES_PER_YIELD)
            .map(|_| dwell.pause(16, |_| true))
            .collect();
        assert_eq!(yields.iter().filter(|yields| **yields).count(), 2);
        assert!(yields[PAUSES_PER_YIELD - 1]);
    }

    #[test]
    fn probe_takes_a_share_of_the_time() {
        let nanoseconds = |pauses: usize| pauses * NANOSECONDS_PER_PAUSE;
        let dwell = Dwell::new();
        assert_eq!(dwell.begin_probe(1_000, 64), 64);
        assert_eq!(
            nanoseconds(dwell.begin_probe(101_000, 64)),
            100_000 / 32 / 20 * 20
        );
        dwell.interval.set(1024);
        assert_eq!(
            nanoseconds(dwell.begin_probe(1_101_000, 64)),
            1_000_000 / 256 / 20 * 20
        );
        assert_eq!(dwell.begin_probe(usize::MAX / 2, 64), LONGEST_PROBE);
        // A thread that read the clock earlier than another.
        assert_eq!(dwell.begin_probe(1_000, 64), 8);
    }

    #[test]
    fn long_probe_that_pays_is_followed_by_short_pauses() {
        let dwell = Dwell::new();
        let looks = Cell::new(0);
        let are_there_at_look = |look| {
            let looks = &looks;
            move |_| {
                looks.set(looks.get() + 1);
                looks.get() >= look
            }
        };
        dwell.pause_at(|| 1, 1, |_| false);
        dwell.pause_at(|| 1_000_000_000, 1, are_there_at_look(1_000));
        assert!(looks.take() >= 1_000);
        assert!(dwell.may_pay());
        dwell.pause_at(|| 2_000_000_000, 1, are_there_at_look(1_000));
        assert!(looks.take() < 200, "a pause that is no probe is short");
    }
}

//! A short pause before a wait, where such pauses have paid off before.
//!
//! Two threads at the two ends of a channel are fastest when each finds several items, or several
//! vacant slots, at a time. A wait and its wakeup cost as much as a dozen items, and two ends that
//! follow each other closely contend for the same cache lines. So a caller that finds nothing may
//! pause before it waits, for a few microseconds at most, until the other end has queued or removed a
//! *batch* of items. If both ends run on one thread, nothing changes during the pause. So the outcome
//! of earlier pauses decides whether to pause.
//!
//! Pauses that pay earn *credit*. While there is credit, every caller that would wait pauses first.
//! Without credit, only *probes* pause: one caller in many. A probe may take a small share of the
//! time that has passed since the last one. So it is short where a wait is cheap, as between two
//! tasks of one thread. Where a wait puts the thread to sleep, the probe is long enough for the
//! other thread to wake up, and after that, short pauses are enough for both threads to meet.
//!
//! A task whose pauses pay never has to wait, and would not let other tasks run. So it yields to
//! them after a number of pauses.
//!
//! During a pause, a caller reads only what it shares with its own side, and it does so seldom:
//! each read takes a cache line away from the other end.
//!
//! All of this is a heuristic. A pause decides nothing: the caller then tries like any other, and
//! the values that are kept here order nothing. The constants were chosen by measurement
//! (`benches/peers`), on two cores whose caches were near each other and far apart.

use crate::sync::Hint;
use crate::sync::pause;

/// How much credit a pause that paid adds, how much credit a pause that did not pay removes, and the
/// credit at which no more is added.
const PAID: usize = 4;
const FAILED: usize = 4;
const ENOUGH_CREDIT: usize = 64;

/// The longest probe, in pauses of the processor.
const LONGEST_PROBE: usize = 2048;
/// An estimate of how long a pause of the processor takes; it takes ten to forty nanoseconds.
const NANOSECONDS_PER_PAUSE: usize = 20;

/// How many callers would wait between two probes: at first, and at most. Each probe that fails
/// multiplies the number by four.
const FIRST_INTERVAL: usize = 16;
const RAREST_INTERVAL: usize = 1024;
/// A probe lasts at most 1/32 of the time since the last one, and 1/256 when probes are rarest.
const FIRST_SHARE: usize = 32;

/// How many pauses in a row must pay before a task yields to other tasks.
const PAUSES_PER_YIELD: usize = 64;

/// What is known about pausing for one condition.
pub(crate) struct AdaptivePause {
    /// How many more callers do not pause before one does.
    until_pause: Hint,
    /// While it is above zero, every caller pauses. Otherwise only probes pause.
    credit: Hint,
    /// How many pauses in a row have paid since a task last yielded.
    paid: Hint,
    /// How many callers would wait between two probes.
    interval: Hint,
    /// When the last probe started; zero before the first.
    last_probe: Hint,
}

impl AdaptivePause {
    pub(crate) fn new() -> Self {
        // A new channel has to earn credit. In a model, a caller checks once.
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

    /// Returns whether a pause is likely to pay, or whether it is time for a probe.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        let until_pause = self.until_pause.get();
        if until_pause > 0 {
            self.until_pause.set(until_pause - 1);
        }
        until_pause == 0
    }

    /// Pauses until a batch is there, or for long enough. Returns whether the task should then
    /// yield to other tasks. `are_there` checks for the given number of items, or of vacant slots,
    /// in a channel of the given capacity. `now` is the time in nanoseconds.
    #[cold]
    #[inline(never)]
    pub(crate) fn pause(
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
                // Either the other end has woken up, or items are rare. The next, short pause shows
                // which of the two it is.
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

    /// Returns how long a probe that starts now may be. The first probe has no earlier time to
    /// compare with, so it is as long as a usual pause.
    fn begin_probe(&self, now: usize, usual: usize) -> usize {
        // The next `interval` callers do not probe.
        let interval = self.interval.get();
        self.until_pause.set(interval);
        let last = self.last_probe.get();
        self.last_probe.set(now.max(1));
        if last == 0 {
            return usual;
        }
        // Another thread may have started a later probe.
        let passed = (now.wrapping_sub(last) as isize).max(0) as usize;
        let share = (interval / 4).max(FIRST_SHARE);
        (passed / share / NANOSECONDS_PER_PAUSE).clamp(8, LONGEST_PROBE)
    }

    /// Records a pause that paid. Returns whether the task should yield.
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

/// How a pause ended.
enum Paused {
    /// With a batch, after the given number of pauses of the processor.
    Paid(usize),
    /// With less than a batch.
    HardlyPaid,
    InVain,
}

/// Pauses the processor about `longest` times at most.
#[inline]
fn pause_for(longest: usize, capacity: usize, are_there: impl Fn(u64) -> bool) -> Paused {
    // No time passes in a model, so it checks once.
    let longest = if cfg!(loom) { 0 } else { longest };
    let step = (capacity / 4).clamp(1, 16);
    let batch = (capacity / 4).clamp(1, 32) as u64;
    // How many items or slots must be there after the next step to make it worthwhile to continue.
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
    if are_there(1) {
        Paused::HardlyPaid
    } else {
        Paused::InVain
    }
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;
    use std::vec::Vec;

    use super::AdaptivePause;
    use super::FIRST_INTERVAL;
    use super::LONGEST_PROBE;
    use super::NANOSECONDS_PER_PAUSE;
    use super::PAUSES_PER_YIELD;
    use crate::sync::nanoseconds;

    /// Does what a caller does that would have to wait. Returns whether it paused.
    fn wait(pause: &AdaptivePause, pays: bool) -> bool {
        let pauses = pause.is_due();
        if pauses {
            pause.pause(nanoseconds, 16, |_| pays);
        }
        pauses
    }

    fn pauses_in(pause: &AdaptivePause, waits: usize, pays: bool) -> usize {
        (0..waits).filter(|_| wait(pause, pays)).count()
    }

    #[test]
    fn pauses_that_never_pay_become_rare() {
        let pause = AdaptivePause::new();
        assert!((4..=12).contains(&pauses_in(&pause, 10_000, false)));
        assert!((9..=10).contains(&pauses_in(&pause, 10_240, false)));
    }

    #[test]
    fn pauses_that_pay_go_on() {
        let pause = AdaptivePause::new();
        assert_eq!(pauses_in(&pause, FIRST_INTERVAL + 100, true), 100);
    }

    #[test]
    fn pauses_end_when_they_pay_no_more() {
        let pause = AdaptivePause::new();
        pauses_in(&pause, 1_000, true);
        assert!((20..=32).contains(&pauses_in(&pause, 10_000, false)));
    }

    #[test]
    fn task_whose_pauses_pay_yields() {
        let pause = AdaptivePause::new();
        pauses_in(&pause, FIRST_INTERVAL, true);
        let yields: Vec<bool> = (0..2 * PAUSES_PER_YIELD)
            .map(|_| pause.pause(nanoseconds, 16, |_| true))
            .collect();
        assert_eq!(yields.iter().filter(|yields| **yields).count(), 2);
        assert!(yields[PAUSES_PER_YIELD - 1]);
    }

    #[test]
    fn probe_takes_share_of_time() {
        let nanoseconds = |pauses: usize| pauses * NANOSECONDS_PER_PAUSE;
        let pause = AdaptivePause::new();
        assert_eq!(pause.begin_probe(1_000, 64), 64);
        assert_eq!(
            nanoseconds(pause.begin_probe(101_000, 64)),
            100_000 / 32 / 20 * 20
        );
        pause.interval.set(1024);
        assert_eq!(
            nanoseconds(pause.begin_probe(1_101_000, 64)),
            1_000_000 / 256 / 20 * 20
        );
        assert_eq!(pause.begin_probe(usize::MAX / 2, 64), LONGEST_PROBE);
        // A thread that read the clock before another one did.
        assert_eq!(pause.begin_probe(1_000, 64), 8);
    }

    #[test]
    fn long_probe_leads_to_short_pauses() {
        let pause = AdaptivePause::new();
        let looks = Cell::new(0);
        let are_there_at_look = |look| {
            let looks = &looks;
            move |_| {
                looks.set(looks.get() + 1);
                looks.get() >= look
            }
        };
        pause.pause(|| 1, 1, |_| false);
        pause.pause(|| 1_000_000_000, 1, are_there_at_look(1_000));
        assert!(looks.take() >= 1_000);
        assert!(pause.is_due());
        pause.pause(|| 2_000_000_000, 1, are_there_at_look(1_000));
        assert!(looks.take() < 200, "a pause that is no probe is short");
    }
}

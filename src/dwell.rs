//! Pausing briefly before waiting, where that has paid before.
//!
//! Two threads that work at the two ends of a channel are fastest when each finds several items, or
//! several vacant slots, at a time: to wait and to be woken costs as much as a dozen items, and two
//! ends that follow each other closely fight for the same cache lines. So a caller that finds
//! nothing may pause before it waits, for some tens of microseconds at most, until the other end has
//! made a *batch* of progress. Where both ends run on one thread nothing changes meanwhile, so
//! whether to pause, and for how long, is learnt from how earlier pauses ended.
//!
//! Without recent success only *probes* pause: one caller in many, and for a small share of the time
//! that has passed since the last probe. So a probe is short where a wait is cheap, as between two
//! tasks of one thread. Where waiting puts threads to sleep, it is long enough for one of them to
//! wake up and find the other still there; from then on both may find each other by pausing.
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

/// How much a pause that paid raises the credit, how much one that did not lowers it, and the most
/// there is.
const PAID: usize = 4;
const FAILED: usize = 4;
const MOST_CREDIT: usize = 64;

/// The longest pause there is, in pauses of the processor.
const LONGEST: usize = 2048;
/// How long a pause of the processor takes: ten to forty nanoseconds, so this is an estimate.
const NANOSECONDS_PER_PAUSE: usize = 20;

/// How many callers there are between two probes at first, four times as many after each that
/// failed, and at most.
const FIRST_INTERVAL: usize = 16;
const RAREST_INTERVAL: usize = 1024;
/// A probe is shorter than the time since the last one by this factor at first, and by more the
/// rarer probes are.
const FIRST_SHARE: usize = 32;

/// What has been learnt about pausing for one condition.
pub(crate) struct Dwell {
    /// How many callers do not pause before the next that does: none while there is credit.
    until_pause: Hint,
    /// Whether pauses are no probes: while it is not zero.
    credit: Hint,
    /// How long a pause may be while there is credit, if that is longer than usual.
    reach: Hint,
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
            reach: Hint::new(0),
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

    /// Pauses until a batch is there, or for long enough. `are_there` looks for so many items, or
    /// vacant slots, of a channel of the given capacity.
    #[cold]
    #[inline(never)]
    pub(crate) fn pause(&self, capacity: usize, are_there: impl Fn(u64) -> bool) {
        let capacity = capacity.min(256);
        let usual = (capacity * 2).clamp(64, 256);
        if self.credit.get() > 0 {
            let longest = usual.max(self.reach.get());
            self.pause_for(longest, capacity, are_there, || self.lower_credit());
        } else {
            let longest = self.begin_probe(usual, capacity);
            self.pause_for(longest, capacity, are_there, || self.probe_less_often());
        }
    }

    /// How long a probe may be. The first, which has no time to compare with, is as long as
    /// `usual`.
    fn begin_probe(&self, usual: usize, capacity: usize) -> usize {
        let now = nanoseconds();
        let last = self.last_probe.get();
        self.last_probe.set(now);
        if last == 0 {
            return usual;
        }
        let share = (self.interval.get() / 4).max(FIRST_SHARE);
        let longest = now.wrapping_sub(last) / share / NANOSECONDS_PER_PAUSE;
        // Long enough for a batch in any case.
        longest.clamp(capacity.max(8), LONGEST)
    }

    /// [`pause`](Self::pause) for so many pauses of the processor at most.
    #[inline]
    fn pause_for(
        &self,
        longest: usize,
        capacity: usize,
        are_there: impl Fn(u64) -> bool,
        has_failed: impl FnOnce(),
    ) {
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
                return self.has_paid(paused);
            }
            if are_there(wanted) {
                wanted += 2;
            } else if wanted > 1 {
                // They come one by one.
                break;
            }
        }
        match are_there(1) {
            true => self.has_hardly_paid(),
            false => has_failed(),
        }
    }

    fn has_paid(&self, paused: usize) {
        let credit = self.credit.get();
        if credit < MOST_CREDIT {
            self.credit.set(credit + PAID);
        }
        let reach = (paused * 2).min(LONGEST);
        if self.reach.get() < reach {
            self.reach.set(reach);
        }
        self.interval.set(FIRST_INTERVAL);
    }

    fn has_hardly_paid(&self) {
        let credit = self.credit.get().saturating_sub(1);
        self.credit.set(credit);
        if credit == 0 {
            self.until_pause.set(self.interval.get());
        }
    }

    fn lower_credit(&self) {
        self.credit.set(self.credit.get().saturating_sub(FAILED));
        self.reach.set(self.reach.get() / 2);
    }

    fn probe_less_often(&self) {
        let interval = (self.interval.get() * 4).min(RAREST_INTERVAL);
        self.interval.set(interval);
        self.until_pause.set(interval);
    }
}

#[cfg(test)]
mod tests {
    use super::Dwell;

    /// Calls as a caller that finds nothing does; whether it paused.
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
        assert_eq!(pauses_in(&dwell, 116, true), 100);
    }

    #[test]
    fn pauses_end_when_they_pay_no_more() {
        let dwell = Dwell::new();
        pauses_in(&dwell, 1_000, true);
        assert!((10..=30).contains(&pauses_in(&dwell, 10_000, false)));
    }
}

//! Pausing briefly before waiting, where that has paid before.
//!
//! Two threads that work at the two ends of a channel are fastest when each finds several items, or
//! several vacant slots, at a time: to wait and to be woken costs as much as a dozen items, and two
//! ends that follow each other closely fight for the same cache lines. So a caller that finds
//! nothing may pause before it waits, for a few microseconds at most, until the other end has made
//! a *batch* of progress. Where both ends run on one thread nothing changes meanwhile, so whether
//! to pause is learnt from how earlier pauses ended.
//!
//! While it pauses, a caller reads only what it shares with its own side, and seldom: each look
//! takes a cache line away from the other end.
//!
//! All of it is a heuristic. A pause decides nothing: the caller tries afterwards like any other,
//! and nothing is ordered by what is kept here. The figures were chosen by measurement
//! (`benches/peers`), on two cores whose caches were near each other and far apart.

use crate::sync::Hint;
use crate::sync::pause;

/// How much a pause that paid raises the credit, how much one that did not lowers it, and the most
/// there is.
const PAID: usize = 4;
const FAILED: usize = 4;
const MOST_CREDIT: usize = 64;
/// A new channel has to earn it; a model looks once.
const FIRST_CREDIT: usize = if cfg!(loom) { 1 } else { 0 };
/// Without credit, one caller in so many tries whether it pays now; four times as many after each
/// that failed.
const FIRST_PROBE: usize = 16;
const RAREST_PROBE: usize = 4096;

/// What has been learnt about pausing for one condition.
pub(crate) struct Dwell {
    /// Whether to pause: while it is not zero.
    credit: Hint,
    /// How many callers to go until the next one tries.
    until_probe: Hint,
    probe_interval: Hint,
}

impl Dwell {
    pub(crate) fn new() -> Self {
        Self {
            credit: Hint::new(FIRST_CREDIT),
            until_probe: Hint::new(FIRST_PROBE),
            probe_interval: Hint::new(FIRST_PROBE),
        }
    }

    /// Pauses until a batch is there, or for long enough; whether anything is. `are_there` looks
    /// for so many items, or vacant slots, of a channel of the given capacity.
    #[inline(never)]
    pub(crate) fn pause(&self, capacity: usize, are_there: impl Fn(u64) -> bool) -> bool {
        let capacity = capacity.min(256) as u32;
        // In pauses of the processor, each some ten to forty nanoseconds long.
        // (No time passes in a model: it looks once.)
        let longest = if cfg!(loom) {
            0
        } else {
            (capacity * 2).clamp(64, 256)
        };
        let step = (capacity / 4).clamp(1, 16);
        let batch = (capacity / 4).clamp(1, 32).into();
        // How many must be there after the next step, for it to be worth while to go on.
        let mut wanted = 1;
        let mut paused = 0;
        while paused < longest {
            pause(step);
            paused += step;
            if are_there(batch) {
                self.has_paid();
                return true;
            }
            if are_there(wanted) {
                wanted += 2;
            } else if wanted > 1 {
                // They come one by one.
                break;
            }
        }
        let any = are_there(1);
        if any {
            self.has_hardly_paid();
        } else {
            self.has_failed();
        }
        any
    }

    /// Whether a pause is likely to pay, or whether it is time to try.
    #[inline]
    pub(crate) fn may_pay(&self) -> bool {
        if self.credit.get() > 0 {
            return true;
        }
        let until_probe = self.until_probe.get();
        if until_probe > 0 {
            self.until_probe.set(until_probe - 1);
        }
        until_probe == 0
    }

    fn has_paid(&self) {
        let credit = self.credit.get();
        if credit < MOST_CREDIT {
            self.credit.set(credit + PAID);
        }
        self.probe_interval.set(FIRST_PROBE);
    }

    fn has_hardly_paid(&self) {
        self.credit.set(self.credit.get().saturating_sub(1));
        self.until_probe.set(self.probe_interval.get());
    }

    fn has_failed(&self) {
        let credit = self.credit.get();
        if credit > 0 {
            self.credit.set(credit.saturating_sub(FAILED));
            return;
        }
        let interval = (self.probe_interval.get() * 4).min(RAREST_PROBE);
        self.probe_interval.set(interval);
        self.until_probe.set(interval);
    }
}

//! Why a caller yields before its first try: a waiter that was notified in vain has requested it, or the
//! budget of its side is spent. See [`wait`](super) for both.
//!
//! # Invariants
//!
//! * **Y1** A poll yields at most once, before its first try. A caller that yields wakes its own task in
//!   that poll, so it is polled again whatever other callers do.
//! * **Y2** A request ends. Each yield on request uses up one of the
//!   [`PER_REQUEST`](Yields::PER_REQUEST) that it granted, no matter which caller yields. Only a waiter that is polled
//!   after it was notified in vain requests again. So a waiter that is never polled again, or is
//!   forgotten, causes at most that many yields. (Threads that count at the same time may count several
//!   yields as one, or restore a count that one of them read earlier. But each stores less than it has
//!   read, so the count gets to zero.)
//! * **Y3** Before its first try, a call yields at most twice on average: once for whatever reason, then
//!   with probability 1/2 at each poll while there is a request. So it stops even if there is always a
//!   new request. Once it waits, it yields at most once for each notification.
//! * **Y4** After at most `calls` calls that use a budget, one yields, unless another caller that has
//!   yielded is polled meanwhile, and renews the budget.

use alloc::boxed::Box;
use core::num::NonZeroU32;

use crate::sync::Hint;

/// Whether callers of one side of a channel yield before their first try.
pub(crate) struct Yields {
    /// How many more callers yield because a waiter has requested it; and BUDGETED.
    requested: Hint,
    budget: Option<Box<Budget>>,
    /// The state of a generator of random numbers. Only callers that have yielded use it.
    random: Hint,
}

/// How many calls in a row need not yield. It is on a cache line of its own, because every call of one
/// side writes it.
#[repr(align(64))]
struct Budget {
    calls: usize,
    /// How many are left; or DUE.
    left: Hint,
    /// Not zero once a caller that had yielded has found that others had used the budget meanwhile.
    is_shared: Hint,
}

/// There is a budget. Then the word is never zero. So a channel without a budget reads no second word.
const BUDGETED: usize = usize::MAX / 2 + 1;
/// A call is about to yield, because the budget is spent.
const DUE: usize = usize::MAX;

impl Yields {
    /// How many callers yield for one request. It is limited because a waiter that requests may never
    /// be polled again.
    pub(super) const PER_REQUEST: usize = 64;

    /// `budget` is after how many calls one yields.
    pub(super) fn new(budget: Option<NonZeroU32>) -> Self {
        let budget = budget.map(|calls| {
            let calls = calls.get() as usize;
            Box::new(Budget {
                calls,
                left: Hint::new(calls),
                is_shared: Hint::new(0),
            })
        });
        let yields = Self {
            requested: Hint::new(0),
            budget,
            random: Hint::new(1),
        };
        yields.set_requested(0);
        yields
    }

    /// Whether a caller may have to yield.
    #[inline]
    pub(crate) fn are_possible(&self) -> bool {
        self.requested.get() != 0
    }

    /// Whether the next caller has to yield. If not, counts the call. Called if yields are
    /// [possible](Self::are_possible).
    #[cold]
    pub(crate) fn are_due(&self) -> bool {
        self.are_requested() || self.budget.as_ref().is_some_and(|it| it.spend())
    }

    /// Whether the caller is one of those that yield.
    pub(super) fn take(&self) -> bool {
        self.take_requested() || self.budget.as_ref().is_some_and(|it| it.take())
    }

    pub(super) fn are_requested(&self) -> bool {
        self.requested.get() & !BUDGETED != 0
    }

    pub(super) fn request(&self) {
        self.set_requested(Self::PER_REQUEST);
    }

    pub(super) fn withdraw(&self) {
        self.set_requested(0);
    }

    /// Whether the caller is one of those that yield on request.
    pub(super) fn take_requested(&self) -> bool {
        let left = self.requested.get() & !BUDGETED;
        if left > 0 {
            self.set_requested(left - 1);
        }
        left > 0
    }

    /// Whether a caller that has yielded, and is polled again, is one of those that yield again.
    pub(super) fn take_again(&self) -> bool {
        if let Some(budget) = &self.budget {
            budget.resume(|| self.random());
        }
        // Not in models: another yield is no step that loom explores, and their executor takes a caller
        // that wakes itself twice in a row for one that waits for another thread (`Busy`).
        let may_yield = cfg!(not(loom)) && self.are_requested();
        may_yield && self.random() % 2 == 1 && self.take_requested()
    }

    fn set_requested(&self, count: usize) {
        let mark = if self.budget.is_some() { BUDGETED } else { 0 };
        self.requested.set(count | mark);
    }

    /// The next number of a xorshift generator, which is never zero. Threads that call this at once may
    /// get the same one.
    fn random(&self) -> usize {
        let mut bits = self.random.get() as u32;
        bits ^= bits << 13;
        bits ^= bits >> 17;
        bits ^= bits << 5;
        self.random.set(bits as usize);
        bits as usize
    }
}

impl Budget {
    /// Counts a call. Returns true instead if the budget is spent.
    fn spend(&self) -> bool {
        let (is_due, left) = match self.left.get() {
            0 | DUE => (true, DUE),
            left => (false, left - 1),
        };
        self.left.set(left);
        is_due
    }

    /// Whether the caller is the one that yields. Renews the budget then.
    fn take(&self) -> bool {
        let is_due = self.left.get() == DUE;
        if is_due {
            self.left.set(self.calls);
        }
        is_due
    }

    /// Renews the budget for a caller that has yielded, unless it is the only one that uses it.
    fn resume(&self, random: impl FnOnce() -> usize) {
        if self.left.get() != self.calls {
            self.is_shared.set(1);
        }
        if self.is_shared.get() != 0 {
            self.left.set(1 + random() % self.calls);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::iter;
    use core::num::NonZeroU32;

    use super::Yields;

    fn with_budget(calls: u32) -> Yields {
        Yields::new(NonZeroU32::new(calls))
    }

    /// Whether a call yields that does not have to wait.
    fn call(yields: &Yields) -> bool {
        yields.are_possible() && yields.are_due() && yields.take()
    }

    /// How often a call yields that does not have to wait.
    fn count(yields: &Yields) -> usize {
        if !call(yields) {
            return 0;
        }
        let again = iter::repeat_with(|| yields.take_again());
        1 + again.take_while(|it| *it).count()
    }

    #[test]
    fn one_call_yields_after_budget() {
        for budget in 1..5 {
            let yields = with_budget(budget);
            for number in 1..50 {
                let is_due = number % (budget + 1) == 0;
                assert_eq!(count(&yields), usize::from(is_due), "call {number}");
            }
        }
    }

    #[test]
    fn call_that_waits_does_not_yield_too() {
        let yields = with_budget(1);
        // It uses up the budget, and finds nothing.
        assert!(!yields.are_due());
        assert!(!yields.take());
        assert!(call(&yields));
    }

    #[test]
    fn requests_do_not_use_up_budget() {
        let yields = with_budget(2);
        assert!(!call(&yields));
        yields.request();
        assert!((0..Yields::PER_REQUEST).all(|_| call(&yields)));
        assert!(!call(&yields) && call(&yields));
        yields.request();
        yields.withdraw();
        assert!(!call(&yields) && !call(&yields) && call(&yields));
    }

    #[test]
    fn no_call_yields_without_reason() {
        let yields = Yields::new(None);
        assert!(!yields.are_possible());
        yields.request();
        assert!(call(&yields));
        yields.withdraw();
        assert!(!yields.are_possible());
        assert!(!yields.take_again());
    }

    /// Y2.
    #[test]
    fn request_ends() {
        let yields = Yields::new(None);
        yields.request();
        let counts: Vec<_> = (0..100).map(|_| count(&yields)).collect();
        assert_eq!(counts.iter().sum::<usize>(), Yields::PER_REQUEST);
        assert_eq!(counts[Yields::PER_REQUEST..], [0; 36]);
    }

    /// Y3. Half of the calls yield once, a quarter twice, and so on.
    #[test]
    fn call_yields_twice_on_average() {
        let yields = Yields::new(None);
        let mut calls_by_count = [0; 30];
        for _ in 0..10_000 {
            yields.request();
            calls_by_count[count(&yields)] += 1;
        }
        assert_eq!(calls_by_count[0], 0);
        for (count, expected) in [(1, 5_000), (2, 2_500), (3, 1_250), (4, 625)] {
            let calls: i32 = calls_by_count[count];
            let is_near = (calls - expected).abs() < 150;
            assert!(is_near, "{count} yields: {calls} calls");
        }
    }

    /// Two callers in turn, of which one uses up the budget each time.
    #[test]
    fn shared_budget_is_renewed_to_random_part() {
        const CALLS: u32 = 8;
        let yields = with_budget(CALLS);
        let calls_until_yield = || {
            let calls = iter::repeat_with(|| call(&yields));
            calls.take_while(|it| !it).count()
        };
        let mut times = [0; 1 + CALLS as usize];
        for _ in 0..8_000 {
            calls_until_yield();
            // While that caller has yielded, another one calls.
            assert!(!call(&yields));
            assert!(!yields.take_again());
            times[calls_until_yield()] += 1;
            assert!(!yields.take_again());
        }
        assert_eq!(times[0], 0);
        let even = 800..1_200;
        assert!(times[1..].iter().all(|it| even.contains(it)), "{times:?}");
    }
}

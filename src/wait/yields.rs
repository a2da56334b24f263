//! Why a caller yields before its first try: a waiter that was notified in vain has requested it, or the
//! budget of its side is spent. See [`wait`](super) for both.

use alloc::boxed::Box;
use core::num::NonZeroU32;

use crate::sync::Hint;

/// Whether callers of one side of a channel yield before their first try.
pub(crate) struct Yields {
    /// How many more callers yield because a waiter has requested it; and BUDGETED.
    requested: Hint,
    budget: Option<Box<Budget>>,
}

/// How many calls in a row need not yield. It is on a cache line of its own, because every call of one
/// side writes it.
#[repr(align(64))]
struct Budget {
    calls: usize,
    /// How many are left; or DUE.
    left: Hint,
}

/// There is a budget. Then the word is never zero. So a channel without a budget reads no second word.
const BUDGETED: usize = usize::MAX / 2 + 1;
/// A call is about to yield, because the budget is spent.
const DUE: usize = usize::MAX;

impl Yields {
    /// How many callers yield for one request. It is limited because a waiter that requests may never
    /// be polled again.
    const PER_REQUEST: usize = 64;

    /// `budget` is after how many calls one yields.
    pub(super) fn new(budget: Option<NonZeroU32>) -> Self {
        let budget = budget.map(|calls| {
            let calls = calls.get() as usize;
            let left = Hint::new(calls);
            Box::new(Budget { calls, left })
        });
        let yields = Self {
            requested: Hint::new(0),
            budget,
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

    fn set_requested(&self, count: usize) {
        let mark = if self.budget.is_some() { BUDGETED } else { 0 };
        self.requested.set(count | mark);
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
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU32;

    use super::Yields;

    /// Whether a call yields that does not have to wait.
    fn call(yields: &Yields) -> bool {
        yields.are_possible() && yields.are_due() && yields.take()
    }

    #[test]
    fn one_call_yields_after_budget() {
        for budget in 1..5 {
            let yields = Yields::new(NonZeroU32::new(budget));
            for number in 1..50 {
                let is_due = number % (budget + 1) == 0;
                assert_eq!(call(&yields), is_due, "call {number}");
            }
        }
    }

    #[test]
    fn call_that_waits_does_not_yield_too() {
        let yields = Yields::new(NonZeroU32::new(1));
        // It uses up the budget, and finds nothing.
        assert!(!yields.are_due());
        assert!(!yields.take());
        assert!(call(&yields));
    }

    #[test]
    fn requests_do_not_use_up_budget() {
        let yields = Yields::new(NonZeroU32::new(2));
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
    }
}

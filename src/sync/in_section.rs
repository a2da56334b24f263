//! A 64-bit atomic for processors without one, which interrupt handlers may use.
//!
//! portable-atomic has such a type too, but its operations take a spin lock, and an interrupt handler
//! would spin forever for the operation that it has interrupted.

use core::cell::UnsafeCell;
use core::sync::atomic::Ordering;

use super::lock::Section;

/// Each operation is a [`Section`] of its own. So whatever ordering is asked for, all operations are
/// in one order, and each one happens before the next.
#[derive(Debug)]
pub(crate) struct AtomicU64(UnsafeCell<u64>);

// SAFETY: the value is accessed in a section only, and so by one thread at a time.
unsafe impl Sync for AtomicU64 {}

impl AtomicU64 {
    pub(crate) const fn new(value: u64) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Replaces the value by what `new` makes of it. Returns the value before.
    #[inline]
    fn update(&self, new: impl FnOnce(u64) -> u64) -> u64 {
        let _section = Section::enter();
        let value = self.0.get();
        // SAFETY: no other thread accesses the value during the section.
        let before = unsafe { value.read() };
        // SAFETY: as above.
        unsafe { value.write(new(before)) };
        before
    }

    #[inline]
    pub(crate) fn load(&self, _: Ordering) -> u64 {
        self.update(|value| value)
    }

    #[inline]
    pub(crate) fn store(&self, value: u64, _: Ordering) {
        self.update(|_| value);
    }

    #[inline]
    pub(crate) fn fetch_add(&self, value: u64, _: Ordering) -> u64 {
        self.update(|before| before.wrapping_add(value))
    }

    #[inline]
    pub(crate) fn fetch_and(&self, bits: u64, _: Ordering) -> u64 {
        self.update(|before| before & bits)
    }

    #[inline]
    pub(crate) fn fetch_or(&self, bits: u64, _: Ordering) -> u64 {
        self.update(|before| before | bits)
    }

    #[inline]
    pub(crate) fn compare_exchange_weak(
        &self,
        current: u64,
        new: u64,
        _: Ordering,
        _: Ordering,
    ) -> Result<u64, u64> {
        let before = self.update(|before| if before == current { new } else { before });
        if before == current {
            Ok(before)
        } else {
            Err(before)
        }
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::Ordering::SeqCst;
    use std::thread;

    use super::AtomicU64;

    #[test]
    fn operations_do_what_the_names_say() {
        let atomic = AtomicU64::new(6);
        assert_eq!(atomic.fetch_add(u64::MAX, SeqCst), 6);
        assert_eq!(atomic.fetch_or(8, SeqCst), 5);
        assert_eq!(atomic.fetch_and(9, SeqCst), 13);
        assert_eq!(atomic.compare_exchange_weak(8, 7, SeqCst, SeqCst), Err(9));
        assert_eq!(atomic.compare_exchange_weak(9, 7, SeqCst, SeqCst), Ok(9));
        assert_eq!(atomic.load(SeqCst), 7);
        atomic.store(1 << 40, SeqCst);
        assert_eq!(atomic.load(SeqCst), 1 << 40);
    }

    #[test]
    fn no_increment_is_lost() {
        const EACH: u64 = 1000;
        let atomic = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        atomic.fetch_add(1, SeqCst);
                    }
                });
            }
        });
        assert_eq!(atomic.load(SeqCst), 2 * EACH);
    }
}

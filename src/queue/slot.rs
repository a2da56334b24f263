//! Positions, and the slots in which items are kept.
//!
//! A *position* is the number of items that came before. Atomics hold a position shifted left by two,
//! so that the lowest bits are free for marks.
//!
//! A queue that *measures* keeps the times at which its items were queued. It has [`MEASURED`] set in
//! `tail` and in `head`, from its creation on. No stamp has this mark. So the first, cheap try of every call
//! fails, as that of a closed queue does, and only the calls behind it know of times. What does not measure
//! does not pay for it.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;
use core::mem::ManuallyDrop;
use core::mem::MaybeUninit;

use crate::sync::UnsafeCell;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering;

/// The closed mark of a `tail`.
pub(super) const CLOSED: u64 = 1;
/// The filled mark of a slot's stamp.
pub(super) const FILLED: u64 = 1;
/// The mark of a `tail` and a `head` of a queue that measures. It stays as it is.
pub(super) const MEASURED: u64 = 2;
/// One position, as the atomics hold it.
pub(super) const STEP: u64 = 4;

/// What the atomics hold at first.
pub(super) fn first_word(position: u64, measures: bool) -> u64 {
    position.wrapping_mul(STEP) | if measures { MEASURED } else { 0 }
}

/// The position in a `tail` that is not closed, or in a `head` that is not locked, as stamps have it.
#[inline]
pub(super) fn unmarked(word: u64) -> u64 {
    word & !MEASURED
}

#[inline]
pub(super) fn advance(position: u64, count: u64) -> u64 {
    position.wrapping_add(count * STEP)
}

/// How many positions `later` is past `earlier`. The result is more than any capacity if `later` comes
/// before `earlier`.
#[inline]
pub(super) fn distance(earlier: u64, later: u64) -> u64 {
    later.wrapping_sub(earlier) / STEP
}

/// Moves the first `count` items out of `items`, which has as many. `each` gets a pointer to one, which
/// has then moved out of there. It must not panic.
pub(super) fn move_front<T>(items: &mut VecDeque<T>, count: usize, mut each: impl FnMut(*const T)) {
    if count < items.len() {
        for item in items.drain(..count) {
            let item = ManuallyDrop::new(item);
            each(&raw const *item);
        }
        return;
    }
    // A vector reads its items without the wrap of a deque, and forgets all of them at once. The
    // conversions keep the memory.
    let mut all = Vec::from(mem::take(items));
    // SAFETY: the items are not used as those of the vector after this.
    unsafe { all.set_len(0) };
    let first = all.as_ptr();
    for index in 0..count {
        // SAFETY: there are `count` items.
        each(unsafe { first.add(index) });
    }
    *items = all.into();
}

/// A place for an item. The storage that it belongs to says when it may be accessed.
pub(super) struct Slot<T> {
    pub(super) stamp: AtomicU64,
    item: UnsafeCell<MaybeUninit<T>>,
}

impl<T> Slot<T> {
    /// Allocates slots, each with the stamp that `stamp` returns for its index. Returns `None` if the
    /// memory cannot be allocated.
    ///
    /// The slots are written where they stay. A slot is as large as an item, and may not fit on the
    /// stack of a thread.
    pub(super) fn allocate(count: usize, stamp: impl Fn(u64) -> u64) -> Option<Box<[Self]>> {
        let mut slots = Vec::<Self>::new();
        slots.try_reserve_exact(count).ok()?;
        for (index, slot) in slots.spare_capacity_mut()[..count].iter_mut().enumerate() {
            Self::make_vacant(slot, stamp(index as u64));
        }
        // SAFETY: they have all been written.
        unsafe { slots.set_len(count) };
        Some(slots.into_boxed_slice())
    }

    /// Writes a slot without an item. The item is not touched, so that no item is moved.
    #[cfg(not(loom))]
    fn make_vacant(slot: &mut MaybeUninit<Self>, stamp: u64) {
        // SAFETY: the pointer is that of a reference, and only a field is taken.
        let field = unsafe { &raw mut (*slot.as_mut_ptr()).stamp };
        // SAFETY: as above. The other field needs no initialisation: it is a cell of an item that may
        // be uninitialised.
        unsafe { field.write(AtomicU64::new(stamp)) };
    }

    /// Writes a slot without an item. Loom keeps more than the item in a cell.
    #[cfg(loom)]
    fn make_vacant(slot: &mut MaybeUninit<Self>, stamp: u64) {
        slot.write(Self {
            stamp: AtomicU64::new(stamp),
            item: UnsafeCell::new(MaybeUninit::uninit()),
        });
    }

    /// Moves an item in, and publishes it with the filled mark.
    ///
    /// # Safety
    ///
    /// The caller has claimed this position of the slot for filling, and fills it once. It may move
    /// out of `item`, and neither uses nor drops the item after that.
    #[inline]
    pub(super) unsafe fn fill(&self, position: u64, item: *const T) {
        self.item.with_mut(|slot| {
            // SAFETY: the caller's claim, so the slot is not where the item is.
            unsafe { slot.cast::<T>().copy_from_nonoverlapping(item, 1) };
        });
        // Release: publishes the item. Pairs with the Acquire load of a caller that empties the slot.
        self.stamp.store(position | FILLED, Ordering::Release);
    }

    /// Moves the item out, to `place`.
    ///
    /// # Safety
    ///
    /// The caller has claimed the slot for emptying after it found it filled, and takes the item once.
    /// It may write to `place`.
    #[inline]
    pub(super) unsafe fn take(&self, place: *mut T) {
        self.item.with_mut(|item| {
            // SAFETY: the caller's claim, so the place is not the slot.
            unsafe { place.copy_from_nonoverlapping(item.cast::<T>(), 1) }
        });
    }

    /// Drops the item where it is.
    ///
    /// # Safety
    ///
    /// As [`take`](Self::take).
    pub(super) unsafe fn drop_in_place(&self) {
        self.item.with_mut(|item| {
            // SAFETY: the caller's claim, and the slot was filled.
            unsafe { item.cast::<T>().drop_in_place() }
        });
    }
}

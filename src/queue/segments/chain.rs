//! The chain of segments: which there are, and when they come and leave.

use alloc::alloc::handle_alloc_error;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::alloc::Layout;
use core::mem;
use core::ptr;

use super::Segments;
use crate::queue::slot::MEASURED;
use crate::queue::slot::STEP;
use crate::queue::slot::Slot;
use crate::queue::slot::advance;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering;
use crate::sync::with_lock;

/// What is kept for one lap.
pub(super) struct Segment<T> {
    pub(super) slots: Box<[Slot<T>]>,
    /// When the items of the slots were queued. Empty if the queue does not measure.
    pub(super) times: Box<[AtomicU64]>,
}

impl<T> Segment<T> {
    /// A segment of `len` slots, none of which is filled.
    pub(super) fn allocate(len: u64, measures: bool) -> Self {
        let len = len as usize;
        // The stamp 0 is that of no filled slot.
        let slots = Slot::allocate(len, |_| 0).unwrap_or_else(|| {
            // As `Vec::push` does.
            handle_alloc_error(Layout::array::<Slot<T>>(len).unwrap_or(Layout::new::<Slot<T>>()))
        });
        let times = 0..if measures { len } else { 0 };
        Self {
            slots,
            times: times.map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

/// The segments, from that of `head` on (G2).
pub(super) struct Chain<T> {
    pub(super) segments: VecDeque<Segment<T>>,
    /// The lap of the segment that is installed next.
    next_lap: u64,
    /// A drained segment, to be used again.
    pub(super) spare: Option<Segment<T>>,
}

impl<T> Chain<T> {
    /// How many segments the list always has memory for.
    const KEPT: usize = 64;

    /// The chain of a queue whose first position is in this segment.
    pub(super) fn starting_with(first: Segment<T>, next_lap: u64) -> Self {
        Self {
            segments: VecDeque::from([first]),
            next_lap,
            spare: None,
        }
    }

    /// Gives memory of the list back after many segments have left it.
    fn shrink(&mut self) {
        let capacity = self.segments.capacity();
        if capacity > Self::KEPT && self.segments.len() < capacity / 4 {
            self.segments.shrink_to(capacity / 2);
        }
    }
}

impl<T> Segments<T> {
    pub(super) fn lap_after(position: u64) -> u64 {
        Self::lap(advance(position, Self::LEN))
    }

    /// Installs the segment of the lap after that of `tail`, unless that has been done.
    #[cold]
    pub(super) fn install(&self, tail: u64) {
        let lap = Self::lap_after(tail);
        let spare = with_lock(&self.chain, |chain| {
            (chain.next_lap == lap).then(|| chain.spare.take())
        });
        let Some(spare) = spare else {
            return;
        };
        // Not under the lock, which a receiver may wait for.
        let mut segment =
            spare.unwrap_or_else(|| Segment::allocate(Self::LEN, tail & MEASURED != 0));
        let surplus = with_lock(&self.chain, |chain| {
            if chain.next_lap != lap {
                // Another sender has been quicker.
                return chain.spare.replace(segment);
            }
            // Relaxed: see `newest`. A sender that claims the last position before this lap has locked
            // the chain after this.
            let parity = (lap % 2) as usize;
            let (slots, times) = (segment.slots.as_mut_ptr(), segment.times.as_mut_ptr());
            self.tail.newest[parity].store(slots, Ordering::Relaxed);
            self.tail.newest_times[parity].store(times, Ordering::Relaxed);
            chain.next_lap = Self::lap_after(lap.wrapping_mul(Self::LEN * STEP));
            chain.segments.push_back(segment);
            None
        });
        drop(surplus);
    }

    /// Moves to the next segment, after the last item of this one was taken. The caller has locked
    /// `head`.
    #[cold]
    #[inline(never)]
    pub(super) fn leave_segment(&self) {
        let surplus = with_lock(&self.chain, |chain| {
            let drained = chain.segments.pop_front();
            let next = chain.segments.front_mut();
            // By G1, the next segment was installed before the last position of this one was claimed.
            debug_assert!(next.is_some());
            let pointers = next.map(|next| (next.slots.as_mut_ptr(), next.times.as_mut_ptr()));
            let (slots, times) = pointers.unwrap_or((ptr::null_mut(), ptr::null_mut()));
            self.head.segment.with_mut(|segment| {
                // SAFETY: G4.
                unsafe { *segment = slots };
            });
            self.head.times.with_mut(|segment| {
                // SAFETY: G4.
                unsafe { *segment = times };
            });
            chain.shrink();
            mem::replace(&mut chain.spare, drained)
        });
        drop(surplus);
    }
}

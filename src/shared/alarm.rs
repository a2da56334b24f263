//! The handles that the timer has of the channels that it visits.

use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use std::time::Instant;

use super::Shared;
use crate::channel::Channel;
use crate::timer;
use crate::timer::Alarm;
use crate::timer::Entry;
use crate::unwind::contain;

impl<T> Shared<T> {
    /// Has the timer visit the channel at the time of the alarm.
    pub(crate) fn set_alarm(&self, alarm: Alarm) {
        if cfg!(loom) {
            return;
        }
        let handle = ManuallyDrop::new(self.clone());
        let channel = handle.0.cast();
        // SAFETY: S1, by `handle`, which `release` drops. No item is used: only the
        // box of one that becomes receivable (Y2 of `delayed`), and a channel that is freed has none (S4).
        alarm.set(unsafe { Entry::new(channel, visit::<T>, release::<T>) });
        // See T4 of `timer`.
        if self.queue.lane_has_ended() {
            timer::forget(channel);
        }
    }
}

/// # Safety
///
/// `channel` is a `Channel<T>`, and alive.
unsafe fn visit<T>(channel: NonNull<()>, now: Instant) -> Option<Instant> {
    // SAFETY: the caller's guarantee.
    unsafe { channel.cast::<Channel<T>>().as_ref() }.mature(now)
}

/// Drops a handle.
///
/// # Safety
///
/// `channel` is a `Channel<T>`, and the caller gives up a handle of it.
unsafe fn release<T>(channel: NonNull<()>) {
    let handle = Shared::<T>(channel.cast());
    // If it is the last one, the destructor of an error may panic.
    contain(|| drop(handle));
}

#[cfg(all(test, not(loom)))]
mod tests {
    use core::time::Duration;

    use super::Alarm;
    use super::Channel;
    use super::Instant;
    use super::Shared;
    use crate::policy::Options;
    use crate::queue::Queue;

    /// T4 of `timer`: the channel ends before the entry is set.
    #[test]
    fn alarm_of_ended_channel_leaves_no_handle() {
        let queue = Queue::<u32>::bounded(1, true, false);
        let (sender, receiver) = Shared::both_ends_of(Channel::new(queue, Options::default()));
        let hour = Instant::now() + Duration::from_secs(60 * 60);
        drop(sender.close_now());
        sender.set_alarm(Alarm::at(hour));
        // The two ends, and none for the timer.
        assert_eq!(sender.handles.get(), 2);
        drop(receiver);
    }
}

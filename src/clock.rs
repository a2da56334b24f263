//! The clock of channels that measure time.

use core::time::Duration;
#[cfg(all(feature = "std", not(target_family = "wasm"), not(loom)))]
use std::sync::LazyLock;
#[cfg(all(feature = "std", not(target_family = "wasm")))]
use std::time::Instant;

/// A moment, in nanoseconds since the clock was first used. 64 bits last for 584 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    /// When the clock was first used.
    pub(crate) const START: Self = Self(0);

    pub(crate) fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }

    pub(crate) fn as_nanoseconds(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is. Zero if it is not after it: two threads may read the clock in one
    /// order, and do what they read it for in the other.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(all(feature = "std", not(target_family = "wasm"), not(loom)))]
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

#[cfg(all(feature = "std", not(target_family = "wasm"), not(loom)))]
impl Moment {
    pub(crate) fn now() -> Self {
        Self::from(Instant::now())
    }
}

#[cfg(all(feature = "std", not(target_family = "wasm"), not(loom)))]
impl From<Instant> for Moment {
    /// A time before the clock was first used becomes that of its first use.
    fn from(time: Instant) -> Self {
        let since = time.saturating_duration_since(*START).as_nanos();
        Self(u64::try_from(since).unwrap_or(u64::MAX))
    }
}

/// A model sets its clock: see `set_clock`.
#[cfg(loom)]
mod of_model {
    use core::cell::Cell;
    use std::thread_local;

    use super::Instant;
    use super::Moment;

    thread_local! {
        // All threads of a model run on one thread of the system.
        static NOW: Cell<u64> = const { Cell::new(0) };
    }

    impl Moment {
        pub(crate) fn now() -> Self {
            Self(NOW.get())
        }
    }

    impl From<Instant> for Moment {
        fn from(_: Instant) -> Self {
            Self::now()
        }
    }

    /// Sets the clock of the model that calls this.
    pub(crate) fn set(nanoseconds: u64) {
        NOW.set(nanoseconds);
    }
}

#[cfg(loom)]
pub(crate) use self::of_model::set;

/// Without a clock, no channel measures time.
#[cfg(not(all(feature = "std", not(target_family = "wasm"))))]
impl Moment {
    pub(crate) fn now() -> Self {
        Self(0)
    }
}

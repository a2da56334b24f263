//! How long a caller has been waiting. It is measured for events only: without the features `tracing`
//! and `std`, this takes neither space nor time.

#[cfg(feature = "tracing")]
use core::time::Duration;

/// When a caller began to wait, if it does and if a subscriber wants to know.
#[derive(Default)]
pub(crate) struct Since(
    #[cfg(all(feature = "tracing", feature = "std"))] Option<std::time::Instant>,
);

impl Since {
    /// The caller is about to wait. Asks the subscriber, which is user code.
    #[inline]
    pub(super) fn begin(&mut self) {
        // There, the clock panics.
        #[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
        #[cfg(all(feature = "tracing", feature = "std"))]
        if self.0.is_none() && tracing::enabled!(target: "tollgate", tracing::Level::WARN) {
            self.0 = Some(std::time::Instant::now());
        }
    }

    /// The caller no longer waits. Returns how long it did.
    #[cfg(feature = "tracing")]
    #[inline]
    pub(super) fn end(&mut self) -> Option<Duration> {
        #[cfg(all(feature = "tracing", feature = "std"))]
        return self.0.take().map(|it| it.elapsed());
        #[cfg(not(all(feature = "tracing", feature = "std")))]
        None
    }
}

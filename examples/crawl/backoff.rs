//! How long to wait before a page is asked for again.

use std::time::Duration;

/// The pause before this attempt, a second or later one: `first` before the second, doubled before
/// each further one.
pub(crate) fn pause(first: Duration, attempt: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(attempt - 2))
}

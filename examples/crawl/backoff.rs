//! The pause before a page is requested again.

use std::time::Duration;

/// The pause before attempt number `attempt`, which is at least 2. It is `first` before the second
/// attempt, and doubles for each further attempt.
pub(crate) fn pause(first: Duration, attempt: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(attempt - 2))
}

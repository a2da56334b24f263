//! The pause before a page is requested again.

use std::time::Duration;

/// The pauses before further attempts.
#[derive(Clone, Copy)]
pub(crate) struct Backoff {
    /// The longest pause after the first attempt. It doubles with each further attempt.
    pub(crate) first: Duration,
    /// The longest pause of all.
    pub(crate) most: Duration,
}

impl Backoff {
    /// The pause after attempt number `attempt`. It is random, so that pages that failed together are not
    /// requested together again: between half of the longest pause for that attempt and all of it. If the
    /// server `asked` for a longer one, it is that. But it is never longer than `most`.
    pub(crate) fn pause(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        let doubled = 2_u32.saturating_pow(attempt - 1);
        let longest = self.first.saturating_mul(doubled).min(self.most);
        let pause = longest.mul_f64(0.5 + 0.5 * fastrand::f64());
        pause.max(asked.unwrap_or_default()).min(self.most)
    }
}

//! Threads and locks.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::thread;

/// The number of workers: the one given, or one per CPU.
pub(crate) fn workers_or_cpus(workers: Option<u16>) -> NonZeroUsize {
    workers
        .and_then(|workers| NonZeroUsize::new(workers.into()))
        .or_else(|| thread::available_parallelism().ok())
        .unwrap_or(NonZeroUsize::MIN)
}

/// Locks a mutex whose data is consistent even if a holder panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Threads, their memory, and locks.

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::mpsc;
use std::thread;

/// The number of workers: the one given, or one per CPU.
pub(crate) fn workers_or_cpus(workers: Option<u16>) -> NonZeroUsize {
    workers
        .and_then(|workers| NonZeroUsize::new(workers.into()))
        .or_else(|| thread::available_parallelism().ok())
        .unwrap_or(NonZeroUsize::MIN)
}

/// Starts a thread. The error names it, and the option to lower, if there is one.
pub(crate) fn spawn<F>(
    name: &str,
    option: Option<&str>,
    run: F,
) -> io::Result<thread::JoinHandle<()>>
where
    F: FnOnce() + Send + 'static,
{
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map_err(|error| lacking(format_args!("start thread {name}"), option, &error))
}

/// Memory of this length. The error names the option to lower, if there is one.
pub(crate) fn buffer(length: usize, option: Option<&str>) -> io::Result<Vec<u8>> {
    let mut buffer = Vec::new();
    match buffer.try_reserve_exact(length) {
        Ok(()) => buffer.resize(length, 0),
        Err(error) => {
            let error = io::Error::new(io::ErrorKind::OutOfMemory, error);
            return Err(lacking("allocate memory for a thread", option, &error));
        }
    }
    Ok(buffer)
}

/// Fails if there is too little memory for the slots of a channel, which would panic. To be called right
/// before the channel is made. The error names the option to lower.
pub(crate) fn check_room<T>(capacity: usize, option: &str) -> io::Result<()> {
    // About what a slot needs besides the item.
    type Slot<T> = ([u64; 2], T);

    let mut slots: Vec<Slot<T>> = Vec::new();
    let count = capacity.checked_next_power_of_two().unwrap_or(capacity);
    slots.try_reserve_exact(count).map_err(|error| {
        let error = io::Error::new(io::ErrorKind::OutOfMemory, error);
        lacking("allocate memory for a channel", Some(option), &error)
    })
}

/// Fails if this many threads cannot run at the same time. All of them have ended when it returns.
pub(crate) fn check(count: usize, option: Option<&str>) -> io::Result<()> {
    // The threads wait until the sender is dropped.
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let started: io::Result<Vec<_>> = (1..=count)
        .map(|number| {
            let wait = Arc::clone(&wait);
            let run = move || {
                // An error, which all get at once.
                let _ = lock(&wait).recv();
            };
            spawn(&format!("{number} of {count}"), option, run)
        })
        .collect();
    drop(go_on);
    for thread in started? {
        // It does not panic.
        let _ = thread.join();
    }
    Ok(())
}

/// An error because the system lacks something: what could not be done, and what to lower or raise.
pub(crate) fn lacking(
    what: impl fmt::Display,
    option: Option<&str>,
    error: &io::Error,
) -> io::Error {
    let lower = option.map(|option| format!("lower {option}, or "));
    let lower = lower.as_deref().unwrap_or_default();
    io::Error::other(format!(
        "cannot {what}: {error}; {lower}raise the limit of processes (ulimit -u) or memory (ulimit -v)"
    ))
}

/// Locks a mutex whose data is consistent even if a holder panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

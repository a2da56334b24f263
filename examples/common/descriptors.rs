//! Open files, of which the system allows a process only so many.

use std::fmt;
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Once;
use std::time::Duration;

use super::output::warn;

/// The pause before a file is opened again if too many are open.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);

/// Descriptors that a program needs besides those of its workers: standard streams, signals, the
/// runtime, and what libraries open for a moment.
const OTHERS: usize = 24;

/// What one worker and the rest of the program need at least to make progress.
const LEAST: usize = 8;

/// Whether an error means that too many files are open, in this process or in the system. Some will
/// be closed, so it passes.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    #[cfg(unix)]
    return matches!(
        error.raw_os_error(),
        Some(nix::libc::EMFILE | nix::libc::ENFILE)
    );
    #[cfg(not(unix))]
    return false;
}

/// Writes to stderr, once, that the program waits because of a shortage.
pub(crate) fn warn_of_shortage(error: &io::Error) {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| warn(format_args!("{error}: waiting until some are closed")));
}

/// Raises the limit of open files as far as the system allows.
pub(crate) fn raise_limit() {
    #[cfg(unix)]
    {
        use nix::sys::resource::Resource;
        use nix::sys::resource::getrlimit;
        use nix::sys::resource::setrlimit;

        if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
            if soft < hard {
                // If this fails, the old limit still holds.
                let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
            }
        }
    }
}

/// Fails if fewer than `least` more files can be opened.
pub(crate) fn check(least: usize) -> io::Result<()> {
    match limit() {
        Some(limit) if limit < open().saturating_add(least) => Err(io::Error::other(format!(
            "cannot start: at most {limit} files may be open, which is too few; raise the limit \
             (ulimit -n)"
        ))),
        _ => Ok(()),
    }
}

/// How many of the `wanted` workers the limit of open files allows, at least one. Each needs `each`
/// descriptors, and the rest of the program needs `rest`. Fewer than wanted are announced on stderr.
/// It fails if one worker might wait forever.
pub(crate) fn affordable(
    wanted: NonZeroUsize,
    what: impl fmt::Display,
    each: usize,
    rest: usize,
) -> io::Result<NonZeroUsize> {
    let Some(limit) = limit() else {
        return Ok(wanted);
    };
    check(LEAST)?;
    let affordable = limit.saturating_sub(open() + OTHERS + rest) / each;
    let affordable = NonZeroUsize::new(affordable).unwrap_or(NonZeroUsize::MIN);
    if affordable < wanted {
        warn(format_args!(
            "only {affordable} of {wanted} {what}, because at most {limit} files may be open \
             (ulimit -n)"
        ));
    }
    Ok(wanted.min(affordable))
}

fn limit() -> Option<usize> {
    #[cfg(unix)]
    {
        use nix::sys::resource::Resource;
        use nix::sys::resource::getrlimit;

        let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
        soft.try_into().ok()
    }
    #[cfg(not(unix))]
    None
}

/// The number of files that are open now.
fn open() -> usize {
    match fs::read_dir("/dev/fd") {
        Ok(descriptors) => descriptors.count(),
        Err(error) if is_shortage(&error) => usize::MAX,
        // Without this directory, what the caller has inherited is not known.
        Err(_) => 3,
    }
}

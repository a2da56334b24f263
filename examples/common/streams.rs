//! The standard streams that were closed when the program started.
//!
//! Rust opens /dev/null in their place before `main`, and ignores the error of writing to a stream
//! that is not open for writing. A program would succeed and print nothing.

use std::fs::File;
use std::io;
use std::path::Path;

/// Stdin as a file, whose errors are not ignored.
pub(crate) fn stdin() -> io::Result<File> {
    platform::check(0, false)?;
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;

        Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
    }
    #[cfg(windows)]
    {
        use std::os::windows::io::AsHandle;

        Ok(io::stdin().as_handle().try_clone_to_owned()?.into())
    }
}

/// Whether a path means stdin. Its readers may share a position in the input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    let names = ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];
    names.iter().any(|name| path == Path::new(name))
}

/// Fails if stdout was closed, or is not open for writing.
pub(crate) fn check_stdout() -> io::Result<()> {
    platform::check(1, true)
}

#[cfg(unix)]
mod platform {
    use std::io;
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering;

    use nix::libc;

    /// Whether stdin and stdout were closed.
    static CLOSED: [AtomicBool; 2] = [AtomicBool::new(false), AtomicBool::new(false)];

    /// Runs before Rust opens /dev/null. It uses nothing of `std` that needs `main`.
    #[ctor::ctor(unsafe)]
    fn find_closed() {
        for (stream, closed) in (0..).zip(&CLOSED) {
            closed.store(flags(stream) == -1, Ordering::Relaxed);
        }
    }

    pub(super) fn check(stream: usize, writes: bool) -> io::Result<()> {
        let access = flags(stream as libc::c_int) & libc::O_ACCMODE;
        let is_unwritable = writes && access == libc::O_RDONLY;
        if CLOSED[stream].load(Ordering::Relaxed) || is_unwritable {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        Ok(())
    }

    /// The flags of a descriptor, or -1 if it is closed.
    fn flags(stream: libc::c_int) -> libc::c_int {
        // SAFETY: F_GETFL takes no pointer, and any number may be passed as the descriptor.
        unsafe { libc::fcntl(stream, libc::F_GETFL) }
    }
}

#[cfg(not(unix))]
mod platform {
    use std::io;

    pub(super) fn check(_stream: usize, _writes: bool) -> io::Result<()> {
        Ok(())
    }
}

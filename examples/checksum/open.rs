//! Opening a file to hash.

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::path::Path;

#[cfg(unix)]
use nix::fcntl::FcntlArg;
#[cfg(unix)]
use nix::fcntl::OFlag;

/// Opens a regular file.
pub(crate) fn open(path: &Path, follow_links: bool) -> io::Result<File> {
    // Looked at first, because opening a device may have an effect.
    let metadata = if follow_links {
        path.metadata()?
    } else {
        path.symlink_metadata()?
    };
    if !metadata.is_file() {
        return Err(not_regular());
    }
    open_without_waiting(path, follow_links)
}

/// Opens a regular file that may not be one any more. If a fifo has taken its place, opening it
/// would wait for a writer.
pub(crate) fn open_without_waiting(path: &Path, follow_links: bool) -> io::Result<File> {
    let file = options(follow_links).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(not_regular());
    }
    // Some files of the system, such as /proc/kmsg, have to be waited for.
    #[cfg(unix)]
    nix::fcntl::fcntl(&file, FcntlArg::F_SETFL(OFlag::empty()))?;
    Ok(file)
}

fn not_regular() -> io::Error {
    io::Error::other("not a regular file")
}

#[cfg(unix)]
fn options(follow_links: bool) -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;

    use nix::libc;

    let no_link = if follow_links { 0 } else { libc::O_NOFOLLOW };
    let mut options = File::options();
    options
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | no_link);
    options
}

#[cfg(not(unix))]
fn options(_follow_links: bool) -> OpenOptions {
    let mut options = File::options();
    options.read(true);
    options
}

//! Files that a program writes.

use std::fs;
use std::fs::File;
use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;

use tempfile::NamedTempFile;

use super::threads::lock;

/// A file that is written beside the one that it replaces. So that one stays as it is until the new
/// one is complete, whatever happens meanwhile.
pub(crate) struct NewFile {
    path: PathBuf,
    kind: Kind,
}

enum Kind {
    Replaces {
        temporary: NamedTempFile,
        target: PathBuf,
    },
    /// A device, a fifo, or a standard stream cannot be replaced.
    InPlace(File),
}

/// The temporary files to remove if the process is ended at once.
static TEMPORARY: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

impl NewFile {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Self::try_create(path)
            .map_err(|error| io::Error::other(format!("cannot create {path:?}: {error}")))
    }

    fn try_create(path: &Path) -> io::Result<Self> {
        let kind = match fs::metadata(path) {
            Ok(old) if !old.is_file() || is_standard_stream(&old) => {
                Kind::InPlace(File::options().write(true).open(path)?)
            }
            old => {
                let target = follow_links(path)?;
                let temporary = temporary_beside(&target)?;
                if let Ok(old) = old {
                    take_over(temporary.as_file(), &old)?;
                }
                Kind::Replaces { temporary, target }
            }
        };
        let path = path.to_owned();
        Ok(Self { path, kind })
    }

    /// Another handle to the file to write.
    pub(crate) fn file(&self) -> io::Result<File> {
        match &self.kind {
            Kind::Replaces { temporary, .. } => temporary.as_file().try_clone(),
            Kind::InPlace(file) => file.try_clone(),
        }
    }

    pub(crate) fn cannot_write(&self, error: &io::Error) -> io::Error {
        cannot_write(&self.path, error)
    }

    /// Replaces the old file. Without this, it stays.
    pub(crate) fn commit(self) -> io::Result<()> {
        let Kind::Replaces { temporary, target } = self.kind else {
            return Ok(());
        };
        let name = temporary.path().to_owned();
        let replaced = (temporary.as_file().sync_all())
            .and_then(|()| temporary.persist(target).map_err(|error| error.error));
        lock(&TEMPORARY).retain(|temporary| *temporary != name);
        match replaced {
            Ok(_) => Ok(()),
            Err(error) => Err(cannot_write(&self.path, &error)),
        }
    }
}

/// Removes what [`NewFile`]s have written, before the process is ended at once.
pub(crate) fn remove_temporary() {
    for path in lock(&TEMPORARY).drain(..) {
        // Perhaps it is gone by now.
        let _ = fs::remove_file(path);
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> io::Error {
    io::Error::other(format!("cannot write {path:?}: {error}"))
}

/// Whether both are the same file, perhaps by different names. A terminal or another device may be
/// both read and written.
pub(crate) fn is_same(a: &Metadata, b: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        use std::os::unix::fs::MetadataExt;

        let is_device = a.file_type().is_char_device();
        !is_device && (a.dev(), a.ino()) == (b.dev(), b.ino())
    }
    #[cfg(not(unix))]
    {
        let _ = (a, b);
        false
    }
}

pub(crate) fn is_pipe(file: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;

        file.file_type().is_fifo()
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        false
    }
}

/// The regular file to which stdout goes, if it does.
pub(crate) fn stdout() -> Option<Metadata> {
    let stdout = fs::metadata("/dev/stdout").ok()?;
    stdout.is_file().then_some(stdout)
}

/// The path that the links at `path` lead to. Nothing need exist there.
fn follow_links(path: &Path) -> io::Result<PathBuf> {
    /// As many as Linux follows.
    const MOST_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            Ok(link) => path = path.parent().unwrap_or(Path::new("")).join(link),
            // No link. Any other error is found again.
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

fn temporary_beside(target: &Path) -> io::Result<NamedTempFile> {
    let directory = match target.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    // Its error is clearer than that of the temporary file.
    fs::metadata(directory)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".").suffix(".new");
    #[cfg(unix)]
    let permissions = {
        use std::os::unix::fs::PermissionsExt;

        // As for any new file: the system removes what the umask forbids.
        fs::Permissions::from_mode(0o666)
    };
    #[cfg(unix)]
    builder.permissions(permissions);
    // Locked meanwhile, so that no file is left behind if the process is ended at once.
    let mut all = lock(&TEMPORARY);
    let temporary = builder.tempfile_in(directory)?;
    all.push(temporary.path().to_owned());
    Ok(temporary)
}

/// Gives the new file the permissions of the old one, and its owner if that is possible.
fn take_over(new: &File, old: &Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        use std::os::unix::fs::fchown;

        let _ = fchown(new, Some(old.uid()), Some(old.gid()));
    }
    new.set_permissions(old.permissions())
}

fn is_standard_stream(file: &Metadata) -> bool {
    #[cfg(unix)]
    {
        let streams = ["/dev/stdout", "/dev/stderr"];
        streams
            .iter()
            .any(|stream| fs::metadata(stream).is_ok_and(|stream| is_same(&stream, file)))
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        false
    }
}

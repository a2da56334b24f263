//! Files that a program writes.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::fs::File;
use std::fs::Metadata;
use std::io;
use std::io::ErrorKind;
use std::io::Seek;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;

use tempfile::NamedTempFile;

use super::threads::lock;

/// A path to write to.
pub(crate) struct Target {
    path: PathBuf,
    /// What is there already.
    old: Option<File>,
}

impl Target {
    /// Opens what is at the path, as a redirection in a shell does, but changes nothing. It fails
    /// if nothing can be written there. Opening a fifo waits for a reader.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let old = match File::options().write(true).open(path) {
            Ok(old) => Some(old),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(cannot_create(path, &error)),
        };
        let path = path.to_owned();
        Ok(Self { path, old })
    }

    /// Creates the file. Signals must be handled before, or one that ends the process leaves a
    /// temporary file behind.
    pub(crate) fn create(self) -> io::Result<NewFile> {
        match Kind::create(&self.path, self.old) {
            Ok(kind) => Ok(NewFile {
                path: self.path,
                kind,
            }),
            Err(error) => Err(cannot_create(&self.path, &error)),
        }
    }
}

/// A file that is written beside the one that it replaces. So that one stays as it is until the new
/// one is complete, whatever happens meanwhile.
///
/// If the process is killed, which it cannot handle, the new file stays. It is named after the old
/// one: `.NAME.XXXXXX.new`.
pub(crate) struct NewFile {
    path: PathBuf,
    kind: Kind,
}

enum Kind {
    Replaces {
        temporary: NamedTempFile,
        /// `None` if the old file is overwritten, because it cannot be replaced by one of the same owner at
        /// the same path.
        target: Option<PathBuf>,
        old: Option<File>,
    },
    /// A device, a fifo, or a pipe cannot be replaced.
    InPlace(File),
}

/// The temporary files to remove if the process is ended at once.
static TEMPORARY: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// The files that are being overwritten, and the complete ones.
static OVERWRITTEN: Mutex<Vec<(PathBuf, PathBuf)>> = Mutex::new(Vec::new());

impl Kind {
    fn create(path: &Path, old: Option<File>) -> io::Result<Self> {
        let metadata = old.as_ref().map(File::metadata).transpose()?;
        let old = match (old, &metadata) {
            (Some(old), Some(metadata)) if !metadata.is_file() => return Ok(Self::InPlace(old)),
            (old, _) => old,
        };
        let target = follow_links(path)?;
        let (temporary, target) = match (metadata, target) {
            (None, None) => return Err(ErrorKind::InvalidInput.into()),
            (None, Some(target)) => (temporary_beside(&target, Access::Umask)?, Some(target)),
            (Some(_), None) => (temporary_elsewhere(path)?, None),
            (Some(old), Some(target)) => match temporary_beside(&target, Access::Owner) {
                Ok(new) if take_over(new.as_file(), &old)? => (new, Some(target)),
                Ok(new) => (new, None),
                Err(error) if is_irreplaceable(&error) => (temporary_elsewhere(&target)?, None),
                Err(error) => return Err(error),
            },
        };
        Ok(Self::Replaces {
            temporary,
            target,
            old,
        })
    }
}

impl NewFile {
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

    /// A file in the system's directory for temporary files, to write if this one cannot be written.
    pub(crate) fn elsewhere(&self) -> io::Result<Self> {
        let path = self.path.clone();
        let kind = Kind::Replaces {
            temporary: temporary_elsewhere(&path)?,
            target: None,
            old: None,
        };
        Ok(Self { path, kind })
    }

    /// Keeps what was written under its temporary name, and adds that to the error.
    pub(crate) fn keep_because(self, error: io::Error) -> io::Error {
        match self.kind {
            Kind::Replaces { temporary, .. } => keep(temporary, error),
            Kind::InPlace(_) => error,
        }
    }

    /// Replaces the old file. Without this, it stays. If it cannot be replaced, as the target of a
    /// mount cannot, it is overwritten. If that fails too, the error says where the new file is.
    pub(crate) fn commit(self) -> io::Result<()> {
        let Kind::Replaces {
            temporary,
            target,
            old,
        } = self.kind
        else {
            return Ok(());
        };
        let written = match (replace(&temporary, target.as_deref()), old) {
            (Err(error), Some(old)) if is_irreplaceable(&error) => {
                overwrite(&self.path, &old, &temporary)
            }
            (replaced, _) => replaced,
        };
        match written {
            Ok(()) => keep_if_ended(temporary.path()),
            Err(error) => return Err(cannot_write(&self.path, &keep(temporary, error))),
        }
        Ok(())
    }
}

fn replace(new: &NamedTempFile, target: Option<&Path>) -> io::Result<()> {
    new.as_file().sync_all()?;
    match target {
        Some(target) => fs::rename(new.path(), target),
        None => Err(ErrorKind::PermissionDenied.into()),
    }
}

/// Keeps what was written, and adds to the error where it is.
fn keep(temporary: NamedTempFile, error: io::Error) -> io::Error {
    keep_if_ended(temporary.path());
    match temporary.keep() {
        Ok((_, kept)) => io::Error::other(format!("{error}; what was written is in {kept:?}")),
        Err(_) => error,
    }
}

/// Whether an error means that the file may only be written in place: it is the target of a mount,
/// belongs to another user in a directory such as /tmp, or is in a directory that is read-only.
fn is_irreplaceable(error: &io::Error) -> bool {
    let kinds = [
        ErrorKind::PermissionDenied,
        ErrorKind::ReadOnlyFilesystem,
        ErrorKind::ResourceBusy,
        ErrorKind::CrossesDevices,
    ];
    kinds.contains(&error.kind())
}

fn overwrite(path: &Path, mut old: &File, temporary: &NamedTempFile) -> io::Result<()> {
    let mut new = temporary.as_file();
    new.rewind()?;
    // If the process is ended meanwhile, only the temporary file is complete.
    let complete = temporary.path();
    keep_if_ended(complete);
    lock(&OVERWRITTEN).push((path.to_owned(), complete.to_owned()));
    let overwritten = io::copy(&mut new, &mut old).and_then(|length| {
        old.set_len(length)?;
        old.sync_all()
    });
    lock(&OVERWRITTEN).retain(|(_, other)| other != complete);
    overwritten.map_err(|error| io::Error::other(format!("{error}; it may be incomplete now")))
}

/// Keeps a temporary file when the process is ended at once.
fn keep_if_ended(path: &Path) {
    lock(&TEMPORARY).retain(|temporary| temporary != path);
}

/// Removes what [`NewFile`]s have written, before the process is ended at once. Returns a message for
/// each file that is being overwritten.
pub(crate) fn give_up() -> Vec<String> {
    for path in lock(&TEMPORARY).drain(..) {
        // Perhaps it is gone by now.
        let _ = fs::remove_file(path);
    }
    let message = |(path, complete)| {
        format!("{path:?} may be incomplete now; the complete file is {complete:?}")
    };
    lock(&OVERWRITTEN).drain(..).map(message).collect()
}

fn cannot_create(path: &Path, error: &io::Error) -> io::Error {
    io::Error::other(format!("cannot create {path:?}: {error}"))
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

/// The path that the links at `path` lead to. Nothing need exist there. `None` for a descriptor, such as
/// `/dev/fd/3`: its file may have no path, and the program that opened it would not see another.
pub(crate) fn follow_links(path: &Path) -> io::Result<Option<PathBuf>> {
    /// As many as Linux follows.
    const MOST_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            Ok(_) if is_descriptor(&path) => return Ok(None),
            Ok(link) => path = path.parent().unwrap_or(Path::new("")).join(link),
            // No link. Any other error is found again.
            Err(_) => return Ok(Some(path)),
        }
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

/// Whether a link is one of the system's, for an open file.
fn is_descriptor(link: &Path) -> bool {
    let directory = directory_of(link).canonicalize();
    directory.is_ok_and(|directory| directory.starts_with("/proc") && directory.ends_with("fd"))
}

/// Whether a file of that name can be created. With a slash behind it, only a directory can.
fn ends_with_name(path: &Path) -> bool {
    let bytes = path.as_os_str().as_encoded_bytes();
    path.file_name()
        .is_some_and(|name| bytes.ends_with(name.as_encoded_bytes()))
}

/// A temporary file in the directory of the file that it replaces.
fn temporary_beside(target: &Path, access: Access) -> io::Result<NamedTempFile> {
    if !ends_with_name(target) {
        return Err(ErrorKind::IsADirectory.into());
    }
    temporary_in(directory_of(target), target, access)
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

/// A temporary file in the system's directory for these.
fn temporary_elsewhere(target: &Path) -> io::Result<NamedTempFile> {
    let directory = env::temp_dir();
    let temporary = temporary_in(&directory, target, Access::Owner);
    temporary.map_err(|error| io::Error::new(error.kind(), format!("{directory:?}: {error}")))
}

/// The permissions of a new file.
#[derive(Clone, Copy)]
enum Access {
    /// Only its owner may read it, until it takes over the permissions of the old file.
    Owner,
    /// Those of any new file, which depend on the umask.
    Umask,
}

fn temporary_in(directory: &Path, target: &Path, access: Access) -> io::Result<NamedTempFile> {
    /// A name of up to 255 bytes is allowed, and more is added to this one.
    const MOST_BYTES: usize = 200;
    // Its error is clearer than that of the temporary file.
    fs::metadata(directory)?;
    let mut prefix = OsString::from(".");
    if let Some(name) = target.file_name().filter(|name| name.len() <= MOST_BYTES) {
        prefix.push(name);
        prefix.push(".");
    }
    let mut options = File::options();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;

        options.mode(match access {
            Access::Owner => 0o600,
            // The system removes what the umask forbids.
            Access::Umask => 0o666,
        });
    }
    #[cfg(not(unix))]
    let _ = access;
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".new");
    // Locked meanwhile, so that no file is left behind if the process is ended at once.
    let mut all = lock(&TEMPORARY);
    let temporary = builder.make_in(directory, |path| options.open(path))?;
    all.push(temporary.path().to_owned());
    Ok(temporary)
}

/// Gives the new file the owner, the group and the permissions of the old one. Returns false if that is
/// not possible: only root can give a file to another user.
fn take_over(new: &File, old: &Metadata) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        use std::os::unix::fs::fchown;

        let owner = |file: &Metadata| (file.uid(), file.gid());
        let (user, group) = owner(old);
        // Whether this has succeeded is seen below.
        let _ = fchown(new, Some(user), Some(group));
        if owner(&new.metadata()?) != (user, group) {
            return Ok(false);
        }
    }
    new.set_permissions(old.permissions())?;
    Ok(true)
}

/// Whether stdout or stderr goes to the regular file at the path. Output to the same file would
/// overwrite theirs.
pub(crate) fn is_standard_output(path: &Path) -> bool {
    #[cfg(unix)]
    {
        let Ok(file) = fs::metadata(path) else {
            return false;
        };
        let streams = ["/dev/stdout", "/dev/stderr"];
        let is_file = |stream| fs::metadata(stream).is_ok_and(|stream| is_same(&stream, &file));
        file.is_file() && streams.into_iter().any(is_file)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

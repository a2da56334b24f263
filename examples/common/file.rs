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
        /// `None` if the directory of the old file takes no new one. The old file is then overwritten,
        /// and the temporary file is in the system's directory for these.
        target: Option<PathBuf>,
        old: Option<File>,
    },
    /// A device, a fifo, or a pipe cannot be replaced.
    InPlace(File),
}

/// The temporary files to remove if the process is ended at once.
static TEMPORARY: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

impl Kind {
    fn create(path: &Path, old: Option<File>) -> io::Result<Self> {
        let metadata = old.as_ref().map(File::metadata).transpose()?;
        let old = match (old, &metadata) {
            (Some(old), Some(metadata)) if !metadata.is_file() => return Ok(Self::InPlace(old)),
            (old, _) => old,
        };
        let target = follow_links(path)?;
        if !ends_with_name(&target) {
            return Err(ErrorKind::IsADirectory.into());
        }
        let access = match old {
            Some(_) => Access::Owner,
            None => Access::Umask,
        };
        let (temporary, target) = match temporary_in(directory_of(&target), &target, access) {
            Err(error) if old.is_some() && is_irreplaceable(&error) => {
                let temporary = temporary_in(&env::temp_dir(), &target, access)?;
                (temporary, None)
            }
            temporary => (temporary?, Some(target)),
        };
        if let (Some(_), Some(metadata)) = (&target, metadata) {
            take_over(temporary.as_file(), &metadata)?;
        }
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
        let name = temporary.path().to_owned();
        let committed = replace(&temporary, target.as_deref(), old.as_ref())
            .map_err(|error| cannot_write(&self.path, &keep(temporary, error)));
        keep_if_ended(&name);
        committed
    }
}

fn replace(new: &NamedTempFile, target: Option<&Path>, old: Option<&File>) -> io::Result<()> {
    new.as_file().sync_all()?;
    let replaced = match target {
        Some(target) => fs::rename(new.path(), target),
        None => Err(ErrorKind::PermissionDenied.into()),
    };
    match (replaced, old) {
        (Err(error), Some(old)) if is_irreplaceable(&error) => {
            // If the process is ended meanwhile, nothing else is complete.
            keep_if_ended(new.path());
            overwrite(old, new.as_file())
        }
        (replaced, _) => replaced,
    }
}

/// Keeps what was written, and adds to the error where it is.
fn keep(temporary: NamedTempFile, error: io::Error) -> io::Error {
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

fn overwrite(mut old: &File, mut new: &File) -> io::Result<()> {
    new.rewind()?;
    let length = io::copy(&mut new, &mut old)?;
    old.set_len(length)?;
    old.sync_all()
}

/// Keeps a temporary file when the process is ended at once.
fn keep_if_ended(path: &Path) {
    lock(&TEMPORARY).retain(|temporary| temporary != path);
}

/// Removes what [`NewFile`]s have written, before the process is ended at once.
pub(crate) fn remove_temporary() {
    for path in lock(&TEMPORARY).drain(..) {
        // Perhaps it is gone by now.
        let _ = fs::remove_file(path);
    }
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

/// Whether a file of that name can be created. With a slash behind it, only a directory can.
fn ends_with_name(path: &Path) -> bool {
    let bytes = path.as_os_str().as_encoded_bytes();
    path.file_name()
        .is_some_and(|name| bytes.ends_with(name.as_encoded_bytes()))
}

fn directory_of(target: &Path) -> &Path {
    match target.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
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
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".new");
    #[cfg(unix)]
    if let Access::Umask = access {
        use std::os::unix::fs::PermissionsExt;

        // By default, only its owner may read it. The system removes what the umask forbids.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
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

use super::request::Request;
use super::resolved_path::ResolvedPath;
use crate::file::load::OpenedFile;
use crate::file::options::{Durability, FileOptions};
use crate::file::stamp::Stamp;
use crate::{Error, Result, sys};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use tempfile::{NamedTempFile, TempPath};

/// The outcome of a replacement.
#[derive(Debug, PartialEq)]
pub(super) enum ReplaceOutcome {
    Done,
    /// Somebody without our lock has changed the file since it was read: read it again.
    ChangedMeanwhile,
}

/// Replaces the `old` content by `text`, for readers in one step. The caller holds the lock.
pub(super) fn replace(
    path: &ResolvedPath,
    request: &Request,
    old: Option<OpenedFile>,
    text: &str,
) -> Result<ReplaceOutcome> {
    let options = &request.options;
    // Before anything is changed: what cannot be synced is not begun.
    let directory = match options.durability {
        Durability::Full => Some(DirectorySync::prepare(&path.directory)?),
        Durability::None | Durability::Ordered => None,
    };
    let temporary = create(path, old.as_ref(), options)?;
    let failed = |action: &'static str| move |error: io::Error| Error::io(&path.path, action, &error);
    // Not through tempfile's own writer, which hides the errno.
    sys::without_sigxfsz(|| temporary.as_file().write_all(text.as_bytes())).map_err(failed("write the new file"))?;
    if options.durability != Durability::None {
        // An fsync that failed is never tried again: the kernel would claim success for bytes it has dropped.
        temporary.as_file().sync_all().map_err(failed("sync the new file"))?;
    }
    if has_changed(path, request, old.as_ref())? {
        return Ok(ReplaceOutcome::ChangedMeanwhile);
    }
    let was_missing = old.is_none();
    let links = old.as_ref().map_or(1, |old| old.links);
    // Open until here, so that no new file could have its number; no longer, or it would go only with a later sync.
    drop(old);
    let Some(file) = rename(temporary, &path.path, was_missing)? else {
        return Ok(ReplaceOutcome::ChangedMeanwhile);
    };
    if links > 1 {
        tracing::warn!("{}: the file had {links} hard links; the other names keep the old flags", path.path.display());
    }
    match directory {
        Some(directory) => directory.sync(&file, &path.path).map(|()| ReplaceOutcome::Done),
        None => Ok(ReplaceOutcome::Done),
    }
}

/// Whether the file is another than the old one by now, or the store's own path leads elsewhere.
fn has_changed(path: &ResolvedPath, request: &Request, old: Option<&OpenedFile>) -> Result<bool> {
    let stamp = old.map(|old| old.stamp);
    Ok(Stamp::at(&path.path)? != stamp || request.path != path.path && Stamp::at(&request.path)? != stamp)
}

/// Renames the temporary file into place. `None`: somebody has created the file that was missing.
fn rename(temporary: NamedTempFile, path: &Path, was_missing: bool) -> Result<Option<File>> {
    let failed = |error: io::Error| match error.raw_os_error() {
        Some(libc::EBUSY) => Error::io(path, "replace it, for it is mounted by itself: mount its directory", &error),
        _ => Error::io(path, "replace the file", &error),
    };
    let temporary = match was_missing {
        false => temporary,
        true => match temporary.persist_noclobber(path) {
            Ok(file) => return Ok(Some(file)),
            Err(refused) if refused.error.kind() == ErrorKind::AlreadyExists => return Ok(None),
            // Not every file system can do that.
            Err(refused) => refused.file,
        },
    };
    temporary.persist(path).map(Some).map_err(|refused| failed(refused.error))
}

/// Makes sure that content which is left alone, perhaps written without a sync, is on stable storage.
pub(super) fn sync_unchanged(path: &ResolvedPath, opened: &OpenedFile) -> Result<()> {
    let directory = DirectorySync::prepare(&path.directory)?;
    opened.file.sync_all().map_err(|error| not_durable(&path.path, &error))?;
    directory.sync(&opened.file, &path.path)
}

/// The way to make a rename durable.
enum DirectorySync {
    Directory(File),
    /// A directory that may be written but not read cannot be opened: sync the whole file system.
    FileSystem,
}

impl DirectorySync {
    fn prepare(path: &Path) -> Result<Self> {
        match File::open(path) {
            Ok(directory) => Ok(Self::Directory(directory)),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(Self::FileSystem),
            Err(error) => Err(Error::io(path, "open the directory", &error)),
        }
    }

    fn sync(&self, file: &File, path: &Path) -> Result<()> {
        let synced = match self {
            Self::FileSystem => sys::sync_file_system(file),
            Self::Directory(directory) => match directory.sync_all() {
                // Some file systems cannot sync a directory and need no such call.
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return Ok(()),
                // XFS that has shut down answers as if all were well, with its log dropped; a stat of the directory fails.
                result => result.and_then(|()| directory.metadata().map(drop)),
            },
        };
        synced.map_err(|error| not_durable(path, &error))
    }
}

fn not_durable(path: &Path, error: &io::Error) -> Error {
    Error::NotDurable { path: path.to_owned(), source: error.into() }
}

/// The temporary file under its one name; it is removed with its handle unless it is renamed.
fn create(path: &ResolvedPath, old: Option<&OpenedFile>, options: &FileOptions) -> Result<NamedTempFile> {
    let failed = |error: io::Error| Error::io(&path.directory, "create a temporary file", &error);
    // Nobody may read the new file who might not read the old; a new one gets its bits less the umask.
    let mode = if old.is_some() || options.mode.is_some() { 0o600 } else { 0o666 };
    let mut temporary = create_temporary(path, mode).map_err(failed)?;
    let mut refused = give_attributes(&temporary, old, options)?;
    if refused.contains(&sys::PERMISSIONS) {
        // Where no mode can be changed, it must be right from the beginning.
        if let Some(mode) = mode_from_the_beginning(temporary.as_file(), old, options) {
            drop(temporary);
            temporary = create_temporary(path, mode).map_err(failed)?;
            refused = give_attributes(&temporary, old, options)?;
        }
    }
    if !refused.is_empty() {
        tracing::warn!("{}: the new file cannot keep {}", path.path.display(), refused.join(", "));
    }
    Ok(temporary)
}

/// Gives the new file what the old one has; returns what it cannot have.
fn give_attributes(
    temporary: &NamedTempFile,
    old: Option<&OpenedFile>,
    options: &FileOptions,
) -> Result<Vec<&'static str>> {
    let file = temporary.as_file();
    let refused = match (old, options.mode) {
        (Some(old), _) => sys::copy_attributes(&old.file, file),
        (None, Some(mode)) => sys::set_permissions(file, mode),
        (None, None) => Ok(Vec::new()),
    };
    refused.map_err(|error| Error::io(temporary.path(), "set the permissions", &error))
}

/// The mode that a new file may be created with; `None`: its owner or group is another, who might gain by it.
fn mode_from_the_beginning(made: &File, old: Option<&OpenedFile>, options: &FileOptions) -> Option<u32> {
    let Some(old) = old else {
        return options.mode;
    };
    let (old, made) = (old.file.metadata().ok()?, made.metadata().ok()?);
    ((old.uid(), old.gid()) == (made.uid(), made.gid())).then(|| old.mode() & 0o777)
}

fn create_temporary(path: &ResolvedPath, mode: u32) -> io::Result<NamedTempFile> {
    let name = path.temporary_path();
    match create_once(&name, mode) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        result => return result,
    }
    // Its writer died: the lock is ours.
    if std::fs::remove_file(&name).is_ok() {
        return create_once(&name, mode);
    }
    // A stranger's, in a directory where only owners may remove.
    let prefix = name.file_stem().unwrap_or_default();
    tempfile::Builder::new().prefix(prefix).suffix(".tmp").make_in(&path.directory, |name| open_new(name, mode))
}

fn create_once(path: &Path, mode: u32) -> io::Result<NamedTempFile> {
    let file = open_new(path, mode)?;
    // From here on it is removed whatever happens.
    let path = TempPath::try_from_path(path)?;
    Ok(NamedTempFile::from_parts(file, path))
}

fn open_new(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).custom_flags(libc::O_CLOEXEC).open(path)?;
    sys::above_stdio(file)
}

use super::resolved_path::ResolvedPath;
use crate::file::load::{self, OpenedFile};
use crate::file::options::{Durability, FileOptions};
use crate::file::stamp::Stamp;
use crate::{Error, Result, sys};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use tempfile::{NamedTempFile, TempPath};

/// What became of a replacement.
#[derive(Debug, PartialEq)]
pub(super) enum ReplaceOutcome {
    Done,
    /// Somebody without our lock has changed the file since it was read: read it again.
    ChangedMeanwhile,
}

/// Puts `text` in the place of the `old` content, for readers in one step. The caller holds the lock.
///
/// `path` is the store's own path: if it leads elsewhere by now, the file was overtaken as well.
pub(super) fn replace(
    path: &Path,
    place: &ResolvedPath,
    old: Option<OpenedFile>,
    text: &str,
    options: &FileOptions,
) -> Result<ReplaceOutcome> {
    let sync = options.durability != Durability::None;
    let directory = match options.durability {
        Durability::Full => Some(open_directory(&place.directory)?),
        _ => None,
    };
    let temporary = create(place, old.as_ref(), options)?;
    let failed = |action| move |error: io::Error| Error::io(&place.path, action, &error);
    // Not through tempfile's own writer, which hides the errno.
    sys::without_sigxfsz(|| temporary.as_file().write_all(text.as_bytes())).map_err(failed("write the new file"))?;
    if sync {
        // An fsync that failed is never tried again: the kernel would claim success for bytes it has dropped.
        temporary.as_file().sync_all().map_err(failed("sync the new file"))?;
    }
    for at in [path, &place.path] {
        // A link in the path may lead elsewhere since the place was found: what was read there must not go here.
        if Stamp::at(at)? != old.as_ref().map(|old| old.stamp) {
            return Ok(ReplaceOutcome::ChangedMeanwhile);
        }
        if path == place.path {
            break;
        }
    }
    // Open until here, so that no new file could have its number; no longer, or it would go only with a later sync.
    drop(old);
    temporary.persist(&place.path).map_err(|refused| match refused.error.raw_os_error() {
        Some(libc::EBUSY) => failed("replace it, for it is mounted by itself: mount its directory")(refused.error),
        _ => failed("replace the file")(refused.error),
    })?;
    match directory {
        Some(directory) => sync_directory(&directory, &place.path).map(|()| ReplaceOutcome::Done),
        None => Ok(ReplaceOutcome::Done),
    }
}

/// Makes sure that content which is left alone, perhaps written without a sync, is on stable storage.
pub(super) fn sync_as_is(place: &ResolvedPath, content: &OpenedFile) -> Result<()> {
    content.file.sync_all().map_err(|error| not_durable(&place.path, &error))?;
    sync_directory(&open_directory(&place.directory)?, &place.path)
}

fn open_directory(path: &Path) -> Result<File> {
    File::open(path).map_err(|error| Error::io(path, "open the directory", &error))
}

fn sync_directory(directory: &File, path: &Path) -> Result<()> {
    match directory.sync_all() {
        // Some file systems cannot sync a directory and need no such call.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        // XFS that has shut down answers as if all were well, with its log dropped; a look at the directory tells.
        result => result.and_then(|()| directory.metadata().map(drop)).map_err(|error| not_durable(path, &error)),
    }
}

fn not_durable(path: &Path, error: &io::Error) -> Error {
    match Error::io(path, "sync", error) {
        Error::Io { path, source, .. } => Error::NotDurable { path, source },
        other => other,
    }
}

/// The temporary file under its one name; it goes away with its handle unless it takes the file's place.
fn create(place: &ResolvedPath, old: Option<&OpenedFile>, options: &FileOptions) -> Result<NamedTempFile> {
    let failed = |error: io::Error| Error::io(&place.directory, "create a temporary file", &error);
    // Nobody may read the new file who might not read the old; a new one gets its bits less the umask.
    let mode = if old.is_some() || options.mode.is_some() { 0o600 } else { 0o666 };
    let temporary = match create_once(place, mode) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // Its writer died: the lock is ours.
            std::fs::remove_file(place.temporary_path()).and_then(|()| create_once(place, mode)).map_err(failed)?
        }
        result => result.map_err(failed)?,
    };
    let file = temporary.as_file();
    match (old, options.mode) {
        (Some(old), _) => sys::copy_attributes(&old.file, file),
        (None, Some(mode)) => file.set_permissions(Permissions::from_mode(mode)),
        (None, None) => Ok(()),
    }
    .map_err(|error| Error::io(temporary.path(), "set the permissions", &error))?;
    Ok(temporary)
}

fn create_once(place: &ResolvedPath, mode: u32) -> io::Result<NamedTempFile> {
    let path = place.temporary_path();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode).custom_flags(libc::O_CLOEXEC);
    let file = options.open(&path)?;
    // From here on it is removed whatever happens.
    let path = TempPath::try_from_path(path)?;
    Ok(NamedTempFile::from_parts(sys::above_stdio(file)?, path))
}

/// The permission bits the file has, or those it would be created with. What is no regular file gets no lock file.
pub(super) fn mode_of(place: &ResolvedPath, options: &FileOptions) -> Result<u32> {
    match place.path.metadata() {
        Ok(metadata) => load::check_regular(&place.path, metadata.mode()).map(|()| metadata.mode()),
        Err(_) => Ok(options.mode.unwrap_or(0o666)),
    }
}

//! Reads the file: opens it, takes its stamp, reads all bytes from the one descriptor.

use super::history::{BadState, FileHistory};
use super::stamp::Stamp;
use crate::json::{self, ParseError};
use crate::{Error, Result, sys};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// How much is read at once to be compared, in bytes: small enough to stay in the processor's cache.
const CHUNK: usize = 64 << 10;

/// How often a file that is deleted between its opening and its fstat is opened again.
const ATTEMPTS: usize = 16;

/// The first delay before a bad file is read again; each is twice the one before.
const FIRST_DELAY: Duration = Duration::from_micros(500);
/// The longest of them.
const LONGEST_DELAY: Duration = Duration::from_millis(64);
/// The delays up to the longest, together.
const PATIENCE: Duration = Duration::from_micros(127_500);
/// How long a change waits for a file that its store has seen: a wrong guess would cost every flag.
const PATIENCE_OF_CHANGES: Duration = Duration::from_secs(1);

/// The open file that was read: its one descriptor is one snapshot.
pub(super) struct OpenedFile {
    pub(super) file: File,
    /// Taken before it was read.
    pub(super) stamp: Stamp,
    /// How many names the file had.
    pub(super) links: u64,
}

/// Why the file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Read,
    /// The flags that it lacks will be lost.
    Change,
}

/// Reads the file into `buffer` and parses it. `None`: there is no file, which is an empty store.
///
/// Other programs unlink, create and write where they should replace. So a file that is missing or does not parse is
/// read again after growing delays before that is believed; once per state of the file.
pub(super) fn read_with_retry<T>(
    path: &Path,
    max_bytes: usize,
    history: &FileHistory,
    purpose: Purpose,
    buffer: &mut Vec<u8>,
    mut parse: impl FnMut(&mut Vec<u8>) -> Result<T, ParseError>,
) -> Result<Option<(OpenedFile, T)>> {
    let (mut delay, mut waited) = (FIRST_DELAY, Duration::ZERO);
    loop {
        // Not afterwards: this thread may be suspended in between for longer than a change is recent.
        let before = sys::coarse_clock();
        let loaded = match load(path, max_bytes, history, buffer) {
            Err(error) if is_gone(&error) && waited < PATIENCE => {
                sys::sleep(delay);
                waited += delay;
                delay = (2 * delay).min(LONGEST_DELAY);
                continue;
            }
            loaded => loaded?,
        };
        let (opened, state, outcome) = match loaded {
            Some(opened) => match parse(buffer) {
                Ok(value) => {
                    history.saw_file();
                    return Ok(Some((opened, value)));
                }
                Err(error @ ParseError::Syntax { .. }) => {
                    // It may have been changed since it was opened.
                    let stamp = Some(Stamp::from(&status_of(path, &opened.file)?));
                    let failure = parse_failure(path, buffer, error);
                    (Some(opened), BadState { is_missing: false, stamp }, Err(failure))
                }
                Err(error) => return Err(parse_failure(path, buffer, error)),
            },
            None => {
                let stamp = path.parent().map_or(Ok(None), Stamp::at)?;
                (None, BadState { is_missing: true, stamp }, check_absence(path))
            }
        };
        let was_seen = state.is_missing && history.has_seen_file();
        let patience = if was_seen && purpose == Purpose::Change { PATIENCE_OF_CHANGES } else { PATIENCE };
        if history.has_waited_for(&state, patience) {
            return outcome.map(|()| None);
        }
        let is_old = || {
            let is_local = match opened {
                Some(OpenedFile { file, .. }) => sys::is_local(&file),
                None => path.parent().and_then(|parent| File::open(parent).ok()).is_some_and(|it| sys::is_local(&it)),
            };
            is_local && state.stamp.is_some_and(|stamp| !stamp.changed_recently(before))
        };
        if waited >= patience || !was_seen && is_old() {
            history.settle(state, waited.max(PATIENCE));
            return outcome.map(|()| None);
        }
        sys::sleep(delay);
        waited += delay;
        delay = (2 * delay).min(LONGEST_DELAY);
    }
}

/// A missing file is an empty store, but a link to nowhere or an unmounted directory must not turn every flag off.
fn check_absence(path: &Path) -> Result<()> {
    if std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
        return Err(Error::os(path, "follow the link", libc::ENOENT));
    }
    match path.parent().map(|parent| (parent, parent.metadata())) {
        Some((parent, Err(error))) => Err(Error::io(parent, "open the directory", &error)),
        _ => Ok(()),
    }
}

/// Whether there is a file at all; anything but a regular file is an error.
pub(super) fn is_present(path: &Path) -> Result<bool> {
    match open(path)? {
        Some(_) => Ok(true),
        None => check_absence(path).map(|()| false),
    }
}

/// Opens a regular file.
fn open(path: &Path) -> Result<Option<OpenedFile>> {
    let mut attempts = 0..ATTEMPTS;
    loop {
        // Without O_NONBLOCK a FIFO in the file's place would hang the caller.
        let file = match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(path, "open the file", &error)),
        };
        let status = match status_of(path, &file) {
            Err(error) if is_gone(&error) && attempts.next().is_some() => continue,
            status => status?,
        };
        check_regular(path, status.mode)?;
        return Ok(Some(OpenedFile { file, stamp: Stamp::from(&status), links: status.links }));
    }
}

/// Whether an open file was deleted: elsewhere (NFS), or on a file system that knows files by their paths only (FUSE).
pub(super) fn is_gone(error: &Error) -> bool {
    matches!(error.errno(), Some(libc::ESTALE | libc::ENOENT))
}

fn status_of(path: &Path, file: &File) -> Result<sys::FileStatus> {
    sys::fstat(file.as_fd()).map_err(|error| Error::io(path, "stat the file", &error))
}

/// By the bits that stat gives as the mode.
pub(super) fn check_regular(path: &Path, mode: u32) -> Result<()> {
    let errno = match mode & libc::S_IFMT {
        libc::S_IFREG => return Ok(()),
        libc::S_IFDIR => libc::EISDIR,
        _ => libc::EINVAL,
    };
    Err(Error::os(path, "use what is not a regular file", errno))
}

/// Opens the file, if it holds just these bytes. Any other outcome is reported by a proper read.
pub(super) fn open_if_content_is(path: &Path, bytes: &[u8]) -> Option<OpenedFile> {
    let opened = open(path).ok()??;
    if opened.stamp.size() != bytes.len() as u64 {
        return None;
    }
    let mut chunk = Vec::new();
    chunk.try_reserve_exact(bytes.len().min(CHUNK)).ok()?;
    let mut rest = bytes;
    while !rest.is_empty() {
        chunk.clear();
        match sys::read_into(&opened.file, &mut chunk, CHUNK) {
            Ok(count) if count > 0 => rest = rest.strip_prefix(chunk.as_slice())?,
            _ => return None,
        }
    }
    Some(opened)
}

/// Reads the file as it is, valid or not, without a retry; `None`: there is no file, which is an empty store.
pub(super) fn load_once(
    path: &Path,
    max_bytes: usize,
    history: &FileHistory,
    buffer: &mut Vec<u8>,
) -> Result<Option<OpenedFile>> {
    match load(path, max_bytes, history, buffer)? {
        None => check_absence(path).map(|()| None),
        opened => Ok(opened),
    }
}

/// Reads the file into `buffer`; `None`: there is no file.
pub(super) fn load(
    path: &Path,
    max_bytes: usize,
    history: &FileHistory,
    buffer: &mut Vec<u8>,
) -> Result<Option<OpenedFile>> {
    let Some(opened) = open(path)? else {
        return Ok(None);
    };
    if opened.links == 0 {
        warn_of_bind_mount(path, &opened.stamp, history);
    }
    let too_large = || parse_failure(path, &[], ParseError::TooLarge);
    let size = usize::try_from(opened.stamp.size()).ok().filter(|size| *size <= max_bytes).ok_or_else(too_large)?;
    let limit = max_bytes.saturating_add(1);
    buffer.clear();
    buffer.try_reserve_exact(size).map_err(|_| parse_failure(path, &[], ParseError::OutOfMemory))?;
    read_all(&opened.file, size, limit, buffer).map_err(|error| Error::io(path, "read the file", &error))?;
    if buffer.len() > max_bytes { Err(too_large()) } else { Ok(Some(opened)) }
}

/// Reads the `size` bytes that the file had when it was opened: what is appended meanwhile belongs to the next version.
/// Where a file system knows no sizes it is 0, and everything is read, up to `limit`.
fn read_all(file: &File, size: usize, limit: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
    if size == 0 {
        return file.take(limit as u64).read_to_end(buffer).map(drop);
    }
    while buffer.len() < size {
        if sys::read_into(file, buffer, size - buffer.len())? == 0 {
            break;
        }
    }
    Ok(())
}

/// A file without a name that the path still leads to was replaced elsewhere: no later version will ever be seen.
#[cold]
fn warn_of_bind_mount(path: &Path, stamp: &Stamp, history: &FileHistory) {
    let is_still_there = Stamp::at(path).is_ok_and(|now| now.is_some_and(|now| now.is_same_file(stamp)));
    if is_still_there && history.is_first_bind_mount_warning() {
        tracing::warn!(
            "{}: the file was replaced or deleted where it was mounted from; mount its directory, not the file: \
             no change of it is seen here any more",
            path.display()
        );
    }
}

/// The error for a text of this file that was not accepted.
pub(super) fn parse_failure(path: &Path, bytes: &[u8], error: ParseError) -> Error {
    match error {
        ParseError::Syntax { at, problem } => {
            let (line, column) = json::line_and_column(bytes, at);
            Error::Corrupt { path: path.to_owned(), line, column, problem }
        }
        ParseError::TooLarge => Error::TooLarge { path: Some(path.to_owned()), key: None },
        ParseError::OutOfMemory => Error::os(path, "hold the result", libc::ENOMEM),
    }
}

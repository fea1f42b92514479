use super::stamp::Stamp;
use crate::json::{self, ParseError};
use crate::{Error, Result, sys};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// What is read at once to be compared, in bytes: small enough to stay in the processor's cache.
const CHUNK: usize = 64 << 10;

/// The open file that was read, from its one descriptor: one snapshot of the file.
pub(super) struct OpenedFile {
    pub(super) file: File,
    /// Of the moment before it was read.
    pub(super) stamp: Stamp,
}

/// Reads the file into `buffer` and has `parse` make sense of it; `None`: there is no file, which is an empty store.
///
/// Other programs unlink, create and write where they should replace, and may be interrupted in the middle. So what is
/// missing or does not parse is looked at again, for as long as it changed within 100 ms before the look, before it is
/// believed.
pub(super) fn read_with_retry<T>(
    path: &Path,
    max_bytes: usize,
    buffer: &mut Vec<u8>,
    mut parse: impl FnMut(&[u8]) -> Result<T, ParseError>,
) -> Result<Option<(OpenedFile, T)>> {
    let mut pauses = (0..8).map(|doubled| Duration::from_micros(500 << doubled));
    loop {
        // Not afterwards: this thread may be kept waiting in between for longer than the file is young.
        let before = sys::coarse_clock();
        let (touched, outcome) = match load(path, max_bytes, buffer)? {
            Some(content) => match parse(buffer) {
                Ok(value) => return Ok(Some((content, value))),
                Err(fault @ ParseError::Syntax { .. }) => {
                    // It may have been changed since it was opened.
                    (Some(Stamp::of(&status_of(path, &content.file)?)), Err(refused(path, buffer, fault)))
                }
                Err(fault) => return Err(refused(path, buffer, fault)),
            },
            None => (stamp_of_directory(path)?, check_absence(path)),
        };
        match pauses.next() {
            Some(pause) if touched.is_some_and(|stamp| stamp.changed_recently(before)) => std::thread::sleep(pause),
            _ => return outcome.map(|()| None),
        }
    }
}

/// What is known of the file's directory, if there is one.
fn stamp_of_directory(path: &Path) -> Result<Option<Stamp>> {
    path.parent().map_or(Ok(None), Stamp::at)
}

/// A file that is not there is an empty store, but a link to nowhere or an unmounted directory must not turn every
/// flag off.
fn check_absence(path: &Path) -> Result<()> {
    let gone = |what: &Path, action| Err(Error::Io { path: what.to_owned(), action, source: libc::ENOENT.into() });
    if std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
        return gone(path, "follow the link");
    }
    match path.parent().map(|parent| (parent, parent.metadata())) {
        Some((parent, Err(error))) => Err(Error::io(parent, "open the directory", &error)),
        _ => Ok(()),
    }
}

/// Whether there is a file at all; what is no regular file is an error.
pub(super) fn is_present(path: &Path) -> Result<bool> {
    match open(path)? {
        Some(_) => Ok(true),
        None => check_absence(path).map(|()| false),
    }
}

/// Opens what may be read: a regular file.
fn open(path: &Path) -> Result<Option<(File, Stamp)>> {
    // Without O_NONBLOCK a FIFO in the file's place would hang the caller.
    let file = match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(path, "open the file", &error)),
    };
    let status = status_of(path, &file)?;
    check_regular(path, status.st_mode)?;
    Ok(Some((file, Stamp::of(&status))))
}

fn status_of(path: &Path, file: &File) -> Result<libc::stat64> {
    sys::fstat(file).map_err(|error| Error::io(path, "look at the file", &error))
}

/// By the bits that stat gives as the mode.
pub(super) fn check_regular(path: &Path, mode: u32) -> Result<()> {
    let errno = match mode & libc::S_IFMT {
        libc::S_IFREG => return Ok(()),
        libc::S_IFDIR => libc::EISDIR,
        _ => libc::EINVAL,
    };
    Err(Error::Io { path: path.to_owned(), action: "use what is not a regular file", source: errno.into() })
}

/// The file, if it holds just these bytes. Of whatever else there is a proper read tells.
pub(super) fn open_if_content_is(path: &Path, bytes: &[u8]) -> Option<OpenedFile> {
    let (file, stamp) = open(path).ok()??;
    let mut piece = Vec::new();
    piece.try_reserve_exact(bytes.len().min(CHUNK)).ok()?;
    piece.resize(bytes.len().min(CHUNK), 0);
    let mut rest = bytes;
    while !rest.is_empty() {
        match (&file).read(&mut piece) {
            Ok(count) if count > 0 => rest = rest.strip_prefix(&piece[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => return None,
        }
    }
    (stamp.size() == bytes.len() as u64).then_some(OpenedFile { file, stamp })
}

/// Reads the file as it is, valid or not; `None`: there is no file, which is an empty store.
pub(super) fn present(path: &Path, max_bytes: usize, buffer: &mut Vec<u8>) -> Result<Option<OpenedFile>> {
    match load(path, max_bytes, buffer)? {
        None => check_absence(path).map(|()| None),
        content => Ok(content),
    }
}

/// Reads the file into `buffer`; `None`: there is no file.
pub(super) fn load(path: &Path, max_bytes: usize, buffer: &mut Vec<u8>) -> Result<Option<OpenedFile>> {
    let Some((file, stamp)) = open(path)? else {
        return Ok(None);
    };
    let too_large = || Error::TooLarge { path: Some(path.to_owned()), key: None };
    let size = usize::try_from(stamp.size()).ok().filter(|size| *size <= max_bytes).ok_or_else(too_large)?;
    let missing = size.saturating_sub(buffer.len());
    buffer.try_reserve_exact(missing).map_err(|_| refused(path, &[], ParseError::OutOfMemory))?;
    let limit = max_bytes.saturating_add(1);
    read_all(&file, size, limit, buffer).map_err(|error| Error::io(path, "read the file", &error))?;
    if buffer.len() > max_bytes { Err(too_large()) } else { Ok(Some(OpenedFile { file, stamp })) }
}

/// Reads what the file held when it had `size` bytes: what is appended meanwhile is of the next version. Where a file
/// system knows no sizes it is 0, and everything is read, up to `limit`.
fn read_all(mut file: &File, size: usize, limit: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
    if size == 0 {
        buffer.clear();
        return file.take(limit as u64).read_to_end(buffer).map(drop);
    }
    // The bytes of the last read are as good as any to be overwritten.
    buffer.resize(size, 0);
    let mut end = 0;
    while end < size {
        match file.read(&mut buffer[end..]) {
            Ok(0) => break,
            Ok(count) => end += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(end);
    Ok(())
}

/// The error for a text of this file that was not taken.
pub(super) fn refused(path: &Path, bytes: &[u8], fault: ParseError) -> Error {
    let path = path.to_owned();
    match fault {
        ParseError::Syntax { at, problem } => {
            let (line, column) = json::line_and_column(bytes, at);
            Error::Corrupt { path, line, column, problem }
        }
        ParseError::TooLarge => Error::TooLarge { path: Some(path), key: None },
        ParseError::OutOfMemory => Error::Io { path, action: "hold the result", source: libc::ENOMEM.into() },
    }
}

use crate::json::{self, Fault};
use crate::{Error, Result, sys};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Whether two looks at a file saw the same content of the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The same of what stat says.
    pub(super) fn of_stat(status: &libc::stat64) -> Self {
        Self {
            device: status.st_dev,
            inode: status.st_ino,
            size: status.st_size as u64,
            modified: (status.st_mtime, status.st_mtime_nsec),
            changed: (status.st_ctime, status.st_ctime_nsec),
        }
    }

    pub(super) fn device(&self) -> u64 {
        self.device
    }

    /// Whether every change since the stamp was taken from the open file shows in it: clocks of file systems are
    /// coarse. `before` is their clock at a moment before the content was read. A stamp without nanoseconds may be
    /// of a clock that has only (even) seconds; one in the future is of none that can be trusted.
    pub(super) fn is_settled(&self, file: &File, before: Duration) -> bool {
        let newest = since_epoch(self.modified.max(self.changed));
        let coarse = self.modified.1 == 0 && self.changed.1 == 0;
        let tick = Duration::from_millis(if coarse { 2_100 } else { 20 });
        before.checked_sub(newest).is_some_and(|age| age > tick) || self.changed.1 != 0 && sys::has_precise_times(file)
    }

    /// What the path leads to now; `None` if to nothing.
    pub(super) fn at(path: &Path) -> Result<Option<Self>> {
        match std::fs::metadata(path) {
            Ok(metadata) => Ok(Some(Self::of(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(path, "look at the file", &error)),
        }
    }
}

/// One descriptor read to its end: one snapshot of the file.
pub(super) struct Content {
    pub(super) file: File,
    pub(super) metadata: Metadata,
    pub(super) stamp: Stamp,
    bytes: Vec<u8>,
}

impl Content {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads the file and has `parse` make sense of it; `None`: there is no file, which is an empty store.
///
/// Other programs unlink, create and write where they should replace, and may be interrupted in the middle. So what is
/// missing or does not parse is looked at again, for as long as it changed within the last 100 ms, before it is
/// believed.
pub(super) fn settled<T>(
    path: &Path,
    max_bytes: usize,
    mut parse: impl FnMut(&str) -> Result<T, Fault>,
) -> Result<Option<(Content, T)>> {
    let mut pauses = (0..8).map(|doubled| Duration::from_micros(500 << doubled));
    loop {
        let (touched, outcome) = match load(path, max_bytes)? {
            Some(content) => match json::utf8(&content.bytes).and_then(&mut parse) {
                Ok(value) => return Ok(Some((content, value))),
                Err(fault @ Fault::Syntax { .. }) => {
                    (Some(content.metadata), Err(refused(path, &content.bytes, fault)))
                }
                Err(fault) => return Err(refused(path, &content.bytes, fault)),
            },
            None => (directory_of(path)?, missing(path)),
        };
        match pauses.next() {
            Some(pause) if touched.is_some_and(|metadata| is_young(&metadata)) => std::thread::sleep(pause),
            _ => return outcome.map(|()| None),
        }
    }
}

fn is_young(metadata: &Metadata) -> bool {
    let newest = (metadata.mtime(), metadata.mtime_nsec()).max((metadata.ctime(), metadata.ctime_nsec()));
    // A stamp in the future may be as young as any.
    age(newest).is_none_or(|age| age < Duration::from_millis(100))
}

/// How long ago the time was, given in seconds and nanoseconds; `None`: it is yet to come.
fn age(time: (i64, i64)) -> Option<Duration> {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + since_epoch(time)).ok()
}

fn since_epoch(time: (i64, i64)) -> Duration {
    Duration::new(u64::try_from(time.0).unwrap_or(0), u32::try_from(time.1).unwrap_or(0))
}

/// What is known of the file's directory, if there is one.
fn directory_of(path: &Path) -> Result<Option<Metadata>> {
    match path.parent().map(|parent| (parent, parent.metadata())) {
        Some((_, Ok(metadata))) => Ok(Some(metadata)),
        Some((parent, Err(error))) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io(parent, "look at the directory", &error))
        }
        _ => Ok(None),
    }
}

/// A file that is not there is an empty store, but a link to nowhere or an unmounted directory must not turn every
/// flag off.
fn missing(path: &Path) -> Result<()> {
    let gone = |what: &Path, action| Err(Error::Io { path: what.to_owned(), action, errno: libc::ENOENT });
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
        None => missing(path).map(|()| false),
    }
}

/// Opens what may be read: a regular file.
pub(super) fn open(path: &Path) -> Result<Option<(File, Metadata)>> {
    // Without O_NONBLOCK a FIFO in the file's place would hang the caller.
    let file = match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(path, "open the file", &error)),
    };
    let metadata = file.metadata().map_err(|error| Error::io(path, "look at the file", &error))?;
    check_regular(path, &metadata)?;
    Ok(Some((file, metadata)))
}

pub(super) fn check_regular(path: &Path, metadata: &Metadata) -> Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let errno = if metadata.is_dir() { libc::EISDIR } else { libc::EINVAL };
    Err(Error::Io { path: path.to_owned(), action: "use what is not a regular file", errno })
}

/// The file's bytes as they are, valid or not; `None`: there is no file.
pub(super) fn present(path: &Path, max_bytes: usize) -> Result<Option<Content>> {
    match load(path, max_bytes)? {
        None => missing(path).map(|()| None),
        content => Ok(content),
    }
}

fn load(path: &Path, max_bytes: usize) -> Result<Option<Content>> {
    let Some((file, metadata)) = open(path)? else {
        return Ok(None);
    };
    let bytes = read_all(path, &file, metadata.size(), max_bytes)?;
    let stamp = Stamp::of(&metadata);
    Ok(Some(Content { file, metadata, stamp, bytes }))
}

pub(super) fn read_all(path: &Path, mut file: &File, size: u64, max_bytes: usize) -> Result<Vec<u8>> {
    let too_large =
        Error::Io { path: path.to_owned(), action: "read a file larger than max_bytes", errno: libc::EFBIG };
    if size > max_bytes as u64 {
        return Err(too_large);
    }
    let mut bytes = Vec::new();
    // One byte more than the size, so that the end is seen without growing.
    bytes.try_reserve_exact(size as usize + 1).map_err(|_| refused(path, &[], Fault::OutOfMemory))?;
    file.by_ref()
        .take(max_bytes as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io(path, "read the file", &error))?;
    if bytes.len() > max_bytes { Err(too_large) } else { Ok(bytes) }
}

/// The error for a text of this file that was not taken.
pub(super) fn refused(path: &Path, bytes: &[u8], fault: Fault) -> Error {
    let path = path.to_owned();
    match fault {
        Fault::Syntax { at, problem } => {
            let (line, column) = json::line_and_column(bytes, at);
            Error::Corrupt { path, line, column, problem }
        }
        Fault::TooLarge => Error::Io { path, action: "hold a result larger than max_bytes", errno: libc::EFBIG },
        Fault::OutOfMemory => Error::Io { path, action: "hold the result", errno: libc::ENOMEM },
    }
}

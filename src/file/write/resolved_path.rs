use crate::{Error, Result};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The longest name in a directory, in bytes, as of limits.h.
const NAME_MAX: usize = 255;

/// Where the file really is: symbolic links are followed, so that they survive its replacement.
pub(super) struct ResolvedPath {
    pub(super) path: PathBuf,
    pub(super) directory: PathBuf,
    name: OsString,
}

impl ResolvedPath {
    /// A link that points nowhere or a missing directory is an error, a missing file is not.
    pub(super) fn resolve(path: &Path) -> Result<Self> {
        let real = match path.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => Self::of_missing(path)?,
            result => result.map_err(|error| Error::io(path, "follow the path", &error))?,
        };
        match (real.parent(), real.file_name()) {
            (Some(directory), Some(name)) => Ok(Self { directory: directory.into(), name: name.into(), path: real }),
            _ => Err(is_directory(&real)),
        }
    }

    fn of_missing(path: &Path) -> Result<PathBuf> {
        match (path.parent(), path.file_name()) {
            // A slash at the end asks for a directory.
            (Some(parent), Some(name)) if !path.as_os_str().as_bytes().ends_with(b"/") => {
                let directory =
                    parent.canonicalize().map_err(|error| Error::io(parent, "open the directory", &error))?;
                Ok(directory.join(name))
            }
            _ => Err(is_directory(path)),
        }
    }

    /// The lock file beside the file: `.name.lock`.
    pub(super) fn lock_path(&self) -> PathBuf {
        self.sidecar(".lock")
    }

    /// The temporary file, always the same: `.name.tmp`. It belongs to the holder of the lock.
    pub(super) fn temporary_path(&self) -> PathBuf {
        self.sidecar(".tmp")
    }

    /// A name that leaves no room for the suffix is replaced by its hash. Two names of one hash share a lock, which
    /// does no harm.
    fn sidecar(&self, suffix: &str) -> PathBuf {
        let mut name = OsString::from(".");
        if self.name.len() + 1 + suffix.len() <= NAME_MAX {
            name.push(&self.name);
        } else {
            name.push(format!("flagstore-{:016x}", fnv1a(self.name.as_bytes())));
        }
        name.push(suffix);
        self.directory.join(name)
    }
}

fn is_directory(path: &Path) -> Error {
    Error::os(path, "use a directory as the file", libc::EISDIR)
}

/// FNV-1a with 64 bits: the same in every version of the library, which std's hash is not.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3))
}

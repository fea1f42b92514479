use crate::{Error, Result};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

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
            _ => Err(Error::Io { path: real, action: "use a directory as the file", source: libc::EISDIR.into() }),
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
            _ => {
                Err(Error::Io { path: path.into(), action: "use a directory as the file", source: libc::EISDIR.into() })
            }
        }
    }

    /// The lock file beside the file: `.name.lock`.
    pub(super) fn lock_path(&self) -> PathBuf {
        self.sidecar(".lock")
    }

    /// The temporary file, always the same: `.name.tmp`. Whoever holds the lock owns it.
    pub(super) fn temporary_path(&self) -> PathBuf {
        self.sidecar(".tmp")
    }

    fn sidecar(&self, suffix: &str) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(&self.name);
        name.push(suffix);
        self.directory.join(name)
    }
}

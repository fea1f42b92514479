//! ShardedMap in one JSON file. The way of a byte: `read` gets it, `commit` changes it under the `lock`, `replace` puts it
//! back.

mod events;
mod load;
mod options;
mod read;
mod revision;
mod stamp;
mod write;

pub use options::{Durability, FileOptions, ReadMode};
pub(crate) use write::register_fork_handlers;

use crate::json::ParseError;
use crate::stop_token::StopToken;
use crate::{Batch, Error, FlagStore, Result, Snapshot, Value, ValueRef};
use arc_swap::ArcSwapOption;
use read::{FlagsView, FreshCache, Reader};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use write::LastWrite;

/// ShardedMap in one JSON file, shared with any number of threads, processes and people with editors.
///
/// Every read reads the file, unless the [`ReadMode`] has it kept. A change locks it, reads it, and replaces it
/// atomically and durably. A missing file is an empty store; a file that is not one JSON object is
/// [`Error::Corrupt`] from every call and is never overwritten.
///
/// ```
/// use flagstore::{FileFlagStore, FileOptions, FlagStore, Value};
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("flags.json");
///
/// let store = FileFlagStore::open(&path)?;
/// store.set("checkout.new-button", true.into())?;
/// assert_eq!(std::fs::read_to_string(&path)?, "{\n  \"checkout.new-button\": true\n}\n");
///
/// let reader = FileFlagStore::open_with(&path, FileOptions::new().read_only(true))?;
/// assert_eq!(reader.get("checkout.new-button")?, Some(Value::from(true)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FileFlagStore {
    path: PathBuf,
    options: FileOptions,
    reader: Reader,
    memo: FreshCache,
    written: Arc<LastWrite>,
    /// The last revision, for as long as the file's stamp is the same.
    known: ArcSwapOption<revision::CachedRevision>,
    idle_events: events::SpareWatcher,
}

impl FileFlagStore {
    /// Opens the file with the default options; creates it (`{}`) if it is missing.
    ///
    /// # Errors
    ///
    /// Those of [`open_with`](Self::open_with).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, FileOptions::default())
    }

    /// Opens the file; creates it if it is missing, unless the options forbid that. The content is not read: a
    /// corrupt file is reported by the first call that needs it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] for a missing directory, a link to nowhere, a path that is not a regular file, or what the system
    /// refuses; [`Error::Locked`] if the file is missing and another holds its lock.
    pub fn open_with(path: impl AsRef<Path>, options: FileOptions) -> Result<Self> {
        Self::opened(path.as_ref(), options).inspect_err(Error::log)
    }

    fn opened(path: &Path, options: FileOptions) -> Result<Self> {
        if path.as_os_str().is_empty() {
            return Err(Error::Io {
                path: path.into(),
                action: "open a file without a name",
                source: libc::ENOENT.into(),
            });
        }
        // The working directory may change later.
        let path = std::path::absolute(path).map_err(|error| Error::io(path, "use the path", &error))?;
        let present = load::is_present(&path)?;
        if !present && options.must_exist {
            return Err(Error::Io { path, action: "open the file", source: libc::ENOENT.into() });
        }
        if !present && !options.read_only {
            write::create(&path, &options)?;
        }
        Ok(Self {
            reader: Reader::start(options.read_mode, &path, options.max_bytes)?,
            memo: FreshCache::new(options.cache_limit()),
            written: Arc::new(LastWrite::nothing()),
            path,
            options,
            known: ArcSwapOption::empty(),
            idle_events: events::SpareWatcher::new(),
        })
    }

    /// The absolute path of the file, as opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Has `look` see the flags as the read mode finds them. `None`: there is no file.
    fn read<T>(&self, mut look: impl FnMut(FlagsView<'_>) -> Result<T, ParseError>) -> Result<Option<T>> {
        if let Some(picture) = self.reader.picture() {
            let seen = look(FlagsView::CachedRef(&picture.flags));
            return seen.map(Some).map_err(|fault| load::refused(&self.path, &[], fault)).inspect_err(Error::log);
        }
        let limit = self.options.max_bytes;
        let mut buffer = self.memo.buffer();
        let seen =
            load::read_with_retry(&self.path, limit, &mut buffer, |bytes| self.memo.read(bytes, limit, &mut look));
        self.memo.keep(buffer, matches!(seen, Ok(Some((_, (_, true))))));
        let seen = seen.inspect_err(Error::log)?;
        self.reader.invalidate_unless(seen.as_ref().map(|(content, _)| &content.stamp));
        Ok(seen.map(|(_, (seen, _))| seen))
    }

    fn apply(&self, batch: &Batch) -> Result<bool> {
        let existed = write::apply(&self.path, &self.options, batch, &self.written).inspect_err(Error::log);
        self.reader.revalidate();
        existed
    }
}

impl fmt::Debug for FileFlagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, options, .. } = self;
        f.debug_struct("FileFlagStore").field("path", path).field("options", options).finish_non_exhaustive()
    }
}

impl FlagStore for FileFlagStore {
    fn get(&self, key: &str) -> Result<Option<Value>> {
        let mut found = Ok(None);
        self.visit(key, &mut |value| found = value.map(ValueRef::to_value).transpose())?;
        found.map_err(|error| error.of_flag(key)).inspect_err(Error::log)
    }

    fn set(&self, key: &str, value: Value) -> Result<()> {
        self.apply(&Batch::of(key, Some(value))).map(|_| ())
    }

    fn delete(&self, key: &str) -> Result<bool> {
        self.apply(&Batch::of(key, None))
    }

    fn list_all(&self) -> Result<Snapshot> {
        Ok(self.read(|source| source.snapshot())?.unwrap_or_default())
    }

    fn list_json(&self) -> Result<String> {
        Ok(self.read(|source| source.json())?.unwrap_or_else(|| "{}".into()))
    }

    fn len(&self) -> Result<usize> {
        Ok(self.read(|source| source.len())?.unwrap_or(0))
    }

    fn visit(&self, key: &str, visit: &mut dyn FnMut(Option<ValueRef<'_>>)) -> Result<()> {
        // The visitor runs once the whole has been found valid, so a second look never calls it twice.
        if self.read(|source| source.visit(key, visit))?.is_none() {
            visit(None);
        }
        Ok(())
    }

    fn max_bytes(&self) -> usize {
        self.options.max_bytes
    }

    fn commit(&self, batch: &Batch) -> Result<()> {
        self.apply(batch).map(|_| ())
    }

    fn revision(&self) -> Result<u64> {
        revision::revision(self).inspect_err(Error::log)
    }

    fn wait(&self, seen: u64, deadline: Option<Instant>) -> Result<Option<u64>> {
        revision::wait(self, seen, deadline, None).inspect_err(Error::log)
    }

    fn wait_unless_stopped(&self, seen: u64, deadline: Option<Instant>, stop: &StopToken) -> Result<Option<u64>> {
        revision::wait(self, seen, deadline, Some(stop)).inspect_err(Error::log)
    }
}

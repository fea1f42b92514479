//! Flags in one JSON file. `read` gets a flag from it, `write` changes it under a lock and replaces it.

mod options;
mod stamp;
mod history;
mod load;
mod read;
mod write;
mod events;
mod revision;

pub use options::{Durability, FileOptions, ReadMode};
pub(crate) use write::register_fork_handlers;

use crate::json::ParseError;
use crate::stop_token::StopToken;
use crate::value::StoredValue;
use crate::{Batch, Error, FlagStore, Result, Snapshot, Value, ValueRef};
use arc_swap::ArcSwapOption;
use events::SpareWatcher;
use history::FileHistory;
use load::Purpose;
use read::{FlagsView, FreshCache, ReadCache};
use revision::CachedRevision;
use stamp::Stamp;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use write::LastWrite;

/// Flags in one JSON file, shared with any number of threads, processes and people with editors.
///
/// Every read reads the file, unless the [`ReadMode`] caches it. A change locks the file, reads it, and replaces it
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
    history: Arc<FileHistory>,
    cache: ReadCache,
    fresh: FreshCache,
    last_write: LastWrite,
    cached_revision: ArcSwapOption<CachedRevision>,
    spare_events: SpareWatcher,
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
        let creates = !options.read_only;
        Self::open_path(path.as_ref(), options, creates)
    }

    /// The same, but a file that is missing is created by the first change.
    pub(crate) fn open_uncreated(path: &Path, options: FileOptions) -> Result<Self> {
        Self::open_path(path, options, false)
    }

    fn open_path(path: &Path, options: FileOptions, creates: bool) -> Result<Self> {
        if path.as_os_str().is_empty() {
            return Err(Error::os(path, "open a file without a name", libc::ENOENT));
        }
        register_fork_handlers();
        // The working directory may change later.
        let path = std::path::absolute(path).map_err(|error| Error::io(path, "use the path", &error))?;
        let is_present = load::is_present(&path)?;
        if !is_present && options.must_exist {
            return Err(Error::os(&path, "open the file", libc::ENOENT));
        }
        let history = Arc::new(FileHistory::new());
        if is_present {
            history.saw_file();
        }
        let store = Self {
            cache: ReadCache::start(&path, &options, &history)?,
            fresh: FreshCache::new(options.cache_limit()),
            history,
            last_write: LastWrite::new(),
            path,
            options,
            cached_revision: ArcSwapOption::empty(),
            spare_events: SpareWatcher::new(),
        };
        if !is_present && creates {
            write::create(&store)?;
        }
        Ok(store)
    }

    /// The absolute path of the file, as opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What `read` makes of the flag's value, without a copy of it, if the cache of the read mode has it at hand.
    /// `Some(None)`: there is no such flag, and the key is ASCII; a key that is found is text already. `None`: `read`
    /// has none, the key may not be text, or the cache does not know.
    #[cfg(feature = "capi")]
    #[inline(always)]
    pub(crate) fn peek<T>(&self, key: &[u8], read: impl FnOnce(StoredValue<'_>) -> Option<T>) -> Option<Option<T>> {
        match self.cache.peek()?.flags().peek(key)? {
            Some(value) => read(value).map(Some),
            None => key.is_ascii().then_some(None),
        }
    }

    /// Has `look` see the flags as the read mode finds them. `None`: there is no file.
    fn read<T>(&self, mut look: impl FnMut(FlagsView<'_>) -> Result<T, ParseError>) -> Result<Option<T>> {
        match self.cache.current() {
            Some(cached) => self.looked(look(FlagsView::Parsed(cached.flags()))).map(Some),
            None => self.read_file(look),
        }
    }

    /// The same without the cache of a read mode.
    fn read_file<T>(&self, mut look: impl FnMut(FlagsView<'_>) -> Result<T, ParseError>) -> Result<Option<T>> {
        let limit = self.options.max_bytes;
        if let Some((last_read, opened)) = self.fresh.unchanged(&self.path) {
            self.history.saw_file();
            self.cache.invalidate_unless(Some(&opened.stamp));
            return self.looked(look(last_read.flags(limit))).map(Some);
        }
        let mut buffer = Vec::new();
        let parse = |bytes: &mut Vec<u8>| look(FlagsView::Bytes { bytes, limit });
        let found = load::read_with_retry(&self.path, limit, &self.history, Purpose::Read, &mut buffer, parse)?;
        self.cache.invalidate_unless(found.as_ref().map(|(opened, _)| &opened.stamp));
        Ok(found.map(|(_, found)| {
            self.fresh.keep(buffer);
            found
        }))
    }

    fn looked<T>(&self, found: Result<T, ParseError>) -> Result<T> {
        found.map_err(|error| load::parse_failure(&self.path, &[], error))
    }

    fn apply(&self, batch: &Batch) -> Result<bool> {
        let existed = write::apply(self, batch);
        self.cache.revalidate();
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
        found.map_err(|error| error.of_flag(key))
    }

    fn set(&self, key: &str, value: Value) -> Result<()> {
        self.apply(&Batch::of(key, Some(value))).map(|_| ())
    }

    fn delete(&self, key: &str) -> Result<bool> {
        self.apply(&Batch::of(key, None))
    }

    fn list_all(&self) -> Result<Snapshot> {
        Ok(self.read(|flags| flags.snapshot())?.unwrap_or_default())
    }

    fn list_json(&self) -> Result<String> {
        Ok(self.read(|flags| flags.json())?.unwrap_or_else(|| "{}".into()))
    }

    fn len(&self) -> Result<usize> {
        Ok(self.read(|flags| flags.len())?.unwrap_or(0))
    }

    fn visit(&self, key: &str, visit: &mut dyn FnMut(Option<ValueRef<'_>>)) -> Result<()> {
        // The visitor runs only once the whole has been found valid, so a retry never calls it twice.
        if self.read(|flags| flags.visit(key, visit))?.is_none() {
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
        revision::revision(self)
    }

    fn wait(&self, seen: u64, deadline: Option<Instant>) -> Result<Option<u64>> {
        revision::wait(self, seen, deadline, None)
    }

    fn sync(&self, _deadline: Option<Instant>) -> Result<()> {
        // Reads after this see what the stat saw, or newer.
        self.cache.invalidate_unless(Stamp::at(&self.path)?.as_ref());
        Ok(())
    }

    fn is_local(&self) -> bool {
        true
    }

    fn wait_unless_stopped(&self, seen: u64, deadline: Option<Instant>, stop: &StopToken) -> Result<Option<u64>> {
        revision::wait(self, seen, deadline, Some(stop))
    }
}

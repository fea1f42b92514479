use super::FlagsView;
use crate::file::load::{self, OpenedFile};
use crate::json::ParseError;
use crate::{Snapshot, sys};
use arc_swap::ArcSwapOption;
use once_cell::race::OnceBox;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Caches the last valid file content, so that an unchanged file is not parsed again.
pub(in crate::file) struct FreshCache {
    last_read: ArcSwapOption<LastRead>,
    /// The largest file that is cached, in bytes.
    limit: usize,
}

/// Valid bytes of the file.
pub(in crate::file) struct LastRead {
    bytes: Vec<u8>,
    /// Made when the same bytes are read again.
    flags: OnceBox<Snapshot>,
    /// The generation of the process in which a thread parses them, or has; 0: nobody does. A fork may leave another's.
    parsed_by: AtomicU64,
}

impl LastRead {
    fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, flags: OnceBox::new(), parsed_by: AtomicU64::new(0) }
    }

    /// The flags, parsed unless that takes too much memory: one flag may need it, and the others can be read anyway.
    /// While one thread parses them the others do not, for each result would take as much.
    pub(in crate::file) fn flags(&self, limit: usize) -> FlagsView<'_> {
        let unparsed = FlagsView::Bytes { bytes: &self.bytes, limit };
        if let Some(flags) = self.flags.get() {
            return FlagsView::Parsed(flags);
        }
        let process = sys::process_generation();
        if self.parsed_by.swap(process, Relaxed) == process {
            return unparsed;
        }
        let parse = || Ok::<_, ParseError>(Box::new(unparsed.snapshot()?.indexed()?));
        self.flags.get_or_try_init(parse).map_or_else(
            |_| {
                self.parsed_by.store(0, Relaxed);
                unparsed
            },
            FlagsView::Parsed,
        )
    }
}

impl FreshCache {
    pub(in crate::file) fn new(limit: usize) -> Self {
        Self { last_read: ArcSwapOption::empty(), limit }
    }

    /// The cached content and the opened file, if it still holds just that. It is compared in chunks, so that no
    /// second copy of the file is in memory.
    pub(in crate::file) fn unchanged(&self, path: &Path) -> Option<(Arc<LastRead>, OpenedFile)> {
        let last_read = self.last_read.load();
        let last_read = last_read.as_ref()?;
        let opened = load::open_if_content_is(path, &last_read.bytes)?;
        Some((Arc::clone(last_read), opened))
    }

    /// Takes bytes that were read and found valid.
    pub(in crate::file) fn keep(&self, bytes: Vec<u8>) {
        let cached = (bytes.capacity() <= self.limit).then(|| LastRead::new(bytes).into());
        self.last_read.store(cached);
    }
}

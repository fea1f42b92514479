//! What reads of the file need not do again. Nobody ever waits for it, so no fork can leave it locked.

use super::FlagsView;
use crate::Snapshot;
use crate::json::ParseError;
use arc_swap::ArcSwapOption;
use once_cell::race::OnceBox;
use std::sync::{Arc, Mutex};

/// How many buffers are kept: more threads than processors seldom read at one moment.
const BUFFERS: usize = 8;

/// The bytes that the last read found last_read: as long as the file holds the same, it need not be taken apart again. And
/// the memory that reads use, kept for the next.
pub(in crate::file) struct FreshCache {
    last_read: ArcSwapOption<LastRead>,
    buffers: Mutex<Vec<Vec<u8>>>,
    bytes: usize,
}

struct LastRead {
    bytes: Vec<u8>,
    /// Made when they are read for the second time.
    flags: OnceBox<Snapshot>,
}

impl FreshCache {
    /// Of files larger than so many `bytes` nothing is kept.
    pub(in crate::file) fn new(bytes: usize) -> Self {
        Self { last_read: ArcSwapOption::empty(), buffers: Mutex::new(Vec::new()), bytes }
    }

    /// Has `look` see the flags in the bytes, and says whether they were new.
    pub(in crate::file) fn read<T>(
        &self,
        bytes: &[u8],
        limit: usize,
        look: &mut impl FnMut(FlagsView<'_>) -> Result<T, ParseError>,
    ) -> Result<(T, bool), ParseError> {
        match self.last_read.load().as_deref() {
            Some(valid) if valid.bytes == bytes => {
                let taken_apart = || FlagsView::Bytes(bytes, limit).snapshot()?.indexed().map(Box::new);
                look(FlagsView::CachedRef(valid.flags.get_or_try_init(taken_apart)?)).map(|seen| (seen, false))
            }
            _ => look(FlagsView::Bytes(bytes, limit)).map(|seen| (seen, true)),
        }
    }

    pub(in crate::file) fn buffer(&self) -> Vec<u8> {
        self.buffers.try_lock().ok().and_then(|mut kept| kept.pop()).unwrap_or_default()
    }

    /// Takes the buffer back, as it is after a read; `is_new`: what is in it is valid, and was not known to be.
    pub(in crate::file) fn keep(&self, buffer: Vec<u8>, is_new: bool) {
        if buffer.capacity() > self.bytes {
            return;
        }
        if !is_new {
            return self.keep_buffer(buffer);
        }
        let before = self.last_read.swap(Some(Arc::new(LastRead { bytes: buffer, flags: OnceBox::new() })));
        // Another thread may be looking at it.
        if let Some(before) = before.and_then(Arc::into_inner) {
            self.keep_buffer(before.bytes);
        }
    }

    fn keep_buffer(&self, buffer: Vec<u8>) {
        if let Ok(mut kept) = self.buffers.try_lock() {
            if kept.len() < BUFFERS {
                kept.push(buffer);
            }
        }
    }
}

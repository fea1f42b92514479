use super::{EntryOffsets, Packed, Repr, Snapshot};
use crate::json::{ParseError, Scanner, Style, Writer};
use once_cell::race::OnceBox;
use std::sync::Arc;

/// Takes the flags of a snapshot in key order.
pub(crate) struct Builder {
    text: Writer,
    entries: Vec<EntryOffsets>,
}

impl Builder {
    /// `bytes`: how many to reserve at first; `limit`: the most.
    pub(super) fn new(bytes: usize, limit: usize) -> Result<Self, ParseError> {
        let mut builder = Self { text: Writer::new(Style::Compact, limit), entries: Vec::new() };
        builder.text.reserve(bytes)?;
        Ok(builder)
    }

    /// Adds a flag whose value the scanner stands at.
    pub(crate) fn push(&mut self, key: &str, value: &mut Scanner<'_>) -> Result<(), ParseError> {
        self.push_with(key, |text| text.value(value))
    }

    /// Adds a flag whose value is JSON in any layout; one that is none is not added.
    #[cfg(feature = "redis")]
    pub(crate) fn push_json(&mut self, key: &str, json: &str) -> Result<(), ParseError> {
        let (text, entries) = (self.text.len(), self.entries.len());
        let mut scanner = Scanner::new(json)?;
        scanner.space();
        let pushed = self.push(key, &mut scanner).and_then(|()| scanner.end());
        if pushed.is_err() {
            self.text.truncate(text);
            self.entries.truncate(entries);
        }
        pushed
    }

    /// Adds a flag whose value is compact text.
    pub(crate) fn push_compact(&mut self, key: &str, json: &str) -> Result<(), ParseError> {
        self.push_with(key, |text| text.raw(json))
    }

    #[inline(always)]
    fn push_with(
        &mut self,
        key: &str,
        write_value: impl FnOnce(&mut Writer) -> Result<(), ParseError>,
    ) -> Result<(), ParseError> {
        let key_start = self.text.len();
        self.text.raw(key)?;
        self.text.raw("\0")?;
        let value_start = self.text.len();
        write_value(&mut self.text)?;
        self.text.raw("\0")?;
        self.entries.try_reserve(1).map_err(|_| ParseError::OutOfMemory)?;
        // The writer's limit fits in four bytes.
        self.entries.push(EntryOffsets { key: key_start as u32, value: value_start as u32 });
        Ok(())
    }

    pub(crate) fn finish(self) -> Snapshot {
        let Self { text, entries } = self;
        Self::snapshot(text.finish(), entries)
    }

    /// The same in no more memory than the flags need.
    pub(super) fn finish_without_spare(self) -> Snapshot {
        let (mut text, mut entries) = (self.text.finish(), self.entries);
        text.shrink_to_fit();
        entries.shrink_to_fit();
        Self::snapshot(text, entries)
    }

    fn snapshot(text: String, entries: Vec<EntryOffsets>) -> Snapshot {
        Snapshot(Repr::Packed(Arc::new(Packed { text, entries, index: None, json: OnceBox::new() })))
    }
}

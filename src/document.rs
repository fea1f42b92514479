use crate::json::{self, Fault, Mark, Quoted, Scanner, Style, Writer, compare};
use crate::{Batch, Snapshot, Value, ValueRef};
use std::borrow::Cow;

/// The object that a file holds: where each flag begins in its text, in key order. Four bytes a flag, so that a file
/// of very many costs little more than its text.
pub(crate) struct Document<'a> {
    text: &'a str,
    flags: Vec<u32>,
}

/// Walks the root object of `text` and hands over where each member begins, its escaped key and its value.
fn members(text: &str, mut member: impl FnMut(usize, Quoted, Mark) -> Result<(), Fault>) -> Result<(), Fault> {
    let mut source = Scanner::new(text)?;
    source.space();
    if source.peek() != b'{' {
        return source.fault("expected `{`: the file holds one JSON object");
    }
    if source.enter(b'}') {
        loop {
            let begin = source.position();
            let key = source.name()?;
            let value = source.value()?;
            member(begin, key, value)?;
            if !source.more_members()? {
                break;
            }
        }
    }
    source.end()
}

/// One flag's value in one pass that validates the whole text; of a repeated key, the last.
pub(crate) fn find<'a>(text: &'a str, key: &str) -> Result<Option<ValueRef<'a>>, Fault> {
    let mut found = None;
    let end = tail(key);
    members(text, |_, name, value| {
        let is_key = match name.escaped {
            // Keys of one length are common, and so are their beginnings.
            false if name.mark.len() == key.len() => tail(name.mark.of(text)) == end && name.mark.of(text) == key,
            false => false,
            true => json::unescape(name.mark.of(text)) == key,
        };
        if is_key {
            found = Some(ValueRef::new(value.of(text)));
        }
        Ok(())
    })?;
    Ok(found)
}

/// The last eight bytes; `None`: there are fewer.
fn tail(key: &str) -> Option<u64> {
    key.as_bytes().last_chunk().map(|last| u64::from_le_bytes(*last))
}

impl<'a> Document<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, Fault> {
        let mut flags: Vec<u32> = Vec::new();
        let mut sorted = true;
        let mut last = None;
        members(text, |begin, key, _| {
            let key = key.mark.of(text);
            sorted &= last.is_none_or(|last| compare(last, key).is_lt());
            last = Some(key);
            flags.try_reserve(1).map_err(|_| Fault::OutOfMemory)?;
            // A scanned text is no longer than that.
            flags.push(begin as u32);
            Ok(())
        })?;
        let mut document = Self { text, flags };
        if !sorted {
            document.sort();
        }
        Ok(document)
    }

    /// Puts the flags in key order, the last of equal keys winning.
    fn sort(&mut self) {
        let mut flags = std::mem::take(&mut self.flags);
        flags.sort_unstable_by(|a, b| compare(self.name(*a), self.name(*b)).then(b.cmp(a)));
        flags.dedup_by(|later, kept| compare(self.name(*later), self.name(*kept)).is_eq());
        self.flags = flags;
    }

    /// The key of the flag that begins there, still escaped.
    fn name(&self, begin: u32) -> &'a str {
        // It has been read before, so it is one.
        Scanner::at(self.text, begin as usize).name().map_or("", |name| name.mark.of(self.text))
    }

    /// The key of the flag that begins there, and what is to be read of its value.
    fn flag(&self, begin: u32) -> Result<(Cow<'a, str>, Scanner<'a>), Fault> {
        let mut source = Scanner::at(self.text, begin as usize);
        let name = source.name()?.mark;
        Ok((json::unescape(name.of(self.text)), source))
    }

    pub(crate) fn len(&self) -> usize {
        self.flags.len()
    }

    pub(crate) fn get(&self, key: &str) -> Option<ValueRef<'a>> {
        let order = |begin: &u32| json::unescape(self.name(*begin)).as_ref().cmp(key);
        let index = self.flags.binary_search_by(order).ok()?;
        let (_, mut source) = self.flag(self.flags[index]).ok()?;
        Some(ValueRef::new(source.value().ok()?.of(self.text)))
    }

    /// Every flag with its value as compact text.
    pub(crate) fn snapshot(&self, limit: usize) -> Result<Snapshot, Fault> {
        let mut snapshot = Snapshot::builder(self.flags.len(), self.text.len().min(limit), limit)?;
        for begin in &self.flags {
            let (key, mut value) = self.flag(*begin)?;
            snapshot.push(&key, &mut value)?;
        }
        Ok(snapshot.finish())
    }

    /// The whole object as compact text.
    pub(crate) fn compact(&self, limit: usize) -> Result<String, Fault> {
        self.written(Style::Compact, &Batch::new(), limit)
    }

    /// The canonical text of the file with the batch's changes made, or `None` if they change nothing.
    pub(crate) fn edited(&self, batch: &Batch, limit: usize) -> Result<Option<String>, Fault> {
        if !self.changed_by(batch, limit)? {
            return Ok(None);
        }
        self.written(Style::File, batch, limit).map(Some)
    }

    fn written(&self, style: Style, batch: &Batch, limit: usize) -> Result<String, Fault> {
        let mut writer = Writer::new(style, limit);
        writer.reserve(self.text.len().min(limit))?;
        writer.raw("{")?;
        let mut first = true;
        let kept = if batch.clears() { &[] } else { self.flags.as_slice() };
        let mut kept = kept.iter().map(|begin| self.flag(*begin));
        let mut edits = batch.edits().peekable();
        let mut next = kept.next().transpose()?;
        loop {
            let old = next.as_ref().map(|(key, _)| key.as_ref());
            let edit = edits.next_if(|(key, _)| old.is_none_or(|old| *key <= old));
            let is_used_up = edit.is_none_or(|(key, _)| old == Some(key));
            let flag = if is_used_up { std::mem::replace(&mut next, kept.next().transpose()?) } else { None };
            let (key, mut value) = match (edit, flag) {
                (Some((key, Some(value))), _) => (Cow::Borrowed(key), Scanner::at(value.as_json(), 0)),
                (Some((_, None)), _) => continue,
                (None, Some(flag)) => flag,
                (None, None) => break,
            };
            if !std::mem::replace(&mut first, false) {
                writer.raw(",")?;
            }
            writer.key(&key)?;
            writer.value(&mut value, 0)?;
        }
        writer.close_root(first)?;
        Ok(writer.finish())
    }

    fn changed_by(&self, batch: &Batch, limit: usize) -> Result<bool, Fault> {
        if batch.clears() && self.flags.len() != batch.edits().filter(|(_, value)| value.is_some()).count() {
            return Ok(true);
        }
        for (key, value) in batch.edits() {
            let same = match (self.get(key), value) {
                (Some(old), Some(new)) => Value::canonical(old.text(), limit)? == *new,
                (None, None) => true,
                _ => false,
            };
            if !same {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

use crate::json::{self, KeyOrderCheck, ParseError, Quoted, Scanner, Style, Writer, compare_to};
use crate::{Batch, Snapshot, Value, ValueRef};
use std::cmp::Ordering;

mod canonical;
mod search;
use canonical::CanonicalCheck;
use search::Search;

/// Walks the root object of `text` and hands over where each member begins and its key; `member` reads its value.
#[inline(always)]
fn members<'a>(
    text: &'a str,
    mut member: impl FnMut(usize, Quoted, &mut Scanner<'a>) -> Result<(), ParseError>,
) -> Result<(), ParseError> {
    let mut scanner = Scanner::of_root(text)?;
    if scanner.enter(b'}') {
        loop {
            let begin = scanner.position();
            let key = scanner.key()?;
            member(begin, key, &mut scanner)?;
            if !scanner.next_root_member()? {
                break;
            }
        }
    }
    scanner.end()
}

/// One flag's value in one pass that validates the whole text; of a repeated key, the last.
pub(crate) fn find<'a>(text: &'a str, key: &str, limit: usize) -> Result<Option<ValueRef<'a>>, ParseError> {
    let search = Search::new(text, key);
    let found = match search.halves() {
        Some(found) => found,
        None => {
            let mut found = None;
            members(text, |_, name, scanner| {
                search.take(name, scanner.value()?, &mut found);
                Ok(())
            })?;
            found
        }
    };
    Ok(found.map(|value| ValueRef::new(value.of(text), limit)))
}

/// The whole object as compact text.
pub(crate) fn compact(text: &str, limit: usize) -> Result<String, ParseError> {
    rewritten(text, Style::Compact, limit)
}

/// Every flag with its value as compact text.
pub(crate) fn snapshot(text: &str, limit: usize) -> Result<Snapshot, ParseError> {
    let mut order = KeyOrderCheck::new(text);
    let mut snapshot = Snapshot::builder(text.len().min(limit), limit)?;
    members(text, |_, key, scanner| {
        order.take(key);
        snapshot.push(&json::unescape(key.span.of(text))?, scanner)
    })?;
    match order.holds {
        true => Ok(snapshot.finish()),
        false => {
            drop(snapshot);
            self::snapshot(&compact(text, limit)?, limit)
        }
    }
}

/// The number of flags.
pub(crate) fn len(text: &str, limit: usize) -> Result<usize, ParseError> {
    let (mut order, mut count) = (KeyOrderCheck::new(text), 0);
    members(text, |_, key, scanner| {
        order.take(key);
        count += 1;
        scanner.value().map(drop)
    })?;
    if order.holds { Ok(count) } else { len(&compact(text, limit)?, limit) }
}

/// The same object in the canonical text of the style.
fn rewritten(text: &str, style: Style, limit: usize) -> Result<String, ParseError> {
    let mut writer = Writer::new(style, limit);
    writer.reserve(text.len().min(limit))?;
    let mut scanner = Scanner::of_root(text)?;
    writer.root(&mut scanner)?;
    scanner.end()?;
    Ok(writer.finish())
}

/// The file's canonical text, and where each flag begins in it, in key order: to be changed. Four bytes a flag, so that
/// a file of very many costs little more than its text.
pub(crate) struct Document {
    text: String,
    flags: Vec<u32>,
    /// How long its text and its values may be, in bytes.
    limit: usize,
}

/// The text of a changed document.
pub(crate) struct EditedDocument {
    pub(crate) text: String,
    flags: Option<Vec<u32>>,
    limit: usize,
}

impl EditedDocument {
    /// The document itself, if it is to be kept.
    pub(crate) fn into_document(self) -> Option<Document> {
        Some(Document { text: self.text, flags: self.flags?, limit: self.limit })
    }
}

impl Document {
    /// Takes the bytes of a file, which are left alone where they cannot be parsed. A text that is canonical already is
    /// kept as it is, any other is written anew.
    pub(crate) fn parse(bytes: &mut Vec<u8>, limit: usize) -> Result<Self, ParseError> {
        let text = String::from_utf8(std::mem::take(bytes)).map_err(|error| {
            let failure = json::utf8_error(error.utf8_error());
            *bytes = error.into_bytes();
            failure
        })?;
        match Self::index(&text) {
            Ok(Some(flags)) => Ok(Self { text, flags, limit }),
            Ok(None) => {
                let text = rewritten(&text, Style::File, limit)?;
                let flags = Self::index(&text)?.unwrap_or_else(|| unreachable!("what was written is canonical"));
                Ok(Self { text, flags, limit })
            }
            Err(error) => {
                *bytes = text.into_bytes();
                Err(error)
            }
        }
    }

    /// Where each flag begins; `None`: the text is valid, but not canonical.
    fn index(text: &str) -> Result<Option<Vec<u32>>, ParseError> {
        let mut flags: Vec<u32> = Vec::new();
        let (mut order, mut layout) = (KeyOrderCheck::new(text), CanonicalCheck::new(text));
        members(text, |begin, key, scanner| {
            let value = scanner.value()?;
            order.take(key);
            layout.take(begin, key, value)?;
            flags.try_reserve(1).map_err(|_| ParseError::OutOfMemory)?;
            // A scanned text is no longer than that.
            flags.push(begin as u32);
            Ok(())
        })?;
        Ok((layout.is_canonical() && order.holds).then_some(flags))
    }

    /// Where the flag is or would be among the others.
    fn place(&self, key: &str) -> Result<usize, usize> {
        self.flags.binary_search_by(|begin| {
            let name = Scanner::at(&self.text, *begin as usize).string();
            // All have been read before, so each has a key.
            name.map_or(Ordering::Less, |name| compare_to(name.span.of(&self.text), key))
        })
    }

    pub(crate) fn get(&self, key: &str) -> Option<ValueRef<'_>> {
        let mut scanner = Scanner::at(&self.text, self.flags[self.place(key).ok()?] as usize);
        scanner.key().ok()?;
        Some(ValueRef::new(scanner.value().ok()?.of(&self.text), self.limit))
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The document with the batch's changes made, or `None` if they change nothing; what they do not touch is copied.
    /// Where the flags are in it is found out only if it is no longer than about `keep`, in bytes.
    pub(crate) fn edited(&self, batch: &Batch, keep: usize) -> Result<Option<EditedDocument>, ParseError> {
        if !self.changed_by(batch)? {
            return Ok(None);
        }
        let mut writer = Writer::new(Style::File, self.limit);
        writer.reserve(self.text.len().min(self.limit))?;
        writer.raw("{")?;
        let mut flags = (self.text.len() <= keep).then(Vec::new);
        if let Some(flags) = &mut flags {
            let most = self.flags.len() + batch.changes().count();
            flags.try_reserve_exact(most).map_err(|_| ParseError::OutOfMemory)?;
        }
        let mut kept = if batch.clears() { self.flags.len() } else { 0 };
        for (key, value) in batch.changes() {
            let place = self.place(key);
            let (Ok(end) | Err(end)) = place;
            if kept <= end {
                self.copy(&mut writer, kept, end, &mut flags)?;
                kept = end + usize::from(place.is_ok());
            }
            if let Some(value) = value {
                let begin = writer.member(key, &mut Scanner::at(value.as_json(), 0))?;
                flags.iter_mut().for_each(|flags| flags.push(begin as u32));
            }
        }
        self.copy(&mut writer, kept, self.flags.len(), &mut flags)?;
        writer.close_root()?;
        Ok(Some(EditedDocument { text: writer.finish(), flags, limit: self.limit }))
    }

    /// Copies the flags from `start` to before `end`; `moved` takes where they are then.
    fn copy(
        &self,
        writer: &mut Writer,
        start: usize,
        end: usize,
        moved: &mut Option<Vec<u32>>,
    ) -> Result<(), ParseError> {
        if start == end {
            return Ok(());
        }
        let until = self
            .flags
            .get(end)
            .map_or(self.text.len() - canonical::LAST.len(), |next| *next as usize - canonical::NEXT.len());
        let first = self.flags[start];
        let begin = writer.members(&self.text[first as usize..until])? as u32;
        if let Some(moved) = moved {
            moved.extend(self.flags[start..end].iter().map(|flag| flag - first + begin));
        }
        Ok(())
    }

    fn changed_by(&self, batch: &Batch) -> Result<bool, ParseError> {
        if batch.clears() && self.flags.len() != batch.changes().filter(|(_, value)| value.is_some()).count() {
            return Ok(true);
        }
        for (key, value) in batch.changes() {
            let same = match (self.get(key), value) {
                (Some(old), Some(new)) => Value::canonical(old.text(), self.limit)? == *new,
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

use crate::json::{self, KeyOrderCheck, ParseError, Quoted, Scanner, Span, Style, Writer, compare_to};
use crate::{Batch, Snapshot, Value, ValueRef};

mod canonical;
use canonical::CanonicalCheck;

/// Walks the root object of `text`. `member` gets the begin and the key of each member, and reads its value.
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
            if key.escaped {
                scanner.check_unicode(key)?;
            }
            member(begin, key, &mut scanner)?;
            if !scanner.next_root_member()? {
                break;
            }
        }
    }
    scanner.end()
}

/// One flag's value, the last if its key is repeated. One pass, which validates the whole text.
pub(crate) fn find<'a>(text: &'a str, key: &str, limit: usize) -> Result<Option<ValueRef<'a>>, ParseError> {
    let mut found = None;
    members(text, |_, name, scanner| {
        let value = scanner.value()?;
        let is_key = match name.escaped {
            // Slicing the text costs more than a look at the length.
            false => name.span.len() == key.len() && name.span.of(text) == key,
            true => compare_to(name.span.of(text), key).is_eq(),
        };
        if is_key {
            found = Some(value);
        }
        Ok(())
    })?;
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
        let key = json::unescape(key.span.of(text))?.unwrap_or_else(|| unreachable!("a root key is Unicode text"));
        snapshot.push(&key, scanner)
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

/// Where each flag begins; `None`: the text is valid, but not canonical.
fn canonical_index(text: &str) -> Result<Option<Vec<u32>>, ParseError> {
    let mut check = CanonicalCheck::new(text);
    let flags = index(text, |begin, key, value| check.take(begin, key, value))?;
    Ok(check.is_canonical().then_some(flags))
}

/// Where each flag begins, for as long as `take` wants more. Parses all of the text.
fn index(
    text: &str,
    mut take: impl FnMut(usize, Quoted, Span) -> Result<bool, ParseError>,
) -> Result<Vec<u32>, ParseError> {
    let (mut flags, mut wanted) = (Vec::new(), true);
    members(text, |begin, key, scanner| {
        let value = scanner.value()?;
        wanted = wanted && take(begin, key, value)?;
        if wanted {
            flags.try_reserve(1).map_err(|_| ParseError::OutOfMemory)?;
            // A scanned text is no longer than that.
            flags.push(begin as u32);
        }
        Ok(())
    })?;
    Ok(flags)
}

/// The same object in the canonical text of the style.
fn rewritten(text: &str, style: Style, limit: usize) -> Result<String, ParseError> {
    let mut writer = Writer::new(style, limit);
    // A large result that grew would take room for two copies of it at once.
    if style == Style::Compact || text.len() < limit / 4 || writer.reserve(limit).is_err() {
        writer.reserve(text.len().min(limit))?;
    }
    let mut scanner = Scanner::of_root(text)?;
    writer.root(&mut scanner)?;
    scanner.end()?;
    Ok(writer.finish())
}

/// The file's canonical text and where each flag begins in it, in key order, to be changed. Four bytes a flag, so that
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
    /// The document itself, if it is short enough to be cached.
    pub(crate) fn into_document(self) -> Option<Document> {
        Some(Document { text: self.text, flags: self.flags?, limit: self.limit })
    }
}

impl Document {
    /// Takes the bytes of a file, but leaves them where they cannot be parsed. A canonical text stays as it is, any
    /// other is rewritten.
    pub(crate) fn parse(bytes: &mut Vec<u8>, limit: usize) -> Result<Self, ParseError> {
        let text = String::from_utf8(std::mem::take(bytes)).map_err(|error| {
            let failure = json::utf8_error(error.utf8_error());
            *bytes = error.into_bytes();
            failure
        })?;
        match canonical_index(&text) {
            Ok(Some(flags)) => Ok(Self { text, flags, limit }),
            Ok(None) => {
                let text = rewritten(&text, Style::File, limit)?;
                let flags = index(&text, |_, _, _| Ok(true))?;
                Ok(Self { text, flags, limit })
            }
            Err(error) => {
                *bytes = text.into_bytes();
                Err(error)
            }
        }
    }

    /// Where the flag is or would be among the others.
    fn position(&self, key: &str) -> Result<usize, usize> {
        self.flags.binary_search_by(|begin| compare_to(&self.text[*begin as usize + 1..], key))
    }

    pub(crate) fn get(&self, key: &str) -> Option<ValueRef<'_>> {
        let mut scanner = Scanner::at(&self.text, self.flags[self.position(key).ok()?] as usize);
        scanner.key().ok()?;
        Some(ValueRef::new(scanner.value().ok()?.of(&self.text), self.limit))
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The document with the batch's changes made, or `None` if they change nothing; untouched flags are copied. It is
    /// fit to be cached only if this one is no longer than `keep`, in bytes.
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
        let mut next = if batch.clears() { self.flags.len() } else { 0 };
        for (key, value) in batch.changes() {
            let position = self.position(key);
            let (Ok(end) | Err(end)) = position;
            if next <= end {
                self.copy(&mut writer, next, end, &mut flags)?;
                next = end + usize::from(position.is_ok());
            }
            if let Some(value) = value {
                let begin = writer.member(key, &mut Scanner::at(value.as_json(), 0))?;
                flags.iter_mut().for_each(|flags| flags.push(begin as u32));
            }
        }
        self.copy(&mut writer, next, self.flags.len(), &mut flags)?;
        writer.close_root()?;
        Ok(Some(EditedDocument { text: writer.finish(), flags, limit: self.limit }))
    }

    /// Copies the flags from `start` to before `end`; `moved` takes where they begin in the copy.
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

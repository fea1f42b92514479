use crate::json::{MAX_BYTES, ParseError, Style, Writer};
use crate::key::{self, KeyHasher};
use crate::memory::sharded_map::{Entry, ShardedMap};
use crate::value::StoredValue;
use crate::{Batch, Error, Result, Value, ValueRef, sys};
use hashbrown::HashTable;
use once_cell::race::OnceBox;
use std::collections::BTreeMap;
use std::sync::Arc;

mod builder;
mod traits;
mod union;

pub(crate) use builder::Builder;
pub use traits::SnapshotIter;
pub(crate) use union::Union;

/// Every flag of a store as of one moment, in key order (the byte order of the keys). It does not change, may be
/// shared by threads and outlive the store; a clone is the same snapshot.
///
/// ```
/// use flagstore::{FlagStore, InMemoryFlagStore, Snapshot, Value};
///
/// let store = InMemoryFlagStore::new();
/// store.set("b", "later".into())?;
/// store.set("a", true.into())?;
/// let snapshot = store.list_all()?;
/// for (key, value) in &snapshot {
///     println!("{key} = {value}");
/// }
/// assert_eq!(snapshot.get("a").and_then(|value| value.as_bool()), Some(true));
/// assert_eq!(snapshot.to_json()?, r#"{"a":true,"b":"later"}"#);
///
/// // A backend of one's own collects its flags: in any order, the last of equal keys counts.
/// let collected: Snapshot = [("b", Value::from("later")), ("a", Value::from(true))].into_iter().collect();
/// assert_eq!(collected, snapshot);
/// # Ok::<(), flagstore::Error>(())
/// ```
#[derive(Clone)]
pub struct Snapshot(Repr);

#[derive(Clone)]
enum Repr {
    Packed(Arc<Packed>),
    Shared(Arc<SharedFlags>),
}

/// The flags of a file: keys and compact values in one text, each with a NUL behind it.
#[derive(Default)]
struct Packed {
    text: String,
    entries: Vec<EntryOffsets>,
    index: Option<Index>,
    /// All as one object, once it was asked for, of a snapshot that is cached.
    json: OnceBox<String>,
}

/// Where a key and its value begin in the text; each ends where the next thing begins.
#[derive(Clone, Copy)]
struct EntryOffsets {
    key: u32,
    value: u32,
}

/// Finds a flag by the hash of its key.
struct Index {
    table: HashTable<EntryOffsets>,
    hasher: KeyHasher,
}

/// The flags of a memory store, shared with it; sorted when they are first asked for by index. Two threads may both
/// sort them, but neither waits for the other, which might be missing after a fork.
struct SharedFlags {
    flags: sys::Shared<ShardedMap>,
    sorted: OnceBox<Vec<Entry>>,
}

impl Snapshot {
    pub(crate) fn builder(bytes: usize, limit: usize) -> Result<Builder, ParseError> {
        Builder::new(bytes, limit)
    }

    /// The flags in any order; the last of equal keys counts.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] if keys and values together take more than 4 GiB; [`Error::OutOfMemory`] if there is no room
    /// for them.
    pub fn from_flags<K: Into<String>>(flags: impl IntoIterator<Item = (K, Value)>) -> Result<Self> {
        let sorted: BTreeMap<String, Value> = flags.into_iter().map(|(key, value)| (key.into(), value)).collect();
        Self::packed(&sorted).map_err(no_room)
    }

    fn packed(sorted: &BTreeMap<String, Value>) -> Result<Self, ParseError> {
        let bytes = sorted.iter().map(|(key, value)| key.len() + value.as_json().len() + 2);
        let mut builder = Self::builder(bytes.sum::<usize>().min(MAX_BYTES), MAX_BYTES)?;
        for (key, value) in sorted {
            builder.push_compact(key, value.as_json())?;
        }
        Ok(builder.finish())
    }

    /// The flags after the batch's changes, in no more than `limit` bytes.
    pub(crate) fn changed_by(&self, batch: &Batch, limit: usize) -> Result<Self> {
        let mut builder = Self::builder(0, limit).map_err(no_room)?;
        let kept = self.iter().filter(|(key, _)| batch.outcome(key).is_none()).map(|(key, value)| (key, value.text()));
        let mut kept = kept.peekable();
        let mut set = batch.changes().filter_map(|(key, value)| Some((key, value?.as_json()))).peekable();
        loop {
            let next = match (kept.peek(), set.peek()) {
                (Some((key, _)), Some((other, _))) if key < other => kept.next(),
                (_, Some(_)) => set.next(),
                (_, None) => kept.next(),
            };
            match next {
                Some((key, json)) => builder.push_compact(key, json).map_err(no_room)?,
                None => return Ok(builder.finish()),
            }
        }
    }

    /// The length of all keys and values, in bytes, each with a NUL.
    pub(crate) fn bytes(&self) -> usize {
        match &self.0 {
            Repr::Packed(packed) => packed.text.len(),
            Repr::Shared(_) => self.iter().map(|(key, value)| key.len() + value.text().len() + 2).sum(),
        }
    }

    pub(crate) fn of_flags(flags: sys::Shared<ShardedMap>) -> Self {
        Self(Repr::Shared(Arc::new(SharedFlags { flags, sorted: OnceBox::new() })))
    }

    /// The number of flags.
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Packed(packed) => packed.entries.len(),
            Repr::Shared(shared) => shared.flags.len(),
        }
    }

    /// Whether there is no flag.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The flags in key order.
    pub fn iter(&self) -> SnapshotIter<'_> {
        SnapshotIter::new(self)
    }

    /// The flag's value, or `None` if there is no such flag.
    pub fn get(&self, key: &str) -> Option<ValueRef<'_>> {
        self.find(key).map(|value| ValueRef::compact(without_nul(value)))
    }

    /// The same flags for a cache: with an index for reads by key, and in no more memory than they need.
    pub(crate) fn indexed(mut self) -> Result<Self, ParseError> {
        let packed = match &mut self.0 {
            Repr::Packed(packed) => Arc::get_mut(packed),
            Repr::Shared(_) => None,
        };
        if let Some(packed) = packed {
            packed.text.shrink_to_fit();
            packed.entries.shrink_to_fit();
            packed.index = Some(packed.indexed()?);
        }
        Ok(self)
    }

    /// The same whoever else has the snapshot, if it is of no more than `limit` bytes.
    pub(crate) fn into_indexed(self, limit: usize) -> Result<Self> {
        if self.bytes() > limit {
            return Err(no_room(ParseError::TooLarge));
        }
        let is_ours = matches!(&self.0, Repr::Packed(packed) if Arc::strong_count(packed) == 1);
        let ours = if is_ours { self } else { self.changed_by(&Batch::new(), limit)? };
        ours.indexed().map_err(no_room)
    }

    /// The key and the compact value at `index`, each with the NUL behind it.
    pub(crate) fn entry(&self, index: usize) -> Option<(&str, &str)> {
        match &self.0 {
            Repr::Packed(packed) => (index < packed.entries.len()).then(|| packed.entry(index)),
            Repr::Shared(shared) => shared.sorted().get(index).map(Entry::with_nul),
        }
    }

    /// The compact value of `key`, with the NUL behind it.
    pub(crate) fn find(&self, key: &str) -> Option<&str> {
        match &self.0 {
            Repr::Packed(packed) => packed.find(key),
            Repr::Shared(shared) => shared.flags.get(key.as_bytes()).map(StoredValue::with_nul),
        }
    }

    /// The value of `key` in a snapshot that has an index; `None`: it has none. `Some(None)`: there is no such flag.
    #[inline(always)]
    pub(crate) fn peek(&self, key: &[u8]) -> Option<Option<StoredValue<'_>>> {
        match &self.0 {
            Repr::Packed(packed) => Some(packed.index.as_ref()?.find(packed, key)),
            Repr::Shared(_) => None,
        }
    }

    /// The index of the first key that is not less than `key`; the number of flags if there is none. The keys of a
    /// prefix stand in a row from there.
    ///
    /// ```
    /// # use flagstore::{Snapshot, Value};
    /// let keys = ["a", "ui.dark", "ui.wide", "z"];
    /// let snapshot: Snapshot = keys.map(|key| (key, Value::from(true))).into_iter().collect();
    /// let of_ui = snapshot.iter().skip(snapshot.seek("ui.")).take_while(|(key, _)| key.starts_with("ui."));
    /// assert_eq!(of_ui.map(|(key, _)| key).collect::<Vec<_>>(), ["ui.dark", "ui.wide"]);
    /// ```
    pub fn seek(&self, key: &str) -> usize {
        match &self.0 {
            Repr::Packed(packed) => packed.entries.partition_point(|entry| packed.key(*entry) < key),
            Repr::Shared(shared) => shared.sorted().partition_point(|entry| entry.key() < key),
        }
    }

    /// One JSON object with every flag, compact.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] beyond 4 GiB; [`Error::OutOfMemory`] if there is no room for it.
    pub fn to_json(&self) -> Result<String> {
        self.write_json().map_err(no_room)
    }

    /// The same of a snapshot in a cache, which keeps the text: the next call only copies it.
    pub(crate) fn kept_json(&self) -> Result<String, ParseError> {
        let Repr::Packed(packed) = &self.0 else {
            return self.write_json();
        };
        let json = packed.json.get_or_try_init(|| self.write_json().map(Box::new))?;
        let mut copy = String::new();
        copy.try_reserve_exact(json.len()).map_err(|_| ParseError::OutOfMemory)?;
        copy.push_str(json);
        Ok(copy)
    }

    fn write_json(&self) -> Result<String, ParseError> {
        let room = match &self.0 {
            Repr::Packed(packed) => packed.text.len() + 2 * packed.entries.len() + 2,
            Repr::Shared(_) => 0,
        };
        write_object(self.iter().map(|(key, value)| (key, value.text())), room)
    }
}

/// One compact JSON object of keys and compact values. `room`: how many bytes to reserve at first.
fn write_object<'a>(flags: impl Iterator<Item = (&'a str, &'a str)>, room: usize) -> Result<String, ParseError> {
    let mut writer = Writer::new(Style::Compact, MAX_BYTES);
    writer.reserve(room)?;
    writer.raw("{")?;
    for (key, json) in flags {
        writer.member_as_is(key, json)?;
    }
    writer.close_root()?;
    Ok(writer.finish())
}

/// The error for a text that is valid but does not fit.
fn no_room(fault: ParseError) -> Error {
    match fault {
        ParseError::TooLarge => Error::TooLarge { path: None, key: None },
        _ => Error::OutOfMemory,
    }
}

fn without_nul(text: &str) -> &str {
    text.strip_suffix('\0').unwrap_or(text)
}

impl Packed {
    fn entry(&self, index: usize) -> (&str, &str) {
        let EntryOffsets { key, value } = self.entries[index];
        let end = self.entries.get(index + 1).map_or(self.text.len(), |next| next.key as usize);
        (&self.text[key as usize..value as usize], &self.text[value as usize..end])
    }

    fn key(&self, entry: EntryOffsets) -> &str {
        &self.text[entry.key as usize..entry.value as usize - 1]
    }

    #[inline(always)]
    fn has_key(&self, entry: EntryOffsets, key: &[u8]) -> bool {
        let own = self.text.as_bytes().get(entry.key as usize..entry.value as usize - 1);
        own.is_some_and(|own| key::is_same(own, key))
    }

    /// The compact value of `key`, with the NUL behind it.
    fn find(&self, key: &str) -> Option<&str> {
        match &self.index {
            Some(index) => index.find(self, key.as_bytes()).map(StoredValue::with_nul),
            None => {
                let index = self.entries.binary_search_by(|entry| self.key(*entry).cmp(key)).ok()?;
                Some(self.entry(index).1)
            }
        }
    }

    fn indexed(&self) -> Result<Index, ParseError> {
        let hasher = KeyHasher::new();
        let hash = |entry: &EntryOffsets| hasher.hash(self.key(*entry).as_bytes());
        let mut table = HashTable::new();
        table.try_reserve(self.entries.len(), hash).map_err(|_| ParseError::OutOfMemory)?;
        for entry in &self.entries {
            table.insert_unique(hash(entry), *entry, hash);
        }
        Ok(Index { table, hasher })
    }
}

impl Index {
    #[inline(always)]
    fn find<'a>(&self, flags: &'a Packed, key: &[u8]) -> Option<StoredValue<'a>> {
        let entry = self.table.find(self.hasher.hash(key), |entry| flags.has_key(*entry, key))?;
        // The next entry, which knows its end, is elsewhere in memory.
        flags.text.get(entry.value as usize..).map(StoredValue::UpToNul)
    }
}

impl SharedFlags {
    fn sorted(&self) -> &[Entry] {
        self.sorted.get_or_init(|| {
            let mut entries: Vec<_> = self.flags.iter().cloned().collect();
            entries.sort_unstable_by(|a, b| a.key().cmp(b.key()));
            Box::new(entries)
        })
    }
}

use crate::json::{MAX_BYTES, ParseError, Scanner, Style, Writer};
use crate::memory::sharded_map::{Flag as SharedFlag, ShardedMap};
use crate::{Error, Result, ValueRef};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use once_cell::race::OnceBox;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

/// Every flag of a store as of one moment, in key order (the byte order of the keys). It does not change, may be
/// shared by threads and outlive the store; a clone is the same picture.
#[derive(Clone)]
pub struct Snapshot(CachedFile);

#[derive(Clone)]
enum CachedFile {
    Packed(Arc<Packed>),
    Shared(Arc<Shared>),
}

/// The flags of a file: keys and compact values in one text, each with a NUL behind it.
#[derive(Default)]
struct Packed {
    text: String,
    flags: Vec<Flag>,
    index: Option<Index>,
    /// All as one object, where it was asked for and is kept.
    json: OnceBox<String>,
}

/// Where its key and its value begin in the text; each ends where the next thing begins.
#[derive(Clone, Copy)]
struct Flag {
    key: u32,
    value: u32,
}

/// Finds a flag at once, by the hash of its key.
struct Index {
    table: HashTable<Flag>,
    hasher: RandomState,
}

/// The flags of a memory store, shared with it; put in order when somebody asks by index. Two threads may both do
/// that, but neither waits for the other, which a fork might have taken away.
struct Shared {
    flags: Arc<ShardedMap>,
    sorted: OnceBox<Vec<SharedFlag>>,
}

impl Snapshot {
    pub(crate) fn builder(bytes: usize, limit: usize) -> Result<Builder, ParseError> {
        let mut builder = Builder { text: Writer::new(Style::Compact, limit), flags: Vec::new() };
        builder.text.reserve(bytes)?;
        Ok(builder)
    }

    pub(crate) fn of_flags(flags: Arc<ShardedMap>) -> Self {
        Self(CachedFile::Shared(Arc::new(Shared { flags, sorted: OnceBox::new() })))
    }

    /// The number of flags.
    pub fn len(&self) -> usize {
        match &self.0 {
            CachedFile::Packed(packed) => packed.flags.len(),
            CachedFile::Shared(shared) => shared.flags.len(),
        }
    }

    /// Whether there is no flag.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The flags in key order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, ValueRef<'_>)> {
        (0..self.len()).map(|index| {
            let (key, value) = self.entry(index).unwrap_or_default();
            (without_nul(key), ValueRef::compact(without_nul(value)))
        })
    }

    /// The flag's value, if there is one of that key.
    pub fn get(&self, key: &str) -> Option<ValueRef<'_>> {
        self.find(key).map(|value| ValueRef::compact(without_nul(value)))
    }

    /// The same flags, for many reads by key and to be kept: with an index, and in no more memory than they need.
    pub(crate) fn indexed(mut self) -> Result<Self, ParseError> {
        if let CachedFile::Packed(packed) = &mut self.0
            && let Some(packed) = Arc::get_mut(packed)
        {
            packed.text.shrink_to_fit();
            packed.flags.shrink_to_fit();
            packed.index = Some(packed.indexed()?);
        }
        Ok(self)
    }

    /// The key and the compact value at `index`, each with the NUL behind it.
    pub(crate) fn entry(&self, index: usize) -> Option<(&str, &str)> {
        match &self.0 {
            CachedFile::Packed(packed) => (index < packed.flags.len()).then(|| packed.entry(index)),
            CachedFile::Shared(shared) => shared.sorted().get(index).map(SharedFlag::with_nul),
        }
    }

    /// The compact value of `key`, with the NUL behind it.
    pub(crate) fn find(&self, key: &str) -> Option<&str> {
        match &self.0 {
            CachedFile::Packed(packed) => packed.find(key),
            CachedFile::Shared(shared) => shared.flags.find(key).map(|flag| flag.with_nul().1),
        }
    }

    /// The index of the first key that is not less than `key`; the number of flags if there is none.
    pub(crate) fn seek(&self, key: &str) -> usize {
        match &self.0 {
            CachedFile::Packed(packed) => packed.flags.partition_point(|flag| packed.key(*flag) < key),
            CachedFile::Shared(shared) => shared.sorted().partition_point(|flag| flag.key() < key),
        }
    }

    /// One JSON object with every flag, compact. [`Error::OutOfMemory`] if there is no room for it.
    pub fn to_json(&self) -> Result<String> {
        self.written().map_err(|_| Error::OutOfMemory)
    }

    /// The same of a snapshot that is kept, which keeps it: for the next time it is only copied.
    pub(crate) fn kept_json(&self) -> Result<String, ParseError> {
        let CachedFile::Packed(packed) = &self.0 else {
            return self.written();
        };
        let json = packed.json.get_or_try_init(|| self.written().map(Box::new))?;
        let mut copy = String::new();
        copy.try_reserve_exact(json.len()).map_err(|_| ParseError::OutOfMemory)?;
        copy.push_str(json);
        Ok(copy)
    }

    fn written(&self) -> Result<String, ParseError> {
        let mut writer = Writer::new(Style::Compact, MAX_BYTES);
        if let CachedFile::Packed(packed) = &self.0 {
            writer.reserve(packed.text.len() + 2 * packed.flags.len() + 2)?;
        }
        writer.raw("{")?;
        for (key, value) in self.iter() {
            writer.member_as_is(key, value.text())?;
        }
        writer.close_root()?;
        Ok(writer.finish())
    }
}

impl Default for Snapshot {
    fn default() -> Self {
        Self(CachedFile::Packed(Arc::default()))
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Where the first NUL is. Most values are short: their eight bytes are looked at in one step.
fn first_nul(text: &str) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    if let Some(bytes) = text.as_bytes().first_chunk() {
        let bytes = u64::from_le_bytes(*bytes);
        // The lowest bit that is left is in the first byte that is 0.
        let zeros = bytes.wrapping_sub(ONES) & !bytes & (ONES << 7);
        if zeros != 0 {
            return Some(zeros.trailing_zeros() as usize / 8);
        }
    }
    text.find('\0')
}

fn without_nul(text: &str) -> &str {
    text.strip_suffix('\0').unwrap_or(text)
}

impl Packed {
    fn entry(&self, index: usize) -> (&str, &str) {
        let Flag { key, value } = self.flags[index];
        let end = self.flags.get(index + 1).map_or(self.text.len(), |next| next.key as usize);
        (&self.text[key as usize..value as usize], &self.text[value as usize..end])
    }

    fn key(&self, flag: Flag) -> &str {
        &self.text[flag.key as usize..flag.value as usize - 1]
    }

    /// The compact value of `key`, with the NUL behind it.
    fn find(&self, key: &str) -> Option<&str> {
        match &self.index {
            Some(Index { table, hasher }) => {
                let flag = table.find(hasher.hash_one(key), |flag| self.key(*flag) == key)?;
                // Its end is in the next flag, which is elsewhere in memory; there is no other NUL in a value.
                let value = &self.text[flag.value as usize..];
                first_nul(value).map(|end| &value[..=end])
            }
            None => {
                let index = self.flags.binary_search_by(|flag| self.key(*flag).cmp(key)).ok()?;
                Some(self.entry(index).1)
            }
        }
    }

    fn indexed(&self) -> Result<Index, ParseError> {
        let hasher = RandomState::default();
        let hash = |flag: &Flag| hasher.hash_one(self.key(*flag));
        let mut table = HashTable::new();
        table.try_reserve(self.flags.len(), hash).map_err(|_| ParseError::OutOfMemory)?;
        for flag in &self.flags {
            table.insert_unique(hash(flag), *flag, hash);
        }
        Ok(Index { table, hasher })
    }
}

impl Shared {
    fn sorted(&self) -> &[SharedFlag] {
        self.sorted.get_or_init(|| {
            let mut flags: Vec<_> = self.flags.iter().cloned().collect();
            flags.sort_unstable_by(|a, b| a.key().cmp(b.key()));
            Box::new(flags)
        })
    }
}

/// Takes the flags of a snapshot in key order.
pub(crate) struct Builder {
    text: Writer,
    flags: Vec<Flag>,
}

impl Builder {
    /// A flag whose value is to be read from the scanner.
    pub(crate) fn push(&mut self, key: &str, value: &mut Scanner<'_>) -> Result<(), ParseError> {
        let start = self.text.len();
        self.text.raw(key)?;
        self.text.raw("\0")?;
        let middle = self.text.len();
        self.text.value(value)?;
        self.text.raw("\0")?;
        self.flags.try_reserve(1).map_err(|_| ParseError::OutOfMemory)?;
        // The text is no longer than that.
        self.flags.push(Flag { key: start as u32, value: middle as u32 });
        Ok(())
    }

    pub(crate) fn finish(self) -> Snapshot {
        Snapshot(CachedFile::Packed(Arc::new(Packed {
            text: self.text.finish(),
            flags: self.flags,
            index: None,
            json: OnceBox::new(),
        })))
    }
}

use super::{Snapshot, no_room, without_nul, write_object};
use crate::Result;
use crate::json::MAX_BYTES;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

/// The flags of several snapshots. Where several have a key, the value of the first of them counts.
pub(crate) struct Union(Vec<Snapshot>);

impl Union {
    pub(crate) fn new(mut snapshots: Vec<Snapshot>) -> Self {
        snapshots.retain(|snapshot| !snapshot.is_empty());
        Self(snapshots)
    }

    /// The number of flags.
    pub(crate) fn len(&self) -> usize {
        match &self.0[..] {
            [only] => only.len(),
            _ => self.merge().count(),
        }
    }

    /// The flags as one snapshot. It is the one that has any, if no other has.
    pub(crate) fn into_snapshot(mut self) -> Result<Snapshot> {
        if self.0.len() < 2 {
            return Ok(self.0.pop().unwrap_or_default());
        }
        let mut builder = Snapshot::builder(self.room().min(MAX_BYTES), MAX_BYTES).map_err(no_room)?;
        for (key, json) in self.merge() {
            builder.push_compact(key, json).map_err(no_room)?;
        }
        Ok(builder.finish_without_spare())
    }

    /// The flags as one JSON object, compact.
    pub(crate) fn to_json(&self) -> Result<String> {
        match &self.0[..] {
            [only] => only.to_json(),
            _ => write_object(self.merge(), 0).map_err(no_room),
        }
    }

    /// No more bytes than this are needed, with a NUL behind each key and value.
    fn room(&self) -> usize {
        self.0.iter().map(Snapshot::bytes).fold(0, usize::saturating_add)
    }

    fn merge(&self) -> Merge<'_> {
        let heads = self.0.iter().enumerate().filter_map(|(snapshot, flags)| Head::of(flags, snapshot, 0));
        Merge { snapshots: &self.0, heads: heads.map(Reverse).collect(), last_key: None }
    }
}

/// The flags in key order.
struct Merge<'a> {
    snapshots: &'a [Snapshot],
    /// The next flag of each snapshot that has one. The least is that of the least key, and of the first snapshot.
    heads: BinaryHeap<Reverse<Head<'a>>>,
    last_key: Option<&'a str>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Head<'a> {
    key: &'a str,
    snapshot: usize,
    index: usize,
    json: &'a str,
}

impl<'a> Head<'a> {
    fn of(flags: &'a Snapshot, snapshot: usize, index: usize) -> Option<Self> {
        let (key, json) = flags.entry(index)?;
        Some(Self { key: without_nul(key), snapshot, index, json: without_nul(json) })
    }
}

impl<'a> Iterator for Merge<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut least = self.heads.peek_mut()?;
            let Head { key, snapshot, index, json } = least.0;
            match Head::of(&self.snapshots[snapshot], snapshot, index + 1) {
                Some(next) => least.0 = next,
                None => drop(PeekMut::pop(least)),
            }
            // A key that came before is hidden.
            if self.last_key.replace(key) != Some(key) {
                return Some((key, json));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FlagStore, InMemoryFlagStore, Value};

    fn packed(flags: &[(&str, i64)]) -> Snapshot {
        flags.iter().map(|(key, value)| (*key, Value::from(*value))).collect()
    }

    fn shared(flags: &[(&str, i64)]) -> Snapshot {
        let store = InMemoryFlagStore::new();
        flags.iter().for_each(|(key, value)| store.set(key, (*value).into()).unwrap());
        store.list_all().unwrap()
    }

    #[test]
    fn the_first_snapshot_that_has_a_key_counts_whatever_the_keys_are() {
        // Keys that are beginnings of others, with what sorts first behind them.
        let [top, middle, bottom] = [
            &[("", 1), ("a", 1), ("a\0", 1), ("é", 1)][..],
            &[("a", 2), ("a\0b", 2), ("ab", 2), ("z", 2)],
            &[("", 3), ("a\0", 3), ("ab", 3), ("é", 3), ("😀", 3)],
        ];
        let expected = r#"{"":1,"a":1,"a\u0000":1,"a\u0000b":2,"ab":2,"z":2,"é":1,"😀":3}"#;
        for make in [packed, shared] {
            let union = || Union::new(vec![Snapshot::default(), make(top), shared(middle), make(&[]), packed(bottom)]);
            assert_eq!(union().to_json().unwrap(), expected);
            assert_eq!(union().len(), 8);
            let snapshot = union().into_snapshot().unwrap();
            assert_eq!(snapshot.to_json().unwrap(), expected);
            assert_eq!(snapshot.get("a\0b").and_then(|value| value.as_i64()), Some(2));
            assert_eq!(snapshot.seek("ab"), 4);
        }
    }

    #[test]
    fn snapshots_without_flags_and_one_with_are_not_copied() {
        let only = packed(&[("a", 1)]);
        let union = || Union::new(vec![Snapshot::default(), only.clone(), Snapshot::default()]);
        let snapshot = union().into_snapshot().unwrap();
        assert!(std::ptr::eq(snapshot.entry(0).unwrap().0, only.entry(0).unwrap().0));
        assert_eq!((union().len(), union().to_json().unwrap().as_str()), (1, r#"{"a":1}"#));
        let none = || Union::new(vec![Snapshot::default(); 2]);
        assert_eq!((none().len(), none().to_json().unwrap().as_str()), (0, "{}"));
        assert!(none().into_snapshot().unwrap().is_empty());
    }

    #[test]
    fn a_union_takes_no_more_memory_than_its_flags() {
        let many: Vec<_> = (0..1000).map(|number| (format!("flag-{number:04}"), Value::from(number))).collect();
        let flags: Snapshot = many.into_iter().collect();
        let snapshot = Union::new(vec![flags.clone(), flags.clone(), flags.clone()]).into_snapshot().unwrap();
        assert_eq!(snapshot, flags);
        let (super::super::Repr::Packed(ours), super::super::Repr::Packed(theirs)) = (&snapshot.0, &flags.0) else {
            panic!("a union is packed");
        };
        assert_eq!(ours.text.capacity(), theirs.text.len());
        assert_eq!(ours.entries.capacity(), theirs.entries.len());
    }
}

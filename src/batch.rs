use crate::{Error, Result, Value, ValueRef};
use std::collections::BTreeMap;

/// Several changes that a store makes in one step, all or none, if what is expected of it holds.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    clear: bool,
    edits: BTreeMap<String, Option<Value>>,
    expectations: BTreeMap<String, Option<Value>>,
}

impl Batch {
    /// A batch that changes nothing and expects nothing.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn of(key: &str, value: Option<Value>) -> Self {
        Self { edits: BTreeMap::from([(key.to_owned(), value)]), ..Self::default() }
    }

    /// Stores `value` under `key`; the last word on a key counts.
    pub fn set(&mut self, key: &str, value: Value) {
        self.edits.insert(key.to_owned(), Some(value));
    }

    /// Removes the flag, if there is one; the last word on a key counts.
    pub fn delete(&mut self, key: &str) {
        self.edits.insert(key.to_owned(), None);
    }

    /// Removes everything before the batch's own changes are made, whenever this is called.
    pub fn clear(&mut self) {
        self.clear = true;
    }

    /// Commits only if the flag now has this value (as a JSON value: `1` and `1.0` differ, the order of keys does not
    /// matter); `None`: only if there is no such flag. The last word on a key counts.
    pub fn expect(&mut self, key: &str, value: Option<Value>) {
        self.expectations.insert(key.to_owned(), value);
    }

    /// Adds the changes of `later`, which are made after our own. What it expects is not ours to expect.
    pub(crate) fn add(&mut self, later: &Self) {
        if later.clear {
            self.clear = true;
            self.edits.clear();
        }
        self.edits.extend(later.edits.iter().map(|(key, value)| (key.clone(), value.clone())));
    }

    /// What the batch makes of a flag: a value, or none; `None` if it leaves the flag alone.
    pub(crate) fn outcome(&self, key: &str) -> Option<Option<&Value>> {
        let edit = self.edits.get(key).map(Option::as_ref);
        edit.or(self.clear.then_some(None))
    }

    pub(crate) fn clears(&self) -> bool {
        self.clear
    }

    /// The changes in key order: a value to store, or `None` to remove the flag.
    pub(crate) fn edits(&self) -> impl Iterator<Item = (&str, Option<&Value>)> {
        self.edits.iter().map(|(key, value)| (key.as_str(), value.as_ref()))
    }

    /// What is expected, in key order: a value, or `None` for no such flag.
    pub(crate) fn expectations(&self) -> impl Iterator<Item = (&str, Option<&Value>)> {
        self.expectations.iter().map(|(key, value)| (key.as_str(), value.as_ref()))
    }

    /// Whether what is expected of each flag is what `found` gives.
    pub(crate) fn check<'a>(&self, found: impl Fn(&str) -> Option<ValueRef<'a>>) -> Result<()> {
        for (key, expected) in self.expectations() {
            let found = found(key).map(ValueRef::to_value).transpose()?;
            if found.as_ref() != expected {
                return Err(Error::Conflict { key: key.to_owned(), expected: expected.cloned(), found });
            }
        }
        Ok(())
    }
}

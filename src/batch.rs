use crate::{Error, Result, Value, ValueRef};
use std::collections::BTreeMap;

/// Several changes that a store makes in one step, all or none, if its expectations hold.
///
/// ```
/// use flagstore::{Batch, Error, FlagStore, InMemoryFlagStore, Value};
///
/// let store = InMemoryFlagStore::new();
/// store.set("owner", "red".into())?;
///
/// let mut batch = Batch::new();
/// batch.expect("owner", Some("red".into()));
/// batch.set("owner", "blue".into());
/// batch.delete("draft");
/// store.commit(&batch)?;
/// assert_eq!(store.get("owner")?, Some(Value::from("blue")));
///
/// // The owner is no longer "red", so nothing is changed.
/// assert!(matches!(store.commit(&batch), Err(Error::Conflict { key, .. }) if key == "owner"));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    clears: bool,
    changes: BTreeMap<String, Option<Value>>,
    expectations: BTreeMap<String, Option<Value>>,
}

impl Batch {
    /// A batch that changes nothing and expects nothing.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn of(key: &str, value: Option<Value>) -> Self {
        Self { changes: BTreeMap::from([(key.to_owned(), value)]), ..Self::default() }
    }

    /// Stores `value` under `key`; the last word on a key counts.
    pub fn set(&mut self, key: &str, value: Value) {
        self.changes.insert(key.to_owned(), Some(value));
    }

    /// Removes the flag, if there is one; the last word on a key counts.
    pub fn delete(&mut self, key: &str) {
        self.changes.insert(key.to_owned(), None);
    }

    /// Removes everything before the batch's own changes are made, whenever this is called.
    pub fn clear(&mut self) {
        self.clears = true;
    }

    /// Commits only if the flag now has this value (as a JSON value: `1` and `1.0` differ, the order of keys does not
    /// matter); `None`: only if there is no such flag. The last word on a key counts.
    pub fn expect(&mut self, key: &str, value: Option<Value>) {
        self.expectations.insert(key.to_owned(), value);
    }

    /// Whether everything is removed before the changes are made.
    pub fn clears(&self) -> bool {
        self.clears
    }

    /// The changes in key order, each key once: a value to store, or `None` to remove the flag.
    pub fn changes(&self) -> impl ExactSizeIterator<Item = (&str, Option<&Value>)> {
        self.changes.iter().map(|(key, value)| (key.as_str(), value.as_ref()))
    }

    /// The expectations in key order, each key once: a value, or `None` for no such flag.
    pub fn expectations(&self) -> impl ExactSizeIterator<Item = (&str, Option<&Value>)> {
        self.expectations.iter().map(|(key, value)| (key.as_str(), value.as_ref()))
    }

    /// Compares the expectations with the values that `found` returns: for the commit of a backend of one's own.
    ///
    /// ```
    /// use flagstore::{Batch, Value};
    /// use std::collections::BTreeMap;
    ///
    /// let flags = BTreeMap::from([("a", Value::from(1))]);
    /// let mut batch = Batch::new();
    /// batch.expect("a", Some(1.into()));
    /// batch.expect("b", None);
    /// batch.check(|key| flags.get(key).map(Value::as_ref))?;
    /// # Ok::<(), flagstore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] for the first expectation that does not hold.
    pub fn check<'a>(&self, found: impl Fn(&str) -> Option<ValueRef<'a>>) -> Result<()> {
        for (key, expected) in self.expectations() {
            let found = found(key).map(ValueRef::to_value).transpose()?;
            if found.as_ref() != expected {
                return Err(Error::Conflict { key: key.to_owned(), expected: expected.cloned(), found });
            }
        }
        Ok(())
    }

    /// Adds the changes of `later`, which are made after our own, without its expectations.
    pub(crate) fn add(&mut self, later: &Self) {
        if later.clears {
            self.clears = true;
            self.changes.clear();
        }
        self.changes.extend(later.changes.iter().map(|(key, value)| (key.clone(), value.clone())));
    }

    /// The state of a flag after the batch: a value, or none; `None` if the batch leaves the flag alone.
    pub(crate) fn outcome(&self, key: &str) -> Option<Option<&Value>> {
        let change = self.changes.get(key).map(Option::as_ref);
        change.or(self.clears.then_some(None))
    }
}

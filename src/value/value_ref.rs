use super::{Kind, Value, compacted};
use crate::json::{self, number};
use crate::nul_terminated::NulTerminated;
use crate::{Error, Result};
use serde::de::Deserialize;
use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A value that a store lends for the length of a call, in whatever layout it is stored. Equal as a [`Value`] is.
///
/// ```
/// use flagstore::{FlagStore, InMemoryFlagStore};
///
/// let store = InMemoryFlagStore::new();
/// store.set("limit", 3.into())?;
/// let mut limit = 0;
/// store.visit("limit", &mut |value| limit = value.and_then(|value| value.as_i64()).unwrap_or(10))?;
/// assert_eq!(limit, 3);
/// # Ok::<(), flagstore::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct ValueRef<'a> {
    json: &'a str,
    /// How long its compact text may be, in bytes; `None`: this is it.
    limit: Option<usize>,
}

impl<'a> ValueRef<'a> {
    /// `json` has been validated and has no white space around it.
    pub(crate) fn new(json: &'a str, limit: usize) -> Self {
        Self { json, limit: Some(limit) }
    }

    /// Borrows canonical compact text.
    pub(crate) fn compact(json: &'a str) -> Self {
        Self { json, limit: None }
    }

    /// Its canonical compact text.
    pub(crate) fn compact_json(self) -> Result<Cow<'a, str>> {
        let stands = match self.kind() {
            Kind::Null | Kind::Bool | Kind::Number => true,
            Kind::String => !self.json.contains('\\'),
            Kind::Array | Kind::Object => false,
        };
        match self.limit.filter(|_| !stands) {
            None => Ok(self.json.into()),
            Some(limit) => compacted(self.json, limit).map(Cow::from),
        }
    }

    /// The canonical text, or the stored one if there is no room for that.
    fn comparable(self) -> Cow<'a, str> {
        self.compact_json().unwrap_or(Cow::Borrowed(self.json))
    }

    /// The type of the value.
    pub fn kind(self) -> Kind {
        match self.json.as_bytes().first() {
            Some(b'n') => Kind::Null,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'"') => Kind::String,
            Some(b'[') => Kind::Array,
            Some(b'{') => Kind::Object,
            _ => Kind::Number,
        }
    }

    /// The boolean, if it is one.
    pub fn as_bool(self) -> Option<bool> {
        match self.json {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// The number, if it is integral and in range: also `3.0` and `3e2`.
    pub fn as_i64(self) -> Option<i64> {
        (self.kind() == Kind::Number).then(|| number::to_i64(self.json)).flatten()
    }

    /// The nearest double, if it is a number that a double can hold.
    pub fn as_f64(self) -> Option<f64> {
        (self.kind() == Kind::Number).then(|| number::to_f64(self.json)).flatten()
    }

    /// The string without its quotes and escapes, if it is one that UTF-8 can hold: no surrogate in it is alone. Borrowed
    /// unless it has escapes.
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        self.to_text().ok().flatten()
    }

    /// The same; [`Error::OutOfMemory`] if there is no room for it.
    pub(crate) fn to_text(self) -> Result<Option<Cow<'a, str>>> {
        if self.kind() != Kind::String {
            return Ok(None);
        }
        json::unescape(&self.json[1..self.json.len() - 1]).map_err(|_| Error::OutOfMemory)
    }

    /// The value as a type of the caller's, which may borrow from it.
    ///
    /// # Errors
    ///
    /// serde's, if the value does not fit the type.
    pub fn deserialize_as<T: Deserialize<'a>>(self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.json)
    }

    /// A value that outlives the call.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] or [`Error::OutOfMemory`] if there is no room for its canonical text.
    pub fn to_value(self) -> Result<Value> {
        self.compact_json().map(|compact| Value(NulTerminated::new(compact.into_owned())))
    }

    /// The text as it is stored.
    pub(crate) fn text(self) -> &'a str {
        self.json
    }
}

impl<'a> From<&'a Value> for ValueRef<'a> {
    fn from(value: &'a Value) -> Self {
        value.as_ref()
    }
}

impl PartialEq for ValueRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.comparable() == other.comparable()
    }
}

impl Eq for ValueRef<'_> {}

impl Hash for ValueRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.comparable().hash(state);
    }
}

impl fmt::Display for ValueRef<'_> {
    /// The canonical compact JSON text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.compact_json().map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.json)
    }
}

use crate::json::{self, ParseError, Style, Writer, number};
use crate::nul_terminated::NulTerminated;
use crate::{Error, Result};
use serde::{Serialize, de::DeserializeOwned};
use std::borrow::Cow;
use std::fmt;

/// The six types of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// Any number, of any size and precision.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        })
    }
}

fn compacted(json: &str, limit: usize) -> Result<String> {
    json::compact(json, limit).map_err(|error| match error {
        ParseError::Syntax { at, problem } => {
            let (line, column) = json::line_and_column(json.as_bytes(), at);
            Error::InvalidJson { key: None, line, column, problem }
        }
        ParseError::TooLarge => Error::TooLarge { key: None },
        ParseError::OutOfMemory => Error::OutOfMemory,
    })
}

/// One JSON value, kept as its canonical compact text: object keys sorted at every level, numbers with the exact
/// digits they came with. Two values are equal if their texts are, so `1` and `1.0` differ.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(NulTerminated);

impl Value {
    /// The value that `json` spells, in any layout that RFC 8259 allows.
    ///
    /// [`Error::InvalidJson`] with line and column otherwise, also for a value that nests 128 levels or deeper. The
    /// escape of a lone surrogate is kept as it is.
    pub fn parse(json: &str) -> Result<Self> {
        Self::parse_within(json, json::MAX_BYTES)
    }

    /// The same with a limit to the value's length, in bytes.
    pub(crate) fn parse_within(json: &str, limit: usize) -> Result<Self> {
        compacted(json, limit).map(|compact| Self(NulTerminated::new(compact)))
    }

    pub(crate) fn canonical(json: &str, limit: usize) -> Result<Self, ParseError> {
        json::compact(json, limit).map(|compact| Self(NulTerminated::new(compact)))
    }

    /// Any value that serde can write as JSON.
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        let json = serde_json::to_string(value)
            .map_err(|error| Error::InvalidArgument(format!("cannot be written as JSON: {error}")))?;
        Self::parse(&json)
    }

    /// The value as a type of the caller's; the error says what does not fit.
    pub fn deserialize<T: DeserializeOwned>(&self) -> std::result::Result<T, serde_json::Error> {
        serde_json::from_str(self.as_json())
    }

    /// The canonical compact JSON text.
    pub fn as_json(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn text(&self) -> &NulTerminated {
        &self.0
    }

    /// The value, borrowed, for typed reads.
    pub fn as_ref(&self) -> ValueRef<'_> {
        ValueRef::compact(self.as_json())
    }

    /// A finite double, spelled as Python's `repr` does; `None` for NaN and the infinities, which JSON lacks.
    pub fn from_f64(double: f64) -> Option<Self> {
        double.is_finite().then(|| Self(NulTerminated::new(number::from_f64(double))))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self(if value { "true" } else { "false" }.into())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self(NulTerminated::new(value.to_string()))
    }
}

impl TryFrom<&str> for Value {
    type Error = Error;

    /// The JSON string that holds `text` (not a parse).
    fn try_from(text: &str) -> Result<Self> {
        let mut writer = Writer::new(Style::Compact, json::MAX_BYTES);
        writer.text(text).map_err(|_| Error::OutOfMemory)?;
        Ok(Self(NulTerminated::new(writer.finish())))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_json())
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_json())
    }
}

/// A value that a store lends for the length of a call, in whatever layout it is kept.
#[derive(Debug, Clone, Copy)]
pub struct ValueRef<'a> {
    json: &'a str,
    /// How long its compact text may be; `None`: this is it.
    limit: Option<usize>,
}

impl<'a> ValueRef<'a> {
    /// `json` has been validated and has no white space around it.
    pub(crate) fn new(json: &'a str, limit: usize) -> Self {
        Self { json, limit: Some(limit) }
    }

    /// The same of canonical compact text.
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

    /// Which of JSON's types it has.
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

    /// The string without its quotes and escapes, if it is one that UTF-8 can hold: no surrogate in it is alone.
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        self.to_text().ok().flatten()
    }

    /// The same; [`Error::OutOfMemory`] where there is no room for it.
    pub(crate) fn to_text(self) -> Result<Option<Cow<'a, str>>> {
        if self.kind() != Kind::String {
            return Ok(None);
        }
        json::unescape(&self.json[1..self.json.len() - 1]).map_err(|_| Error::OutOfMemory)
    }

    /// A value of one's own.
    pub fn to_value(self) -> Result<Value> {
        self.compact_json().map(|compact| Value(NulTerminated::new(compact.into_owned())))
    }

    /// The text as the store keeps it.
    pub(crate) fn text(self) -> &'a str {
        self.json
    }
}

use crate::json::{self, ParseError, Style, Writer, number};
use crate::nul_terminated::NulTerminated;
use crate::{Error, Result};
use ::serde::{Serialize, de::DeserializeOwned};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

mod serde;
mod stored;
mod value_ref;

pub(crate) use stored::StoredValue;
pub use value_ref::ValueRef;

/// The six types of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// The canonical compact text of `json`, `limit` bytes at most.
fn compacted(json: &str, limit: usize) -> Result<String> {
    json::compact(json, limit).map_err(|error| match error {
        ParseError::Syntax { at, problem } => {
            let (line, column) = json::line_and_column(json.as_bytes(), at);
            Error::InvalidJson { key: None, line, column, problem }
        }
        ParseError::TooLarge => Error::TooLarge { path: None, key: None },
        ParseError::OutOfMemory => Error::OutOfMemory,
    })
}

/// One JSON value, stored as its canonical compact text: object keys sorted at every level, numbers with the exact
/// digits they came with. Two values are equal if their texts are, so `1` and `1.0` differ. A clone shares the text.
///
/// ```
/// use flagstore::{Kind, Value};
///
/// let value: Value = r#"{"b": 1.10, "a": [true, null]}"#.parse()?;
/// assert_eq!(value.as_json(), r#"{"a":[true,null],"b":1.10}"#);
/// assert_eq!(value.kind(), Kind::Object);
///
/// assert_eq!(Value::from(3).as_i64(), Some(3));
/// assert_eq!(Value::from("3").as_str().as_deref(), Some("3"));
/// assert_eq!(Value::try_from(0.5)?.as_f64(), Some(0.5));
///
/// let rates: Vec<f64> = Value::from_serialize(&[0.1, 0.9])?.deserialize_as()?;
/// assert_eq!(rates, [0.1, 0.9]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// With serde it reads and writes as the value that it is. `serde_json` keeps the exact digits of its numbers, except
/// inside `#[serde(flatten)]` and untagged enums. Other formats keep those that fit `i64`, `u64` or `f64`; they see
/// `serde_json`'s `RawValue` instead of a number such as `1e400` or `1.10`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Value(NulTerminated);

impl Value {
    /// The value that `json` spells, in any layout that RFC 8259 allows.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidJson`] with line and column if it is not one JSON value; also for a value that nests 128 levels
    /// or deeper. The escape of a lone surrogate is kept as it is. [`Error::TooLarge`] beyond 4 GiB.
    pub fn parse(json: &str) -> Result<Self> {
        Self::parse_within(json, json::MAX_BYTES)
    }

    /// The same with a limit to the value's length, in bytes.
    pub(crate) fn parse_within(json: &str, limit: usize) -> Result<Self> {
        compacted(json, limit).map(Self::of_compact)
    }

    pub(crate) fn canonical(json: &str, limit: usize) -> Result<Self, ParseError> {
        json::compact(json, limit).map(Self::of_compact)
    }

    fn of_compact(json: String) -> Self {
        Self(NulTerminated::new(json))
    }

    /// The value that serde makes of `value`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] if JSON has no such value, such as a map whose keys are not text; otherwise as
    /// [`parse`](Self::parse).
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        let json = serde_json::to_string(value)
            .map_err(|error| Error::InvalidArgument(format!("cannot be written as JSON: {error}")))?;
        Self::parse(&json)
    }

    /// The value as a type of the caller's.
    ///
    /// # Errors
    ///
    /// serde's, if the value does not fit the type.
    pub fn deserialize_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        self.as_ref().deserialize_as()
    }

    /// The canonical compact JSON text.
    pub fn as_json(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn text(&self) -> &NulTerminated {
        &self.0
    }

    /// The value, borrowed, as a store lends it.
    pub fn as_ref(&self) -> ValueRef<'_> {
        ValueRef::compact(self.as_json())
    }

    /// The type of the value.
    pub fn kind(&self) -> Kind {
        self.as_ref().kind()
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        self.as_ref().as_bool()
    }

    /// The number, if it is integral and in range: also `3.0` and `3e2`.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_ref().as_i64()
    }

    /// The nearest double, if it is a number that a double can hold.
    pub fn as_f64(&self) -> Option<f64> {
        self.as_ref().as_f64()
    }

    /// The string without its quotes and escapes, if it is one; borrowed unless it has escapes.
    pub fn as_str(&self) -> Option<Cow<'_, str>> {
        self.as_ref().as_str()
    }

    /// A finite double, spelled as Python's `repr` does; `None` for NaN and the infinities, which JSON lacks.
    pub fn from_f64(double: f64) -> Option<Self> {
        double.is_finite().then(|| Self::of_compact(number::from_f64(double)))
    }

    /// The JSON string that holds `text`.
    pub(crate) fn string(text: &str) -> Result<Self> {
        let mut writer = Writer::new(Style::Compact, json::MAX_BYTES);
        match writer.text(text) {
            Ok(()) => Ok(Self::of_compact(writer.finish())),
            Err(ParseError::TooLarge) => Err(Error::TooLarge { path: None, key: None }),
            Err(_) => Err(Error::OutOfMemory),
        }
    }
}

impl Default for Value {
    /// `null`
    fn default() -> Self {
        Self("null".into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self(if value { "true" } else { "false" }.into())
    }
}

macro_rules! from_integer {
    ($($integer:ty)*) => {
        $(impl From<$integer> for Value {
            fn from(value: $integer) -> Self {
                Self::of_compact(value.to_string())
            }
        })*
    };
}

from_integer!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

impl TryFrom<f64> for Value {
    type Error = Error;

    /// [`Error::InvalidArgument`] for NaN and the infinities, which JSON lacks.
    fn try_from(double: f64) -> Result<Self> {
        Self::from_f64(double).ok_or_else(|| Error::InvalidArgument(format!("{double} is not a JSON number")))
    }
}

impl From<&str> for Value {
    /// The JSON string that holds `text`; to parse JSON there is [`Value::parse`].
    ///
    /// # Panics
    ///
    /// If the JSON string is longer than 4 GiB, or there is no memory for it.
    fn from(text: &str) -> Self {
        Self::string(text).unwrap_or_else(|error| panic!("a string of {} bytes: {error}", text.len()))
    }
}

impl From<String> for Value {
    /// As for `&str`.
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<Cow<'_, str>> for Value {
    /// As for `&str`.
    fn from(text: Cow<'_, str>) -> Self {
        (*text).into()
    }
}

impl FromStr for Value {
    type Err = Error;

    /// [`Value::parse`]
    fn from_str(json: &str) -> Result<Self> {
        Self::parse(json)
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

//! What file-format says about a text, by another parser: serde_json, with the rules added that it does not have.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt::{self, Write};

const MAX_DEPTH: u32 = 127;

pub type Flags = BTreeMap<String, Json>;

#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    /// As it was spelled.
    Number(String),
    Text(Text),
    Array(Vec<Json>),
    Object(BTreeMap<Text, Json>),
}

/// Code points in WTF-8: UTF-8 that may also encode surrogates, unless two of them make a pair. As with UTF-8, the
/// order of the bytes is that of the code points.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(Vec<u8>);

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The value that the bytes spell, if a store takes it.
pub fn value(bytes: &[u8]) -> Option<Json> {
    let raw: &RawValue = serde_json::from_str(std::str::from_utf8(bytes).ok()?).ok()?;
    parse(raw.get(), MAX_DEPTH)
}

/// The flags in a file of these bytes, if a store reads it.
pub fn document(bytes: &[u8]) -> Option<Flags> {
    let raw: &RawValue = serde_json::from_str(std::str::from_utf8(bytes).ok()?).ok()?;
    // The root object is not a level of a value.
    match parse(raw.get(), MAX_DEPTH + 1)? {
        // UTF-8 has to hold the key of a flag.
        Json::Object(flags) => {
            flags.into_iter().map(|(key, value)| Some((String::from_utf8(key.0).ok()?, value))).collect()
        }
        _ => None,
    }
}

/// serde_json judges one level at a time and hands over the text of the next: so numbers stay as spelled, members that
/// a later one hides are judged too, and its own limit on nesting is never met.
fn parse(raw: &str, levels: u32) -> Option<Json> {
    match raw.as_bytes().first()? {
        b'n' => serde_json::from_str(raw).ok().map(|()| Json::Null),
        b't' | b'f' => serde_json::from_str(raw).ok().map(Json::Bool),
        b'"' => serde_json::from_str(raw).ok().map(Json::Text),
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
            let levels = levels.checked_sub(1)?;
            items.iter().map(|item| parse(item.get(), levels)).collect::<Option<_>>().map(Json::Array)
        }
        b'{' => {
            let Members(members) = serde_json::from_str(raw).ok()?;
            let levels = levels.checked_sub(1)?;
            let parsed = members.into_iter().map(|(name, value)| Some((name, parse(value.get(), levels)?)));
            parsed.collect::<Option<_>>().map(Json::Object)
        }
        _ => Some(Json::Number(raw.to_owned())),
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Text, E> {
                Ok(Text(bytes.to_owned()))
            }
        }
        // serde_json gives bytes in WTF-8, and refuses lone surrogates only in what has to be UTF-8.
        deserializer.deserialize_bytes(Bytes)
    }
}

/// An object's members in the order of the text, repeated names included.
struct Members<'a>(Vec<(Text, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members<'de>, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}

/// The canonical file, as Python's `json.dump(flags, file, indent=2, sort_keys=True)` and a newline.
pub fn file(flags: &Flags) -> String {
    let mut text = String::new();
    write_object(&mut text, flags, Some(0));
    text + "\n"
}

/// The flags as one compact object.
pub fn compact(flags: &Flags) -> String {
    let mut text = String::new();
    write_object(&mut text, flags, None);
    text
}

fn write_object<K: AsRef<[u8]>>(out: &mut String, members: &BTreeMap<K, Json>, indent: Option<usize>) {
    write_list(out, ['{', '}'], indent, members.iter(), |out, (name, value), indent| {
        write_text(out, name.as_ref(), indent.is_some());
        out.push_str(if indent.is_some() { ": " } else { ":" });
        value.write(out, indent);
    });
}

fn write_list<T>(
    out: &mut String,
    brackets: [char; 2],
    indent: Option<usize>,
    items: impl ExactSizeIterator<Item = T>,
    write: impl Fn(&mut String, T, Option<usize>),
) {
    let line = |out: &mut String, indent: Option<usize>| {
        if let Some(indent) = indent {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
        }
    };
    let (inner, count) = (indent.map(|indent| indent + 2), items.len());
    out.push(brackets[0]);
    for (index, item) in items.enumerate() {
        line(out, inner);
        write(out, item, inner);
        out.push_str(if index + 1 < count { "," } else { "" });
    }
    if count > 0 {
        line(out, indent);
    }
    out.push(brackets[1]);
}

/// Compact text escapes as serde_json does, and lone surrogates; the file is ASCII.
fn write_text(out: &mut String, text: &[u8], ascii: bool) {
    out.push('"');
    let mut rest = text;
    while let Err(error) = std::str::from_utf8(rest) {
        let (valid, invalid) = rest.split_at(error.valid_up_to());
        write_characters(out, valid, ascii);
        let unit = 0xD000 | u32::from(invalid[1] & 0x3F) << 6 | u32::from(invalid[2] & 0x3F);
        let _ = write!(out, "\\u{unit:04x}");
        rest = &invalid[3..];
    }
    write_characters(out, rest, ascii);
    out.push('"');
}

fn write_characters(out: &mut String, text: &[u8], ascii: bool) {
    let text = std::str::from_utf8(text).expect("surrogates have been taken out");
    let quoted = serde_json::to_string(text).expect("a string can be written");
    for character in quoted[1..quoted.len() - 1].chars() {
        if !ascii || character < '\x7f' {
            out.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
}

impl Json {
    pub fn compact(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, None);
        text
    }

    fn write(&self, out: &mut String, indent: Option<usize>) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(spelled) => out.push_str(spelled),
            Self::Text(text) => write_text(out, &text.0, indent.is_some()),
            Self::Array(items) => {
                write_list(out, ['[', ']'], indent, items.iter(), |out, item, indent| item.write(out, indent));
            }
            Self::Object(members) => write_object(out, members, indent),
        }
    }

    pub fn bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// `None` also for a string that UTF-8 cannot hold.
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { std::str::from_utf8(&text.0).ok() } else { None }
    }

    pub fn double(&self) -> Option<f64> {
        let Self::Number(spelled) = self else { return None };
        spelled.parse().ok().filter(|double: &f64| double.is_finite())
    }

    /// By moving the point in the decimal digits.
    pub fn int64(&self) -> Option<i64> {
        let Self::Number(spelled) = self else { return None };
        let (sign, spelled) = spelled.strip_prefix('-').map_or(("", spelled.as_str()), |rest| ("-", rest));
        let (mantissa, exponent) = spelled.split_once(['e', 'E']).unwrap_or((spelled, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if digits.bytes().all(|digit| digit == b'0') {
            return Some(0);
        }
        let far = if exponent.starts_with('-') { i64::MIN / 4 } else { i64::MAX / 4 };
        let point = whole.len() as i64 + exponent.parse().unwrap_or(far).clamp(i64::MIN / 4, i64::MAX / 4);
        if point > digits.len() as i64 + 19 {
            return None;
        }
        let (integral, rest) = digits.split_at(point.clamp(0, digits.len() as i64) as usize);
        let zeros = "0".repeat((point - digits.len() as i64).max(0) as usize);
        if rest.bytes().any(|digit| digit != b'0') {
            return None;
        }
        format!("{sign}{integral}{zeros}").parse().ok()
    }

    /// FLAGSTORE_TYPE_*
    pub fn type_code(&self) -> i32 {
        match self {
            Self::Null => 1,
            Self::Bool(_) => 2,
            Self::Number(_) => 3,
            Self::Text(_) => 4,
            Self::Array(_) => 5,
            Self::Object(_) => 6,
        }
    }
}

//! The flags as the server sends them.

use super::refusal;
use super::reply::Reply;
use crate::json::{self, ParseError};
use crate::{Error, Result, Snapshot, Value};
use std::collections::BTreeMap;

/// The value of one flag, of no more than `limit` bytes. `place`: the server and the hash.
pub(super) fn value(key: &str, text: &[u8], limit: usize, place: &str) -> Result<Value> {
    json::utf8(text).and_then(|text| Value::canonical(text, limit)).map_err(|fault| unreadable(key, text, fault, place))
}

/// All flags, and those that cannot be read with their errors. `fields`: keys and values in turn, in any order.
pub(super) fn snapshot(fields: Reply<'_>, limit: usize, place: &str) -> Result<(Snapshot, BTreeMap<String, Error>)> {
    let mut unreadable_ones = BTreeMap::new();
    let mut elements = fields.elements();
    let mut flags = Vec::new();
    flags.try_reserve_exact(elements.len() / 2).map_err(|_| Error::OutOfMemory)?;
    let mut bytes = 0;
    while let (Some(key), Some(text)) = (elements.next(), elements.next()) {
        let (Some(key), Some(text)) = (key.text(), text.text()) else {
            return Err(Error::backend(format!("{place}: the server has sent a field without a value")));
        };
        let Ok(key) = json::utf8(key) else {
            tracing::warn!("{place}: left out of the list: the field {:?} is not UTF-8", String::from_utf8_lossy(key));
            continue;
        };
        bytes += key.len() + text.len() + 2;
        flags.push((key, text));
    }
    flags.sort_unstable_by_key(|(key, _)| *key);
    let mut builder = Snapshot::builder(bytes.min(limit), limit).map_err(no_room)?;
    for (key, text) in flags {
        match json::utf8(text).and_then(|text| builder.push_json(key, text)) {
            Err(fault @ ParseError::Syntax { .. }) => {
                unreadable_ones.insert(key.to_owned(), unreadable(key, text, fault, place));
            }
            other => other.map_err(no_room)?,
        }
    }
    Ok((builder.finish(), unreadable_ones))
}

fn unreadable(key: &str, text: &[u8], fault: ParseError, place: &str) -> Error {
    match fault {
        ParseError::Syntax { at, problem } => {
            let (line, column) = json::line_and_column(text, at);
            refusal::corrupt(&format!("{place}: flag {key:?}"), line, column, problem)
        }
        other => no_room(other).of_flag(key),
    }
}

fn no_room(fault: ParseError) -> Error {
    match fault {
        ParseError::TooLarge => Error::TooLarge { path: None, key: None },
        _ => Error::OutOfMemory,
    }
}

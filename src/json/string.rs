//! Strings as they stand between their quotes, already validated by the scanner.

use super::{ParseError, Quoted};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::str::Chars;

/// The characters that the escaped text means.
pub(crate) struct Characters<'a>(Chars<'a>);

pub(crate) fn characters(escaped: &str) -> Characters<'_> {
    Characters(escaped.chars())
}

impl Iterator for Characters<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let character = self.0.next()?;
        if character != '\\' {
            return Some(character);
        }
        Some(match self.0.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let mut code = self.unit()?;
                if (0xD800..0xDC00).contains(&code) {
                    self.0.nth(1)?;
                    code = 0x10000 + ((code - 0xD800) << 10) + (self.unit()?.checked_sub(0xDC00)?);
                }
                char::from_u32(code)?
            }
            itself => itself,
        })
    }
}

impl Characters<'_> {
    fn unit(&mut self) -> Option<u32> {
        let unit = u32::from_str_radix(self.0.as_str().get(..4)?, 16).ok()?;
        self.0.nth(3)?;
        Some(unit)
    }
}

/// The text itself; borrowed where nothing is escaped.
pub(crate) fn unescape(escaped: &str) -> Result<Cow<'_, str>, ParseError> {
    if !escaped.contains('\\') {
        return Ok(Cow::Borrowed(escaped));
    }
    let mut text = String::new();
    // No escape is shorter than what it means.
    text.try_reserve_exact(escaped.len()).map_err(|_| ParseError::OutOfMemory)?;
    text.extend(characters(escaped));
    Ok(Cow::Owned(text))
}

/// The order of an escaped string and a plain text, as [`compare`] has it.
pub(crate) fn compare_to(escaped: &str, text: &str) -> Ordering {
    if !escaped.contains('\\') { escaped.cmp(text) } else { characters(escaped).cmp(text.chars()) }
}

/// The order of two escaped strings by code point, which is the byte order of their UTF-8.
pub(crate) fn compare(left: &str, right: &str) -> Ordering {
    if !left.contains('\\') && !right.contains('\\') {
        return left.cmp(right);
    }
    characters(left).cmp(characters(right))
}

/// Whether keys that come one after the other are in order, each once.
pub(crate) struct KeyOrderCheck<'a> {
    text: &'a str,
    last: Option<Quoted>,
    pub(crate) holds: bool,
}

impl<'a> KeyOrderCheck<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, last: None, holds: true }
    }

    #[inline(always)]
    pub(crate) fn take(&mut self, key: Quoted) {
        let is_next = |last: Quoted| match last.escaped || key.escaped {
            false => last.span.of(self.text) < key.span.of(self.text),
            true => compare(last.span.of(self.text), key.span.of(self.text)).is_lt(),
        };
        self.holds &= self.last.is_none_or(is_next);
        self.last = Some(key);
    }
}

//! Strings as they stand between their quotes, already validated by the scanner.

use super::{ParseError, Quoted};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::str::Chars;

/// The code points that escaped text means, up to its end or to the quote behind it. As in Python, a surrogate without
/// its other half stands for itself, between U+D7FF and U+E000.
pub(super) struct CodePoints<'a>(Chars<'a>);

pub(super) fn code_points(escaped: &str) -> CodePoints<'_> {
    CodePoints(escaped.chars())
}

impl Iterator for CodePoints<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        match self.0.next()? {
            '"' => None,
            '\\' => self.escape(),
            character => Some(character.into()),
        }
    }
}

impl CodePoints<'_> {
    fn escape(&mut self) -> Option<u32> {
        Some(match self.0.next()? {
            'b' => 0x8,
            'f' => 0xC,
            'n' => 0xA,
            'r' => 0xD,
            't' => 0x9,
            'u' => match self.hex4()? {
                high @ 0xD800..0xDC00 => match self.low_surrogate() {
                    Some(low) => 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00),
                    None => high,
                },
                code_point => code_point,
            },
            itself => itself.into(),
        })
    }

    fn hex4(&mut self) -> Option<u32> {
        let (digits, rest) = self.0.as_str().split_at_checked(4)?;
        self.0 = rest.chars();
        u32::from_str_radix(digits, 16).ok()
    }

    /// The escape of a low surrogate, if that comes next.
    fn low_surrogate(&mut self) -> Option<u32> {
        let mut ahead = CodePoints(self.0.as_str().strip_prefix("\\u")?.chars());
        let low = ahead.hex4().filter(|unit| matches!(unit, 0xDC00..0xE000))?;
        self.0 = ahead.0;
        Some(low)
    }
}

/// Where the first escape of a lone surrogate begins.
pub(super) fn lone_surrogate(escaped: &str) -> Option<usize> {
    let mut code_points = code_points(escaped);
    loop {
        let begin = escaped.len() - code_points.0.as_str().len();
        if matches!(code_points.next()?, 0xD800..0xE000) {
            return Some(begin);
        }
    }
}

/// The text itself, borrowed where nothing is escaped; `None`: UTF-8 cannot hold it, for a surrogate in it is alone.
pub(crate) fn unescape(escaped: &str) -> Result<Option<Cow<'_, str>>, ParseError> {
    if !escaped.contains('\\') {
        return Ok(Some(Cow::Borrowed(escaped)));
    }
    let mut text = String::new();
    // No escape is shorter than its meaning.
    text.try_reserve_exact(escaped.len()).map_err(|_| ParseError::OutOfMemory)?;
    for code_point in code_points(escaped) {
        match char::from_u32(code_point) {
            Some(character) => text.push(character),
            None => return Ok(None),
        }
    }
    Ok(Some(Cow::Owned(text)))
}

/// The order of an escaped string and a plain text, as [`compare`] has it.
pub(crate) fn compare_to(escaped: &str, text: &str) -> Ordering {
    code_points(escaped).cmp(text.chars().map(u32::from))
}

/// The order of two escaped strings by code point, which is the byte order of their UTF-8. Each may go on behind its
/// closing quote: reading stops at the first difference, so that one very long key does not slow down a sort.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let (left_bytes, right_bytes) = (left.as_bytes(), right.as_bytes());
    let is_plain = |byte: u8| byte != b'"' && byte != b'\\';
    let pairs = left_bytes.iter().zip(right_bytes);
    let common = pairs.take_while(|(left, right)| left == right && is_plain(**left)).count();
    // A quote is the end, and nothing is less than that.
    let next = |bytes: &[u8]| bytes.get(common).copied().filter(|byte| *byte != b'"');
    match (next(left_bytes), next(right_bytes)) {
        (Some(b'\\'), _) | (_, Some(b'\\')) => code_points(&left[common..]).cmp(code_points(&right[common..])),
        (left, right) => left.cmp(&right),
    }
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

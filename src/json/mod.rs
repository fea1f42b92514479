//! JSON text: one scanner that validates, one writer that makes it canonical. Nothing else parses, nothing else
//! writes. The grammar is RFC 8259, strict; values may nest 127 levels.

mod member_order;
pub(crate) mod number;
mod scan;
mod span;
mod string;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use scan::{Scanner, utf8, utf8_error};
pub(crate) use span::{Quoted, Span};
pub(crate) use string::{KeyOrderCheck, compare_to, unescape};
pub(crate) use write::{Style, Writer};

/// Levels that a value may nest; the root object of a file is not counted.
pub(crate) const MAX_DEPTH: u32 = 127;

/// Texts longer than this are refused, so that positions in them fit in four bytes.
pub(crate) const MAX_BYTES: usize = u32::MAX as usize;

/// Why a text was refused.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ParseError {
    /// Not JSON: the problem, and the byte where it is.
    Syntax { at: usize, problem: &'static str },
    /// The result would be larger than allowed.
    TooLarge,
    /// No memory for the result.
    OutOfMemory,
}

/// The canonical compact text of the value that `json` spells, with room for a NUL behind it.
pub(crate) fn compact(json: &str, limit: usize) -> Result<String, ParseError> {
    let mut scanner = Scanner::new(json)?;
    let mut writer = Writer::new(Style::Compact, limit);
    writer.reserve(json.len().min(limit) + 1)?;
    scanner.space();
    writer.value(&mut scanner)?;
    scanner.end()?;
    writer.reserve(1)?;
    Ok(writer.finish())
}

/// Line and column of a byte, both from 1, the column in characters.
pub(crate) fn line_and_column(text: &[u8], at: usize) -> (usize, usize) {
    let before = &text[..at.min(text.len())];
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    let lines = before.iter().filter(|&&byte| byte == b'\n').count();
    let characters = before[line_start..].iter().filter(|&&byte| byte & 0xC0 != 0x80).count();
    (lines + 1, characters + 1)
}

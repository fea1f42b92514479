use crate::json::{MAX_BYTES, ParseError, Quoted, Scanner, Span, Style, Writer};

/// What stands before the first flag, between two flags, and after the last.
const FIRST: &str = "{\n  ";
pub(super) const NEXT: &str = ",\n  ";
pub(super) const LAST: &str = "\n}\n";
const EMPTY: &str = "{}\n";

/// Tells whether a text is laid out as it would be written, flag by flag. The order of the flags is another's business.
pub(super) struct CanonicalCheck<'a> {
    text: &'a str,
    /// Where the flags that were taken end.
    end: usize,
    holds: bool,
    scratch: Writer,
}

impl<'a> CanonicalCheck<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        // Everything else is written as an escape.
        let printable = text.is_ascii() && !text.as_bytes().contains(&0x7F);
        Self { text, end: 0, holds: printable, scratch: Writer::new(Style::File, MAX_BYTES) }
    }

    /// The next flag: where it begins, its key and its value.
    #[inline(always)]
    pub(super) fn take(&mut self, begin: usize, key: Quoted, value: Span) -> Result<(), ParseError> {
        if self.holds {
            let bytes = self.text.as_bytes();
            let before = if self.end == 0 { FIRST } else { NEXT };
            self.holds = begin == self.end + before.len()
                && bytes[self.end..].first_chunk() == before.as_bytes().first_chunk::<4>()
                && value.start() == key.span.end() + 3
                && bytes[key.span.end()..].first_chunk() == Some(b"\": ")
                && (!key.escaped || self.as_written(Span::new(begin, key.span.end() + 1))?)
                && self.is_value(value)?;
            self.end = value.end();
        }
        Ok(())
    }

    /// After all flags.
    pub(super) fn is_canonical(&self) -> bool {
        self.holds && if self.end == 0 { self.text == EMPTY } else { &self.text[self.end..] == LAST }
    }

    #[inline(always)]
    fn is_value(&mut self, value: Span) -> Result<bool, ParseError> {
        match self.text.as_bytes()[value.start()] {
            b'{' | b'[' => self.as_written(value),
            b'"' if value.of(self.text).contains('\\') => self.as_written(value),
            _ => Ok(true),
        }
    }

    #[inline(never)]
    fn as_written(&mut self, value: Span) -> Result<bool, ParseError> {
        self.scratch.clear();
        self.scratch.value(&mut Scanner::at(self.text, value.start()), 0)?;
        Ok(self.scratch.written() == value.of(self.text))
    }
}

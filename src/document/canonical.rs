use crate::json::{KeyOrderCheck, ParseError, Quoted, Span, Style, Writer};

/// The text before the first flag, between two flags, and after the last.
const FIRST: &str = "{\n  ";
pub(super) const NEXT: &str = ",\n  ";
pub(super) const LAST: &str = "\n}\n";
const EMPTY: &str = "{}\n";

/// Checks flag by flag whether a text stands as it would be written.
pub(super) struct CanonicalCheck<'a> {
    text: &'a str,
    /// Where the last flag ends.
    end: usize,
    holds: bool,
    order: KeyOrderCheck<'a>,
    scratch: Writer,
}

impl<'a> CanonicalCheck<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        // Everything else is written as an escape.
        let holds = text.is_ascii() && !text.as_bytes().contains(&0x7F);
        Self { text, end: 0, holds, order: KeyOrderCheck::new(text), scratch: Writer::new(Style::File, text.len()) }
    }

    /// The next flag: where it begins, its key and its value. False once the text is known not to be canonical.
    #[inline(always)]
    pub(super) fn take(&mut self, begin: usize, key: Quoted, value: Span) -> Result<bool, ParseError> {
        if self.holds {
            self.order.take(key);
            self.holds = self.order.holds
                && self.is_laid_out(begin, key, value)
                && (!key.escaped || self.scratch.would_write(self.text, Span::new(begin, key.span.end() + 1))?)
                && self.is_value(value)?;
            self.end = value.end();
        }
        Ok(self.holds)
    }

    /// After all flags.
    pub(super) fn is_canonical(&self) -> bool {
        self.holds && if self.end == 0 { self.text == EMPTY } else { &self.text[self.end..] == LAST }
    }

    #[inline(always)]
    fn is_laid_out(&self, begin: usize, key: Quoted, value: Span) -> bool {
        let bytes = self.text.as_bytes();
        let before = if self.end == 0 { FIRST } else { NEXT };
        begin == self.end + before.len()
            && bytes[self.end..].first_chunk() == before.as_bytes().first_chunk::<4>()
            && value.start() == key.span.end() + 3
            && bytes[key.span.end()..].first_chunk() == Some(b"\": ")
    }

    #[inline(always)]
    fn is_value(&mut self, value: Span) -> Result<bool, ParseError> {
        match self.text.as_bytes()[value.start()] {
            b'{' | b'[' => self.scratch.would_write(self.text, value),
            b'"' if value.of(self.text).contains('\\') => self.scratch.would_write(self.text, value),
            _ => Ok(true),
        }
    }
}

use super::string::lone_surrogate;
use super::{MAX_BYTES, MAX_DEPTH, ParseError, Quoted, Span};
use crate::sys;

/// Checks the whole text once, so that the scanner only looks at structure.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, ParseError> {
    std::str::from_utf8(bytes).map_err(utf8_error)
}

pub(crate) fn utf8_error(error: std::str::Utf8Error) -> ParseError {
    ParseError::Syntax { at: error.valid_up_to(), problem: "the text is not UTF-8" }
}

/// Walks over a text, validating what it passes.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Result<Self, ParseError> {
        if text.len() > MAX_BYTES {
            return Err(ParseError::TooLarge);
        }
        if text.starts_with('\u{feff}') {
            return Err(ParseError::Syntax { at: 0, problem: "a byte-order mark is not allowed" });
        }
        Ok(Self { text, at: 0 })
    }

    /// At the brace of the object that a file holds.
    pub(crate) fn of_root(text: &'a str) -> Result<Self, ParseError> {
        let mut scanner = Self::new(text)?;
        scanner.space();
        if scanner.peek() != b'{' {
            return scanner.syntax_error("expected `{`: the file holds one JSON object");
        }
        Ok(scanner)
    }

    /// In the middle of a text that has been scanned before.
    pub(crate) fn at(text: &'a str, at: usize) -> Self {
        Self { text, at }
    }

    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    #[inline(always)]
    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    #[inline(always)]
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    #[inline(always)]
    pub(crate) fn peek(&self) -> u8 {
        // A raw NUL is nowhere allowed, so it can stand for the end.
        self.bytes().get(self.at).copied().unwrap_or(0)
    }

    /// The next N bytes, if there are as many.
    #[inline(always)]
    fn ahead<const N: usize>(&self) -> Option<&'a [u8; N]> {
        self.bytes().get(self.at..)?.first_chunk()
    }

    #[cold]
    pub(crate) fn syntax_error<T>(&self, problem: &'static str) -> Result<T, ParseError> {
        let problem = if self.at >= self.bytes().len() { "the text ends too early" } else { problem };
        Err(ParseError::Syntax { at: self.at, problem })
    }

    #[inline(always)]
    pub(crate) fn space(&mut self) {
        if self.peek() <= b' ' {
            self.more_space();
        }
    }

    fn more_space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
            // An indented line goes on with spaces.
            while let Some(chunk) = self.ahead::<8>() {
                let spaces = (u64::from_le_bytes(*chunk) ^ u64::from_le_bytes([b' '; 8])).trailing_zeros() as usize / 8;
                self.at += spaces;
                if spaces < 8 {
                    break;
                }
            }
        }
    }

    pub(crate) fn expect(&mut self, byte: u8, problem: &'static str) -> Result<(), ParseError> {
        if self.peek() != byte {
            return self.syntax_error(problem);
        }
        self.at += 1;
        Ok(())
    }

    /// Nothing but white space may follow.
    pub(crate) fn end(&mut self) -> Result<(), ParseError> {
        self.space();
        if self.at < self.bytes().len() {
            return self.syntax_error("text after the end of the value");
        }
        Ok(())
    }

    /// `{` or `[` and what follows it; false: the container is empty and closed.
    pub(crate) fn enter(&mut self, close: u8) -> bool {
        self.at += 1;
        self.space();
        let empty = self.peek() == close;
        self.at += usize::from(empty);
        !empty
    }

    /// After an element: true if another follows, false if the container was closed.
    #[inline(always)]
    pub(crate) fn next_element(&mut self, close: u8) -> Result<bool, ParseError> {
        self.space();
        match self.peek() {
            b',' => {
                self.at += 1;
                self.space();
                Ok(true)
            }
            byte if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ if close == b'}' => self.syntax_error("expected `,` or `}`"),
            _ => self.syntax_error("expected `,` or `]`"),
        }
    }

    /// After a member of the root object: as [`next_element`](Self::next_element), and faster in a canonical file.
    #[inline(always)]
    pub(crate) fn next_root_member(&mut self) -> Result<bool, ParseError> {
        if self.ahead() == Some(b",\n  \"") {
            self.at += 4;
            return Ok(true);
        }
        self.next_element(b'}')
    }

    /// A member's key and the colon.
    #[inline(always)]
    pub(crate) fn key(&mut self) -> Result<Quoted, ParseError> {
        if self.peek() != b'"' {
            return self.syntax_error("expected a key in double quotes");
        }
        let key = self.string()?;
        if self.ahead() == Some(b": ") {
            self.at += 2;
        } else {
            self.space();
            self.expect(b':', "expected `:`")?;
        }
        self.space();
        Ok(key)
    }

    /// Checks a key of the root object. Callers name flags in UTF-8, which a lone surrogate cannot be in.
    #[inline(never)]
    pub(crate) fn check_unicode(&self, key: Quoted) -> Result<(), ParseError> {
        match lone_surrogate(key.span.of(self.text)) {
            Some(at) => Err(ParseError::Syntax { at: key.span.start() + at, problem: "a lone surrogate in a key" }),
            None => Ok(()),
        }
    }

    /// Passes over one value, whatever it is.
    #[inline(always)]
    pub(crate) fn value(&mut self) -> Result<Span, ParseError> {
        let start = self.at;
        if matches!(self.peek(), b'{' | b'[') {
            self.container()?;
        } else {
            self.scalar()?;
        }
        Ok(Span::new(start, self.at))
    }

    fn container(&mut self) -> Result<(), ParseError> {
        // One bit per open container, set for an object: 127 levels fit.
        let mut objects: u128 = 0;
        let mut depth = 0;
        loop {
            let byte = self.peek();
            if matches!(byte, b'{' | b'[') {
                self.check_depth(depth)?;
                let close = if byte == b'{' { b'}' } else { b']' };
                if self.enter(close) {
                    depth += 1;
                    objects = objects << 1 | u128::from(byte == b'{');
                    if byte == b'{' {
                        self.key()?;
                    }
                    continue;
                }
            } else {
                self.scalar()?;
            }
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let object = objects & 1 == 1;
                if self.next_element(if object { b'}' } else { b']' })? {
                    if object {
                        self.key()?;
                    }
                    break;
                }
                objects >>= 1;
                depth -= 1;
            }
        }
    }

    /// Whether a container may open inside `depth` others.
    pub(crate) fn check_depth(&self, depth: u32) -> Result<(), ParseError> {
        if depth >= MAX_DEPTH {
            return self.syntax_error("nested more than 127 levels deep");
        }
        Ok(())
    }

    /// A string, number, `true`, `false` or `null`; the span covers all of it, quotes included.
    #[inline(always)]
    pub(crate) fn scalar(&mut self) -> Result<Span, ParseError> {
        let start = self.at;
        if let Some(chunk) = self.ahead::<8>() {
            // Most flags are one of these two, in no predictable order: a branch between them costs a tenth of a walk.
            let bytes = u64::from_le_bytes(*chunk);
            let is_true = bytes as u32 == u32::from_le_bytes(*b"true");
            let is_false = bytes << 24 == u64::from_le_bytes(*b"\0\0\0false");
            if is_true | is_false {
                self.at += 4 + usize::from(is_false);
                return Ok(Span::new(start, self.at));
            }
        }
        match self.peek() {
            b'"' => {
                self.string()?;
            }
            b'-' | b'0'..=b'9' => self.number()?,
            b't' => self.literal("true")?,
            b'f' => self.literal("false")?,
            b'n' => self.literal("null")?,
            _ => return self.syntax_error("expected a value"),
        }
        Ok(Span::new(start, self.at))
    }

    fn literal(&mut self, literal: &'static str) -> Result<(), ParseError> {
        if !self.bytes()[self.at..].starts_with(literal.as_bytes()) {
            return self.syntax_error("expected a value");
        }
        self.at += literal.len();
        Ok(())
    }

    #[inline(always)]
    fn number(&mut self) -> Result<(), ParseError> {
        if let Some(chunk) = self.ahead::<8>() {
            // Seven digits or fewer, the first of them no 0, and nothing of a number behind them.
            let digits = digits_in(*chunk);
            if digits.wrapping_sub(1) < 7 && chunk[0] != b'0' && !matches!(chunk[digits], b'.' | b'e' | b'E') {
                self.at += digits;
                return Ok(());
            }
        }
        self.any_number()
    }

    #[inline(never)]
    fn any_number(&mut self) -> Result<(), ParseError> {
        self.at += usize::from(self.peek() == b'-');
        if self.peek() == b'0' {
            self.at += 1;
            if self.peek().is_ascii_digit() {
                return self.syntax_error("a number does not start with 0");
            }
        } else {
            self.digits()?;
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), b'+' | b'-'));
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), ParseError> {
        if !self.peek().is_ascii_digit() {
            return self.syntax_error("expected a digit");
        }
        while let Some(chunk) = self.ahead::<8>() {
            let digits = digits_in(*chunk);
            self.at += digits;
            if digits < 8 {
                return Ok(());
            }
        }
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        Ok(())
    }

    /// From the opening quote to past the closing one; the span is what stands between.
    #[inline(always)]
    pub(crate) fn string(&mut self) -> Result<Quoted, ParseError> {
        self.at += 1;
        let start = self.at;
        self.plain();
        let escaped = self.peek() != b'"';
        if escaped {
            self.escapes()?;
        }
        self.at += 1;
        Ok(Quoted { span: Span::new(start, self.at - 1), escaped })
    }

    /// From the first escape of a string to its closing quote.
    #[inline(never)]
    fn escapes(&mut self) -> Result<(), ParseError> {
        loop {
            match self.peek() {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                _ => return self.syntax_error("a control character in a string must be escaped"),
            }
            self.plain();
        }
    }

    /// Up to the next quote, backslash or control character.
    #[inline(always)]
    fn plain(&mut self) {
        while let Some(chunk) = self.ahead::<32>() {
            let stop = sys::find_string_end(chunk);
            self.at += stop;
            if stop < chunk.len() {
                return;
            }
        }
        while self.bytes().get(self.at).is_some_and(|&byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
            self.at += 1;
        }
    }

    /// One escape. The grammar allows that of a lone surrogate.
    fn escape(&mut self) -> Result<(), ParseError> {
        self.at += 1;
        match self.peek() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => self.hex4()?,
            _ => return self.syntax_error("an escape that JSON does not have"),
        }
        Ok(())
    }

    /// `u` and four hexadecimal digits.
    fn hex4(&mut self) -> Result<(), ParseError> {
        self.at += 1;
        for _ in 0..4 {
            if !self.peek().is_ascii_hexdigit() {
                return self.syntax_error("expected four hexadecimal digits");
            }
            self.at += 1;
        }
        Ok(())
    }
}

/// How many digits the bytes begin with. A byte that is none has another high half than digits, or gets one when 6 is
/// added.
#[inline(always)]
fn digits_in(bytes: [u8; 8]) -> usize {
    const HIGH: u64 = 0xF0F0_F0F0_F0F0_F0F0;
    let word = u64::from_le_bytes(bytes);
    let half = (word ^ 0x3030_3030_3030_3030) & HIGH;
    let beyond_nine = ((word & !HIGH) + 0x0606_0606_0606_0606) & HIGH;
    (half | beyond_nine).trailing_zeros() as usize / 8
}

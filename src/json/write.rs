use super::member_order::MemberOrder;
use super::string::{KeyOrderCheck, code_points};
use super::{MAX_BYTES, MAX_DEPTH, ParseError, Quoted, Scanner, Span};

/// The two canonical spellings of a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Style {
    /// For callers: no white space, UTF-8 unescaped but for lone surrogates.
    Compact,
    /// For the file: as Python's `json.dump(indent=2, sort_keys=True)`, ASCII only.
    File,
}

/// A line end and the deepest indent: of an element in 127 containers and the root object.
const DEEPEST_LINE: &str = {
    const LENGTH: usize = 1 + 2 * (MAX_DEPTH as usize + 1);
    const BYTES: [u8; LENGTH] = {
        let mut bytes = [b' '; LENGTH];
        bytes[0] = b'\n';
        bytes
    };
    match std::str::from_utf8(&BYTES) {
        Ok(line) => line,
        Err(_) => unreachable!(),
    }
};

/// Why the writer stopped in the middle.
enum Interruption {
    Failed(ParseError),
    /// The keys of an object are not in order.
    Unordered,
}

type Written = Result<(), Interruption>;

impl From<ParseError> for Interruption {
    fn from(error: ParseError) -> Self {
        Self::Failed(error)
    }
}

/// Appends canonical text to one growing string, never beyond `limit` bytes and never aborting for want of memory.
pub(crate) struct Writer {
    out: String,
    style: Style,
    limit: usize,
}

impl Writer {
    pub(crate) fn new(style: Style, limit: usize) -> Self {
        Self { out: String::new(), style, limit: limit.min(MAX_BYTES) }
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }

    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// Takes back what was written after `length` bytes.
    #[cfg(feature = "redis")]
    pub(crate) fn truncate(&mut self, length: usize) {
        self.out.truncate(length);
    }

    /// Makes room for `bytes` more at once.
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<(), ParseError> {
        self.out.try_reserve(bytes).map_err(|_| ParseError::OutOfMemory)
    }

    #[inline(always)]
    pub(crate) fn raw(&mut self, text: &str) -> Result<(), ParseError> {
        if text.len() > self.limit.min(self.out.capacity()) - self.out.len() {
            self.make_room(text.len())?;
        }
        self.out.push_str(text);
        Ok(())
    }

    #[inline(never)]
    fn make_room(&mut self, bytes: usize) -> Result<(), ParseError> {
        if self.out.len() + bytes > self.limit {
            return Err(ParseError::TooLarge);
        }
        self.reserve(bytes)
    }

    /// One more member of the root object that `{` began. Returns where it begins.
    pub(crate) fn member(&mut self, key: &str, value: &mut Scanner<'_>) -> Result<usize, ParseError> {
        let begin = self.next_member()?;
        self.text(key)?;
        self.raw(self.colon())?;
        self.value(value).map(|()| begin)
    }

    /// The same with a value that stands in `json` as it would be written.
    pub(crate) fn member_as_is(&mut self, key: &str, json: &str) -> Result<(), ParseError> {
        self.next_member()?;
        self.text(key)?;
        self.raw(self.colon())?;
        self.raw(json)
    }

    /// More members of it, which stand in `text` as they would be written. Returns where they begin.
    pub(crate) fn members(&mut self, text: &str) -> Result<usize, ParseError> {
        let begin = self.next_member()?;
        self.raw(text).map(|()| begin)
    }

    fn next_member(&mut self) -> Result<usize, ParseError> {
        if self.len() > 1 {
            self.raw(",")?;
        }
        self.line(1).map(|()| self.len())
    }

    /// Ends the root object.
    pub(crate) fn close_root(&mut self) -> Result<(), ParseError> {
        if self.len() > 1 {
            self.line(0)?;
        }
        self.raw(if self.style == Style::File { "}\n" } else { "}" })
    }

    /// The whole root object from a scanner that stands at its brace.
    pub(crate) fn root(&mut self, scanner: &mut Scanner<'_>) -> Result<(), ParseError> {
        self.container(scanner, true)?;
        if self.style == Style::File { self.raw("\n") } else { Ok(()) }
    }

    /// One value from the scanner.
    #[inline(always)]
    pub(crate) fn value(&mut self, scanner: &mut Scanner<'_>) -> Result<(), ParseError> {
        if matches!(scanner.peek(), b'{' | b'[') { self.container(scanner, false) } else { self.scalar(scanner) }
    }

    /// Whether the value stands in the text as it would be written. Discards the output.
    pub(crate) fn would_write(&mut self, text: &str, value: Span) -> Result<bool, ParseError> {
        self.out.clear();
        // A longer text differs anyway.
        self.limit = value.len();
        self.reserve(value.len())?;
        match self.element(&mut Scanner::at(text, value.start()), 0, None) {
            Ok(()) => Ok(self.out == value.of(text)),
            Err(Interruption::Unordered | Interruption::Failed(ParseError::TooLarge)) => Ok(false),
            Err(Interruption::Failed(error)) => Err(error),
        }
    }

    /// Writes a container as it stands, and once more if its keys turn out not to be in order.
    fn container(&mut self, scanner: &mut Scanner<'_>, is_root: bool) -> Result<(), ParseError> {
        let (begin, before) = (scanner.position(), self.out.len());
        let written = if is_root { self.object(scanner, 0, None) } else { self.element(scanner, 0, None) };
        match written {
            Ok(()) => Ok(()),
            Err(Interruption::Failed(error)) => Err(error),
            Err(Interruption::Unordered) => {
                self.out.truncate(before);
                *scanner = Scanner::at(scanner.text(), begin);
                self.sorted(scanner, is_root)
            }
        }
    }

    #[inline(never)]
    fn sorted(&mut self, scanner: &mut Scanner<'_>, is_root: bool) -> Result<(), ParseError> {
        // The text and the result take up to the limit each: all is less than three times that.
        let room = self.limit - self.limit / 4;
        let order = MemberOrder::of(&mut Scanner::at(scanner.text(), scanner.position()), is_root, room)?;
        let written =
            if is_root { self.object(scanner, 0, Some(&order)) } else { self.element(scanner, 0, Some(&order)) };
        written.map_err(|interruption| match interruption {
            Interruption::Failed(error) => error,
            Interruption::Unordered => unreachable!("every object is written in order"),
        })
    }

    /// `depth` containers are open around the element, the root object not counted.
    #[inline(always)]
    fn element(&mut self, scanner: &mut Scanner<'_>, depth: u32, order: Option<&MemberOrder>) -> Written {
        match scanner.peek() {
            b'{' => {
                scanner.check_depth(depth)?;
                self.object(scanner, depth + 1, order)
            }
            b'[' => {
                scanner.check_depth(depth)?;
                self.array(scanner, depth + 1, order)
            }
            _ => Ok(self.scalar(scanner)?),
        }
    }

    #[inline(always)]
    fn scalar(&mut self, scanner: &mut Scanner<'_>) -> Result<(), ParseError> {
        if scanner.peek() == b'"' {
            let string = scanner.string()?;
            return self.quoted(string, scanner.text());
        }
        let scalar = scanner.scalar()?;
        self.raw(scalar.of(scanner.text()))
    }

    /// `depth` containers are open around the elements, this one included and the root object not.
    fn array(&mut self, scanner: &mut Scanner<'_>, depth: u32, order: Option<&MemberOrder>) -> Written {
        if !scanner.enter(b']') {
            return Ok(self.raw("[]")?);
        }
        self.raw("[")?;
        loop {
            self.line(depth + 1)?;
            self.element(scanner, depth, order)?;
            if !scanner.next_element(b']')? {
                break;
            }
            self.raw(",")?;
        }
        self.line(depth)?;
        Ok(self.raw("]")?)
    }

    /// As `array`.
    fn object(&mut self, scanner: &mut Scanner<'_>, depth: u32, order: Option<&MemberOrder>) -> Written {
        if let Some(members) = order.and_then(|order| order.of_object(scanner.position())) {
            return self.unordered_object(scanner, members, depth, order);
        }
        if !scanner.enter(b'}') {
            return Ok(self.raw("{}")?);
        }
        let mut check = KeyOrderCheck::new(scanner.text());
        self.raw("{")?;
        loop {
            self.line(depth + 1)?;
            let key = scanner.key()?;
            if key.escaped && depth == 0 {
                scanner.check_unicode(key)?;
            }
            check.take(key);
            if !check.holds && order.is_none() {
                return Err(Interruption::Unordered);
            }
            self.key(key, scanner.text())?;
            self.element(scanner, depth, order)?;
            if !scanner.next_element(b'}')? {
                break;
            }
            self.raw(",")?;
        }
        self.line(depth)?;
        Ok(self.raw("}")?)
    }

    /// Writes an object from `members`, which say where each begins.
    #[inline(always)]
    fn unordered_object(
        &mut self,
        scanner: &mut Scanner<'_>,
        members: &[u32],
        depth: u32,
        order: Option<&MemberOrder>,
    ) -> Written {
        let mut end = 0;
        self.raw("{")?;
        for (index, begin) in members.iter().enumerate() {
            if index > 0 {
                self.raw(",")?;
            }
            self.line(depth + 1)?;
            let mut member = Scanner::at(scanner.text(), *begin as usize);
            let key = member.key()?;
            self.key(key, member.text())?;
            self.element(&mut member, depth, order)?;
            end = end.max(member.position());
        }
        // The last member in the text is always among them, for nothing replaces it.
        *scanner = Scanner::at(scanner.text(), end);
        scanner.next_element(b'}')?;
        self.line(depth)?;
        Ok(self.raw("}")?)
    }

    /// A key and the colon.
    #[inline(always)]
    fn key(&mut self, key: Quoted, text: &str) -> Result<(), ParseError> {
        let colon = self.colon();
        let (start, end) = (key.span.start() - 1, key.span.end() + 1);
        if !self.may_copy(key, text) || !text.as_bytes()[end..].starts_with(colon.as_bytes()) {
            self.quoted(key, text)?;
            return self.raw(colon);
        }
        self.raw(&text[start..end + colon.len()])
    }

    fn colon(&self) -> &'static str {
        if self.style == Style::File { ": " } else { ":" }
    }

    /// A new line, indented, in the file's style only.
    fn line(&mut self, indent: u32) -> Result<(), ParseError> {
        if self.style == Style::File {
            self.raw(&DEEPEST_LINE[..1 + 2 * indent as usize])?;
        }
        Ok(())
    }

    /// Whether a string is written as it stands in the text.
    #[inline(always)]
    fn may_copy(&self, string: Quoted, text: &str) -> bool {
        !string.escaped && (self.style == Style::Compact || is_printable_ascii(string.span.of(text)))
    }

    /// A string of the text.
    #[inline(always)]
    fn quoted(&mut self, string: Quoted, text: &str) -> Result<(), ParseError> {
        if self.may_copy(string, text) {
            // With its quotes.
            return self.raw(&text[string.span.start() - 1..string.span.end() + 1]);
        }
        self.code_points(code_points(string.span.of(text)))
    }

    /// A string given as plain text.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), ParseError> {
        let is_plain = |byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        if text.bytes().fold(true, |all, byte| all & is_plain(byte)) {
            self.raw("\"")?;
            self.raw(text)?;
            return self.raw("\"");
        }
        self.code_points(text.chars().map(u32::from))
    }

    #[inline(never)]
    fn code_points(&mut self, code_points: impl Iterator<Item = u32>) -> Result<(), ParseError> {
        self.raw("\"")?;
        for code_point in code_points {
            match char::from_u32(code_point) {
                Some('"') => self.raw("\\\"")?,
                Some('\\') => self.raw("\\\\")?,
                Some('\n') => self.raw("\\n")?,
                Some('\r') => self.raw("\\r")?,
                Some('\t') => self.raw("\\t")?,
                Some('\u{c}') => self.raw("\\f")?,
                Some('\u{8}') => self.raw("\\b")?,
                Some(character) if is_raw(character, self.style) => self.raw(character.encode_utf8(&mut [0; 4]))?,
                Some(character) => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        self.unit((*unit).into())?;
                    }
                }
                None => self.unit(code_point)?,
            }
        }
        self.raw("\"")
    }

    /// The escape of one UTF-16 unit, perhaps a surrogate.
    fn unit(&mut self, unit: u32) -> Result<(), ParseError> {
        let digit = |shift: u32| char::from_digit(unit >> shift & 15, 16).unwrap_or('0');
        let escape = ['\\', 'u', digit(12), digit(8), digit(4), digit(0)];
        escape.iter().try_for_each(|character| self.raw(character.encode_utf8(&mut [0; 4])))
    }
}

/// Whether a character that has no short escape stands for itself.
fn is_raw(character: char, style: Style) -> bool {
    match style {
        Style::Compact => character >= ' ',
        Style::File => matches!(character, ' '..='~'),
    }
}

fn is_printable_ascii(text: &str) -> bool {
    text.bytes().fold(true, |all, byte| all & matches!(byte, b' '..=b'~'))
}

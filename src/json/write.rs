use super::string::{KeyOrderCheck, characters, compare};
use super::{MAX_BYTES, ParseError, Quoted, Scanner};

/// The two canonical spellings of a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Style {
    /// What callers get: no white space, UTF-8 unescaped.
    Compact,
    /// What the file holds: as Python's `json.dump(indent=2, sort_keys=True)`, ASCII only.
    File,
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

    pub(crate) fn written(&self) -> &str {
        &self.out
    }

    pub(crate) fn clear(&mut self) {
        self.out.clear();
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
        self.value(value, 0).map(|()| begin)
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
        self.object(scanner, 0)?;
        if self.style == Style::File { self.raw("\n") } else { Ok(()) }
    }

    /// One value from the scanner; `depth` containers are open around it, the root object not counted.
    #[inline(always)]
    pub(crate) fn value(&mut self, scanner: &mut Scanner<'_>, depth: u32) -> Result<(), ParseError> {
        match scanner.peek() {
            b'{' => {
                scanner.check_depth(depth)?;
                self.object(scanner, depth + 1)
            }
            b'[' => {
                scanner.check_depth(depth)?;
                self.array(scanner, depth + 1)
            }
            b'"' => {
                let string = scanner.string()?;
                self.quoted(string, scanner.text())
            }
            _ => {
                let scalar = scanner.scalar()?;
                self.raw(scalar.of(scanner.text()))
            }
        }
    }

    /// `depth` containers are open around the elements, this one included and the root object not.
    fn array(&mut self, scanner: &mut Scanner<'_>, depth: u32) -> Result<(), ParseError> {
        if !scanner.enter(b']') {
            return self.raw("[]");
        }
        self.raw("[")?;
        loop {
            self.line(depth + 1)?;
            self.value(scanner, depth)?;
            if !scanner.next_element(b']')? {
                break;
            }
            self.raw(",")?;
        }
        self.line(depth)?;
        self.raw("]")
    }

    /// As `array`.
    fn object(&mut self, scanner: &mut Scanner<'_>, depth: u32) -> Result<(), ParseError> {
        if !scanner.enter(b'}') {
            return self.raw("{}");
        }
        let start = self.out.len();
        let mut order = KeyOrderCheck::new(scanner.text());
        self.raw("{")?;
        loop {
            self.line(depth + 1)?;
            let name = scanner.key()?;
            order.take(name);
            self.name(name, scanner.text())?;
            self.value(scanner, depth)?;
            if !scanner.next_element(b'}')? {
                break;
            }
            self.raw(",")?;
        }
        if !order.holds {
            self.sort(scanner.text().len(), start, depth + 1)?;
        }
        self.line(depth)?;
        self.raw("}")
    }

    /// Puts the members of the object that began at `start` in order, the last of equal names winning. `scanner` is the
    /// length of the text that they were read from.
    fn sort(&mut self, scanner: usize, start: usize, indent: u32) -> Result<(), ParseError> {
        let mut count = 0;
        each_member(&self.out[start..], |_| count += 1)?;
        // That text, what is written, a copy of it and the list below: no more than three times the limit.
        let held = scanner + 2 * self.out.len() + count * size_of::<u32>();
        if held > self.limit * 3 - self.limit / 4 {
            return Err(ParseError::TooLarge);
        }
        let (mut written, mut members) = (String::new(), Vec::new());
        written.try_reserve_exact(self.out.len() - start).map_err(|_| ParseError::OutOfMemory)?;
        members.try_reserve_exact(count).map_err(|_| ParseError::OutOfMemory)?;
        written.push_str(&self.out[start..]);
        each_member(&written, |begin| members.push(begin as u32))?;
        let name =
            |begin: u32| Scanner::at(&written, begin as usize).string().map_or("", |name| name.span.of(&written));
        members.sort_unstable_by(|a, b| compare(name(*a), name(*b)).then(a.cmp(b)));
        self.out.truncate(start);
        self.raw("{")?;
        for (index, begin) in members.iter().enumerate() {
            if members.get(index + 1).is_some_and(|next| compare(name(*begin), name(*next)).is_eq()) {
                continue;
            }
            if self.out.len() > start + 1 {
                self.raw(",")?;
            }
            self.line(indent)?;
            let mut member = Scanner::at(&written, *begin as usize);
            member.key()?;
            let end = member.value()?.end();
            self.raw(&written[*begin as usize..end])?;
        }
        Ok(())
    }

    /// A name and the colon.
    #[inline(always)]
    fn name(&mut self, name: Quoted, scanner: &str) -> Result<(), ParseError> {
        let colon = self.colon();
        let (start, end) = (name.span.start() - 1, name.span.end() + 1);
        if !self.may_copy(name, scanner) || !scanner.as_bytes()[end..].starts_with(colon.as_bytes()) {
            self.quoted(name, scanner)?;
            return self.raw(colon);
        }
        self.raw(&scanner[start..end + colon.len()])
    }

    fn colon(&self) -> &'static str {
        if self.style == Style::File { ": " } else { ":" }
    }

    /// In the file: a new line, indented.
    fn line(&mut self, indent: u32) -> Result<(), ParseError> {
        if self.style == Style::File {
            self.raw("\n")?;
            for _ in 0..indent {
                self.raw("  ")?;
            }
        }
        Ok(())
    }

    /// Whether a string of the scanner is written as it stands there.
    #[inline(always)]
    fn may_copy(&self, string: Quoted, scanner: &str) -> bool {
        !string.escaped && (self.style == Style::Compact || is_printable_ascii(string.span.of(scanner)))
    }

    /// A string of the scanner, as it stands there.
    #[inline(always)]
    fn quoted(&mut self, string: Quoted, scanner: &str) -> Result<(), ParseError> {
        if self.may_copy(string, scanner) {
            // With its quotes.
            return self.raw(&scanner[string.span.start() - 1..string.span.end() + 1]);
        }
        self.characters(characters(string.span.of(scanner)))
    }

    /// A string given as plain text.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), ParseError> {
        let is_plain = |byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        if text.bytes().fold(true, |all, byte| all & is_plain(byte)) {
            self.raw("\"")?;
            self.raw(text)?;
            return self.raw("\"");
        }
        self.characters(text.chars())
    }

    fn characters(&mut self, characters: impl Iterator<Item = char>) -> Result<(), ParseError> {
        self.raw("\"")?;
        for character in characters {
            match character {
                '"' => self.raw("\\\"")?,
                '\\' => self.raw("\\\\")?,
                '\n' => self.raw("\\n")?,
                '\r' => self.raw("\\r")?,
                '\t' => self.raw("\\t")?,
                '\u{c}' => self.raw("\\f")?,
                '\u{8}' => self.raw("\\b")?,
                ' '..='~' => self.raw(character.encode_utf8(&mut [0; 4]))?,
                '\u{7f}'.. if self.style == Style::Compact => self.raw(character.encode_utf8(&mut [0; 4]))?,
                _ => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        self.unit(*unit)?;
                    }
                }
            }
        }
        self.raw("\"")
    }

    fn unit(&mut self, unit: u16) -> Result<(), ParseError> {
        let digit = |shift: u16| char::from_digit(u32::from(unit >> shift & 15), 16).unwrap_or('0');
        let escape = ['\\', 'u', digit(12), digit(8), digit(4), digit(0)];
        escape.iter().try_for_each(|character| self.raw(character.encode_utf8(&mut [0; 4])))
    }
}

fn is_printable_ascii(text: &str) -> bool {
    text.bytes().fold(true, |all, byte| all & matches!(byte, b' '..=b'~'))
}

/// Where each member of an object begins that was written up to its last member.
fn each_member(written: &str, mut member: impl FnMut(usize)) -> Result<(), ParseError> {
    let mut scanner = Scanner::at(written, 0);
    scanner.enter(b'}');
    loop {
        member(scanner.position());
        scanner.key()?;
        let end = scanner.value()?.end();
        if end == written.len() {
            return Ok(());
        }
        scanner.next_element(b'}')?;
    }
}

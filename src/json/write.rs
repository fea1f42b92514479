use super::string::{characters, compare};
use super::{Fault, MAX_BYTES, Mark, Quoted, Scanner};

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
    /// The members of all objects that are open, so that no object needs a list of its own.
    members: Vec<Member>,
}

#[derive(Clone, Copy)]
struct Member {
    /// Its name in the source, between the quotes.
    name: Mark,
    /// Its text from the name's quote to the end of the value, counted from the object's `{` in the output.
    written: Mark,
}

impl Writer {
    pub(crate) fn new(style: Style, limit: usize) -> Self {
        Self { out: String::new(), style, limit: limit.min(MAX_BYTES), members: Vec::new() }
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
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<(), Fault> {
        self.out.try_reserve(bytes).map_err(|_| Fault::OutOfMemory)
    }

    pub(crate) fn raw(&mut self, text: &str) -> Result<(), Fault> {
        if self.out.len() + text.len() > self.limit {
            return Err(Fault::TooLarge);
        }
        self.reserve(text.len())?;
        self.out.push_str(text);
        Ok(())
    }

    /// One more member of the root object that `{` began.
    pub(crate) fn member(&mut self, key: &str, value: &mut Scanner<'_>) -> Result<(), Fault> {
        self.next_member()?;
        self.text(key)?;
        self.colon()?;
        self.value(value, 0)
    }

    /// More members of it, which stand in `text` as they would be written.
    pub(crate) fn members(&mut self, text: &str) -> Result<(), Fault> {
        self.next_member()?;
        self.raw(text)
    }

    fn next_member(&mut self) -> Result<(), Fault> {
        if self.len() > 1 {
            self.raw(",")?;
        }
        self.line(1)
    }

    /// Ends the root object.
    pub(crate) fn close_root(&mut self) -> Result<(), Fault> {
        if self.len() > 1 {
            self.line(0)?;
        }
        self.raw(if self.style == Style::File { "}\n" } else { "}" })
    }

    /// The whole root object from a scanner that stands at its brace.
    pub(crate) fn root(&mut self, source: &mut Scanner<'_>) -> Result<(), Fault> {
        self.object(source, 0)?;
        if self.style == Style::File { self.raw("\n") } else { Ok(()) }
    }

    /// One value from the scanner; `depth` containers are open around it, the root object not counted.
    #[inline(always)]
    pub(crate) fn value(&mut self, source: &mut Scanner<'_>, depth: u32) -> Result<(), Fault> {
        match source.peek() {
            b'{' => {
                source.deeper(depth)?;
                self.object(source, depth + 1)
            }
            b'[' => {
                source.deeper(depth)?;
                self.array(source, depth + 1)
            }
            b'"' => {
                let string = source.string()?;
                self.quoted(string, source.text())
            }
            _ => {
                let scalar = source.scalar()?;
                self.raw(scalar.of(source.text()))
            }
        }
    }

    /// `depth` containers are open around the elements, this one included and the root object not.
    fn array(&mut self, source: &mut Scanner<'_>, depth: u32) -> Result<(), Fault> {
        if !source.enter(b']') {
            return self.raw("[]");
        }
        self.raw("[")?;
        loop {
            self.line(depth + 1)?;
            self.value(source, depth)?;
            if !source.more(b']')? {
                break;
            }
            self.raw(",")?;
        }
        self.line(depth)?;
        self.raw("]")
    }

    /// As `array`.
    fn object(&mut self, source: &mut Scanner<'_>, depth: u32) -> Result<(), Fault> {
        if !source.enter(b'}') {
            return self.raw("{}");
        }
        let (mut sorted, first, start) = (true, self.members.len(), self.out.len());
        self.raw("{")?;
        loop {
            self.line(depth + 1)?;
            let begun = self.out.len() - start;
            let name = source.name()?;
            self.quoted(name, source.text())?;
            self.colon()?;
            self.value(source, depth)?;
            let name = name.mark;
            let before = self.members[first..].last();
            sorted &= before.is_none_or(|last| compare(last.name.of(source.text()), name.of(source.text())).is_lt());
            self.hold(Member { name, written: Mark::new(begun, self.out.len() - start) })?;
            if !source.more(b'}')? {
                break;
            }
            self.raw(",")?;
        }
        if !sorted {
            self.sort(source.text(), first, start, depth + 1)?;
        }
        self.members.truncate(first);
        self.line(depth)?;
        self.raw("}")
    }

    fn hold(&mut self, member: Member) -> Result<(), Fault> {
        self.members.try_reserve(1).map_err(|_| Fault::OutOfMemory)?;
        self.members.push(member);
        Ok(())
    }

    /// Puts the members of the object that began at `start` in order, the last of equal names winning.
    fn sort(&mut self, source: &str, first: usize, start: usize, indent: u32) -> Result<(), Fault> {
        let mut written = String::new();
        written.try_reserve_exact(self.out.len() - start).map_err(|_| Fault::OutOfMemory)?;
        written.push_str(&self.out[start..]);
        let by_name = |a: &Member, b: &Member| compare(a.name.of(source), b.name.of(source));
        self.members[first..].sort_unstable_by(|a, b| by_name(a, b).then(a.written.end().cmp(&b.written.end())));
        self.out.truncate(start);
        self.raw("{")?;
        for index in first..self.members.len() {
            let member = self.members[index];
            if self.members.get(index + 1).is_some_and(|next| by_name(&member, next).is_eq()) {
                continue;
            }
            if self.out.len() > start + 1 {
                self.raw(",")?;
            }
            self.line(indent)?;
            self.raw(member.written.of(&written))?;
        }
        Ok(())
    }

    fn colon(&mut self) -> Result<(), Fault> {
        self.raw(if self.style == Style::File { ": " } else { ":" })
    }

    /// In the file: a new line, indented.
    fn line(&mut self, indent: u32) -> Result<(), Fault> {
        if self.style == Style::File {
            self.raw("\n")?;
            for _ in 0..indent {
                self.raw("  ")?;
            }
        }
        Ok(())
    }

    /// A string of the source, as it stands there.
    #[inline(always)]
    fn quoted(&mut self, string: Quoted, source: &str) -> Result<(), Fault> {
        let text = string.mark.of(source);
        if !string.escaped && (self.style == Style::Compact || is_printable_ascii(text)) {
            // With its quotes.
            return self.raw(&source[string.mark.start() - 1..string.mark.end() + 1]);
        }
        self.characters(characters(text))
    }

    /// A string given as plain text.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Fault> {
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
            self.raw("\"")?;
            self.raw(text)?;
            return self.raw("\"");
        }
        self.characters(text.chars())
    }

    fn characters(&mut self, characters: impl Iterator<Item = char>) -> Result<(), Fault> {
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

    fn unit(&mut self, unit: u16) -> Result<(), Fault> {
        let digit = |shift: u16| char::from_digit(u32::from(unit >> shift & 15), 16).unwrap_or('0');
        let escape = ['\\', 'u', digit(12), digit(8), digit(4), digit(0)];
        escape.iter().try_for_each(|character| self.raw(character.encode_utf8(&mut [0; 4])))
    }
}

fn is_printable_ascii(text: &str) -> bool {
    text.bytes().fold(true, |all, byte| all & matches!(byte, b' '..=b'~'))
}

use crate::json::{Quoted, Scanner, Span, compare_to};

/// How far from the middle the beginning of a flag is looked for, in bytes.
const AROUND: usize = 4096;

/// What stands between two flags, and the quote of the second's key.
const BETWEEN: &[u8] = b",\n  \"";

/// The search for one flag's value among all.
pub(super) struct Search<'a> {
    text: &'a str,
    key: &'a str,
    /// The key's last eight bytes; `None`: it has fewer.
    end: Option<u64>,
}

impl<'a> Search<'a> {
    pub(super) fn new(text: &'a str, key: &'a str) -> Self {
        Self { text, key, end: tail(key) }
    }

    /// Has `found` be the value, if the name is the key.
    #[inline(always)]
    pub(super) fn take(&self, name: Quoted, value: Span, found: &mut Option<Span>) {
        let is_key = match name.escaped {
            // Keys of one length are common, and so are their beginnings.
            false if name.span.len() == self.key.len() => {
                tail(name.span.of(self.text)) == self.end && name.span.of(self.text) == self.key
            }
            false => false,
            true => compare_to(name.span.of(self.text), self.key).is_eq(),
        };
        if is_key {
            *found = Some(value);
        }
    }

    /// Walks over both halves of the text by turns: neither waits for where the other's flags end, so a processor does
    /// both in little more time than one. `None`: it is not laid out so that a flag begins at a known place, or not
    /// valid, which the one walk over all of it will tell.
    pub(super) fn halves(&self) -> Option<Option<Span>> {
        let middle = self.middle()?;
        let mut first = Scanner::of_root(self.text).ok()?;
        let mut second = Scanner::at(self.text, middle);
        if !first.enter(b'}') {
            return None;
        }
        let (mut early, mut late, mut more) = (None, None, true);
        while first.position() < middle {
            if !self.step(&mut first, &mut early)? {
                return None;
            }
            if more {
                more = self.step(&mut second, &mut late)?;
            }
        }
        if first.position() != middle {
            return None;
        }
        while more {
            more = self.step(&mut second, &mut late)?;
        }
        second.end().ok()?;
        Some(late.or(early))
    }

    /// Passes over a flag and says whether another follows.
    #[inline(always)]
    fn step(&self, scanner: &mut Scanner<'a>, found: &mut Option<Span>) -> Option<bool> {
        let name = scanner.key().ok()?;
        let value = scanner.value().ok()?;
        self.take(name, value, found);
        scanner.next_root_member().ok()
    }

    /// Where a flag begins near the middle, if the file is laid out as we write it.
    fn middle(&self) -> Option<usize> {
        let start = self.text.len() / 2;
        let around = &self.text.as_bytes()[start..self.text.len().min(start + AROUND)];
        let next = around.windows(BETWEEN.len()).position(|bytes| bytes == BETWEEN)?;
        Some(start + next + BETWEEN.len() - 1)
    }
}

/// The last eight bytes; `None`: there are fewer.
fn tail(key: &str) -> Option<u64> {
    key.as_bytes().last_chunk().map(|last| u64::from_le_bytes(*last))
}

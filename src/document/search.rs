use crate::json::{Quoted, compare_to};

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

    /// Whether the name is the key.
    #[inline(always)]
    pub(super) fn matches(&self, name: Quoted) -> bool {
        match name.escaped {
            // Many keys have one length and one beginning.
            false if name.span.len() == self.key.len() => {
                tail(name.span.of(self.text)) == self.end && name.span.of(self.text) == self.key
            }
            false => false,
            true => compare_to(name.span.of(self.text), self.key).is_eq(),
        }
    }
}

/// The last eight bytes; `None`: there are fewer.
fn tail(key: &str) -> Option<u64> {
    key.as_bytes().last_chunk().map(|last| u64::from_le_bytes(*last))
}

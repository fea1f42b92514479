use super::{Kind, ValueRef};

/// A value as a store in memory keeps it: canonical compact text with a NUL behind it, which is nowhere else in it.
#[derive(Clone, Copy)]
pub(crate) enum StoredValue<'a> {
    /// The value and its NUL.
    Whole(&'a str),
    /// The same, and other text behind it: where the value ends is still to be found.
    UpToNul(&'a str),
}

impl<'a> StoredValue<'a> {
    /// Its type, by the first byte.
    #[inline(always)]
    pub(crate) fn kind(self) -> Kind {
        let (Self::Whole(text) | Self::UpToNul(text)) = self;
        ValueRef::compact(text).kind()
    }

    #[inline(always)]
    pub(crate) fn as_bool(self) -> Option<bool> {
        let (Self::Whole(text) | Self::UpToNul(text)) = self;
        match text.as_bytes().first() {
            Some(b't') => Some(true),
            Some(b'f') => Some(false),
            _ => None,
        }
    }

    #[inline(always)]
    pub(crate) fn value(self) -> ValueRef<'a> {
        ValueRef::compact(self.text())
    }

    #[inline(always)]
    pub(crate) fn text(self) -> &'a str {
        match self {
            Self::Whole(text) => text.strip_suffix('\0').unwrap_or(text),
            Self::UpToNul(text) => first_nul(text).and_then(|end| text.get(..end)).unwrap_or(text),
        }
    }

    /// The text with its NUL.
    pub(crate) fn with_nul(self) -> &'a str {
        match self {
            Self::Whole(text) => text,
            Self::UpToNul(text) => first_nul(text).and_then(|end| text.get(..=end)).unwrap_or(text),
        }
    }
}

/// Where the first NUL is. Most values are short: eight bytes are compared in one step.
#[inline(always)]
fn first_nul(text: &str) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    if let Some(bytes) = text.as_bytes().first_chunk() {
        let bytes = u64::from_le_bytes(*bytes);
        // The lowest bit that is left is in the first byte that is 0.
        let zeros = bytes.wrapping_sub(ONES) & !bytes & (ONES << 7);
        if zeros != 0 {
            return Some(zeros.trailing_zeros() as usize / 8);
        }
    }
    text.find('\0')
}

//! Fuzzed bytes taken apart, and text as C passes it.

use super::interface::INVALID_ARGUMENT;
use std::ffi::c_char;
use std::ptr;

pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Less than `limit`; 0 once the bytes have run out.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte().unwrap_or(0)) % limit
    }

    pub fn bool(&mut self) -> bool {
        self.below(2) == 1
    }

    pub fn bytes(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(self.below(most + 1).min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub fn word(&mut self) -> u64 {
        (0..8).fold(0, |word, _| word << 8 | u64::from(self.byte().unwrap_or(0)))
    }

    /// NULL, one of `common`, or bytes of the input.
    pub fn argument(&mut self, common: &[&[u8]], most: usize) -> Argument {
        match self.below(common.len() + 4) {
            0 => Argument::new(None),
            index if index <= common.len() => Argument::new(Some(common[index - 1])),
            _ => Argument::new(Some(self.bytes(most))),
        }
    }
}

/// A text that a call is given: perhaps NULL, perhaps not UTF-8, perhaps with NULs in it.
pub struct Argument(Option<Texts>);

struct Texts {
    /// Not a byte longer, so that AddressSanitizer sees every read past the length.
    exact: Box<[u8]>,
    terminated: Box<[u8]>,
}

impl Argument {
    fn new(bytes: Option<&[u8]>) -> Self {
        Self(bytes.map(|bytes| {
            let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
            Texts { exact: bytes.into(), terminated: [&bytes[..end], b"\0"].concat().into() }
        }))
    }

    /// For a function that takes a length, or for one that looks for a NUL.
    pub fn pointer(&self, sized: bool) -> *const c_char {
        self.0
            .as_ref()
            .map_or(ptr::null(), |texts| if sized { &texts.exact } else { &texts.terminated }.as_ptr().cast())
    }

    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(3, |texts| texts.exact.len())
    }

    pub fn is_null(&self) -> bool {
        self.0.is_none()
    }

    /// The text that the called function should see, or the code of its refusal.
    pub fn seen(&self, sized: bool) -> Result<&str, i32> {
        std::str::from_utf8(self.bytes(sized).ok_or(INVALID_ARGUMENT)?).map_err(|_| INVALID_ARGUMENT)
    }

    pub fn bytes(&self, sized: bool) -> Option<&[u8]> {
        self.0
            .as_ref()
            .map(|texts| if sized { &texts.exact[..] } else { &texts.terminated[..texts.terminated.len() - 1] })
    }
}

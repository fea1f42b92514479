use super::MAX_BYTES;

/// A range of bytes in the scanned text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Self {
        debug_assert!(end <= MAX_BYTES);
        Self { start: start as u32, end: end as u32 }
    }

    pub(crate) fn of(self, text: &str) -> &str {
        &text[self.start as usize..self.end as usize]
    }

    pub(crate) fn start(self) -> usize {
        self.start as usize
    }

    pub(crate) fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    pub(crate) fn end(self) -> usize {
        self.end as usize
    }
}

/// A string between its quotes, as it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quoted {
    pub(crate) span: Span,
    /// Whether there is an escape in it.
    pub(crate) escaped: bool,
}

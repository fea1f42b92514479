//! Commands as they are sent.

use std::io::Write;

/// One or more commands, and how many replies they get.
#[derive(Default)]
pub(super) struct Request {
    pub(super) bytes: Vec<u8>,
    pub(super) replies: usize,
}

impl Request {
    /// Of one command.
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        let mut request = Self::default();
        request.push(parts);
        request
    }

    pub(super) fn push(&mut self, parts: &[&[u8]]) {
        self.begin(parts.len());
        for part in parts {
            self.part(part);
        }
    }

    /// Begins a command of so many parts.
    pub(super) fn begin(&mut self, parts: usize) {
        let _ = write!(self.bytes, "*{parts}\r\n");
        self.replies += 1;
    }

    pub(super) fn part(&mut self, part: &[u8]) {
        let _ = write!(self.bytes, "${}\r\n", part.len());
        self.bytes.extend_from_slice(part);
        self.bytes.extend_from_slice(b"\r\n");
    }
}

//! Commands as they are sent.

/// A command with one key fits.
const USUAL_LENGTH: usize = 512;

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
        self.bytes.reserve(USUAL_LENGTH);
        self.number(b'*', parts);
        self.replies += 1;
    }

    pub(super) fn part(&mut self, part: &[u8]) {
        self.number(b'$', part.len());
        self.bytes.extend_from_slice(part);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// A line of a type and a number, without the formatter, which takes longer than all the rest of a short command.
    fn number(&mut self, kind: u8, number: usize) {
        let mut line = *b"                    \r\n";
        let (mut at, mut left) = (line.len() - 2, number);
        loop {
            at -= 1;
            line[at] = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        self.bytes.push(kind);
        self.bytes.extend_from_slice(&line[at..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_written_as_the_protocol_has_it() {
        let mut request = Request::of(&[b"HGET", b"flagstore", &[b'k'; 107]]);
        request.push(&[b"PING", b""]);
        let key = "k".repeat(107);
        let expected =
            format!("*3\r\n$4\r\nHGET\r\n$9\r\nflagstore\r\n$107\r\n{key}\r\n*2\r\n$4\r\nPING\r\n$0\r\n\r\n");
        assert_eq!((request.bytes, request.replies), (expected.into_bytes(), 2));
    }

    #[test]
    fn any_number_is_written() {
        for number in [0, 9, 10, 12_345, usize::MAX] {
            let mut request = Request::default();
            request.number(b'$', number);
            assert_eq!(request.bytes, format!("${number}\r\n").into_bytes());
        }
    }
}

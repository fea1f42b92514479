//! Replies of the server: RESP2 and RESP3, <https://redis.io/docs/latest/develop/reference/protocol-spec/>.
//!
//! The reader goes on where it stood when more bytes come, so a long reply costs no more than its length; and whatever a
//! server sends, it takes no more memory than the limit and no stack.

use std::fmt;
use std::ops::Range;

/// How deep replies nest that are taken. Those to our commands nest three levels, HELLO's four.
const MAX_DEPTH: usize = 16;
/// A line that is longer is none.
const MAX_LINE: usize = 64 << 10;
const FIRST_ROOM: usize = 16 << 10;
/// A buffer that has grown over this is given back after the reply.
const KEPT_ROOM: usize = 1 << 20;

/// Why the bytes are no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Malformed {
    Syntax(&'static str),
    TooLarge,
    OutOfMemory,
}

/// An element of a reply. Those of an array follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Text(Range<usize>),
    Error(Range<usize>),
    Integer(i64),
    Nil,
    Array(usize),
}

/// Collects bytes until they are a reply.
pub(super) struct ReplyReader {
    /// Those before `filled` were received.
    buffer: Vec<u8>,
    filled: usize,
    /// Where the next element begins.
    at: usize,
    nodes: Vec<Node>,
    /// How many elements each open array still waits for.
    open: Vec<usize>,
    limit: usize,
}

impl ReplyReader {
    /// `limit`: the longest reply that is taken, in bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), filled: 0, at: 0, nodes: Vec::new(), open: Vec::new(), limit }
    }

    /// Where the next bytes go.
    pub(super) fn room(&mut self) -> Result<&mut [u8], Malformed> {
        if self.buffer.len() - self.filled < FIRST_ROOM / 4 {
            if self.filled > self.limit {
                return Err(Malformed::TooLarge);
            }
            let length = (self.buffer.len() * 2).max(FIRST_ROOM);
            let more = length - self.buffer.len();
            self.buffer.try_reserve_exact(more).map_err(|_| Malformed::OutOfMemory)?;
            self.buffer.resize(length, 0);
        }
        Ok(&mut self.buffer[self.filled..])
    }

    /// So many bytes were put into the room.
    pub(super) fn received(&mut self, count: usize) {
        self.filled += count;
    }

    /// Whether there are bytes behind the last reply.
    pub(super) fn has_more(&self) -> bool {
        self.filled > 0
    }

    /// Whether the bytes that have come hold a whole reply.
    pub(super) fn is_complete(&mut self) -> Result<bool, Malformed> {
        while self.nodes.is_empty() || !self.open.is_empty() {
            let Some((node, end)) = self.element()? else {
                return Ok(false);
            };
            self.at = end;
            if let Some(left) = self.open.last_mut() {
                *left -= 1;
            }
            if let Node::Array(count @ 1..) = node {
                if self.open.len() == MAX_DEPTH {
                    return Err(Malformed::Syntax("it nests too deep"));
                }
                self.open.push(count);
            }
            self.nodes.try_reserve(1).map_err(|_| Malformed::OutOfMemory)?;
            self.nodes.push(node);
            while self.open.last() == Some(&0) {
                self.open.pop();
            }
        }
        Ok(true)
    }

    /// The reply, once it is complete.
    pub(super) fn reply(&self) -> Reply<'_> {
        Reply { nodes: &self.nodes, bytes: &self.buffer }
    }

    /// Makes room for the next reply.
    pub(super) fn next(&mut self) {
        self.buffer.copy_within(self.at..self.filled, 0);
        self.filled -= self.at;
        self.at = 0;
        self.nodes.clear();
        self.open.clear();
        if self.buffer.len() > KEPT_ROOM && self.filled < FIRST_ROOM / 2 {
            self.buffer.truncate(FIRST_ROOM);
            self.buffer.shrink_to_fit();
            self.nodes.shrink_to(FIRST_ROOM / 16);
        }
    }

    /// The element at `at` and where it ends; `None`: not all of it has come.
    fn element(&self) -> Result<Option<(Node, usize)>, Malformed> {
        let Some((line, end)) = self.line()? else {
            return Ok(None);
        };
        let kind = self.buffer.get(self.at).copied().unwrap_or_default();
        let node = match kind {
            b'+' | b',' | b'(' | b'#' => Node::Text(line),
            b'-' => Node::Error(line),
            b':' => Node::Integer(self.number(line)?),
            b'_' => Node::Nil,
            b'*' | b'~' | b'>' | b'%' => match self.number(line)? {
                -1 => Node::Nil,
                count => {
                    let count =
                        usize::try_from(count).map_err(|_| Malformed::Syntax("a negative number of elements"))?;
                    let per_element = if kind == b'%' { 2 } else { 1 };
                    Node::Array(count.checked_mul(per_element).ok_or(Malformed::TooLarge)?)
                }
            },
            b'$' | b'=' | b'!' => return self.bulk(kind, line, end),
            _ => return Err(Malformed::Syntax("an element of no known type")),
        };
        Ok(Some((node, end)))
    }

    fn bulk(&self, kind: u8, line: Range<usize>, begin: usize) -> Result<Option<(Node, usize)>, Malformed> {
        let length = match self.number(line)? {
            -1 => return Ok(Some((Node::Nil, begin))),
            length => usize::try_from(length).map_err(|_| Malformed::Syntax("a negative length"))?,
        };
        if length > self.limit {
            return Err(Malformed::TooLarge);
        }
        let text = begin..begin + length;
        match self.buffer[..self.filled].get(text.end..text.end + 2) {
            None => Ok(None),
            Some(b"\r\n") => {
                let end = text.end + 2;
                Ok(Some((if kind == b'!' { Node::Error(text) } else { Node::Text(text) }, end)))
            }
            Some(_) => Err(Malformed::Syntax("a text is longer than it says")),
        }
    }

    /// What stands in the line behind the type, and where the next line begins.
    fn line(&self) -> Result<Option<(Range<usize>, usize)>, Malformed> {
        let bytes = &self.buffer[self.at..self.filled];
        match bytes.iter().take(MAX_LINE).position(|&byte| byte == b'\n') {
            Some(end @ 2..) if bytes[end - 1] == b'\r' => Ok(Some((self.at + 1..self.at + end - 1, self.at + end + 1))),
            Some(_) => Err(Malformed::Syntax("a line does not end with CR and LF")),
            None if bytes.len() >= MAX_LINE => Err(Malformed::Syntax("a line has no end")),
            None => Ok(None),
        }
    }

    fn number(&self, line: Range<usize>) -> Result<i64, Malformed> {
        let text = self.buffer.get(line).and_then(|text| std::str::from_utf8(text).ok());
        text.and_then(|text| text.parse().ok()).ok_or(Malformed::Syntax("a number is none"))
    }
}

/// A reply, or an element of one.
#[derive(Clone, Copy)]
pub(super) struct Reply<'a> {
    /// The element and what is inside it.
    nodes: &'a [Node],
    bytes: &'a [u8],
}

impl<'a> Reply<'a> {
    pub(super) fn text(self) -> Option<&'a [u8]> {
        match self.nodes.first() {
            Some(Node::Text(range)) => self.bytes.get(range.clone()),
            _ => None,
        }
    }

    /// The server's words, if it refused.
    pub(super) fn error(self) -> Option<std::borrow::Cow<'a, str>> {
        match self.nodes.first() {
            Some(Node::Error(range)) => Some(String::from_utf8_lossy(&self.bytes[range.clone()])),
            _ => None,
        }
    }

    pub(super) fn integer(self) -> Option<i64> {
        match self.nodes.first() {
            Some(Node::Integer(number)) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn is_nil(self) -> bool {
        matches!(self.nodes.first(), Some(Node::Nil))
    }

    /// The elements of an array; none of anything else.
    pub(super) fn elements(self) -> Elements<'a> {
        let (count, nodes) = match self.nodes {
            [Node::Array(count), inside @ ..] => (*count, inside),
            _ => (0, &[][..]),
        };
        Elements { count, nodes, bytes: self.bytes }
    }

    pub(super) fn element(self, index: usize) -> Option<Self> {
        self.elements().nth(index)
    }
}

impl fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.nodes.first() {
            Some(Node::Array(_)) => f.debug_list().entries(self.elements()).finish(),
            Some(Node::Text(range)) => write!(f, "{:?}", String::from_utf8_lossy(&self.bytes[range.clone()])),
            Some(Node::Error(_)) => write!(f, "error {:?}", self.error()),
            other => write!(f, "{other:?}"),
        }
    }
}

pub(super) struct Elements<'a> {
    count: usize,
    nodes: &'a [Node],
    bytes: &'a [u8],
}

impl Elements<'_> {
    /// How many are left.
    pub(super) fn len(&self) -> usize {
        self.count
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Reply<'a>;

    fn next(&mut self) -> Option<Reply<'a>> {
        self.count = self.count.checked_sub(1)?;
        let (mut length, mut open) = (0, 1);
        while open > 0 {
            open -= 1;
            if let Node::Array(count) = self.nodes.get(length)? {
                open += count;
            }
            length += 1;
        }
        let (nodes, rest) = self.nodes.split_at(length);
        self.nodes = rest;
        Some(Reply { nodes, bytes: self.bytes })
    }
}

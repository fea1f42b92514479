//! The reader of replies, against another's and against bytes that are none.

use super::reply::{Malformed, Reply, ReplyReader};
use redis_protocol::resp2::types::OwnedFrame;
use redis_protocol::{resp2, resp3};
use std::fmt::Write;

const LIMIT: usize = 1 << 20;

/// What servers send, of each kind.
const SAMPLES: [&[u8]; 22] = [
    b"+OK\r\n",
    b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
    b":42\r\n",
    b":-9223372036854775808\r\n",
    b"$4\r\ntrue\r\n",
    b"$0\r\n\r\n",
    b"$-1\r\n",
    b"$9\r\n{\"\r\n\": 1}\r\n",
    b"*0\r\n",
    b"*-1\r\n",
    b"*2\r\n$9\r\ndark-mode\r\n$4\r\ntrue\r\n",
    b"*2\r\n*3\r\n$1\r\n7\r\n$1\r\n2\r\n$-1\r\n*4\r\n$1\r\na\r\n$1\r\n1\r\n$0\r\n\r\n$4\r\nnull\r\n",
    b"*2\r\n$5\r\nfound\r\n*2\r\n$-1\r\n$3\r\n1.0\r\n",
    b"*3\r\n$7\r\nmessage\r\n$16\r\n{flagstore}:meta\r\n$2\r\n17\r\n",
    b"*2\r\n$4\r\ndone\r\n$38\r\n17 1 0123456789abcdef0123456789abcdef!\r\n",
    b"*3\r\n$6\r\nmaster\r\n:3129659\r\n*1\r\n*3\r\n$9\r\n127.0.0.1\r\n$4\r\n9001\r\n$7\r\n3129242\r\n",
    b">2\r\n$10\r\ninvalidate\r\n*1\r\n$9\r\nflagstore\r\n",
    b">2\r\n$10\r\ninvalidate\r\n_\r\n",
    b"%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n",
    b"~2\r\n:1\r\n#t\r\n",
    b"*2\r\n,1.5\r\n(3492890328409238509324850943850943825024385\r\n",
    b"!5\r\nERR a\r\n",
];

fn reader(bytes: &[u8], piece: usize) -> Result<(ReplyReader, bool), Malformed> {
    let mut reader = ReplyReader::new(LIMIT);
    for bytes in bytes.chunks(piece) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = reader.room()?;
            let count = room.len().min(rest.len());
            room[..count].copy_from_slice(&rest[..count]);
            reader.received(count);
            rest = &rest[count..];
        }
        if reader.is_complete()? {
            return Ok((reader, true));
        }
    }
    Ok((reader, false))
}

/// One spelling for both readers.
fn spell_ours(reply: Reply<'_>, to: &mut String) {
    let _ = match (reply.text(), reply.error(), reply.integer()) {
        (Some(text), ..) => write!(to, "{:?} ", text),
        (_, Some(words), _) => write!(to, "error {words} "),
        (.., Some(number)) => write!(to, "{number} "),
        _ if reply.is_nil() => write!(to, "nil "),
        _ => {
            let _ = write!(to, "[ ");
            reply.elements().for_each(|element| spell_ours(element, to));
            write!(to, "] ")
        }
    };
}

fn spell_theirs(frame: &OwnedFrame, to: &mut String) {
    let _ = match frame {
        OwnedFrame::SimpleString(text) | OwnedFrame::BulkString(text) => write!(to, "{text:?} "),
        OwnedFrame::Error(words) => write!(to, "error {words} "),
        OwnedFrame::Integer(number) => write!(to, "{number} "),
        OwnedFrame::Null => write!(to, "nil "),
        OwnedFrame::Array(frames) => {
            let _ = write!(to, "[ ");
            frames.iter().for_each(|frame| spell_theirs(frame, to));
            write!(to, "] ")
        }
    };
}

/// In one piece and byte by byte it is the same, and what redis-protocol reads.
fn check(bytes: &[u8]) {
    let outcome = |piece| {
        reader(bytes, piece).map(|(reader, is_complete)| {
            let mut spelled = String::new();
            if is_complete {
                spell_ours(reader.reply(), &mut spelled);
            }
            (is_complete, spelled)
        })
    };
    let whole = outcome(bytes.len().max(1));
    assert_eq!(whole, outcome(1));
    assert_eq!(whole, outcome(7));
    // It has no limit to the depth.
    if bytes.iter().filter(|&&byte| byte == b'*').count() > 16 {
        return;
    }
    if let (Ok((is_complete, ours)), Ok(theirs)) = (&whole, resp2::decode::decode(bytes)) {
        // An error that is not UTF-8 is shown otherwise.
        if theirs.is_some() || !is_complete {
            assert_eq!(*is_complete, theirs.is_some());
        }
        if let Some((frame, _)) = theirs.filter(|_| bytes.is_ascii()) {
            let mut spelled = String::new();
            spell_theirs(&frame, &mut spelled);
            assert_eq!(*ours, spelled);
        }
    }
}

#[test]
fn every_reply_is_read_in_pieces_of_any_length() {
    for sample in SAMPLES {
        check(sample);
        let (reader, is_complete) = reader(sample, 1).unwrap();
        assert!(is_complete, "{}", sample.escape_ascii());
        if let Ok(theirs) = resp3::decode::complete::decode(sample) {
            assert!(theirs.is_some_and(|(_, length)| length == sample.len()), "{}", sample.escape_ascii());
        }
        assert!(!format!("{:?}", reader.reply()).is_empty());
        for end in 0..sample.len() {
            assert!(!super::reply_tests::reader(&sample[..end], 5).unwrap().1, "{end} bytes of it are whole");
        }
    }
}

#[test]
fn replies_that_follow_one_another_are_read_one_by_one() {
    let all: Vec<u8> = SAMPLES.concat();
    for piece in [1, 3, 64, all.len()] {
        let (mut reader, mut count) = (ReplyReader::new(LIMIT), 0);
        for bytes in all.chunks(piece) {
            reader.room().unwrap()[..bytes.len()].copy_from_slice(bytes);
            reader.received(bytes.len());
            while reader.is_complete().unwrap() {
                let mut spelled = String::new();
                spell_ours(reader.reply(), &mut spelled);
                let (mut alone, _) = super::reply_tests::reader(SAMPLES[count], 999).unwrap();
                assert!(alone.is_complete().unwrap());
                let mut expected = String::new();
                spell_ours(alone.reply(), &mut expected);
                assert_eq!(spelled, expected);
                reader.next();
                count += 1;
            }
        }
        assert_eq!((count, reader.has_more()), (SAMPLES.len(), false));
    }
}

#[test]
fn what_is_no_reply_is_refused() {
    let deep = |levels: usize| [b"*1\r\n".repeat(levels), b":1\r\n".to_vec()].concat();
    assert!(reader(&deep(16), 4096).unwrap().1);
    let long_line = [b"+".to_vec(), vec![b'a'; 70 << 10]].concat();
    for bytes in [
        &b"?\r\n"[..],
        b"\r\n",
        b"+\n",
        b"OK\r\n",
        b":\r\n",
        b":1 \r\n",
        b":99999999999999999999\r\n",
        b"$-2\r\n",
        b"*-2\r\n",
        b"$x\r\n",
        b"$2\r\nabc\r\n",
        b"%-2\r\n",
        &deep(17),
        &deep(1_000_000),
        &long_line,
    ] {
        let start = &bytes[..bytes.len().min(40)];
        assert!(matches!(reader(bytes, 4096), Err(Malformed::Syntax(_))), "{}", start.escape_ascii());
    }
    // A length costs nothing before the bytes come.
    for bytes in [&b"$9223372036854775807\r\n"[..], b"$2000000\r\n"] {
        assert!(matches!(reader(bytes, 4096), Err(Malformed::TooLarge)), "{}", bytes.escape_ascii());
    }
    assert!(!reader(b"*9223372036854775807\r\n:1\r\n", 4096).unwrap().1);
    let endless = b":1\r\n".repeat(LIMIT);
    assert!(matches!(reader(&[b"*9223372036854775807\r\n", &endless[..]].concat(), 4096), Err(Malformed::TooLarge)));
}

/// xorshift64*, which makes the same mutations everywhere.
#[test]
fn any_bytes_are_read_or_refused() {
    let mut state = 0x5eed_f1a6_u64;
    let mut below = |limit: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit.max(1)
    };
    for _ in 0..30_000 {
        let mut bytes = [SAMPLES[below(SAMPLES.len())], SAMPLES[below(SAMPLES.len())]].concat();
        for _ in 0..=below(4) {
            let at = below(bytes.len());
            match below(4) {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << below(8),
                1 => drop(bytes.drain(at..(at + below(6)).min(bytes.len()))),
                2 => bytes.insert(at, b"*$:+-%>~_\r\n0123456789"[below(21)]),
                _ => {
                    let other = SAMPLES[below(SAMPLES.len())];
                    drop(bytes.splice(at..at, other[below(other.len())..].to_vec()));
                }
            }
        }
        check(&bytes);
    }
}

//! What the server's own errors mean.

use super::url::Address;
use crate::{Error, error};
use std::path::PathBuf;

/// Why a request got no answer that can be used.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The connection is of no more use.
    Lost(Error),
    /// The server has refused, in its words.
    Refused(String),
    /// The answer is none that this store takes.
    Bad(Error),
}

/// Of the link.
impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Lost(error)
    }
}

/// What to do about the server's words.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is busy for now.
    Again,
    /// It is a replica.
    ReadOnly,
    /// Another node of the cluster has the flags, from now on.
    Moved(Address),
    /// Another node has them, for this request.
    Ask(Address),
    /// It does not know the script yet.
    NoScript,
    /// Nothing.
    Final,
}

impl Refusal {
    /// The first word of an error is its kind: <https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors>
    pub(super) fn of(words: &str) -> Self {
        match words.split(' ').next().unwrap_or_default() {
            "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "BUSY" => Self::Again,
            "READONLY" => Self::ReadOnly,
            "NOSCRIPT" => Self::NoScript,
            "MOVED" => address(words).map_or(Self::Final, Self::Moved),
            "ASK" => address(words).map_or(Self::Final, Self::Ask),
            _ => Self::Final,
        }
    }
}

/// The server's words as the error that a caller gets. `place`: the server and the hash.
pub(super) fn error_of(words: &str, place: &str) -> Error {
    match Refusal::of(words) {
        Refusal::Again | Refusal::Moved(_) | Refusal::Ask(_) => Error::Unavailable(format!("{place}: {words}")),
        Refusal::ReadOnly => Error::Backend { code: error::READ_ONLY, errno: 0, message: format!("{place}: {words}") },
        _ if words.starts_with("WRONGTYPE") => {
            corrupt(place, 1, 1, "it is of another type than a hash, or its meta data are")
        }
        _ => Error::backend(format!("{place}: {words}")),
    }
}

pub(super) fn corrupt(place: &str, line: usize, column: usize, problem: &'static str) -> Error {
    Error::Corrupt { path: PathBuf::from(place), line, column, problem }
}

/// The third word of "MOVED 3999 127.0.0.1:6381".
fn address(words: &str) -> Option<Address> {
    let (host, port) = words.split(' ').nth(2)?.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some(Address::Tcp(host.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clusters_answers_name_another_node() {
        let node = |host: &str, port| Address::Tcp(host.into(), port);
        for (words, refusal) in [
            ("MOVED 3999 127.0.0.1:6381", Refusal::Moved(node("127.0.0.1", 6381))),
            ("ASK 3999 [::1]:6381", Refusal::Ask(node("::1", 6381))),
            ("MOVED 3999 :6381", Refusal::Moved(node("", 6381))),
            ("MOVED 3999", Refusal::Final),
            ("MOVED 3999 a:b", Refusal::Final),
            ("LOADING Redis is loading the dataset in memory", Refusal::Again),
            ("NOPERM", Refusal::Final),
            ("", Refusal::Final),
        ] {
            assert_eq!(Refusal::of(words), refusal, "{words}");
        }
    }
}

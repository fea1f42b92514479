//! Where the server is, as its URL says: the schemes redis and rediss that IANA has registered, and redis+unix, with the
//! parts that other clients read in them.

use crate::{Error, Result};
use std::fmt;
use std::path::PathBuf;

const PORT: u16 = 6379;

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) addresses: Vec<Address>,
    pub(super) is_tls: bool,
    pub(super) database: u32,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Tcp(String, u16),
    Unix(PathBuf),
}

impl Url {
    pub(super) fn parse(url: &str) -> Result<Self> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| refuse("it does not begin with redis://"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user_info, hosts) = match authority.rsplit_once('@') {
            Some((user_info, hosts)) => (Some(user_info), hosts),
            None => (None, authority),
        };
        let (username, password) = match user_info.map(|text| text.split_once(':').unwrap_or((text, ""))) {
            Some((username, password)) => (non_empty(username)?, non_empty(password)?),
            None => (None, None),
        };
        let mut database = query_database(query)?;
        let addresses = match scheme {
            "redis" | "rediss" => {
                if let Some(number) = path.strip_prefix('/').filter(|number| !number.is_empty()) {
                    database =
                        number.parse().map_err(|_| refuse("what follows the host is not a database's number"))?;
                }
                hosts.split(',').map(host).collect::<Result<Vec<_>>>()?
            }
            "redis+unix" | "unix" if hosts.is_empty() && path.len() > 1 => {
                vec![Address::Unix(decoded(path)?.into())]
            }
            "redis+unix" | "unix" => return Err(refuse("it has no path: redis+unix:///path/of/socket")),
            _ => return Err(refuse("its scheme is not redis, rediss or redis+unix")),
        };
        Ok(Self { addresses, is_tls: scheme == "rediss", database, username, password })
    }
}

/// Without the user and the password.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [Address::Unix(path)] = &self.addresses[..] {
            write!(f, "redis+unix://{}", path.display())?;
            return if self.database == 0 { Ok(()) } else { write!(f, "?db={}", self.database) };
        }
        f.write_str(if self.is_tls { "rediss://" } else { "redis://" })?;
        for (index, address) in self.addresses.iter().enumerate() {
            write!(f, "{}{address}", if index == 0 { "" } else { "," })?;
        }
        write!(f, "/{}", self.database)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// The URL itself may have a password, so no message shows it.
fn refuse(why: &str) -> Error {
    Error::InvalidArgument(format!("the URL of the Redis server: {why}"))
}

/// HOST, HOST:PORT or [ADDRESS]:PORT.
fn host(text: &str) -> Result<Address> {
    let (name, port) = match text.strip_prefix('[') {
        Some(text) => {
            let (name, rest) = text.split_once(']').ok_or_else(|| refuse("a bracket is not closed"))?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':').unwrap_or("")) };
            (name, port)
        }
        None => match text.rsplit_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(|| refuse("a port is not a number"))?,
        None => PORT,
    };
    match decoded(name)? {
        name if name.is_empty() || name.contains('\0') => Err(refuse("it has no host")),
        name => Ok(Address::Tcp(name, port)),
    }
}

fn query_database(query: &str) -> Result<u32> {
    let mut database = 0;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let number = pair.strip_prefix("db=").ok_or_else(|| refuse("it has a parameter other than db"))?;
        database = number.parse().map_err(|_| refuse("db is not a database's number"))?;
    }
    Ok(database)
}

fn non_empty(text: &str) -> Result<Option<String>> {
    Ok(Some(decoded(text)?).filter(|text| !text.is_empty()))
}

/// With each %XX as the byte that it stands for.
fn decoded(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        rest = others;
        let hex = |digit: u8| char::from(digit).to_digit(16);
        bytes.push(match (first, rest) {
            (b'%', [high, low, others @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                rest = others;
                (hex(*high).unwrap_or(0) * 16 + hex(*low).unwrap_or(0)) as u8
            }
            (b'%', _) => return Err(refuse("a % is not followed by two hexadecimal digits")),
            _ => *first,
        });
    }
    String::from_utf8(bytes).map_err(|_| refuse("it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_what_it_shows() {
        for (url, shown, username, password) in [
            ("redis://localhost", "redis://localhost:6379/0", None, None),
            ("redis://db.example:7000/3", "redis://db.example:7000/3", None, None),
            ("rediss://app:s%40cret@db.example/", "rediss://db.example:6379/0", Some("app"), Some("s@cret")),
            ("redis://:pa:ss@[::1]:6380?db=2", "redis://[::1]:6380/2", None, Some("pa:ss")),
            ("redis://a:1,b,[::2]", "redis://a:1,b:6379,[::2]:6379/0", None, None),
            ("redis+unix:///run/redis%20.sock?db=4", "redis+unix:///run/redis .sock?db=4", None, None),
            ("redis+unix://me:pw@/run/redis.sock", "redis+unix:///run/redis.sock", Some("me"), Some("pw")),
        ] {
            let parsed = Url::parse(url).unwrap();
            assert_eq!(parsed.to_string(), shown);
            assert_eq!((parsed.username.as_deref(), parsed.password.as_deref()), (username, password), "{url}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused_without_its_password() {
        for url in [
            "",
            "localhost",
            "http://a",
            "redis://",
            "redis://:secret@",
            "redis://:secret@a:b",
            "redis://:secret@a/x",
            "redis://:secret@a?ssl=1",
            "redis://:secret@a?db=x",
            "redis://:secret%@a",
            "redis://:secret%ff@a",
            "redis://:secret@[::1",
            "redis://:secret@a:0",
            "redis://a,",
            "redis+unix://a/b",
            "redis+unix://",
        ] {
            let Err(Error::InvalidArgument(message)) = Url::parse(url) else {
                panic!("{url} is taken");
            };
            assert!(!message.contains("secret"), "{message}");
        }
    }
}

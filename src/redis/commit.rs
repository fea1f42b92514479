//! Changes: one script on the server for each, and a token by which a change whose answer was lost is settled.

use super::backend::RedisBackend;
use super::exchange::{Exchange, Failure, refused};
use super::flags;
use super::link::Link;
use super::refusal::Trouble;
use super::reply::Reply;
use super::request::Request;
use super::session::Session;
use super::socket;
use crate::{Batch, Error, Result, error, sys};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

const SCRIPT: &str = include_str!("commit.lua");
/// The script's SHA-1. A wrong one costs time: the server then gets the script with every change.
const SCRIPT_SHA1: &str = "5e06fd1d47b7eb0ce3c176cc4271eea7f206d84e";

/// Between two attempts to settle a change.
const RETRY: Duration = Duration::from_millis(10);

/// What came of a change.
pub(super) struct Done {
    /// The revision after it; 0: there was never a change.
    pub(super) revision: u64,
    /// How many flags were removed.
    pub(super) removed: u64,
    /// Tells this count of revisions from another's.
    pub(super) id: Vec<u8>,
}

/// What the script answers.
enum Answer {
    Done(Done),
    /// The token was there, as a word that forbids the change.
    Forbidden,
    /// What stands in the place of the expectations.
    Found(Vec<Option<Vec<u8>>>),
}

/// What is known of a change whose answer was lost.
enum Settled {
    Done(Done),
    /// It was not made, and never will be.
    Never,
    Unknown,
}

impl RedisBackend {
    pub(super) fn make(&self, session: &Session, batch: &Batch, deadline: Instant) -> Result<Done> {
        let mut expected: BTreeMap<&str, Option<Vec<u8>>> =
            batch.expectations().map(|(key, value)| (key, value.map(|value| value.as_json().into()))).collect();
        let mut is_repeated = false;
        loop {
            let token = token();
            match self.run(session, &self.request(batch, &expected, &token), deadline) {
                Ok(Answer::Done(done)) => return Ok(done),
                Ok(Answer::Found(found)) => {
                    expected = self.compared(batch, found)?;
                    if socket::left(deadline).is_zero() {
                        return Err(Error::Unavailable(format!("{}: nothing was changed in time", self.place)));
                    }
                }
                Ok(Answer::Forbidden) => return Err(Error::Internal("a token was used twice".into())),
                Err(Failure::Lost { error, has_sent, was_idle }) => {
                    let settled = if has_sent { self.settle(session, &token, deadline) } else { Settled::Never };
                    match settled {
                        Settled::Done(done) => return Ok(done),
                        // The server may have been restarted since.
                        Settled::Never if was_idle && !is_repeated && !socket::left(deadline).is_zero() => {
                            is_repeated = true;
                        }
                        Settled::Never => return Err(error),
                        Settled::Unknown => {
                            return Err(Error::Uncertain(format!("{error}: the change may have been made or not")));
                        }
                    }
                }
                Err(Failure::Failed(error)) => return Err(error),
                Err(Failure::NoScript) => return Err(Error::backend(format!("{}: it takes no script", self.place))),
            }
        }
    }

    /// Runs the script, within a part of the time: the rest is for finding out what became of it.
    fn run(&self, session: &Session, request: &Script, deadline: Instant) -> Result<Answer, Failure> {
        let mut exchange = Exchange::new(session, &self.connector, &self.place, deadline);
        let by = Instant::now() + socket::left(deadline) * 3 / 5;
        let mut take = |link: &mut Link, by: Instant| self.answer(link, by, deadline);
        match exchange.attempt(&request.by_name, by, &mut take) {
            Err(Failure::NoScript) => exchange.attempt(&request.whole(self), by, &mut take),
            result => result,
        }
    }

    fn answer(&self, link: &mut Link, by: Instant, deadline: Instant) -> Result<Answer, Trouble> {
        let answer = {
            let reply = link.receive(by)?;
            refused(reply).and_then(|()| answer(reply).ok_or_else(|| Trouble::Bad(self.no_answer(reply))))
        };
        link.next();
        if self.wait_replicas.is_none() {
            return answer;
        }
        // The second reply is that to WAIT. Without it the change is made all the same.
        let replicas = link.receive((by + self.wait).min(deadline)).ok().and_then(Reply::integer);
        link.next();
        match (&answer, self.wait_replicas, replicas) {
            (Ok(Answer::Done(_)), Some(wanted), replicas) if replicas.is_none_or(|count| count < wanted.into()) => {
                let message = format!(
                    "{}: changed, but only {} of {wanted} replicas have confirmed it within {} ms",
                    self.place,
                    replicas.unwrap_or(0),
                    self.wait.as_millis()
                );
                Err(Trouble::Bad(Error::Backend { code: error::NOT_DURABLE, errno: 0, message }))
            }
            _ => answer,
        }
    }

    fn no_answer(&self, reply: Reply<'_>) -> Error {
        Error::backend(format!("{}: the script answers {reply:?}", self.place))
    }

    /// The texts to expect next: those that were found, if they are the same values in another spelling.
    fn compared<'a>(
        &self,
        batch: &'a Batch,
        found: Vec<Option<Vec<u8>>>,
    ) -> Result<BTreeMap<&'a str, Option<Vec<u8>>>> {
        let mut values = BTreeMap::new();
        let found: BTreeMap<_, _> = batch.expectations().map(|(key, _)| key).zip(found).collect();
        for (key, text) in &found {
            if let Some(text) = text {
                values.insert(*key, flags::value(key, text, self.max_bytes, &self.place)?);
            }
        }
        batch.check(|key| values.get(key).map(crate::Value::as_ref))?;
        Ok(found)
    }

    /// Finds out whether the change of this token was made, and if not sees to it that it never is. A server that is
    /// restarted has until the deadline.
    fn settle(&self, session: &Session, token: &str, deadline: Instant) -> Settled {
        let key = [self.names.done.as_bytes(), token.as_bytes()].concat();
        let mut request = Request::of(&[b"SET", &key, b"0", b"NX", b"PX", b"60000"]);
        request.push(&[b"GET", &key]);
        loop {
            let mut exchange = Exchange::new(session, &self.connector, &self.place, deadline);
            match exchange.read(&request, &mut token_of).as_deref() {
                Ok(b"0") => return Settled::Never,
                Ok(text) => return done(text).map_or(Settled::Unknown, Settled::Done),
                Err(Error::Unavailable(_)) if socket::left(deadline) > RETRY => sys::sleep(RETRY),
                Err(_) => return Settled::Unknown,
            }
        }
    }

    fn request(&self, batch: &Batch, expected: &BTreeMap<&str, Option<Vec<u8>>>, token: &str) -> Script {
        let mut arguments: Vec<&[u8]> = Vec::new();
        for (key, text) in expected {
            arguments.extend([key.as_bytes(), text.as_deref().unwrap_or_default()]);
        }
        let removals = || batch.changes().filter(|(_, value)| value.is_none());
        arguments.extend(removals().map(|(key, _)| key.as_bytes()));
        let mut sets = 0;
        for (key, value) in batch.changes() {
            if let Some(value) = value {
                arguments.extend([key.as_bytes(), value.as_json().as_bytes()]);
                sets += 1;
            }
        }
        let counts = [expected.len(), removals().count(), sets].map(|count| count.to_string());
        let mut tail = Request::default();
        for key in [&self.names.flags, &self.names.meta, &format!("{}{token}", self.names.done)] {
            tail.part(key.as_bytes());
        }
        for count in &counts {
            tail.part(count.as_bytes());
        }
        tail.part(if batch.clears() { b"clear" } else { b"" });
        for argument in &arguments {
            tail.part(argument);
        }
        Script::new(arguments.len() + 7, tail.bytes, self)
    }
}

/// What the token holds, by the replies to SET and GET.
fn token_of(link: &mut Link, by: Instant) -> Result<Vec<u8>, Trouble> {
    // A server without memory refuses to store it.
    let stored = refused(link.receive(by)?);
    link.next();
    let reply = link.receive(by)?;
    let outcome = match reply.text() {
        Some(text) => Ok(text.to_vec()),
        None => stored.and_then(|()| refused(reply)).map(|()| Vec::new()),
    };
    link.next();
    outcome
}

/// A call of the script.
struct Script {
    by_name: Request,
    parts: usize,
    tail: Vec<u8>,
}

impl Script {
    fn new(parts: usize, tail: Vec<u8>, backend: &RedisBackend) -> Self {
        Self { by_name: Self::call([b"EVALSHA", SCRIPT_SHA1.as_bytes()], parts, &tail, backend), parts, tail }
    }

    /// With the script itself.
    fn whole(&self, backend: &RedisBackend) -> Request {
        Self::call([b"EVAL", SCRIPT.as_bytes()], self.parts, &self.tail, backend)
    }

    fn call(command: [&[u8]; 2], parts: usize, tail: &[u8], backend: &RedisBackend) -> Request {
        let mut request = Request::default();
        request.begin(parts + 3);
        request.part(command[0]);
        request.part(command[1]);
        request.part(b"3");
        request.bytes.extend_from_slice(tail);
        if let Some(replicas) = backend.wait_replicas {
            let milliseconds = backend.wait.as_millis().to_string();
            request.push(&[b"WAIT", replicas.to_string().as_bytes(), milliseconds.as_bytes()]);
        }
        request
    }
}

fn answer(reply: Reply<'_>) -> Option<Answer> {
    let second = reply.element(1)?;
    match reply.element(0)?.text()? {
        b"done" if second.text()? == b"0" => Some(Answer::Forbidden),
        b"done" => done(second.text()?).map(Answer::Done),
        b"found" => Some(Answer::Found(second.elements().map(|text| text.text().map(<[u8]>::to_vec)).collect())),
        _ => None,
    }
}

/// "REVISION REMOVED ID"
fn done(text: &[u8]) -> Option<Done> {
    let mut words = std::str::from_utf8(text).ok()?.split(' ');
    let (revision, removed) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(Done { revision, removed, id: words.next()?.into() })
}

/// 128 bits that no other change has: each program has other random bytes, each call another number, and each forked child
/// another process number or, as these come back within seconds on a busy machine, another time. The kernel's bytes tell
/// the copies of a whole machine apart; a sandbox may refuse them.
fn token() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let (number, process) = (NUMBER.fetch_add(1, Relaxed), std::process::id());
    let (times, fresh) = ((SystemTime::now(), Instant::now()), sys::fresh_random());
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (sys::process_random(), process, sys::process_generation(), number, times, salt, fresh).hash(&mut hasher);
        hasher.finish()
    };
    format!("{:016x}{:016x}", half(0), half(1))
}

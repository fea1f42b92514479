//! The connection on which the server tells of changes: by tracking what was read, else by announcements on a channel,
//! else not at all. What was announced is not looked at: people change flags with other tools at the same time. Silence
//! is not health, so it is also asked for a sign of life.

use super::connector::Connector;
use super::link::Link;
use super::names::Names;
use super::refusal::{self, Refusal};
use super::reply::Reply;
use super::request::Request;
use super::session::Session;
use super::socket;
use crate::{Error, Push, Result};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// After so long a silence the server is asked, and after so long without an answer it is lost.
const SILENCE: Duration = Duration::from_millis(750);
const PATIENCE: Duration = Duration::from_millis(500);
/// How long what comes together is gathered.
const GATHERING: Duration = Duration::from_millis(2);
/// How often the flags are read although nothing was announced: people change them with other tools, which announce
/// nothing.
const VERIFY: Duration = Duration::from_secs(5);

pub(super) struct PushLink {
    link: Link,
    pub(super) push: Push,
    /// The pool's, when this was opened.
    pub(super) generation: u64,
    heard: Instant,
    pinged: Option<Instant>,
    verified: Instant,
}

impl PushLink {
    pub(super) fn open(connector: &Connector, session: &Session, names: &Names, deadline: Instant) -> Result<Self> {
        let generation = session.generation();
        let mut link = connector.connect(session, deadline)?;
        let mut request = Request::of(&[b"HELLO", b"3"]);
        request.push(&[b"CLIENT", b"TRACKING", b"ON", b"BCAST", b"PREFIX", names.flags.as_bytes()]);
        link.send(&request, deadline)?;
        let mut push = Push::Tracked;
        for _ in 0..request.replies {
            // A server before Redis 6, or a user who may not.
            if link.receive(deadline)?.error().is_some() {
                push = Push::Announced;
            }
            link.next();
        }
        if push != Push::Tracked {
            link.send(&Request::of(&[b"SUBSCRIBE", names.meta.as_bytes()]), deadline)?;
            if link.receive(deadline)?.error().is_some() {
                push = Push::None;
            }
            link.next();
        }
        let now = Instant::now();
        Ok(Self { link, push, generation, heard: now, pinged: None, verified: now })
    }

    /// Listens until a change, `wake`, or the time says otherwise. Whether the flags may have changed.
    pub(super) fn listen(&mut self, names: &Names, wake: Option<BorrowedFd<'_>>, until: Instant) -> Result<bool> {
        loop {
            let due = self.pinged.map_or(self.heard + SILENCE, |pinged| pinged + PATIENCE);
            let step = due.min(until);
            if let Some(reply) = self.link.receive_or_wake(wake, step)? {
                let is_change = is_change(reply, names);
                // It is there, but what it holds cannot be read at the moment.
                let busy = reply.error().filter(|words| Refusal::of(words) == Refusal::Again);
                let busy = busy.map(|words| refusal::error_of(&words, &names.flags));
                self.link.next();
                if let Some(error) = busy {
                    return Err(error);
                }
                self.heard = Instant::now();
                self.pinged = None;
                if is_change {
                    return self.gather().map(|()| true);
                }
                continue;
            }
            let now = Instant::now();
            if self.push == Push::Announced && now >= self.verified + VERIFY {
                self.verified = now;
                return Ok(true);
            }
            if now < due {
                // It is late enough for the caller, or he was woken.
                return Ok(false);
            }
            if self.pinged.is_some() {
                let silence = self.heard.elapsed().as_millis();
                return Err(Error::Unavailable(format!("the server has given no sign of life for {silence} ms")));
            }
            self.link.send(&self.sign_of_life(names), now + PATIENCE)?;
            self.pinged = Some(now);
        }
    }

    /// What the server is asked. It tracks what it has: a node of a cluster, from which the flags have gone meanwhile, has to
    /// be asked for them to say so. Before Redis 6 there was only PING to ask where messages are awaited.
    fn sign_of_life(&self, names: &Names) -> Request {
        match self.push {
            Push::Tracked => Request::of(&[b"EXISTS", names.flags.as_bytes()]),
            _ => Request::of(&[b"PING"]),
        }
    }

    /// One change causes several messages, which need not be told apart: the flags are read after all of them.
    fn gather(&mut self) -> Result<()> {
        let until = Instant::now() + GATHERING;
        while !socket::left(until).is_zero() && self.link.receive_or_wake(None, Instant::now())?.is_some() {
            self.link.next();
        }
        Ok(())
    }
}

/// `["invalidate", [KEY ...]]`, or without keys for all of them; `["message", CHANNEL, REVISION]`; an error that names
/// another node of a cluster, which reading the flags then finds. Anything else is no change:
/// <https://redis.io/docs/latest/develop/reference/client-side-caching/>
fn is_change(reply: Reply<'_>, names: &Names) -> bool {
    if let Some(words) = reply.error() {
        return matches!(Refusal::of(&words), Refusal::Moved(_) | Refusal::Ask(_));
    }
    match reply.element(0).and_then(Reply::text) {
        Some(b"invalidate") => reply
            .element(1)
            .is_none_or(|keys| keys.is_nil() || keys.elements().any(|key| key.text() == Some(names.flags.as_bytes()))),
        Some(b"message") => true,
        _ => false,
    }
}

//! How a request gets its answer: on which connection, and what is done when the server refuses.

use super::connector::Connector;
use super::link::Link;
use super::refusal::{Refusal, Trouble, error_of};
use super::request::Request;
use super::session::{Lease, Session};
use super::socket;
use super::url::Address;
use crate::{Error, Result, sys};
use std::time::{Duration, Instant};

/// Between two attempts at a server that is busy.
const RETRY: Duration = Duration::from_millis(10);
/// How often a request follows the nodes of a cluster at once. Then they do not agree yet: flags are on the way from one
/// to another, or a node is down that another still names.
const MOST_MOVES: u32 = 5;

/// Why an attempt has no answer.
pub(super) enum Failure {
    /// The connection was lost. Whether the request may have reached the server; and whether the connection had been used
    /// before, so that it may have been dead already.
    Lost { error: Error, has_sent: bool, was_idle: bool },
    /// It does not know the script.
    NoScript,
    /// Nothing was done.
    Failed(Error),
}

/// The attempts at one request.
pub(super) struct Exchange<'a> {
    session: &'a Session,
    connector: &'a Connector,
    /// The server and the hash, for messages.
    place: &'a str,
    deadline: Instant,
    ask: Option<Address>,
    moves: u32,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(session: &'a Session, connector: &'a Connector, place: &'a str, deadline: Instant) -> Self {
        Self { session, connector, place, deadline, ask: None, moves: 0 }
    }

    /// Sends the request and has `take` make something of its replies, all of which it takes from the link; again until
    /// the deadline while the server is busy or another one is to be asked. Each attempt ends by `by`.
    pub(super) fn attempt<T>(
        &mut self,
        request: &Request,
        by: Instant,
        take: &mut dyn FnMut(&mut Link, Instant) -> Result<T, Trouble>,
    ) -> Result<T, Failure> {
        loop {
            let mut lease = match self.ask.take() {
                Some(node) => self.asking(&node, by),
                None => self.session.lease(self.connector, by),
            }
            .map_err(Failure::Failed)?;
            let was_idle = lease.was_idle;
            let link = lease.link().map_err(Failure::Failed)?;
            let answer = link.send(request, by).map_err(Trouble::Lost).and_then(|()| take(link, by));
            let has_sent = link.has_sent;
            let words = match answer {
                Ok(value) => {
                    lease.give_back();
                    return Ok(value);
                }
                Err(Trouble::Lost(error)) => {
                    lease.lost();
                    self.session.distrust(self.connector);
                    return Err(Failure::Lost { error: self.named(error), has_sent, was_idle });
                }
                Err(Trouble::Bad(error)) => {
                    lease.give_back();
                    return Err(Failure::Failed(error));
                }
                Err(Trouble::Refused(words)) => words,
            };
            lease.give_back();
            self.follow(&words, by)?;
        }
    }

    /// The same for a request that may be repeated.
    pub(super) fn read<T>(
        &mut self,
        request: &Request,
        take: &mut dyn FnMut(&mut Link, Instant) -> Result<T, Trouble>,
    ) -> Result<T> {
        loop {
            return match self.attempt(request, self.deadline, take) {
                Ok(value) => Ok(value),
                Err(Failure::Failed(error)) => Err(error),
                Err(Failure::NoScript) => Err(Error::Internal("a script without a script".into())),
                // The server may have been restarted since.
                Err(Failure::Lost { was_idle: true, .. }) if !socket::left(self.deadline).is_zero() => continue,
                Err(Failure::Lost { error, .. }) => Err(error),
            };
        }
    }

    /// Does what the server's words ask for, after which the request may be sent again.
    fn follow(&mut self, words: &str, by: Instant) -> Result<(), Failure> {
        let failed = || Failure::Failed(error_of(words, self.place));
        match Refusal::of(words) {
            Refusal::Final => return Err(failed()),
            Refusal::NoScript => return Err(Failure::NoScript),
            Refusal::Again => return pause(by).ok_or_else(failed),
            Refusal::Moved(node) => {
                self.connector.move_to(&node);
                self.session.reset();
            }
            Refusal::Ask(node) => self.ask = Some(node),
            // The primary may be another one now.
            Refusal::ReadOnly => {
                if self.moves > 0 || !self.connector.may_find_another() {
                    return Err(failed());
                }
                self.connector.forget();
                self.session.reset();
            }
        }
        self.moves += 1;
        match self.moves {
            ..=MOST_MOVES if !socket::left(by).is_zero() => Ok(()),
            _ => pause(by).ok_or_else(failed),
        }
    }

    /// A connection whose next command this node takes although the flags are moving to it or from it.
    fn asking(&self, node: &Address, by: Instant) -> Result<Lease<'a>> {
        let mut lease = self.session.lease_to(self.connector, &self.connector.known(node), by)?;
        let link = lease.link()?;
        link.send(&Request::of(&[b"ASKING"]), by)?;
        link.receive(by)?;
        link.next();
        Ok(lease)
    }

    fn named(&self, error: Error) -> Error {
        match error {
            Error::Unavailable(message) => Error::Unavailable(format!("{}: {message}", self.place)),
            other => other,
        }
    }
}

/// Waits a little, if there is the time.
fn pause(by: Instant) -> Option<()> {
    (socket::left(by) > RETRY).then(|| sys::sleep(RETRY))
}

/// The server's words, if the reply is an error.
pub(super) fn refused(reply: super::reply::Reply<'_>) -> Result<(), Trouble> {
    reply.error().map_or(Ok(()), |words| Err(Trouble::Refused(words.into_owned())))
}

//! Two reads as of one moment.

use super::backend::RedisBackend;
use super::exchange::refused;
use super::link::Link;
use super::refusal::Trouble;
use super::reply::Reply;
use super::request::Request;
use crate::{Error, Result};
use std::cell::Cell;
use std::time::Instant;

/// The same in a script: a server without memory queues nothing behind MULTI, but runs a script that only reads. ARGV: the
/// number of parts of the first command, and the parts of both.
const SCRIPT: &str = "local function run(first, last) return redis.call(unpack(ARGV, first, last)) end \
                      return {run(2, ARGV[1] + 1), run(ARGV[1] + 2, #ARGV)}";

impl RedisBackend {
    /// Runs both commands. `take` gets their replies.
    pub(super) fn read_together<T>(
        &self,
        commands: [&[&[u8]]; 2],
        mut take: impl FnMut(Reply<'_>, Reply<'_>) -> Result<T, Trouble>,
    ) -> Result<T> {
        let mut transaction = Request::of(&[b"MULTI"]);
        commands.iter().for_each(|command| transaction.push(command));
        transaction.push(&[b"EXEC"]);
        let is_full = Cell::new(false);
        let mut read = |request: &Request| {
            self.read(request, |link, by| {
                let queued = all_but_last(request, link, by)?;
                is_full.set(matches!(&queued, Err(Trouble::Refused(words)) if words.starts_with("OOM ")));
                let reply = link.receive(by)?;
                let taken = queued.and_then(|()| refused(reply)).and_then(|()| {
                    let (Some(one), Some(other)) = (reply.element(0), reply.element(1)) else {
                        return Err(Trouble::Bad(Error::backend(format!("{}: EXEC answers {reply:?}", self.place))));
                    };
                    refused(one).and_then(|()| refused(other)).and_then(|()| take(one, other))
                });
                link.next();
                taken
            })
        };
        match read(&transaction) {
            Err(_) if is_full.get() => read(&self.script(commands)),
            result => result,
        }
    }

    fn script(&self, commands: [&[&[u8]]; 2]) -> Request {
        let count = commands[0].len().to_string();
        let head: [&[u8]; 6] = [
            b"EVAL",
            SCRIPT.as_bytes(),
            b"2",
            self.names.flags.as_bytes(),
            self.names.meta.as_bytes(),
            count.as_bytes(),
        ];
        Request::of(&[&head[..], commands[0], commands[1]].concat())
    }
}

/// Takes these replies, of which the first error says why it failed.
fn all_but_last(request: &Request, link: &mut Link, by: Instant) -> Result<Result<(), Trouble>> {
    let mut first = Ok(());
    for _ in 1..request.replies {
        let refusal = refused(link.receive(by)?);
        link.next();
        first = first.and(refusal);
    }
    Ok(first)
}

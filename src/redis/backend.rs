use super::RedisOptions;
use super::commit::Done;
use super::connector::Connector;
use super::exchange::{Exchange, refused};
use super::flags;
use super::link::Link;
use super::names::Names;
use super::push::PushLink;
use super::refusal::Trouble;
use super::reply::Reply;
use super::request::Request;
use super::session::Session;
use super::url::Url;
use crate::remote::{Backend, Loaded, deadline as call_deadline};
use crate::{Batch, Error, Push, Result, Snapshot, Value, sys};
use arc_swap::ArcSwap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// How long a call takes at most that has no deadline.
const FOR_EVER: Duration = Duration::from_secs(24 * 3600);
/// How long connecting for the news of changes may take.
const CONNECT: Duration = Duration::from_millis(500);

/// A revision as the store sees it: the server's revision, how often a connection was lost, and by whom it is counted.
const REVISION_BITS: u32 = 32;
const COUNT_SHIFT: u32 = 44;
/// Then they begin again.
const MAX_LOSSES: u64 = (1 << (COUNT_SHIFT - REVISION_BITS)) - 1;

pub(super) struct RedisBackend {
    pub(super) connector: Connector,
    pub(super) names: Names,
    /// The server and the hash, as messages name them.
    pub(super) place: String,
    /// How many replicas a change waits for, and how long.
    pub(super) wait_replicas: Option<u32>,
    pub(super) wait: Duration,
    connections: usize,
    max_bytes: usize,
    session: ArcSwap<Session>,
    /// Whether there ever was a flag or a change: lost is not empty.
    had_flags: AtomicBool,
    push: AtomicU32,
}

impl RedisBackend {
    pub(super) fn new(url: &str, options: RedisOptions, max_bytes: usize) -> Result<Self> {
        let url = Url::parse(url)?;
        let names = Names::of(&options.hash)?;
        if options.connections == 0 {
            return Err(Error::InvalidArgument("options.connections is 0".into()));
        }
        let place = format!("{url}: hash {:?}", names.flags);
        let (wait_replicas, wait) = (Some(options.wait_replicas).filter(|count| *count > 0), options.wait);
        let connections = options.connections;
        // Lengths and line ends come on top of the flags.
        let longest_reply = max_bytes.saturating_mul(2).saturating_add(1 << 20);
        let connector = Connector::new(url, options, longest_reply)?;
        // A file that cannot be read is known now.
        connector.password()?;
        Ok(Self {
            connector,
            names,
            place,
            wait_replicas,
            wait,
            connections,
            max_bytes,
            session: ArcSwap::from_pointee(Session::new(connections)),
            had_flags: AtomicBool::new(false),
            push: AtomicU32::new(Push::None as u32),
        })
    }

    pub(super) fn read<T>(
        &self,
        request: &Request,
        mut take: impl FnMut(&mut Link, Instant) -> Result<T, Trouble>,
    ) -> Result<T> {
        let session = self.session.load();
        Exchange::new(&session, &self.connector, &self.place, deadline()).read(request, &mut take)
    }

    fn change(&self, batch: &Batch) -> Result<(u64, Done)> {
        let session = self.session.load();
        let losses = session.losses();
        let done = self.make(&session, batch, deadline())?;
        Ok((self.revision(&session, losses, &done.id, done.revision), done))
    }

    /// The server's revision as the store sees it: two are equal only if they are of the same count of revisions, and
    /// no connection was lost in between, after which the server may be another one that never had some changes.
    fn revision(&self, session: &Session, losses: u64, id: &[u8], revision: u64) -> u64 {
        if let Some(before) = session.runs_backwards(losses, id, revision) {
            tracing::warn!(
                "{}: the revision runs backwards, from {before} to {revision}: the server has lost changes, or is another",
                self.place
            );
        }
        if revision != 0 {
            self.had_flags.store(true, SeqCst);
        }
        let mut hasher = DefaultHasher::new();
        // What a forked child has inherited is of another count: its server may be another one.
        (id, sys::process_generation()).hash(&mut hasher);
        let (count, losses) = (hasher.finish() << COUNT_SHIFT, (losses & MAX_LOSSES) << REVISION_BITS);
        if revision == 0 { 0 } else { (count | losses).wrapping_add(revision) }
    }

    /// Whether there are no flags, though there should be some. Asked when a flag is not there.
    fn is_gone(&self) -> Result<bool> {
        // What another thread stores from now on is not of this answer.
        let had_flags = self.had_flags.load(SeqCst);
        let commands: [&[&[u8]]; 2] =
            [&[b"EXISTS", self.names.flags.as_bytes()], &[b"HMGET", self.names.meta.as_bytes(), b"revision", b"count"]];
        self.read_together(commands, |exists, meta| {
            Ok(exists.integer() == Some(0) && says_there_are_flags(meta, had_flags))
        })
    }

    fn loaded(
        &self,
        session: &Session,
        losses: u64,
        had_flags: bool,
        (meta, fields): (Reply<'_>, Reply<'_>),
    ) -> Result<Loaded, Trouble> {
        let part = |index| meta.element(index).and_then(Reply::text);
        let (flags, unreadable) = flags::snapshot(fields, self.max_bytes, &self.place).map_err(Trouble::Bad)?;
        if flags.is_empty() && unreadable.is_empty() && says_there_are_flags(meta, had_flags) {
            return Ok(Loaded::Gone);
        }
        let revision = part(0).and_then(|text| std::str::from_utf8(text).ok()?.parse().ok()).unwrap_or(0);
        self.had_flags.fetch_or(!flags.is_empty(), SeqCst);
        let revision = self.revision(session, losses, part(2).unwrap_or_default(), revision);
        Ok(match unreadable.is_empty() {
            true => Loaded::Flags(flags, revision),
            false => Loaded::Partly(flags, revision, unreadable),
        })
    }
}

/// Whether the meta data say so: revision and number; or, without them, whether there were any before.
fn says_there_are_flags(meta: Reply<'_>, had_flags: bool) -> bool {
    let part = |index| meta.element(index).and_then(Reply::text);
    match (part(0), part(1)) {
        (Some(_), count) => count != Some(b"0"),
        (None, _) => had_flags,
    }
}

/// By when the call of the store must end.
fn deadline() -> Instant {
    call_deadline().unwrap_or_else(|| Instant::now() + FOR_EVER)
}

/// Takes one reply that is no error.
fn one<T>(link: &mut Link, by: Instant, take: impl FnOnce(Reply<'_>) -> Result<T, Trouble>) -> Result<T, Trouble> {
    let reply = link.receive(by)?;
    let taken = refused(reply).and_then(|()| take(reply));
    link.next();
    taken
}

impl Backend for RedisBackend {
    fn get(&self, key: &str) -> Result<Option<Value>> {
        let request = Request::of(&[b"HGET", self.names.flags.as_bytes(), key.as_bytes()]);
        let value = self.read(&request, |link, by| {
            one(link, by, |reply| {
                let value = |text| flags::value(key, text, &self.place).map_err(Trouble::Bad);
                reply.text().map(value).transpose()
            })
        })?;
        match value {
            None if self.is_gone()? => {
                Err(Error::Unavailable(format!("{}: all flags have vanished from the server", self.place)))
            }
            None => Ok(None),
            Some(value) => {
                self.had_flags.store(true, SeqCst);
                Ok(Some(value))
            }
        }
    }

    fn set(&self, key: &str, value: &Value) -> Result<()> {
        self.change(&Batch::of(key, Some(value.clone()))).map(drop)
    }

    fn delete(&self, key: &str) -> Result<bool> {
        self.change(&Batch::of(key, None)).map(|(_, done)| done.removed > 0)
    }

    fn list_all(&self) -> Result<Snapshot> {
        Err(Error::NotImplemented("list_all"))
    }

    fn is_concurrent(&self) -> bool {
        true
    }

    fn keeps_deadlines(&self) -> bool {
        true
    }

    fn commit(&self, batch: &Batch) -> Result<u64> {
        self.change(batch).map(|(revision, _)| revision)
    }

    fn load(&self, _seen: u64) -> Result<Loaded> {
        let (flags, meta) = (self.names.flags.as_bytes(), self.names.meta.as_bytes());
        let session = self.session.load();
        let (losses, had_flags) = (session.losses(), self.had_flags.load(SeqCst));
        self.read_together([&[b"HMGET", meta, b"revision", b"count", b"id"], &[b"HGETALL", flags]], |meta, fields| {
            self.loaded(&session, losses, had_flags, (meta, fields))
        })
    }

    fn wait(&self, _seen: u64, timeout: Duration) -> Result<Option<u64>> {
        let session = self.session.load_full();
        let mut push = session.push.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = session.generation();
        let link = match push.take_if(|link| link.generation != generation) {
            Some(_) => None,
            None => push.as_mut(),
        };
        let Some(link) = link else {
            let link = PushLink::open(&self.connector, &session, &self.names, Instant::now() + CONNECT)?;
            self.push.store(link.push as u32, SeqCst);
            *push = Some(link);
            // What has changed before is not known.
            return Ok(Some(0));
        };
        let wake = session.wake.as_ref().and_then(|wake| wake.descriptor());
        match link.listen(&self.names, wake, Instant::now() + timeout) {
            Ok(false) => Ok(None),
            Ok(true) => Ok(Some(0)),
            Err(error) => {
                *push = None;
                session.distrust(&self.connector);
                Err(error)
            }
        }
    }

    fn includes(&self, kept: u64, change: u64) -> bool {
        let is_same_count = kept >> COUNT_SHIFT == change >> COUNT_SHIFT;
        // The server behind a loss need not have what was read before it.
        let losses = (kept >> REVISION_BITS).wrapping_sub(change >> REVISION_BITS) & MAX_LOSSES;
        is_same_count && losses <= MAX_LOSSES / 2 && kept as u32 >= change as u32
    }

    fn push(&self) -> Push {
        let push = self.push.load(SeqCst);
        [Push::None, Push::Announced, Push::Tracked].into_iter().find(|it| *it as u32 == push).unwrap_or(Push::None)
    }

    fn wake(&self) {
        if let Some(wake) = &self.session.load().wake {
            wake.raise();
        }
    }

    fn forked(&self) {
        let parents = self.session.swap(Arc::new(Session::new(self.connections)));
        parents.close_copies();
        // Its locks may be held by threads that this process does not have.
        std::mem::forget(parents);
    }

    fn close(&self) {
        self.session.store(Arc::new(Session::new(self.connections)));
    }
}

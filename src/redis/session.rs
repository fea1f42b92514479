//! The connections of one process.

use super::connector::Connector;
use super::link::Link;
use super::push::PushLink;
use super::socket::Socket;
use super::url::Address;
use crate::remote::Signal;
use crate::{Error, Result, sys};
use arc_swap::ArcSwap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

pub(super) struct Session {
    pool: Mutex<Pool>,
    most: usize,
    /// Raised when a connection is given back or lost.
    freed: Signal,
    /// What a forked child has copies of.
    sockets: ArcSwap<Vec<Weak<Socket>>>,
    /// Counts the losses of connections: revisions before and behind one need not be of the same server.
    losses: AtomicU64,
    /// The last revision that was seen, whose count it is of, and the losses before it.
    last: Mutex<Last>,
    /// The connection that tells of changes; used by the thread that waits.
    pub(super) push: Mutex<Option<PushLink>>,
    /// Ends waits. `None`: there was no descriptor for it.
    pub(super) wake: Option<sys::Event>,
}

#[derive(Default)]
struct Last {
    revision: u64,
    id: Vec<u8>,
    losses: u64,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Link>,
    /// How many there are, idle or not.
    open: usize,
    /// Connections of an earlier number are not used any more.
    generation: u64,
}

/// A connection that one call has for itself. It is closed when dropped.
pub(super) struct Lease<'a> {
    session: &'a Session,
    link: Option<Link>,
    generation: u64,
    /// Whether it had been used before: then the server may have closed it meanwhile.
    pub(super) was_idle: bool,
}

impl Session {
    /// With so many connections at most.
    pub(super) fn new(most: usize) -> Self {
        Self {
            pool: Mutex::default(),
            most,
            freed: Signal::default(),
            sockets: ArcSwap::default(),
            losses: AtomicU64::new(0),
            last: Mutex::default(),
            push: Mutex::new(None),
            wake: sys::Event::new().ok(),
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.pool().generation
    }

    pub(super) fn losses(&self) -> u64 {
        self.losses.load(SeqCst)
    }

    /// The revision that was seen before, if this one is less although it comes later. Answers overtake one another, but
    /// not across the loss of a connection.
    pub(super) fn runs_backwards(&self, losses: u64, id: &[u8], revision: u64) -> Option<u64> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same_count = last.losses == losses && last.id == id;
        if losses < last.losses || is_same_count && revision <= last.revision {
            return None;
        }
        let before = std::mem::replace(&mut *last, Last { revision, id: id.to_owned(), losses }).revision;
        (revision < before).then_some(before)
    }

    /// A connection to the server that has the flags.
    pub(super) fn lease(&self, connector: &Connector, deadline: Instant) -> Result<Lease<'_>> {
        loop {
            let count = self.freed.count();
            {
                let mut pool = self.pool();
                while let Some(mut link) = pool.idle.pop() {
                    if link.is_usable() {
                        return Ok(Lease {
                            session: self,
                            link: Some(link),
                            generation: pool.generation,
                            was_idle: true,
                        });
                    }
                    pool.open -= 1;
                    self.losses.fetch_add(1, SeqCst);
                }
                if pool.open < self.most {
                    pool.open += 1;
                    let generation = pool.generation;
                    drop(pool);
                    let mut lease = Lease { session: self, link: None, generation, was_idle: false };
                    lease.link = Some(connector.connect(self, deadline)?);
                    return Ok(lease);
                }
            }
            let left = super::socket::left(deadline);
            if left.is_zero() {
                let message = "all connections were in use until the deadline; nothing was sent";
                return Err(Error::Unavailable(message.into()));
            }
            self.freed.wait(count, left);
        }
    }

    /// A connection to one node of a cluster, which is closed after its use.
    pub(super) fn lease_to(&self, connector: &Connector, node: &Address, deadline: Instant) -> Result<Lease<'_>> {
        let mut lease = Lease { session: self, link: None, generation: u64::MAX, was_idle: false };
        self.pool().open += 1;
        lease.link = Some(connector.connect_to(self, node, deadline)?);
        Ok(lease)
    }

    /// No connection is used again: the server that has the flags is another one.
    pub(super) fn reset(&self) {
        let mut pool = self.pool();
        pool.generation += 1;
        pool.open -= pool.idle.len();
        pool.idle.clear();
        self.losses.fetch_add(1, SeqCst);
    }

    /// A connection was lost. The others are to the same server, which may have lost its place to another: it would take
    /// changes until it hears of that.
    pub(super) fn distrust(&self, connector: &Connector) {
        if connector.may_find_another() {
            self.reset();
        }
    }

    /// So that a forked child can close its copy.
    pub(super) fn register(&self, socket: &Arc<Socket>) {
        self.sockets.rcu(|sockets| {
            let living = sockets.iter().filter(|socket| socket.strong_count() > 0).cloned();
            living.chain([Arc::downgrade(socket)]).collect::<Vec<_>>()
        });
    }

    /// In a forked child, which must forget this session.
    pub(super) fn close_copies(&self) {
        self.sockets.load().iter().filter_map(Weak::upgrade).for_each(|socket| socket.close_copy());
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease<'_> {
    pub(super) fn link(&mut self) -> Result<&mut Link> {
        self.link.as_mut().ok_or_else(|| Error::Internal("a connection that is none".into()))
    }

    /// Lets others use it.
    pub(super) fn give_back(mut self) {
        let Some(link) = self.link.take_if(|link| link.pending == 0) else {
            return;
        };
        let mut pool = self.session.pool();
        if self.generation == pool.generation {
            // Counted again below.
            pool.open += 1;
            pool.idle.push(link);
        }
    }

    /// The connection has failed.
    pub(super) fn lost(self) {
        self.session.losses.fetch_add(1, SeqCst);
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.session.pool().open -= 1;
        self.session.freed.raise_one();
    }
}

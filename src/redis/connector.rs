//! Makes connections: finds the server, greets it, and makes sure that it is the one that is wanted.

use super::RedisOptions;
use super::link::Link;
use super::refusal::{self, Refusal};
use super::request::Request;
use super::session::Session;
use super::socket::{self, Socket};
use super::tls::Tls;
use super::url::{Address, Url};
use crate::{Error, Result, sys};
use arc_swap::ArcSwapOption;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Between two attempts to find a primary.
const RETRY: Duration = Duration::from_millis(20);

pub(super) struct Connector {
    url: Url,
    options: RedisOptions,
    tls: Option<Tls>,
    max_bytes: usize,
    /// The node of a cluster that has the flags, as another has said.
    moved_to: ArcSwapOption<Address>,
    /// The Sentinel or node that answered last.
    last_good: AtomicUsize,
}

impl Connector {
    pub(super) fn new(url: Url, options: RedisOptions, max_bytes: usize) -> Result<Self> {
        let tls = if url.is_tls { Some(Tls::new(&options)?) } else { None };
        Ok(Self { url, options, tls, max_bytes, moved_to: ArcSwapOption::empty(), last_good: AtomicUsize::new(0) })
    }

    /// Connects to the server that has the flags.
    pub(super) fn connect(&self, session: &Session, deadline: Instant) -> Result<Link> {
        if let Some(address) = self.moved_to.load_full() {
            match self.connect_to(session, &address, deadline) {
                Err(Error::Unavailable(_)) => self.moved_to.store(None),
                result => return result,
            }
        }
        match &self.options.sentinel_master {
            Some(name) => self.connect_to_primary(session, name, deadline),
            None => self.try_each(deadline, |address, deadline| self.connect_to(session, address, deadline)),
        }
    }

    /// From now on this node of the cluster has the flags.
    pub(super) fn move_to(&self, node: &Address) {
        self.moved_to.store(Some(Arc::new(self.known(node))));
    }

    /// Whether there may be another server than the one that answered last.
    pub(super) fn may_find_another(&self) -> bool {
        let knows_several = self.url.addresses.len() > 1 || self.options.sentinel_master.is_some();
        knows_several || self.moved_to.load().is_some()
    }

    /// What was said of another node may be no longer so.
    pub(super) fn forget(&self) {
        self.moved_to.store(None);
    }

    /// A node as another names it: without a host it is on the same one.
    pub(super) fn known(&self, node: &Address) -> Address {
        match (node, self.moved_to.load().as_deref().or(self.url.addresses.first())) {
            (Address::Tcp(host, port), Some(Address::Tcp(known, _))) if host.is_empty() => {
                Address::Tcp(known.clone(), *port)
            }
            _ => node.clone(),
        }
    }

    /// Tries the URL's addresses in turn, first the one that answered last; each has its share of the time.
    fn try_each<T>(&self, deadline: Instant, attempt: impl Fn(&Address, Instant) -> Result<T>) -> Result<T> {
        let count = self.url.addresses.len();
        let begin = self.last_good.load(Relaxed);
        let mut last = Err(socket::late());
        for number in 0..count {
            let index = (begin + number) % count;
            let share = socket::left(deadline) / (count - number) as u32;
            last = attempt(&self.url.addresses[index], Instant::now() + share);
            match last {
                Err(Error::Unavailable(_)) => {}
                Ok(_) => {
                    self.last_good.store(index, Relaxed);
                    break;
                }
                Err(_) => break,
            }
        }
        last
    }

    /// Asks the Sentinels who the primary is, and it whether that is so, until the deadline.
    fn connect_to_primary(&self, session: &Session, name: &str, deadline: Instant) -> Result<Link> {
        loop {
            let result = self
                .try_each(deadline, |sentinel, deadline| self.ask_sentinel(session, sentinel, name, deadline))
                .and_then(|primary| self.connect_to(session, &primary, deadline));
            match result {
                Err(Error::Unavailable(_)) if socket::left(deadline) > RETRY => sys::sleep(RETRY),
                result => return result,
            }
        }
    }

    fn ask_sentinel(&self, session: &Session, sentinel: &Address, name: &str, deadline: Instant) -> Result<Address> {
        let mut link = self.open(session, sentinel, deadline)?;
        let (username, password) = (self.url.username.as_deref(), self.url.password.as_deref());
        let mut request = Request::default();
        push_auth(&mut request, username, password);
        request.push(&[b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", name.as_bytes()]);
        link.send(&request, deadline)?;
        let place = format!("the Sentinel at {sentinel}");
        for _ in 1..request.replies {
            take_ok(&mut link, &place, deadline)?;
        }
        let reply = link.receive(deadline)?;
        if let Some(words) = reply.error() {
            return Err(refusal::error_of(&words, &place));
        }
        let part = |index| reply.element(index)?.text().map(|text| String::from_utf8_lossy(text).into_owned());
        match (part(0), part(1).and_then(|port| port.parse().ok())) {
            (Some(host), Some(port)) => Ok(Address::Tcp(host, port)),
            _ => Err(Error::Unavailable(format!("{place} knows no primary {name:?}"))),
        }
    }

    /// Connects to one server and greets it.
    pub(super) fn connect_to(&self, session: &Session, address: &Address, deadline: Instant) -> Result<Link> {
        let place = self.place(address);
        let named = |error| match error {
            Error::Unavailable(message) => Error::Unavailable(format!("{place}: {message}")),
            other => other,
        };
        let mut link = self.open(session, address, deadline).map_err(named)?;
        self.greet(&mut link, &place, deadline).map_err(named)?;
        Ok(link)
    }

    fn open(&self, session: &Session, address: &Address, deadline: Instant) -> Result<Link> {
        let socket = Arc::new(Socket::connect(address, deadline)?);
        session.register(&socket);
        let mut link = Link::new(socket, self.max_bytes);
        if let Some(tls) = &self.tls {
            link.secure(tls, address, deadline)?;
        }
        Ok(link)
    }

    fn greet(&self, link: &mut Link, place: &str, deadline: Instant) -> Result<()> {
        let password = self.password()?;
        let mut request = Request::default();
        push_auth(&mut request, self.username(), password.as_deref());
        if self.url.database != 0 {
            request.push(&[b"SELECT", self.url.database.to_string().as_bytes()]);
        }
        let is_asked_for_role = self.options.sentinel_master.is_some();
        let greetings = request.replies;
        if is_asked_for_role {
            request.push(&[b"ROLE"]);
        }
        if request.replies == 0 {
            return ask_for_authentication(link, place, deadline);
        }
        link.send(&request, deadline)?;
        for _ in 0..greetings {
            take_ok(link, place, deadline)?;
        }
        if is_asked_for_role {
            let reply = link.receive(deadline)?;
            let is_primary = reply.element(0).is_some_and(|role| role.text() == Some(b"master"));
            let error = reply.error().map(|words| refusal::error_of(&words, place));
            link.next();
            match error {
                // A user may lack the right to ask; then the server says READONLY when it comes to that.
                Some(error) if !matches!(&error, Error::Backend { .. }) => return Err(error),
                None if !is_primary => return Err(Error::Unavailable("it is not the primary, or not yet".into())),
                _ => {}
            }
        }
        Ok(())
    }

    /// A user and password in the URL are the Sentinels', if there are any.
    fn of_url<'a>(&self, part: &'a Option<String>) -> Option<&'a str> {
        if self.options.sentinel_master.is_some() { None } else { part.as_deref() }
    }

    fn username(&self) -> Option<&str> {
        self.options.username.as_deref().or_else(|| self.of_url(&self.url.username))
    }

    /// Read from its file each time, which may have been replaced.
    pub(super) fn password(&self) -> Result<Option<String>> {
        match (&self.options.password, &self.options.password_file) {
            (Some(password), _) => Ok(Some(password.clone())),
            (None, Some(file)) => {
                let text = fs::read_to_string(file).map_err(|error| Error::io(file, "read the password", &error))?;
                Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()))
            }
            (None, None) => Ok(self.of_url(&self.url.password).map(str::to_owned)),
        }
    }

    fn place(&self, address: &Address) -> String {
        Url { addresses: vec![address.clone()], ..self.url.clone() }.to_string()
    }
}

/// AUTH, if there is a password.
fn push_auth(request: &mut Request, username: Option<&str>, password: Option<&str>) {
    match (username, password) {
        (Some(username), password) => {
            request.push(&[b"AUTH", username.as_bytes(), password.unwrap_or_default().as_bytes()]);
        }
        (None, Some(password)) => request.push(&[b"AUTH", password.as_bytes()]),
        (None, None) => {}
    }
}

/// Whether the server wants a password, of which there is none. To a command with many words it would not say so, but
/// end the connection.
fn ask_for_authentication(link: &mut Link, place: &str, deadline: Instant) -> Result<()> {
    link.send(&Request::of(&[b"PING"]), deadline)?;
    let words = link.receive(deadline)?.error().filter(|words| words.starts_with("NOAUTH"));
    let error = words.map(|words| refusal::error_of(&words, place));
    link.next();
    error.map_or(Ok(()), Err)
}

fn take_ok(link: &mut Link, place: &str, deadline: Instant) -> Result<()> {
    let words = link.receive(deadline)?.error().map(|words| words.into_owned());
    link.next();
    match words {
        Some(words) if Refusal::of(&words) != Refusal::Again => Err(refusal::error_of(&words, place)),
        Some(words) => Err(Error::Unavailable(words)),
        None => Ok(()),
    }
}

//! The socket under a connection, each step within a deadline.

use super::url::Address;
use crate::sys::{self, ProcessLocal};
use crate::{Error, Result};
use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Between two attempts to connect to a server that has too many to accept.
const RETRY: Duration = Duration::from_millis(5);
/// The stack of a thread that asks for a host's addresses.
const RESOLVER_STACK: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct Socket(ProcessLocal<OwnedFd>);

impl Socket {
    pub(super) fn connect(address: &Address, deadline: Instant) -> Result<Self> {
        let connected = match address {
            Address::Unix(path) => loop {
                match sys::connect_unix(path) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock && left(deadline) > RETRY => {
                        sys::sleep(RETRY);
                    }
                    result => break result,
                }
            },
            Address::Tcp(host, port) => {
                // The first that answers: a host may have an address of each family, and a server on one.
                let mut last = Err(io::ErrorKind::NotFound.into());
                for address in resolve(host, *port, deadline)? {
                    last = connect_tcp(address, deadline);
                    if last.is_ok() {
                        break;
                    }
                }
                last
            }
        };
        let socket = connected.and_then(|socket| sys::above_stdio(File::from(socket)));
        let socket = socket.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => late(),
            _ => Error::Unavailable(format!("cannot connect: {error}")),
        })?;
        Ok(Self(ProcessLocal::new(socket.into())))
    }

    fn descriptor(&self) -> Result<BorrowedFd<'_>> {
        self.0.get().map(AsFd::as_fd).ok_or_else(|| Error::Unavailable("the host has closed the connection".into()))
    }

    /// The same where a look whether the host has replaced it, which is a system call, is not needed.
    fn descriptor_at_once(&self) -> Result<BorrowedFd<'_>> {
        self.0.get_unchecked().map(AsFd::as_fd).ok_or_else(|| Error::Unavailable("it is a parent's connection".into()))
    }

    /// Sends all of it. `is_checked`: it was found usable just now. `sent` tells how much, also after a failure.
    pub(super) fn send(&self, bytes: &[u8], is_checked: bool, sent: &mut usize, deadline: Instant) -> Result<()> {
        let socket = if is_checked { self.descriptor_at_once()? } else { self.descriptor()? };
        while *sent < bytes.len() {
            match sys::send(socket, &bytes[*sent..]) {
                Ok(count) => *sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match left(deadline) {
                    Duration::ZERO => return Err(late()),
                    left => sys::poll_writable(socket, left),
                },
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(lost(&error)),
            }
        }
        Ok(())
    }

    /// Waits for bytes; also until `wake` is ready, and then there may be none.
    pub(super) fn wait(&self, wake: Option<BorrowedFd<'_>>, deadline: Instant) -> Result<()> {
        // Whoever receives looks again. Only a wait for news may be a long one for nothing.
        let socket = if wake.is_some() { self.descriptor()? } else { self.descriptor_at_once()? };
        sys::poll([Some(socket), wake], left(deadline));
        Ok(())
    }

    /// Receives what has come; `None`: nothing yet.
    pub(super) fn receive(&self, room: &mut [u8]) -> Result<Option<usize>> {
        loop {
            return match sys::receive(self.descriptor()?, room) {
                Ok(0) => Err(Error::Unavailable("the server has closed the connection".into())),
                Ok(count) => Ok(Some(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(lost(&error)),
            };
        }
    }

    /// Whether the server has not closed the connection, and has said nothing unasked if that is `quiet`.
    pub(super) fn is_usable(&self, quiet: bool) -> bool {
        let Some(socket) = self.0.get() else {
            return false;
        };
        match sys::peek(socket.as_fd(), &mut [0]) {
            Ok(count) => count > 0 && !quiet,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    /// See [`ProcessLocal::close_copy`].
    pub(super) fn close_copy(&self) {
        self.0.close_copy();
    }
}

pub(super) fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

pub(super) fn late() -> Error {
    Error::Unavailable("the server did not answer in time".into())
}

fn lost(error: &io::Error) -> Error {
    Error::Unavailable(format!("the connection is lost: {error}"))
}

fn connect_tcp(address: SocketAddr, deadline: Instant) -> io::Result<OwnedFd> {
    let left = left(deadline);
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let stream = TcpStream::connect_timeout(&address, left)?;
    // A command is sent in one piece and waits for its answer.
    let _ = stream.set_nodelay(true);
    Ok(stream.into())
}

/// The host's addresses. The system's resolver has no deadline, so a thread asks it, and one that is late is left to
/// itself.
fn resolve(host: &str, port: u16, deadline: Instant) -> Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![(address, port).into()]);
    }
    let unknown = |error: io::Error| Error::Unavailable(format!("no address of the host {host:?} is known: {error}"));
    let (answer, answers) = mpsc::channel();
    let name = host.to_owned();
    let ask = move || (name.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
    let asked = sys::spawn("flagstore-dns", RESOLVER_STACK, {
        let ask = ask.clone();
        Box::new(move || drop(answer.send(ask())))
    });
    let answer = match asked {
        Ok(_) => match answers.recv_timeout(left(deadline)) {
            Ok(answer) => answer,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                return Err(Error::Unavailable(format!("the host {host:?} was not resolved in time")));
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(io::ErrorKind::Other.into()),
        },
        // No thread is to be had.
        Err(_) => ask(),
    };
    answer.map_err(unknown)
}

//! One connection: requests out, replies in, each within a deadline.

use super::reply::{Malformed, Reply, ReplyReader};
use super::request::Request;
use super::socket::{self, Socket};
use super::tls::{self, Tls};
use super::url::Address;
use crate::{Error, Result};
use rustls::ClientConnection;
use std::io::{self, Read, Write};
use std::mem;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Instant;

pub(super) struct Link {
    pub(super) socket: Arc<Socket>,
    tls: Option<Box<ClientConnection>>,
    reader: ReplyReader,
    /// Whether a part of the last request has left this process.
    pub(super) has_sent: bool,
    /// Replies that the last request still waits for; and then the connection is of no use to another.
    pub(super) pending: usize,
    /// It was found usable, and not used since.
    is_checked: bool,
}

impl Link {
    /// `max_bytes`: the longest reply.
    pub(super) fn new(socket: Arc<Socket>, max_bytes: usize) -> Self {
        Self { socket, tls: None, reader: ReplyReader::new(max_bytes), has_sent: false, pending: 0, is_checked: false }
    }

    /// Puts TLS over the connection.
    pub(super) fn secure(&mut self, tls: &Tls, address: &Address, deadline: Instant) -> Result<()> {
        self.tls = Some(Box::new(tls.connection(address)?));
        loop {
            self.flush(deadline)?;
            if !self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
                return Ok(());
            }
            while !self.receive_encrypted()? {
                self.wait(None, deadline)?;
            }
        }
    }

    pub(super) fn send(&mut self, request: &Request, deadline: Instant) -> Result<()> {
        let is_checked = mem::take(&mut self.is_checked);
        self.has_sent = false;
        self.pending += request.replies;
        let mut sent = 0;
        let result = match &mut self.tls {
            None => self.socket.send(&request.bytes, is_checked, &mut sent, deadline),
            Some(tls) => {
                let written = tls.writer().write_all(&request.bytes);
                sent = 1;
                written.map_err(|error| tls::refused_by_reader(&error)).and_then(|()| self.flush(deadline))
            }
        };
        self.has_sent = sent > 0;
        result
    }

    /// The next reply.
    pub(super) fn receive(&mut self, deadline: Instant) -> Result<Reply<'_>> {
        while !self.reader.is_complete().map_err(malformed)? {
            self.wait(None, deadline)?;
            self.receive_more()?;
        }
        self.pending = self.pending.saturating_sub(1);
        Ok(self.reader.reply())
    }

    /// The next reply or push if one comes before `wake` or the time says otherwise.
    pub(super) fn receive_or_wake(
        &mut self,
        wake: Option<BorrowedFd<'_>>,
        until: Instant,
    ) -> Result<Option<Reply<'_>>> {
        if !self.reader.is_complete().map_err(malformed)? {
            if !socket::left(until).is_zero() {
                self.socket.wait(wake, until)?;
            }
            self.receive_more()?;
            if !self.reader.is_complete().map_err(malformed)? {
                return Ok(None);
            }
        }
        Ok(Some(self.reader.reply()))
    }

    /// Done with the last reply.
    pub(super) fn next(&mut self) {
        self.reader.next();
    }

    /// Whether an idle connection can be used.
    pub(super) fn is_usable(&mut self) -> bool {
        // The server may send tickets of TLS at any time.
        self.is_checked = !self.reader.has_more() && self.socket.is_usable(self.tls.is_none());
        self.is_checked
    }

    fn wait(&self, wake: Option<BorrowedFd<'_>>, deadline: Instant) -> Result<()> {
        if socket::left(deadline).is_zero() {
            return Err(socket::late());
        }
        self.socket.wait(wake, deadline)
    }

    /// Takes what has come, if anything has.
    fn receive_more(&mut self) -> Result<()> {
        if self.tls.is_some() {
            return self.receive_encrypted().map(drop);
        }
        let received = self.socket.receive(self.reader.room().map_err(malformed)?)?;
        self.reader.received(received.unwrap_or(0));
        Ok(())
    }

    /// The same through TLS. Whether something has come.
    fn receive_encrypted(&mut self) -> Result<bool> {
        let mut room = [0; 16 << 10];
        let Some(count) = self.socket.receive(&mut room)? else {
            return Ok(false);
        };
        let mut received = &room[..count];
        while let (Some(tls), false) = (&mut self.tls, received.is_empty()) {
            tls.read_tls(&mut received).map_err(|error| tls::refused_by_reader(&error))?;
            if let Err(error) = tls.process_new_packets() {
                // The server learns why.
                let _ = self.flush(Instant::now());
                return Err(tls::refused(error));
            }
            decrypted(tls, &mut self.reader)?;
        }
        Ok(true)
    }

    /// Sends what TLS has to say.
    fn flush(&mut self, deadline: Instant) -> Result<()> {
        let Some(tls) = &mut self.tls else {
            return Ok(());
        };
        let mut bytes = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut bytes).map_err(|error| tls::refused_by_reader(&error))?;
        }
        self.socket.send(&bytes, false, &mut 0, deadline)
    }
}

/// Hands on what TLS has decrypted: it keeps little.
fn decrypted(tls: &mut ClientConnection, reader: &mut ReplyReader) -> Result<()> {
    loop {
        match tls.reader().read(reader.room().map_err(malformed)?) {
            Ok(0) => return Err(Error::Unavailable("the server has closed the connection".into())),
            Ok(count) => reader.received(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(tls::refused_by_reader(&error)),
        }
    }
}

fn malformed(fault: Malformed) -> Error {
    match fault {
        Malformed::Syntax(problem) => Error::Unavailable(format!("what answers is no Redis server: {problem}")),
        Malformed::TooLarge => Error::TooLarge { path: None, key: None },
        Malformed::OutOfMemory => Error::OutOfMemory,
    }
}

//! Sleeping until a descriptor is ready.

use super::{ProcessLocal, above_stdio, sleep};
use std::ffi::c_short;
use std::fs::File;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// Something that happens once and for all and that poll can wait for.
///
/// It is a socket without a name that is shut down: nothing is ever written, so nothing can reach a file of the host's
/// that got the number of a descriptor which the host closed; and copies in forked children do not matter.
#[derive(Debug)]
pub(crate) struct Event(ProcessLocal<UnixDatagram>);

impl Event {
    pub(crate) fn new() -> io::Result<Self> {
        let socket = File::from(OwnedFd::from(UnixDatagram::unbound()?));
        Ok(Self(ProcessLocal::new(OwnedFd::from(above_stdio(socket)?).into())))
    }

    /// Wakes all who poll for it, now and later.
    pub(crate) fn raise(&self) {
        if let Some(socket) = self.0.get() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// The descriptor to poll; `None`: in a forked child, or the host has closed it.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.0.get().map(UnixDatagram::as_fd)
    }
}

/// How long a poll that the system refuses sleeps instead.
const SLICE: Duration = Duration::from_millis(10);

/// Sleeps until one of the descriptors is ready, at most for `timeout`; may also wake for no reason.
pub(crate) fn poll(descriptors: [Option<BorrowedFd<'_>>; 2], timeout: Duration) {
    poll_for(libc::POLLIN, descriptors, timeout);
}

/// The same until the descriptor takes bytes.
#[cfg(feature = "redis")]
pub(crate) fn poll_writable(descriptor: BorrowedFd<'_>, timeout: Duration) {
    poll_for(libc::POLLOUT, [Some(descriptor), None], timeout);
}

fn poll_for(events: c_short, descriptors: [Option<BorrowedFd<'_>>; 2], timeout: Duration) {
    // A negative descriptor is passed over.
    let number = |descriptor: Option<BorrowedFd<'_>>| descriptor.map_or(-1, |descriptor| descriptor.as_raw_fd());
    let mut set = descriptors.map(|it| libc::pollfd { fd: number(it) as RawFd, events, revents: 0 });
    // Rounded up, so that nobody spins through the last millisecond.
    let milliseconds = timeout.as_micros().div_ceil(1000).try_into().unwrap_or(i32::MAX);
    // SAFETY: the set is as long as said.
    let result = unsafe { libc::poll(set.as_mut_ptr(), set.len() as libc::nfds_t, milliseconds) };
    // The limit to descriptors may be below two, or a sandbox refuses the call.
    if result == -1 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
        sleep(timeout.min(SLICE));
    }
}

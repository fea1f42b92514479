#[cfg(feature = "redis")]
use super::close_inherited;
use super::{ProcessGeneration, fstat};
use std::fs;
use std::os::fd::{AsFd, IntoRawFd};
use std::path::PathBuf;

/// Owns a descriptor for longer than a call.
///
/// A forked child may have closed all descriptors since, and so may a host that turns into a daemon: the number may be
/// another file's by then. So it is used and closed only in the process that opened it, and only while it still is the
/// same file.
#[derive(Debug)]
pub(crate) struct ProcessLocal<T: AsFd + IntoRawFd> {
    generation: ProcessGeneration,
    identity: Option<Identity>,
    /// `None` only while it is dropped.
    owner: Option<T>,
}

/// What a descriptor refers to.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    /// Event descriptors of every kind share one inode; /proc, where it is mounted, tells the kind.
    kind: Option<PathBuf>,
}

impl Identity {
    fn of(descriptor: &impl AsFd) -> Option<Self> {
        let descriptor = descriptor.as_fd();
        let status = fstat(descriptor).ok()?;
        let is_anonymous = status.mode & libc::S_IFMT == 0;
        let link = || fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&descriptor))).ok();
        let kind = if is_anonymous { link() } else { None };
        Some(Self { device: status.device, inode: status.inode, kind })
    }
}

impl<T: AsFd + IntoRawFd> ProcessLocal<T> {
    pub(crate) fn new(owner: T) -> Self {
        Self { generation: ProcessGeneration::current(), identity: Identity::of(&owner), owner: Some(owner) }
    }

    /// The owner; `None`: in a forked child, or the host has closed the descriptor.
    pub(crate) fn get(&self) -> Option<&T> {
        self.owner.as_ref().filter(|owner| self.is_ours(owner))
    }

    /// The same without looking whether the host has closed or replaced it.
    #[cfg(feature = "redis")]
    pub(crate) fn get_unchecked(&self) -> Option<&T> {
        self.owner.as_ref().filter(|_| self.generation.is_current())
    }

    /// The same, to be changed.
    pub(crate) fn get_mut(&mut self) -> Option<&mut T> {
        self.get()?;
        self.owner.as_mut()
    }

    /// In a forked child: closes its copy of the descriptor, which keeps a connection of the parent's open. The owner
    /// must be forgotten.
    #[cfg(feature = "redis")]
    pub(crate) fn close_copy(&self) {
        let Some(owner) = self.owner.as_ref().filter(|_| !self.generation.is_current()) else {
            return;
        };
        if self.identity.is_some() && Identity::of(owner) == self.identity {
            close_inherited(std::os::fd::AsRawFd::as_raw_fd(&owner.as_fd()));
        }
    }

    fn is_ours(&self, owner: &T) -> bool {
        self.generation.is_current() && self.identity.is_some() && Identity::of(owner) == self.identity
    }
}

impl<T: AsFd + IntoRawFd> Drop for ProcessLocal<T> {
    fn drop(&mut self) {
        let Some(owner) = self.owner.take() else {
            return;
        };
        if !self.is_ours(&owner) {
            // Not closed.
            let _ = owner.into_raw_fd();
        }
    }
}

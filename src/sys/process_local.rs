use crate::sys;
use std::ops::{Deref, DerefMut};
use std::os::fd::IntoRawFd;

/// Owns a descriptor for longer than a call.
///
/// A forked child may have closed all descriptors since: what it inherited is not closed when it is dropped, for the
/// number may be another file's by then.
#[derive(Debug)]
pub(crate) struct ProcessLocal<T: IntoRawFd> {
    process: u64,
    /// `None` only while it is dropped.
    owner: Option<T>,
}

impl<T: IntoRawFd> ProcessLocal<T> {
    pub(crate) fn new(owner: T) -> Self {
        Self { process: sys::process_generation(), owner: Some(owner) }
    }
}

impl<T: IntoRawFd> Drop for ProcessLocal<T> {
    fn drop(&mut self) {
        if self.process != sys::process_generation() {
            self.owner.take().map(IntoRawFd::into_raw_fd);
        }
    }
}

impl<T: IntoRawFd> Deref for ProcessLocal<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.owner.as_ref().unwrap_or_else(|| unreachable!("it is not dropped"))
    }
}

impl<T: IntoRawFd> DerefMut for ProcessLocal<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.owner.as_mut().unwrap_or_else(|| unreachable!("it is not dropped"))
    }
}

//! src/sys.rs as far as turn.rs uses it, on the simulated lock file.

use crate::fs::File;
use crate::thread::{Builder, JoinHandle};
use std::io;
use std::os::fd::RawFd;

pub fn lock(file: &File) -> io::Result<()> {
    file.lock();
    Ok(())
}

pub fn try_lock(file: &File) -> io::Result<bool> {
    Ok(file.try_lock())
}

pub fn unlock(file: &File) {
    file.unlock();
}

pub fn close_inherited(_: RawFd) {
    unreachable!("nobody forks in the model");
}

pub fn spawn(name: &str, stack: usize, work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.into()).stack_size(stack).spawn(work)
}

/// Nobody forks in the model.
pub fn process_generation() -> u64 {
    1
}

pub fn at_fork(_: extern "C" fn(), _: extern "C" fn(), _: extern "C" fn()) {
    unreachable!("nobody forks in the model");
}

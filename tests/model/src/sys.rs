//! src/sys.rs as far as turn.rs uses it, on the simulated lock file.

use crate::fs::File;
use crate::thread::{Builder, JoinHandle};
use shuttle::rand::{Rng, thread_rng};
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

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

/// Whether the system refuses every second thread or so.
static REFUSES_THREADS: AtomicBool = AtomicBool::new(false);

pub(crate) fn start() {
    REFUSES_THREADS.store(false, SeqCst);
}

pub fn refuse_threads() {
    REFUSES_THREADS.store(true, SeqCst);
}

pub fn spawn(name: &str, stack: usize, work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    if REFUSES_THREADS.load(SeqCst) && thread_rng().gen_bool(0.5) {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    Builder::new().name(name.into()).stack_size(stack).spawn(work)
}

/// Nobody forks in the model.
pub fn process_generation() -> u64 {
    1
}

pub use crate::thread::sleep;

pub fn note_fork() {
    unreachable!("nobody forks in the model");
}

pub fn at_fork(_: extern "C" fn(), _: extern "C" fn(), _: extern "C" fn()) {
    unreachable!("nobody forks in the model");
}

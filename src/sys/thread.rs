//! Threads of the library, and the state of the caller's thread during a call.

use super::linux::{CANCEL_DISABLE, sleep_otherwise, take_pending};
use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::thread::JoinHandleExt;
use std::ptr;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// The stack of a thread that runs code of the caller's, in bytes: what Rust gives its own.
pub(crate) const STACK: usize = 2 << 20;

/// Starts a thread with a stack of so many bytes. With every signal blocked, so that it takes none of the host's.
pub(crate) fn spawn(name: &str, stack: usize, work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    let builder = Builder::new().name(name.into()).stack_size(stack);
    // SAFETY: initialises the set it is given.
    let all = signals(|set| unsafe {
        libc::sigfillset(set);
    });
    with_blocked(&all, |_| builder.spawn(work))
}

/// Whether the thread is the one that asks. `std::thread::current` would leave a handle behind in a host's thread.
pub(crate) fn is_current_thread<T>(thread: &JoinHandle<T>) -> bool {
    // musl's own type is a pointer, std's is a number everywhere.
    // SAFETY: the thread has not been joined, so its number is still its own.
    unsafe { libc::pthread_equal(thread.as_pthread_t() as _, libc::pthread_self()) != 0 }
}

/// Sleeps. std's own sleep panics where a sandbox refuses the call; here another is tried, and then none.
pub(crate) fn sleep(duration: Duration) {
    let mut left = libc::timespec {
        tv_sec: duration.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: duration.subsec_nanos() as _,
    };
    let before = left;
    // SAFETY: valid times.
    let result = unsafe { libc::nanosleep(&before, &mut left) };
    if result != 0 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
        sleep_otherwise(&before);
    }
}

unsafe extern "C" {
    // Of pthread.h; not in the libc crate.
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}

/// Puts the thread's cancellation state back when dropped.
struct CancelState(c_int);

impl Drop for CancelState {
    fn drop(&mut self) {
        // SAFETY: the state is one that the same function gave.
        unsafe { pthread_setcancelstate(self.0, ptr::null_mut()) };
    }
}

/// Runs `work` without a cancellation point: a pthread_cancel of the host's takes effect afterwards. In the middle it
/// would unwind Rust's frames, which ends the process.
pub(crate) fn without_cancellation<T>(work: impl FnOnce() -> T) -> T {
    let mut before = 0;
    // SAFETY: the state is valid and there is room for the one before.
    unsafe { pthread_setcancelstate(CANCEL_DISABLE, &mut before) };
    let _restored = CancelState(before);
    work()
}

/// Runs `work` so that a write beyond RLIMIT_FSIZE fails with EFBIG instead of killing the process by SIGXFSZ.
pub(crate) fn without_sigxfsz<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: initialises the set it is given.
    let set = signals(|set| unsafe {
        libc::sigemptyset(set);
        libc::sigaddset(set, libc::SIGXFSZ);
    });
    with_blocked(&set, |before| {
        let result = work();
        // SAFETY: valid sets. If the caller blocks the signal too, it may be the caller's: keep it.
        unsafe {
            let mut pending = MaybeUninit::uninit();
            libc::sigpending(pending.as_mut_ptr());
            if libc::sigismember(pending.as_ptr(), libc::SIGXFSZ) == 1 && libc::sigismember(before, libc::SIGXFSZ) == 0
            {
                take_pending(&set);
            }
        }
        result
    })
}

fn signals(fill: impl FnOnce(*mut libc::sigset_t)) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    fill(set.as_mut_ptr());
    // SAFETY: both sigemptyset and sigfillset initialise the whole set.
    unsafe { set.assume_init() }
}

fn with_blocked<T>(set: &libc::sigset_t, work: impl FnOnce(&libc::sigset_t) -> T) -> T {
    // SAFETY: both sets are valid; the mask of this thread alone changes and is put back.
    let before = signals(|before| unsafe {
        libc::sigemptyset(before);
        libc::pthread_sigmask(libc::SIG_BLOCK, set, before);
    });
    let result = work(&before);
    // SAFETY: as above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut()) };
    result
}

//! The few calls to the system that std lacks, each as a safe function.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::thread::JoinHandleExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

mod attributes;
mod fork_safe_mutex;
mod process_local;

pub(crate) use attributes::copy_attributes;
pub(crate) use fork_safe_mutex::{ForkSafeMutex, ForkSafeMutexGuard};
pub(crate) use process_local::ProcessLocal;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn flock(file: &File, operation: libc::c_int) -> io::Result<()> {
    loop {
        // SAFETY: the descriptor is open as long as `file` lives.
        match check(unsafe { libc::flock(file.as_raw_fd(), operation) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => return result.map(|_| ()),
        }
    }
}

/// Takes the exclusive lock of the open file; waits for it without a limit.
pub(crate) fn lock(file: &File) -> io::Result<()> {
    flock(file, libc::LOCK_EX)
}

/// Takes the exclusive lock of the open file if nobody has it.
pub(crate) fn try_lock(file: &File) -> io::Result<bool> {
    match flock(file, libc::LOCK_EX | libc::LOCK_NB) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        result => result.map(|()| true),
    }
}

/// Gives the lock back, also where a forked child still has a copy of the descriptor.
pub(crate) fn unlock(file: &File) {
    // An unlock of an open file does not fail.
    let _ = flock(file, libc::LOCK_UN);
}

/// The same open file under a descriptor that is not 0, 1 or 2, which a host may take for its standard streams.
pub(crate) fn above_stdio(file: File) -> io::Result<File> {
    if file.as_raw_fd() > 2 {
        return Ok(file);
    }
    // SAFETY: the descriptor is open; the new one belongs to nobody else.
    let descriptor = check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) })?;
    // SAFETY: as above.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}

/// Closes a descriptor that a fork left in the child and whose owner exists only in the parent.
pub(crate) fn close_inherited(descriptor: RawFd) {
    // SAFETY: the caller knows that nobody in this process will use or close it.
    unsafe { libc::close(descriptor) };
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

/// Runs `work` so that a write beyond RLIMIT_FSIZE fails with EFBIG instead of killing the process by SIGXFSZ.
pub(crate) fn without_sigxfsz<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: initialises the set it is given.
    let set = signals(|set| unsafe {
        libc::sigemptyset(set);
        libc::sigaddset(set, libc::SIGXFSZ);
    });
    with_blocked(&set, |before| {
        let result = work();
        // SAFETY: valid sets and a zero timeout. If the caller blocks the signal too, it may be the caller's: keep it.
        unsafe {
            let mut pending = MaybeUninit::uninit();
            libc::sigpending(pending.as_mut_ptr());
            if libc::sigismember(pending.as_ptr(), libc::SIGXFSZ) == 1 && libc::sigismember(before, libc::SIGXFSZ) == 0
            {
                let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
                libc::sigtimedwait(&set, ptr::null_mut(), &now);
            }
        }
        result
    })
}

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

/// Has the three functions called around every fork: before it and after it in the parent, and after it in the child.
pub(crate) fn at_fork(prepare: extern "C" fn(), parent: extern "C" fn(), child: extern "C" fn()) {
    // SAFETY: pthread_atfork takes plain functions, which live as long as the library, and that is never unloaded.
    unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
}

/// Writes one line to standard error without any lock of this process.
pub(crate) fn write_stderr(line: &str) {
    // SAFETY: pointer and length are of one string.
    unsafe { libc::write(2, line.as_ptr().cast(), line.len()) };
}

/// Whether the address is in this process's memory.
pub(crate) fn is_mapped(address: usize) -> bool {
    let mut residence = 0u8;
    // SAFETY: mincore only looks at the page, of at least 4096 bytes, and writes one byte about it.
    unsafe { libc::mincore((address & !4095) as *mut libc::c_void, 1, &mut residence) == 0 }
}

/// Whether the thread is the one that asks. `std::thread::current` would leave a handle behind in a host's thread.
pub(crate) fn is_current_thread<T>(thread: &JoinHandle<T>) -> bool {
    // SAFETY: the thread has not been joined, so its number is still its own.
    unsafe { libc::pthread_equal(thread.as_pthread_t(), libc::pthread_self()) != 0 }
}

/// Sleeps while `word` is `expected`, at most for `timeout`; may also wake for no reason.
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) {
    let timeout = timeout.map(|timeout| libc::timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the word lives during the call; the timeout is NULL or valid.
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG, expected, timeout)
    };
}

/// Wakes all that sleep on `word`.
pub(crate) fn futex_wake_all(word: &AtomicU32) {
    // SAFETY: the word lives during the call.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, i32::MAX) };
}

/// The calling thread's number, which no other thread of this process has.
pub(crate) fn thread_number() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    (unsafe { libc::gettid() }) as u32
}

/// Something that happens once and for all, to be seen by poll.
#[derive(Debug)]
pub(crate) struct Event(ProcessLocal<File>);

impl Event {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: a new descriptor that belongs to nobody else.
        let event = unsafe {
            let descriptor = check(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?;
            File::from_raw_fd(descriptor)
        };
        above_stdio(event).map(|event| Self(ProcessLocal::new(event)))
    }

    pub(crate) fn raise(&self) {
        // A counter that is full is raised too.
        let _ = (&*self.0).write(&1u64.to_ne_bytes());
    }

    /// Sleeps until it has happened, at most for `timeout`.
    pub(crate) fn wait(&self, timeout: Duration) {
        poll([Some(self.0.as_raw_fd()), None], Some(timeout));
    }
}

impl AsRawFd for Event {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Sleeps until one of the descriptors can be read, at most for `timeout`; may also wake for no reason. Says which can.
pub(crate) fn poll(descriptors: [Option<RawFd>; 2], timeout: Option<Duration>) -> [bool; 2] {
    // A negative descriptor is passed over.
    let mut set = descriptors.map(|fd| libc::pollfd { fd: fd.unwrap_or(-1), events: libc::POLLIN, revents: 0 });
    // Rounded up, so that nobody spins through the last millisecond.
    let timeout = timeout.map_or(-1, |timeout| timeout.as_micros().div_ceil(1000).try_into().unwrap_or(i32::MAX));
    // SAFETY: the set is as long as said.
    unsafe { libc::poll(set.as_mut_ptr(), set.len() as libc::nfds_t, timeout) };
    set.map(|polled| polled.revents != 0)
}

/// The number of the open file's kind of file system, of linux/magic.h.
fn file_system(file: &File) -> Option<u32> {
    let mut info = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the descriptor is open; the struct is read only if the call has filled it.
    unsafe { (libc::fstatfs(file.as_raw_fd(), info.as_mut_ptr()) == 0).then(|| info.assume_init().f_type as u32) }
}

/// Whether the file or directory is on a file system whose changes by other machines bring no events here.
pub(crate) fn is_remote(file: &File) -> bool {
    // NFS, CIFS, SMB2, 9P, AFS, Ceph, FUSE (virtiofs too).
    const REMOTE: [u32; 7] = [0x6969, 0xFF53_4D42, 0xFE53_4D42, 0x0102_1997, 0x5346_414F, 0x00C3_6400, 0x6573_5546];
    file_system(file).is_some_and(|kind| REMOTE.contains(&kind))
}

/// Whether no change of the open file can have a time that a look at it has seen before: Linux 6.13 and later give
/// the first change after a look a time of the precise clock, on ext4, XFS, btrfs and tmpfs.
pub(crate) fn has_precise_times(file: &File) -> bool {
    const PRECISE: [u32; 4] = [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994];
    file_system(file).is_some_and(|kind| PRECISE.contains(&kind)) && kernel() >= (6, 13)
}

/// The version of the running kernel.
fn kernel() -> (u32, u32) {
    let mut name = MaybeUninit::<libc::utsname>::uninit();
    // SAFETY: uname fills the whole struct or fails; the release ends with a NUL.
    let release = unsafe {
        if libc::uname(name.as_mut_ptr()) != 0 {
            return (0, 0);
        }
        CStr::from_ptr(name.assume_init_ref().release.as_ptr()).to_string_lossy().into_owned()
    };
    let mut numbers = release.split(|other: char| !other.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// What the path leads to. Without the copy of the path that std makes at every call.
pub(crate) fn stat(path: &CStr) -> io::Result<libc::stat64> {
    let mut status = MaybeUninit::uninit();
    // SAFETY: the path ends with a NUL; the struct is read only if the call has filled it.
    unsafe { check(libc::stat64(path.as_ptr(), status.as_mut_ptr())).map(|_| status.assume_init()) }
}

/// What the path leads to.
pub(crate) fn stat_at(path: &Path) -> io::Result<libc::stat64> {
    stat(&CString::new(path.as_os_str().as_bytes())?)
}

/// What is open.
pub(crate) fn fstat(file: &File) -> io::Result<libc::stat64> {
    let mut status = MaybeUninit::uninit();
    // SAFETY: the descriptor is open; the struct is read only if the call has filled it.
    unsafe { check(libc::fstat64(file.as_raw_fd(), status.as_mut_ptr())).map(|_| status.assume_init()) }
}

/// The clock, since 1970, that file systems take the times of changes from; it lags behind by a few milliseconds.
pub(crate) fn coarse_clock() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the struct is valid; the clock exists since Linux 2.6.32.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME_COARSE, &mut now) };
    Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
}

/// A number that differs between this process and all that it was forked from, whatever way that was done, and is
/// never 0. It costs a look at memory.
pub(crate) fn process_generation() -> u64 {
    /// What was the last number given, before the fork too.
    static LAST: AtomicU64 = AtomicU64::new(0);
    /// A word that the kernel sets to 0 in a child.
    static WORD: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());
    // SAFETY: the word was leaked; it lives for ever.
    let Some(word) = (unsafe { WORD.load(Ordering::Acquire).as_ref() }) else {
        return match wiped_word() {
            Some(word) => {
                // Two threads may both make one: the first stays, the other is one page lost.
                let _ = WORD.compare_exchange(ptr::null_mut(), word, Ordering::AcqRel, Ordering::Acquire);
                process_generation()
            }
            None => std::process::id().into(),
        };
    };
    match word.load(Ordering::Relaxed) {
        0 => {
            let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
            let first = word.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed);
            first.map_or_else(|other| other, |_| number)
        }
        number => number,
    }
}

/// A word on a page that a child finds empty. `None`: Linux before 4.14.
fn wiped_word() -> Option<*mut AtomicU64> {
    const PAGE: usize = 4096;
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new page of zeros, which are a valid word, that nobody else knows; given back if it is of no use.
    unsafe {
        let page = libc::mmap(ptr::null_mut(), PAGE, access, kind, -1, 0);
        if page == libc::MAP_FAILED {
            return None;
        }
        if libc::madvise(page, PAGE, libc::MADV_WIPEONFORK) != 0 {
            libc::munmap(page, PAGE);
            return None;
        }
        Some(page.cast())
    }
}

/// How many bytes of a string in JSON stand before the first quote, backslash or control character: 32 if there is none.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn find_string_end(chunk: &[u8; 32]) -> usize {
    use std::arch::x86_64::*;
    // SAFETY: SSE2 is a part of x86-64; twice sixteen bytes are read from thirty-two.
    let stops = |half: usize| unsafe {
        let bytes = _mm_loadu_si128(chunk.as_ptr().add(16 * half).cast());
        let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
        let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
        let control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes);
        _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), control)) as u32
    };
    (stops(0) | stops(1) << 16).trailing_zeros() as usize
}

/// The same for processors of other kinds.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(crate) fn find_string_end(chunk: &[u8; 32]) -> usize {
    let is_stop = |byte: &u8| matches!(byte, 0..0x20 | b'"' | b'\\');
    chunk.iter().position(is_stop).unwrap_or(chunk.len())
}

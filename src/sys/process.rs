//! Which process this is, and who is called when it forks.

use super::linux::wiped_word;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// Tells this process from all that it was forked from. Asking costs a look at memory.
///
/// Process numbers would not do: the first process of each PID namespace is number 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessGeneration(u64);

impl ProcessGeneration {
    pub(crate) fn current() -> Self {
        Self(process_generation())
    }

    pub(crate) fn is_current(self) -> bool {
        self.0 == process_generation()
    }
}

/// How often this process and its ancestors have forked, where [`wiped_word`] is not to be had.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// Called in the child of a fork before anything else asks for the generation.
pub(crate) fn note_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// The generation as a number, never 0; below 2³² except where the kernel is older than 4.14.
pub(crate) fn process_generation() -> u64 {
    /// The last number that was given out, before a fork too.
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
            None => FORKS.load(Ordering::Relaxed) << 32 | u64::from(std::process::id()),
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

/// Has the three functions called around every fork: before it and after it in the parent, and after it in the child.
pub(crate) fn at_fork(prepare: extern "C" fn(), parent: extern "C" fn(), child: extern "C" fn()) {
    // SAFETY: pthread_atfork takes plain functions, which live as long as the library, and that is never unloaded.
    unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
}

//! What Linux alone has, or has in its own way: a port to another system begins with a directory like this one, and
//! with src/file/events.rs, which waits for changes by inotify.

mod access_list;
mod attributes;
mod file_system;
mod futex;
mod process;
mod thread;

pub(crate) use access_list::share_lock;
pub(crate) use attributes::copy_attributes;
pub(crate) use file_system::{coarse_clock, file_times, is_local, sync_file_system};
#[cfg(feature = "capi")]
pub(crate) use futex::is_unmapped;
pub(crate) use futex::{futex_wait, futex_wake_all, futex_wake_one};
#[cfg(feature = "redis")]
pub(crate) use process::fresh_random;
#[cfg(feature = "capi")]
pub(crate) use process::is_privileged;
pub(crate) use process::process_random;
pub(super) use process::wiped_word;
pub(crate) use thread::thread_number;
pub(super) use thread::{CANCEL_DISABLE, sleep_otherwise, take_pending};

//! Feature flags in one JSON file that people can read: any language, any number of threads and processes.
//!
//! A store maps a flag's key to any JSON value. Every backend keeps one contract, [`FlagStore`]:
//! [`InMemoryFlagStore`] lives as long as the process, [`FileFlagStore`] is one JSON file that is locked, replaced
//! atomically and synced, and a program can bring its own. C callers reach the same code through `include/flagstore.h`.
//!
//! ```
//! use flagstore::{FileFlagStore, FlagStore, Value};
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("flags.json");
//! let store = FileFlagStore::open(&path)?;
//! store.set("checkout.new-button", true.into())?;
//! assert_eq!(store.get("checkout.new-button")?, Some(Value::from(true)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`Value`] is one JSON value, with its exact digits; [`ValueRef`] is one that a store lends.
//! - [`Snapshot`] is every flag as of one moment.
//! - [`Batch`] is several changes in one step, with expectations.
//! - [`LayeredFlagStore`] puts stores over one another: overrides over a file, a file over defaults.
//! - [`Watch`] calls back for each flag that changes.
//! - [`Error`] says what failed, where, and why.
//!
//! Errors and warnings are also [`tracing`] events.
#![deny(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations)]
// Some of the core serves the C interface alone.
#![cfg_attr(not(feature = "capi"), allow(dead_code, unused_imports))]

mod error;
mod store;
mod status;
mod value;
mod snapshot;
mod batch;
mod watch;

mod stop_token;
mod background_thread;
mod revision_counter;

mod json;
mod key;
mod nul_terminated;
mod document;

mod memory;
mod file;
mod layered;
mod remote;
#[cfg(feature = "redis")]
mod redis;

#[allow(unsafe_code)]
mod sys;

#[cfg(feature = "capi")]
#[allow(unsafe_code)]
mod ffi;

pub use batch::Batch;
pub use error::{Error, OsError, Result};
pub use file::{Durability, FileFlagStore, FileOptions, ReadMode};
pub use layered::LayeredFlagStore;
pub use memory::InMemoryFlagStore;
#[cfg(feature = "redis")]
pub use redis::RedisOptions;
pub use remote::{Backend, Loaded, RemoteFlagStore, RemoteOptions, WhenLost};
pub use snapshot::{Snapshot, SnapshotIter};
pub use status::{Push, State, Status};
pub use store::FlagStore;
pub use value::{Kind, Value, ValueRef};
pub use watch::{Change, Watch};

#[doc(hidden)]
pub use stop_token::StopToken;

//! Everything that C sees: one file per section of the header, in its order. No logic lives here: each function
//! checks what it was given and calls the core inside [`guard::guard`].
//!
//! Exported functions never call one another, so that nobody can put himself between them.

mod arguments;
mod backend_store;
mod guard;
mod object;
mod versioned_struct;

pub mod backend;
pub mod batch;
pub mod change;
pub mod error;
pub mod library;
pub mod log;
pub mod open;
pub mod snapshot;
pub mod store;
pub mod typed;
pub mod with_length;

pub(crate) use backend::{flagstore_backend_t, flagstore_reply_t, take_error};
pub(crate) use error::{FLAGSTORE_BACKEND, flagstore_error_t};

/// What the loader calls.
#[used]
// SAFETY: the section holds pointers to functions that take nothing.
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = crate::file::register_fork_handlers;

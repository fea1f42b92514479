//! Everything that C sees: one file per section of the header, in its order. No logic lives here: each function
//! checks what it was given and calls the core inside [`guard::guard`].
//!
//! Exported functions never call one another, so that nobody can put himself between them.

mod guard;
mod object;
mod sized_struct;
mod text;

pub mod backend;
pub mod batch;
pub mod change;
pub mod contract;
pub mod error;
pub mod library;
pub mod log;
pub mod open;
pub mod sized;
pub mod snapshot;
pub mod typed;

pub(crate) use backend::{flagstore_backend_t, flagstore_reply_t, take_error};
pub(crate) use error::{FLAGSTORE_BACKEND, flagstore_error_t};

/// What the loader calls.
#[used]
// SAFETY: the section holds pointers to functions that take nothing.
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = crate::file::survive_forks;

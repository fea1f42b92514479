//! Everything that C sees: one file per section of the header, in its order. No logic lives here: each function
//! checks what it was given and calls the core inside [`guard::guard`].
//!
//! Exported functions never call one another, so that nobody can put himself between them.

mod log_sink;
mod object;
mod panic;

mod arguments;
mod guard;
mod peek;
mod versioned_struct;

pub mod library;
pub mod error;
pub mod log;
pub mod open;
pub mod store;
pub mod typed;
pub mod with_length;
pub mod snapshot;
pub mod batch;
pub mod change;
mod backend_table;
mod table_backend;
mod remote_options;
pub mod backend;
pub mod layered;
pub mod redis;
pub mod status;

/// Called by the loader.
#[used]
// SAFETY: the section holds pointers to functions that take nothing.
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = crate::file::register_fork_handlers;

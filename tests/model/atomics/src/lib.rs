//! std as a model of atomic operations has it: each of them may be followed by another thread. A test crate says
//! `extern crate flagstore_model_atomics as std` and then includes the library's own source.

pub use shuttle::thread_local;
pub use std::*;

pub mod sync {
    pub use shuttle::sync::atomic;
    pub use std::sync::{Arc, Mutex, PoisonError};
}

pub mod hint {
    /// Whoever waits lets others run.
    pub fn spin_loop() {
        shuttle::thread::yield_now();
    }
}

//! What the fuzz targets do with their bytes. `cargo test` does the same with the committed corpus and mutations of
//! it (tests/fuzz_corpus.rs), so that every find stays found.

pub mod calls;
pub mod file_bytes;
pub mod value_text;

mod input;
mod interface;
mod oracle;
mod scratch;

//! The fuzz targets on a stable compiler: each over its committed corpus and over seeded mutations of it.

#[path = "fuzz/bodies/mod.rs"]
mod bodies;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

const SEED: u64 = 0x5eed_f1a6;

fn run(target: &str, mutations: usize, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let entries = fs::read_dir(&corpus).expect("the corpus is committed");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("the corpus is readable").path()).collect();
    paths.sort();
    let inputs: Vec<_> = paths.iter().map(|path| fs::read(path).expect("the corpus is readable")).collect();
    assert!(inputs.len() > 20, "{} has {} files", corpus.display(), inputs.len());
    for (path, input) in paths.iter().zip(&inputs) {
        tried(check, input, &path.display().to_string());
    }
    println!("{target}: {} files, {mutations} mutations with seed {SEED:#x}", inputs.len());
    let mut random = Random(SEED);
    for number in 0..mutations {
        tried(check, &mutated(&inputs, &mut random), &format!("mutation {number} of {target}"));
    }
}

fn tried(check: fn(&[u8]), input: &[u8], name: &str) {
    if catch_unwind(AssertUnwindSafe(|| check(input))).is_err() {
        panic!("{name}: b\"{}\"", input.escape_ascii());
    }
}

/// The shift register xorshift64*, which makes the same mutations everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit.max(1)
    }
}

/// An input with one to three bytes or stretches changed, taken out, doubled or brought in from another.
fn mutated(inputs: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = inputs[random.below(inputs.len())].clone();
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len() + 1);
        let end = at + random.below((bytes.len() - at).min(16) + 1);
        match random.below(5) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            3 => bytes.insert(at, b"\"\\{}[],:0-.eu \n\x00\x7f\xff"[random.below(18)]),
            _ => {
                let other = &inputs[random.below(inputs.len())];
                let from = random.below(other.len() + 1);
                let to = from + random.below((other.len() - from).min(32) + 1);
                drop(bytes.splice(at..end, other[from..to].to_vec()));
            }
        }
    }
    bytes
}

#[test]
fn any_bytes_as_the_file() {
    run("file_bytes", 6_000, bodies::file_bytes::check);
}

#[test]
fn any_text_as_a_value_and_as_a_key() {
    run("value_text", 6_000, bodies::value_text::check);
}

#[test]
fn any_calls_through_the_c_interface() {
    run("calls", 6_000, bodies::calls::check);
}

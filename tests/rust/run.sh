#!/usr/bin/env bash
# Compiles and tests a Rust program that brings a backend of its own. Needs only crates that the library needs, in the
# same versions, so nothing is downloaded: where ../../Cargo.lock has changed, run `cargo update` here to catch up.
set -euo pipefail
cd "$(dirname "$0")"
CARGO_TARGET_DIR=../../target/rust exec cargo test --locked --offline --quiet "$@"

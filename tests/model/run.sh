#!/usr/bin/env bash
# Explores the models of the file store's queue for the lock and of the memory store's atomic pointer.
set -euo pipefail
cd "$(dirname "$0")"
CARGO_TARGET_DIR=../../target/model exec cargo test --locked --quiet "$@"

#!/usr/bin/env bash
# Explores the model of the file store's queue for the lock.
set -euo pipefail
cd "$(dirname "$0")"
CARGO_TARGET_DIR=../../target/model exec cargo test --locked --quiet "$@"

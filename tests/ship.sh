#!/usr/bin/env bash
# Builds the shared library as it is shipped, into DIR: alone, stripped, and without a path of this machine in it.
#   tests/ship.sh DIR
set -euo pipefail
[ $# = 1 ] || { echo "usage: tests/ship.sh DIR" >&2 && exit 2; }
mkdir -p "$1"
destination=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
root=$PWD

# The sources of this library, of what it is compiled with and of std are called by names that are the same everywhere.
cargo_home=${CARGO_HOME:-$HOME/.cargo}
sysroot=$(rustc --print sysroot)
export RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$root=flagstore --remap-path-prefix=$cargo_home=cargo \
--remap-path-prefix=$sysroot=rust"
target=$root/target/ship
CARGO_TARGET_DIR=$target cargo rustc --quiet --locked --release --lib --crate-type cdylib
strip -o "$destination/libflagstore.so" "$target/release/libflagstore.so"
soname=$(objdump -p "$destination/libflagstore.so" | sed -n 's/^ *SONAME *//p')
ln -sf libflagstore.so "$destination/$soname"

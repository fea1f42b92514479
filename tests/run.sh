#!/usr/bin/env bash
# Installs what the tests need (with apt, when root) and runs all of them; nothing is skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

# What Debian calls it, and a program by which to know that it is there.
needed=(
    abigail-tools:abidiff acl:getfacl attr:setfattr binutils:nm btrfs-progs:mkfs.btrfs clang:clang cmake:cmake
    doxygen:doxygen e2fsprogs:mkfs.ext4 fuse3:fusermount3 g++:c++ gcc:cc git:git golang-go:go libpq-dev:pg_config
    mandoc:mandoc
    pkg-config:pkg-config python3:python3 ruby:ruby
    strace:strace util-linux:setpriv valgrind:valgrind xfsprogs:mkfs.xfs
)
missing=()
for pair in "${needed[@]}"; do
    command -v "${pair#*:}" >/dev/null || missing+=("${pair%:*}")
done
ruby -e 'require "ffi"; require "minitest"' 2>/dev/null || missing+=(ruby-ffi ruby-minitest)
ruby -e 'require "flipper"; require "rbs"' 2>/dev/null || missing+=(ruby-flipper)
for server in puma unicorn; do
    command -v "$server" >/dev/null || missing+=("$server")
done
[ -x "$(pg_config --bindir 2>/dev/null)/initdb" ] || missing+=(postgresql)
pkg-config --exists fuse3 2>/dev/null || missing+=(libfuse3-dev)
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "tests/run.sh: not installed: ${missing[*]}" >&2
        exit 1
    fi
    apt-get update -q
    install() { DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"; }
    if [[ " ${missing[*]} " == *" postgresql "* ]]; then
        # The tests start a server of their own: Debian shall not start one.
        install postgresql-common
        sed -i 's/^#* *create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
    fi
    install "${missing[@]}"
fi
export FLAGSTORE_TESTS=all

section() { printf '\n== %s (after %d s)\n' "$1" "$SECONDS"; }
section style
cargo fmt --check
cargo clippy --all-targets --locked --quiet -- -D warnings
# A program in Rust goes without the C interface.
cargo build --no-default-features --lib --locked --quiet --target-dir target/no-capi
if nm -D --defined-only target/no-capi/debug/libflagstore.so | grep flagstore_; then exit 1; fi
cargo clippy --no-default-features --all-targets --locked --quiet -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked --quiet

section examples
examples-c/run.sh

section "the library as it is shipped"
./install.sh build
export FLAGSTORE_SHIPPED=$PWD/target/install

section tests
# Most of them wait for the disk most of the time.
RUST_TEST_THREADS=4 cargo test --locked

# The faults are one process after another, and leave a core to these.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ tests/sanitizers.sh && tests/model/run.sh; } >"$log" 2>&1 &
instrumented=$!

section faults
faults=0
tests/faults/run.sh || faults=$?

section "sanitizers, and the models of what is concurrent"
instrumented_status=0
wait $instrumented || instrumented_status=$?
cat "$log"
if [ $faults != 0 ] || [ $instrumented_status != 0 ]; then exit 1; fi

section "the benchmark runs"
tests/bench/run.sh --quick
tests/bench/run.sh --quick --growth
section done

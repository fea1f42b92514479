#!/usr/bin/env bash
# Installs what the tests need (with apt, when root) and runs all of them; nothing is skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

# What Debian calls it, and a program by which to know that it is there.
needed=(
    abigail-tools:abidiff acl:getfacl attr:setfattr binutils:nm btrfs-progs:mkfs.btrfs clang:clang cmake:cmake
    doxygen:doxygen e2fsprogs:mkfs.ext4 fuse3:fusermount3 g++:c++ gcc:cc git:git golang-go:go libpq-dev:pg_config
    mandoc:mandoc openssl:openssl
    pkg-config:pkg-config python3:python3 redis-sentinel:redis-sentinel redis-server:redis-server redis-tools:redis-cli
    ruby:ruby
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
pkg-config --exists hiredis 2>/dev/null || missing+=(libhiredis-dev)
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "tests/run.sh: not installed: ${missing[*]}" >&2
        exit 1
    fi
    apt-get update -q
    # The tests start servers of their own: Debian shall not start any.
    policy=/usr/sbin/policy-rc.d
    if [ -e $policy ]; then policy=''; else
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod +x $policy
        trap 'rm -f "$policy"' EXIT
    fi
    install() { DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"; }
    if [[ " ${missing[*]} " == *" postgresql "* ]]; then
        install postgresql-common
        sed -i 's/^#* *create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
    fi
    install "${missing[@]}"
    rm -f "$policy"
fi
export FLAGSTORE_TESTS=all

section() { printf '\n== %s (after %d s)\n' "$1" "$SECONDS"; }
log=$(mktemp)
trap 'rm -f "$log" "$log".*' EXIT
# In the background: what has a log of its own is shown when it is waited for.
background() { "${@:2}" >"$log.$1" 2>&1 & }
finished() { # finished NAME PID
    local status=0
    wait "$2" || status=$?
    cat "$log.$1"
    return $status
}

section style
cargo fmt --check
# Its optimiser takes one core for minutes.
background shipped env FEATURES=redis ./install.sh build
shipped=$!
cargo clippy --all-targets --locked --quiet -- -D warnings
# A program in Rust goes without the C interface.
cargo build --no-default-features --lib --locked --quiet --target-dir target/no-capi
if nm -D --defined-only target/no-capi/debug/libflagstore.so | grep flagstore_; then exit 1; fi
cargo clippy --no-default-features --all-targets --locked --quiet -- -D warnings
cargo clippy --features redis --all-targets --locked --quiet --target-dir target/redis -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked --quiet --features redis

section examples
examples-c/run.sh

section "the library as it is shipped"
finished shipped $shipped
export FLAGSTORE_SHIPPED=$PWD/target/install

section tests
# Most of them wait for the disk most of the time; those on Redis, of a build of their own, wait for servers.
background redis env RUST_TEST_THREADS=2 \
    cargo test --locked --features redis --target-dir target/redis --lib --test redis
redis=$!
RUST_TEST_THREADS=4 cargo test --locked

section "tests on Redis"
finished redis $redis

# The faults are one process after another, and leave a core to these.
background instrumented bash -c 'tests/sanitizers.sh && tests/model/run.sh'
instrumented=$!

section faults
faults=0
tests/faults/run.sh || faults=$?

section "sanitizers, and the models of what is concurrent"
finished instrumented $instrumented || faults=1
[ $faults = 0 ] || exit 1

section "the benchmark runs"
tests/bench/run.sh --quick
tests/bench/run.sh --quick --growth
section done

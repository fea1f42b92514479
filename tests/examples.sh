#!/usr/bin/env bash
# examples-c/run.sh where it is not as usual: a compiler of several words, a library without the link of its SONAME, a
# directory in which no program runs, another target. Needs FLAGSTORE_LIB_DIR and FLAGSTORE_INCLUDE_DIR. The targets
# need a build of their own, a quick one; they are tried with FLAGSTORE_TESTS=all.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/install/common.sh
. "$root/tests/install/common.sh"
unset LD_LIBRARY_PATH TMPDIR CARGO_BUILD_TARGET

plays() { # plays COMMAND...: it gets to the end of the session
    "$@" >"$work/said" 2>&1 || fail "$*: $(tail -n 5 "$work/said")"
    same "$(tail -n 1 "$work/said")" "all as expected" "the last line of $*"
}

# As a plain cargo build leaves it; named from elsewhere.
mkdir "$work/plain"
ln -s "$(readlink -f "${FLAGSTORE_LIB_DIR:?is not set}/libflagstore.so")" "$work/plain/libflagstore.so"
(cd "$work" && plays env FLAGSTORE_LIB_DIR=plain CC="env ${CC:-cc} -Wno-error" "$root/examples-c/run.sh")
same "$(ls "$work/plain")" libflagstore.so "what stands in the library's directory afterwards"
says 'run.sh: no libflagstore.so in *' env FLAGSTORE_LIB_DIR="$work" "$root/examples-c/run.sh"
says 'run.sh: needs no-such-cc *' env CC="no-such-cc -O2" "$root/examples-c/run.sh"

mkdir "$work/noexec"
# shellcheck disable=SC2016  # the inner shell expands
if unshare -rm true 2>/dev/null; then
    says "run.sh: no program can be run in $work/noexec *" unshare -rm env TMPDIR="$work/noexec" sh -ec '
        mount -t tmpfs -o noexec none "$TMPDIR"
        exec "$0"' "$root/examples-c/run.sh"
else
    skip "a directory mounted noexec" "unshare -rm does not work here"
fi

if [ "${FLAGSTORE_TESTS:-}" = all ]; then
    unset FLAGSTORE_LIB_DIR FLAGSTORE_INCLUDE_DIR
    host=$(rustc -vV | sed -n 's/^host: //p')
    export CARGO_TARGET_DIR=$root/target/examples
    export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
    # Without a look at cargo's answer the library of an older build would be taken.
    rm -f "$CARGO_TARGET_DIR/release/libflagstore.so" "$CARGO_TARGET_DIR/$host/release/libflagstore.so"
    plays env CARGO_BUILD_TARGET="$host" "$root/examples-c/run.sh"
    grep -q Finished "$work/said" || fail "it shows no progress while it builds"
    mkdir -p "$work/configured/.cargo"
    printf '[build]\ntarget = "%s"\n' "$host" >"$work/configured/.cargo/config.toml"
    (cd "$work/configured" && plays "$root/examples-c/run.sh")
    [ ! -e "$CARGO_TARGET_DIR/release/libflagstore.so" ] || fail "cargo did not build for a target"
else
    skip "other targets" "they need a build of their own"
fi
echo "examples: $checks checks"

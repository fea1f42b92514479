#!/bin/sh
# Runs the Ruby bindings' tests against the library in $FLAGSTORE_LIB_DIR. Puma, Unicorn, Flipper and rbs are used where
# they are installed; with FLAGSTORE_TESTS=all a skip is a failure.
set -eu
: "${FLAGSTORE_LIB_DIR:?directory with libflagstore.so.0.2}"
cd "$(dirname "$0")"
export LD_LIBRARY_PATH="$FLAGSTORE_LIB_DIR${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

said=$(mktemp)
trap 'rm -f "$said"' EXIT
for program in ./*_test.rb; do
    [ "$program" != ./flipper_test.rb ] || ruby -e 'require "flipper"' 2>/dev/null || {
        [ "${FLAGSTORE_TESTS:-}" != all ] || { echo "flipper is not installed" >&2; exit 1; }
        echo "SKIPPED $program: flipper is not installed"
        continue
    }
    timeout --kill-after=5 300 ruby -w "$program" >"$said" 2>&1 || {
        cat "$said" >&2
        echo "$program failed ($?; 124 or 137: it hung)" >&2
        exit 1
    }
    cat "$said" >&2
    if [ "${FLAGSTORE_TESTS:-}" = all ] && ! grep -q ' 0 skips$' "$said"; then
        echo "$program skipped a test" >&2
        exit 1
    fi
done
echo "ruby: the contract on each kind of store through the ffi gem and through Fiddle, changes, encodings, interrupts," \
    "backends with options, Redis or its absence, layers, signals, threads, fork, servers, the gem and its types," \
    "Flipper"

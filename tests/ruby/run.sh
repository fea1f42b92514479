#!/bin/sh
# Runs the Ruby bindings' tests against the library in $FLAGSTORE_LIB_DIR.
set -eu
: "${FLAGSTORE_LIB_DIR:?directory with libflagstore.so.0.2}"
cd "$(dirname "$0")"
export LD_LIBRARY_PATH="$FLAGSTORE_LIB_DIR${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

for program in contract_test.rb changes_test.rb fiddle_test.rb fork_test.rb; do
    timeout --kill-after=5 300 ruby -w "$program" >&2 || {
        echo "$program failed ($?; 124 or 137: it hung)" >&2
        exit 1
    }
done
echo "ruby: the contract on each kind of store through the ffi gem and through Fiddle, errors, log, leaks, threads, fork, snapshots, batches, changes, backends"

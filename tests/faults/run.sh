#!/usr/bin/env bash
# The scorecard: every promise about crashes, full disks, other processes and fork, tried on the built library.
# Each row script prints `row N | what was done | what came of it`. --full runs each at its full size (hours).
# Without FLAGSTORE_LIB_DIR it builds the release library.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

export FLAGSTORE_INCLUDE_DIR=${FLAGSTORE_INCLUDE_DIR:-$root/include}
if [ -z "${FLAGSTORE_LIB_DIR:-}" ]; then
    manifest=$root/Cargo.toml
    cargo build --release --quiet --manifest-path "$manifest" || exit 1
    target=$(cargo metadata --format-version 1 --no-deps --manifest-path "$manifest" |
        sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
    FLAGSTORE_LIB_DIR=$target/release
    ln -sf libflagstore.so "$FLAGSTORE_LIB_DIR/libflagstore.so.0.2"
fi
export FLAGSTORE_LIB_DIR LD_LIBRARY_PATH="$FLAGSTORE_LIB_DIR${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

card=$(mktemp)
trap 'rm -f "$card"' EXIT
failed=()
for script in "$here"/row*.py "$here"/row*.sh "$here"/odd[0-9_]*.py "$here"/refused_calls.py "$here"/listed_calls.py; do
    [ -x "$script" ] || continue
    started=$SECONDS
    # What a row has to say besides its line goes to stderr.
    "$script" "$@" | tee -a "$card" || failed+=("$(basename "$script")")
    echo "   ($(basename "$script"): $((SECONDS - started)) s)" >&2
done

printf '\n== the scorecard\n'
sort -t ' ' -k 2,2V "$card"
if [ ${#failed[@]} -gt 0 ]; then
    printf 'broken promises: %s\n' "${failed[*]}" >&2
    exit 1
fi

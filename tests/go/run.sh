#!/bin/sh
# Runs the tests of the Go binding, include/go, against the library in $FLAGSTORE_LIB_DIR with the header in $FLAGSTORE_INCLUDE_DIR.
set -eu
: "${FLAGSTORE_LIB_DIR:?directory with libflagstore.so}" "${FLAGSTORE_INCLUDE_DIR:?directory with flagstore.h}"
cd "$(dirname "$0")"

# go's build cache does not look into a C header: its checksum as a flag makes a changed one count.
header=$(cksum <"$FLAGSTORE_INCLUDE_DIR/flagstore.h" | tr ' ' _)
export CGO_ENABLED=1 CGO_CFLAGS="'-I$FLAGSTORE_INCLUDE_DIR' -DFLAGSTORE_HEADER_SUM=$header"
export CGO_LDFLAGS="'-L$FLAGSTORE_LIB_DIR'"
export LD_LIBRARY_PATH="$FLAGSTORE_LIB_DIR${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export GOPROXY=off GOTOOLCHAIN=local
if [ -z "${HOME:-}${GOCACHE:-}" ]; then
    GOCACHE=$(mktemp -d)
    export GOCACHE
    trap 'rm -rf "$GOCACHE"' EXIT
fi

go vet ./... flagstore >&2
go test -count=1 ./... >&2
go test -count=1 -race -short ./... >&2
echo "go: the contract on each kind of store, errors, file options, snapshots, batches, changes, backends, 64 goroutines, leaks; once more with -race"

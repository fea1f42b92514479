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
export PKG_CONFIG=/no/such/program # the variables suffice
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
[ -n "${HOME:-}${GOCACHE:-}" ] || export GOCACHE="$scratch/cache"

go vet ./... flagstore >&2
go test -count=1 ./... flagstore >&2
# The race detector, the checks of pointers that cgo and unsafe code are given, and memory overwritten once it is free.
GODEBUG=clobberfree=1,cgocheck=2 go test -count=1 -race -gcflags=-d=checkptr -short ./... flagstore >&2

# The package leaves nothing of the header out.
go test -c -o "$scratch/program" flagstore
../common/complete.sh "$scratch/program"

# With an older library, which has no function to open a store on Redis, programs start and say so.
mkdir "$scratch/older"
../common/older.sh "$scratch/older"
go test -c -o "$scratch/tests" -ldflags "-extldflags=-Wl,-z,lazy" .
LD_LIBRARY_PATH="$scratch/older" "$scratch/tests" -test.run 'WithoutRedis|TestTheLibrary' >&2

# Without cgo the compiler's message says what is missing.
! said=$(CGO_ENABLED=0 go build flagstore 2>&1) || { echo "tests/go/run.sh: it builds without cgo" >&2; exit 1; }
case $said in *flagstore_needs_cgo*) ;; *) printf 'without cgo go says:\n%s\n' "$said" >&2; exit 1 ;; esac

# Asked to, cgo finds the library through pkg-config alone. go's cache does not look into a .pc file: hence the sum.
unset PKG_CONFIG CGO_LDFLAGS
CGO_CFLAGS=-DFLAGSTORE_PLACE_SUM=$(printf %s "$header$FLAGSTORE_INCLUDE_DIR$FLAGSTORE_LIB_DIR" | cksum | tr ' ' _)
if command -v pkg-config >/dev/null; then
    escaped() { printf %s "$1" | sed 's/ /\\ /g'; }
    cat >"$scratch/flagstore.pc" <<END
Name: flagstore
Description: Feature flags
Version: 0
Cflags: -I$(escaped "$FLAGSTORE_INCLUDE_DIR")
Libs: -L$(escaped "$FLAGSTORE_LIB_DIR") -lflagstore
END
    # It is linked in another way; what it does is the same.
    PKG_CONFIG_PATH=$scratch go test -count=1 -tags flagstore_pkgconfig -run Example flagstore >&2
else
    echo "SKIPPED Go by pkg-config: not installed" >&2
    [ "${FLAGSTORE_TESTS:-}" != all ] || exit 1
fi
echo "go: the contract on each kind of store, errors, file options, snapshots, batches, changes, contexts, closing," \
    "backends with and without options, Redis or its absence, layers, 64 goroutines, leaks, examples; once more with" \
    "-race; without cgo; by pkg-config"

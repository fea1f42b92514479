#!/bin/sh
# older.sh DIRECTORY: puts a libflagstore.so there that is the one in $FLAGSTORE_LIB_DIR without flagstore_redis_open,
# as the first libraries of its ABI version were.
set -eu
: "${FLAGSTORE_LIB_DIR:?directory with libflagstore.so}"
LC_ALL=C sed 's/flagstore_redis_open/flagstore_redis_0pen/g' "$FLAGSTORE_LIB_DIR/libflagstore.so" >"$1/libflagstore.so"
ln -s libflagstore.so "$1/libflagstore.so.0.2"
if nm -D --defined-only "$1/libflagstore.so" | grep -q flagstore_redis_open; then
    echo "older.sh: it still has the function" >&2
    exit 1
fi

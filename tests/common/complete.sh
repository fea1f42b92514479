#!/bin/sh
# complete.sh OBJECT FUNCTION...: the object or program needs every function of flagstore.h, in one of its forms: of
# flagstore_get and flagstore_get_n, or of flagstore_file_open and flagstore_file_open_with, the longer one will do. The
# functions named behind it are those that it has a way of its own for.
set -eu
header=${FLAGSTORE_INCLUDE_DIR:?is not set}/flagstore.h

object=$1
shift
needed=$(nm -u "$object" | grep -o 'flagstore_[a-z0-9_]*'; printf '%s\n' "$@")
functions=$(sed -n 's/^[a-z][a-z0-9_ *]*[ *]\(flagstore_[a-z0-9_]*\)(.*/\1/p' "$header")
[ "$(echo "$functions" | wc -l)" -gt 50 ] || { echo "complete.sh: $header has too few functions" >&2; exit 1; }
has() { printf '%s\n' "$2" | grep -qx "$1"; }
for function in $functions; do
    for form in "$function" "${function}_n" "${function}_with"; do
        ! has "$form" "$needed" || continue 2
    done
    echo "complete.sh: $object does not call $function" >&2
    exit 1
done

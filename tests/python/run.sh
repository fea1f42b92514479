#!/bin/sh
# All tests of this folder against the library in $FLAGSTORE_LIB_DIR.
exec python3 -m unittest discover -s "$(dirname "$0")" "$@"

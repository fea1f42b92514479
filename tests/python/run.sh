#!/bin/sh
# All tests of this folder, on the binding in include/python, against the library in $FLAGSTORE_LIB_DIR.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
export PYTHONPATH="$here/../../include/python${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONDONTWRITEBYTECODE=1 # what is in include is copied and shipped
exec python3 -m unittest discover -s "$here" "$@"

#!/bin/sh
# The binary interface is that of abi.txt, and check.py notices when it is not.
# Needs FLAGSTORE_LIB_DIR and FLAGSTORE_INCLUDE_DIR.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here/check.py"
[ "${FLAGSTORE_TESTS:-}" != all ] || command -v abidiff >/dev/null || { echo "abidiff is not installed" >&2; exit 1; }

header=$FLAGSTORE_INCLUDE_DIR/flagstore.h
# changed MESSAGE SED-SCRIPT: with a header changed so, check.py fails with that message.
changed() {
    sed "$2" "$header" >"$work/flagstore.h"
    ! cmp -s "$header" "$work/flagstore.h" || { echo "abi/run.sh: nothing to change: $2" >&2; exit 1; }
    if FLAGSTORE_INCLUDE_DIR=$work "$here/check.py" >"$work/said" 2>&1 || ! grep -q "$1" "$work/said"; then
        echo "abi/run.sh: expected a complaint ($1) about $2, got:" >&2
        cat "$work/said" >&2
        exit 1
    fi
}
breaks='this breaks programs'
new='does not list this yet'
changed "$breaks" 's/^\(#define FLAGSTORE_READ_ONLY\) 6/\1 7/'
changed "$breaks" '/^#define FLAGSTORE_OPEN_READ_ONLY/d'
changed "$breaks" 's/^uint32_t flagstore_abi_version(void);//'
changed "$breaks" 's/^int32_t flagstore_error_code(/int64_t flagstore_error_code(/'
changed "$breaks" 's/^  int32_t durability;/  uint32_t durability;/'
changed "$breaks" 's/^  uint32_t reserved;/  uint32_t reserved; uint64_t early;/'
changed "$new" 's/^} flagstore_file_options_t;/  uint64_t late;\n&/'
changed "$new" 's/^\(#define FLAGSTORE_READ_ONLY 6\)/\1\n#define FLAGSTORE_ADDED 7/'
changed "$new" 's/^\(#define FLAGSTORE_ABI_VERSION\) .*/\1 999/; /^#define FLAGSTORE_OPEN_READ_ONLY/d'

# What the scripts of this folder share. They set $root first.
# shellcheck shell=bash disable=SC2154,SC2034
include=${FLAGSTORE_INCLUDE_DIR:-$root/include}
version=$(sed -n 's/^#define FLAGSTORE_VERSION "\(.*\)"/\1/p' "$include/flagstore.h")
compatible=${version%.*} # while MAJOR is 0
soname=libflagstore.so.$compatible
work=$(mktemp -d)
work=$(realpath "$work")
trap 'rm -rf "$work"' EXIT
checks=0

fail() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}
skip() { # skip WHAT WHY
    [ "${FLAGSTORE_TESTS:-}" != all ] || fail "cannot check $1: $2"
    echo "SKIPPED $1: $2"
}
same() { # same GOT EXPECTED WHAT
    [ "$1" = "$2" ] || fail "$3: expected $2, got $1"
    checks=$((checks + 1))
}
says() { # says PATTERN COMMAND...: it fails, and its last line is like the pattern
    local pattern=$1 status=0
    shift
    "$@" >"$work/said" 2>&1 || status=$?
    # shellcheck disable=SC2053  # a pattern is wanted
    [[ $status != 0 && $(tail -n 1 "$work/said") == $pattern ]] ||
        fail "$*: expected failure and $pattern, got status $status and $(cat "$work/said")"
    checks=$((checks + 1))
}
# The functions of the header, as a compiler sees them.
declared() {
    ${CC:-cc} -E -P "$include/flagstore.h" | grep -o '\bflagstore_[a-z0-9_]*(' | tr -d '(' | LC_ALL=C sort -u
}

#!/bin/sh
# The README does what it says: every fenced block carries a name behind its language, by which it is compiled, run
# and compared with the block NAME.out, or found in the file it quotes. A block without a name is a failure.
# Needs FLAGSTORE_LIB_DIR and FLAGSTORE_INCLUDE_DIR. Says which language it skipped for want of a toolchain; with
# FLAGSTORE_TESTS=all a skip is a failure.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
: "${FLAGSTORE_LIB_DIR:?is not set}" "${FLAGSTORE_INCLUDE_DIR:?is not set}"
lib=$(cd "$FLAGSTORE_LIB_DIR" && pwd)
include=$(cd "$FLAGSTORE_INCLUDE_DIR" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
blocks=$work/blocks
mkdir "$blocks"
checks=0

fail() {
    printf 'README.md: %s\n' "$*" >&2
    exit 1
}
same() { # same EXPECTED-FILE GOT-FILE WHAT
    diff -u "$1" "$2" >&2 || fail "$3: expected (-) and got (+) differ"
    checks=$((checks + 1))
}
skip() { # skip WHAT WHY
    [ "${FLAGSTORE_TESTS:-}" != all ] || fail "cannot check $1: $2"
    echo "SKIPPED $1: $2"
}
missing() { # missing TOOL WHAT: is it? then say so
    ! command -v "$1" >/dev/null && skip "$2" "$1 is not installed"
}

# Each block goes to a file of its name; a / in it is written as %.
awk -v dir="$blocks" '
    /^```/ && inside  { inside = 0; close(file); next }
    /^```/            { if ($2 == "") { print "line " NR ": a block without a name"; bad = 1 }
                        gsub("/", "%", $2); file = dir "/" $2; printf "" > file; inside = 1; next }
    inside            { print > file }
    END               { if (inside) { print "a block without an end"; bad = 1 }; exit bad }
' "$root/README.md" >"$work/said" || fail "$(cat "$work/said")"

# run NAME COMMAND...: in an empty directory; prints what NAME.out says.
run() {
    expected=$blocks/$1.out
    shift
    rm -rf "$work/here"
    mkdir "$work/here"
    (cd "$work/here" && LD_LIBRARY_PATH=$lib "$@") >"$work/got" || fail "$* failed"
    same "$expected" "$work/got" "output of $*"
}

# A checkout in which the library was just built, as the recipes expect it.
checkout=$work/checkout
mkdir -p "$checkout/target/release"
ln -s "$include" "$checkout/include"
for kind in so a; do # the archive stands where the library really is
    ln -s "$(dirname "$(readlink -f "$lib/libflagstore.so")")/libflagstore.$kind" "$checkout/target/release/"
done

check_c() {
    ${CC:-cc} -std=c99 -Wall -Wextra -Wpedantic -Werror "-I$include" "$1" -o "$work/program" "-L$lib" -lflagstore
    run "$2" "$work/program"
}
check_cpp() {
    ! missing "${CXX:-c++}" C++ || return 0
    for standard in c++11 c++17; do
        ${CXX:-c++} -std=$standard -Wall -Wextra -Wpedantic -Werror "-I$include" "$1" \
            -o "$work/program" "-L$lib" -lflagstore
        run "$2" "$work/program"
    done
}
check_go() {
    ! missing go Go || return 0
    mkdir -p "$work/shop/flagstore"
    cp "$root/include/go/flagstore.go" "$work/shop/flagstore/"
    cp "$1" "$work/shop/main.go"
    printf 'module example.org/shop\n\ngo 1.19\n' >"$work/shop/go.mod"
    (cd "$work/shop" && GOPROXY=off GOFLAGS=-mod=mod CGO_CFLAGS="'-I$include'" CGO_LDFLAGS="'-L$lib'" \
        go build -o "$work/program" .) || fail "$2 does not compile"
    run "$2" "$work/program"
}
check_rb() {
    ! missing ruby Ruby || return 0
    mkdir "$work/ruby"
    cp "$root/include/ruby/flagstore.rb" "$work/ruby/"
    cp "$1" "$work/ruby/program.rb"
    run "$2" ruby "$work/ruby/program.rb"
}

check_py() {
    ! missing python3 Python || return 0
    mkdir "$work/python"
    cp "$root/include/python/flagstore.py" "$work/python/"
    cp "$1" "$work/python/program.py"
    run "$2" env PYTHONDONTWRITEBYTECODE=1 python3 "$work/python/program.py"
}

# A session: what stands behind "$ " is run, everything else is what it prints.
check_console() {
    ${CC:-cc} -std=c99 "-I$include" "$root/examples-c"/flagctl*.c -o "$work/flagctl" "-L$lib" -lflagstore
    mkdir "$work/session"
    cp "$root/examples-c/flags.json" "$work/session/"
    sed -n 's/^\$ //p' "$1" >"$work/commands"
    (cd "$work/session" && PATH=$work:$PATH && export LD_LIBRARY_PATH="$lib" &&
        while IFS= read -r command; do
            printf '$ %s\n' "$command"
            eval "$command" </dev/null 2>&1 || :
        done <"$work/commands") >"$work/got"
    same "$1" "$work/got" "session $2"
}

check_sh() {
    case $2 in
    commands) # are there to be run
        while read -r command _; do
            [ -x "$root/$command" ] || fail "$command is not an executable file"
            checks=$((checks + 1))
        done <"$1"
        ;;
    install)
        (cd "$checkout" && PREFIX=$work/prefix sh -eu "$1") || fail "the recipe for installing failed"
        ! missing pkg-config "the pkg-config file" || return 0
        flags=$(PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig pkg-config --cflags --libs flagstore)
        # shellcheck disable=SC2086  # several words
        ${CC:-cc} -std=c99 "$blocks/quickstart.c" -o "$work/program" $flags
        run quickstart env "LD_LIBRARY_PATH=$work/prefix/lib" "$work/program"
        ;;
    static)
        [ -f "$checkout/target/release/libflagstore.a" ] ||
            { skip "static linking" "no libflagstore.a beside libflagstore.so"; return 0; }
        cp "$blocks/quickstart.c" "$checkout/program.c"
        (cd "$checkout" && sh -eu "$1") || fail "the line for static linking failed"
        run quickstart env -u LD_LIBRARY_PATH "$checkout/program"
        ;;
    *) fail "no rule for the block $2.sh" ;;
    esac
}

# The text of an excerpt stands in the file, whole lines and in one piece.
check_excerpt() {
    file=$root/$(basename "$1" | tr % /)
    awk 'NR == FNR { want = want $0 "\n"; next } { have = have $0 "\n" } END { exit !index("\n" have, "\n" want) }' \
        "$1" "$file" || fail "its excerpt of $file is not in that file"
    checks=$((checks + 1))
}

for block in "$blocks"/*; do
    name=$(basename "$block")
    case $name in
    *%*) check_excerpt "$block" ;;
    *.out) ;;
    *.c | *.cpp | *.go | *.rb | *.py | *.sh | *.console) "check_${name##*.}" "$block" "${name%.*}" ;;
    *) fail "no rule for the block $name" ;;
    esac
done
same "$root/examples-c/quickstart.c" "$blocks/quickstart.c" "quickstart.c in examples-c and in the README"

# Error codes and function names are those of the header.
sed -n 's/^| *\([0-9]*\) *| `\(FLAGSTORE_[A-Z_]*\)` .*/\1 \2/p' "$root/README.md" >"$work/codes"
[ "$(wc -l <"$work/codes")" -eq 13 ] || fail "expected 13 rows of error codes, got $(wc -l <"$work/codes")"
while read -r code name; do
    grep -Eq "^#define $name $code\$" "$include/flagstore.h" || fail "$name is not $code in flagstore.h"
    checks=$((checks + 1))
done <"$work/codes"
for name in $(grep -o '\bflagstore_[a-z0-9_]*[a-z0-9]' "$root/README.md" | sort -u); do
    grep -q "\b$name\b" "$include/flagstore.h" || fail "$name is not in flagstore.h"
    checks=$((checks + 1))
done

echo "README: $checks checks"

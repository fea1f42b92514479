#!/bin/sh
# Compiles flagstore.hpp with each standard, compiler and warning there is, and runs every C++ test.
# Needs FLAGSTORE_LIB_DIR and FLAGSTORE_INCLUDE_DIR.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
: "${FLAGSTORE_LIB_DIR:?is not set}" "${FLAGSTORE_INCLUDE_DIR:?is not set}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# compile COMPILER STANDARD INPUT OUTPUT...
compile() {
    compiler=$1 standard=$2
    shift 2
    "$compiler" "-std=$standard" -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wold-style-cast -Werror \
        "-I$FLAGSTORE_INCLUDE_DIR" "$@"
}
# program COMPILER STANDARD OUTPUT INPUT...: compiles, links and runs it
program() {
    compiler=$1 standard=$2 output=$3
    shift 3
    compile "$compiler" "$standard" "$@" -o "$output" "-L$FLAGSTORE_LIB_DIR" -lflagstore -lpthread "-Wl,-rpath,$FLAGSTORE_LIB_DIR"
    "$output"
}

compilers=
for compiler in g++ clang++; do
    if command -v "$compiler" >/dev/null; then
        compilers="$compilers $compiler"
    else
        echo "SKIPPED $compiler: not installed" >&2
        [ "${FLAGSTORE_TESTS:-}" != all ] || exit 1
    fi
done
[ -n "$compilers" ] || { echo "tests/cpp/run.sh: no C++ compiler" >&2; exit 1; }

# Everything in the header, with every warning, as each standard that a compiler knows; the compilers side by side.
knows() { "$1" "-std=$2" -fsyntax-only -x c++ /dev/null 2>/dev/null; }
everything() {
    for standard in c++11 c++14 c++17 c++20 c++23; do
        knows "$1" $standard || standard=c++2b # as c++23 was called before
        knows "$1" $standard || continue
        compile "$1" $standard -Weffc++ -fsyntax-only "$here/everything.cpp" || return 1
        echo "$1 -std=$standard"
    done
    # Without exceptions one sentence says so, and nothing else.
    said=$(echo '#include "flagstore.hpp"' |
        "$1" -std=c++11 -fno-exceptions "-I$FLAGSTORE_INCLUDE_DIR" -fsyntax-only -x c++ - 2>&1) && return 1
    case $(printf '%s\n' "$said" | grep -c 'error:') in 1) ;; *) printf '%s\n' "$said" >&2; return 1 ;; esac
    case $said in *"reports failures by exceptions"*) ;; *) printf '%s\n' "$said" >&2; return 1 ;; esac
    echo "$1 -fno-exceptions: refused"
}
# The header leaves nothing of flagstore.h out; it writes a bool or an integer as JSON, for keys with U+0000 in them.
compile "${compilers##* }" c++11 -c "$here/everything.cpp" -o "$work/everything.o"
"$here/../common/complete.sh" "$work/everything.o" flagstore_set_bool flagstore_set_int64

jobs=
for compiler in $compilers; do
    everything "$compiler" &
    jobs="$jobs $!"
done
for job in $jobs; do
    wait "$job" || { echo "tests/cpp/run.sh: flagstore.hpp does not compile cleanly" >&2; exit 1; }
done

for compiler in $compilers; do
    for standard in c++11 c++17; do # the header differs between these
        echo "$compiler -std=$standard"
        for test in wrapper contract values changes host; do
            program "$compiler" "$standard" "$work/$test" "$here/$test.cpp"
        done
    done
    # What it tests is the library as much as the header: one standard will do.
    if [ "$compiler" = g++ ]; then standard=c++11; else standard=c++17; fi
    program "$compiler" "$standard" "$work/remote" "$here/remote.cpp"
    program "$compiler" "$standard" "$work/redis" "$here/redis.cpp" -Wl,-z,lazy
    compile "$compiler" c++17 -c "$here/mixed.cpp" -o "$work/mixed17.o"
    program "$compiler" c++11 "$work/mixed" "$here/mixed.cpp" "$work/mixed17.o"
done

# The same with an older library, which has no function to open a store on Redis. (One with Redis would be asked for
# it.)
case $("$work/redis" 2>/dev/null) in
*"without Redis"*)
    mkdir "$work/older"
    "$here/../common/older.sh" "$work/older"
    LD_PRELOAD=$work/older/libflagstore.so.0.2 "$work/redis"
    ;;
esac

#!/bin/sh
# Compiles every C++ test with each standard and compiler there is, warnings as errors, and runs it.
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

for compiler in $compilers; do
    for standard in c++11 c++14 c++17 c++20; do
        echo "$compiler -std=$standard"
        tests=wrapper
        case $standard in c++11 | c++17) tests="wrapper contract changes" ;; esac # the header differs between these
        for test in $tests; do
            program "$compiler" "$standard" "$work/$test" "$here/$test.cpp"
        done
    done
    compile "$compiler" c++17 -c "$here/mixed.cpp" -o "$work/mixed17.o"
    program "$compiler" c++11 "$work/mixed" "$here/mixed.cpp" "$work/mixed17.o"
done

#!/usr/bin/env bash
# The C tests with the library itself instrumented, on a stable compiler: AddressSanitizer (with leaks) and
# ThreadSanitizer. Needs clang, whose instrumentation of the tests fits the run-time that comes with rustc.
#   tests/sanitizers.sh [address|thread]...
# Not instrumented: Rust's own standard library, as it comes compiled. For addresses nothing is lost but bad accesses
# inside std itself; what ThreadSanitizer therefore cannot judge is said in tests/c/races.py.
set -euo pipefail
cd "$(dirname "$0")/.."
export RUSTC_BOOTSTRAP=1 # -Zsanitizer is for nightly compilers only

host=$(rustc -vV | sed -n 's/^host: //p')
runtimes=$(rustc --print target-libdir)
programs=$(grep -l '^/\* run:.* sanitizers' tests/c/*.c)
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT

# The library with its calls into the run-time left open: the program brings that, as a sanitized host would.
build_library() {
    local target=target/sanitizer-$1
    RUSTFLAGS="-Zsanitizer=$1 -Cunsafe-allow-abi-mismatch=sanitizer" CARGO_TARGET_DIR=$target \
        cargo build --quiet --locked --lib --target "$host"
    library=$PWD/$target/$host/debug
    local soname
    soname=$(objdump -p "$library/libflagstore.so" | sed -n 's/^ *SONAME *//p')
    ln -sf libflagstore.so "$library/$soname"
}

run_programs() {
    local sanitizer=$1 runtime source name failed=0
    runtime=$(echo "$runtimes"/librustc*_rt."$2".a)
    for source in $3; do
        name=$(basename "$source" .c)
        clang -std=c99 -D_GNU_SOURCE -g -O1 "-fsanitize=$sanitizer" -Iinclude -c "$source" -o "$built/$name.o"
        cc -rdynamic "$built/$name.o" -o "$built/$name" -Wl,--whole-archive "$runtime" -Wl,--no-whole-archive \
            -L"$library" "-Wl,-rpath,$library" -lflagstore -lpthread -ldl -lm -lrt -lstdc++
        if ! "$built/$name" >"$built/output" 2>&1; then
            echo "$sanitizer: $name failed" && cat "$built/output" && failed=1
        fi
    done
    if [ $failed = 0 ]; then echo "$sanitizer: $(wc -w <<<"$3") programs clean"; fi
    return $failed
}

address() {
    build_library address
    LSAN_OPTIONS=suppressions=$PWD/tests/c/leak.supp:print_suppressions=0 run_programs address asan "$programs"
}

thread() {
    build_library thread
    # locked.c counts the process's threads, of which one is ThreadSanitizer's.
    TSAN_OPTIONS=symbolize=0:exitcode=0:die_after_fork=0:log_path=$built/race \
        run_programs thread tsan "$(grep -v /locked.c <<<"$programs")"
    : >"$built/race.none"
    tests/c/races.py "$library/libflagstore.so" "$built"/race.*
}

if [ $# = 0 ]; then set -- address thread; fi
for sanitizer; do
    case $sanitizer in
    address | thread) "$sanitizer" ;;
    *) echo "tests/sanitizers.sh: no sanitizer $sanitizer" >&2 && exit 2 ;;
    esac
done

#!/usr/bin/env bash
# The part of run.sh that runs inside its Debian: builds for each target, runs, and prints a table at the end.
set -uo pipefail
cd /flagstore || exit

# Target, its C compiler, what runs its programs ("-": this processor; "none": they are not run), and the directory of
# its C library.
targets='
x86_64-unknown-linux-gnu       zig:x86_64-linux-gnu.2.17       -             -
x86_64-unknown-linux-musl      zig:x86_64-linux-musl           -             -
i686-unknown-linux-gnu         i686-linux-gnu-gcc              -             /usr/i686-linux-gnu
aarch64-unknown-linux-gnu      aarch64-linux-gnu-gcc           qemu-aarch64  /usr/aarch64-linux-gnu
armv7-unknown-linux-gnueabihf  arm-linux-gnueabihf-gcc         qemu-arm      /usr/arm-linux-gnueabihf
s390x-unknown-linux-gnu        -                               none          -
'
logs=/flagstore/target/logs
mkdir -p "$logs"
table=$logs/table
: >"$table"
failures=0

row() { # target, suite, passed, failed, qemu's
    printf '%-30s  %-22s  %6s  %6s  %6s\n' "$@" | tee -a "$table"
}

# Whether all that failed is known as a fault of qemu's own: qemu.txt names the program, the checks, and why.
is_qemus() { # runner, program, its log
    local checks
    [ "$1" != - ] || return 1
    checks=$(sed -n "s/^$2 | \(.*\) | .*/\1/p" tests/ports/qemu.txt)
    [ -n "$checks" ] && grep -q '^tests/c/.*:[0-9]*: ' "$3" && ! grep '^tests/c/.*:[0-9]*: ' "$3" | grep -qvE "$checks"
}

# A program that the linker of this target is: rustc and the C programs are given the same.
compiler() { # target, compiler
    local path=/usr/local/bin/cc-$1
    case $2 in
    zig:*) printf '#!/bin/sh\nexec /opt/ziglang/zig cc -target %s "$@"\n' "${2#zig:}" ;;
    *) printf '#!/bin/sh\nexec %s "$@"\n' "$2" ;;
    esac >"$path"
    chmod +x "$path"
    echo "$path"
}

# Cargo for a target, whose settings go with it. For musl there is no standard library in Debian: it is built from its
# source.
build() ( # target, command...
    local target=$1 variable std=()
    shift
    variable=$(tr a-z- A-Z_ <<<"$target")
    export "CARGO_TARGET_${variable}_LINKER=/usr/local/bin/cc-$target"
    if [[ $target = *-musl ]]; then
        std=(-Z build-std)
        export RUSTC_BOOTSTRAP=1 "CARGO_TARGET_${variable}_RUSTFLAGS=-C target-feature=-crt-static -C link-self-contained=no"
    fi
    cargo "$@" --target "$target" "${std[@]}" --locked --offline
)

# Compiles and runs the C programs whose first line asks for this way.
c_programs() { # target, runner, sysroot, way, compiler's argument
    local target=$1 runner=$2 sysroot=$3 way=$4 argument=${5:-} passed=0 failed=0 qemus=0 built run
    built=$logs/$target/$way
    mkdir -p "$built"
    local library=target/$target/debug
    ln -sf libflagstore.so "$library/$(readelf -d "$library/libflagstore.so" | sed -n 's/.*soname: \[\(.*\)\]/\1/p')"
    # Programs that a test starts, with other rights or without an environment, find the library too.
    local paths=(-Wl,--disable-new-dtags -Wl,-rpath,"/flagstore/$library")
    [ "$sysroot" = - ] || paths+=(-Wl,-rpath,"$sysroot/lib")
    run=()
    [ "$runner" = - ] || run=("$runner" -L "$sysroot")
    for source in $(grep -lE "^/\* run:.* $way( |$)" tests/c/*.c); do
        local name program
        name=$(basename "$source" .c)
        program=$built/$name
        # shellcheck disable=SC2086
        if "cc-$target" -std=c99 -D_GNU_SOURCE -g $argument -Iinclude -Wall -Wextra -Werror -o "$program" "$source" \
            -L"$library" "${paths[@]}" -lflagstore -lpthread -lm >"$program.log" 2>&1 &&
            timeout 1800 "${run[@]}" "$program" >>"$program.log" 2>&1; then
            passed=$((passed + 1))
        elif is_qemus "$runner" "$name" "$program.log"; then
            qemus=$((qemus + 1))
        else
            failed=$((failed + 1))
            printf -- '---- %s, %s: %s\n' "$target" "$way" "$name"
            tail -n 20 "$program.log"
        fi
    done
    failures=$((failures + failed))
    row "$target" "C programs, $way" $passed $failed $qemus
}

# The newest version of glibc that the library asks for is not newer than the one it is linked for.
old_enough() { # target, version
    local newest
    newest=$({ echo "$2" && readelf -W --dyn-syms "target/$1/debug/libflagstore.so" | grep -o 'GLIBC_[0-9.]*'; } |
        sed 's/GLIBC_//' | sort -V | tail -n 1)
    if [ "$newest" = "$2" ]; then
        row "$1" "glibc $2 is enough" 1 0 0
    else
        failures=$((failures + 1))
        row "$1" "glibc $2 is enough" 0 1 0
    fi
}

one_target() { # target, compiler, runner, sysroot
    local target=$1 runner=$3 sysroot=$4 log
    log=$logs/$1.log
    if [ "$runner" = none ]; then
        build "$target" check >"$log" 2>&1 && row "$target" type-check 1 0 0 && return
        tail -n 40 "$log"
        failures=$((failures + 1))
        row "$target" type-check 0 1 0
        return
    fi
    compiler "$target" "$2" >/dev/null
    if ! build "$target" build >"$log" 2>&1; then
        tail -n 40 "$log"
        failures=$((failures + 1))
        row "$target" build 0 1 0
        return
    fi
    row "$target" build 1 0 0
    case $2 in *-gnu.*) old_enough "$target" "${2##*-gnu.}" ;; esac
    c_programs "$target" "$runner" "$sysroot" plain
    c_programs "$target" "$runner" "$sysroot" checked -DREAD_MODE=FLAGSTORE_READ_CHECKED
}

while read -r target rest; do
    [ -n "$target" ] || continue
    [ $# = 0 ] || [[ " $* " = *" $target "* ]] || continue
    # shellcheck disable=SC2086
    one_target "$target" $rest
done <<<"$targets"
echo
printf '%-30s  %-22s  %6s  %6s  %6s\n' target suite passed failed "qemu's"
cat "$table"
[ "$failures" = 0 ]

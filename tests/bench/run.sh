#!/usr/bin/env bash
# The benchmark: installs the peers (with apt, when root), builds the release library, compiles and runs bench, which
# prints one table; the same goes to target/bench/bench.json. It never fails because something is slow.
#   --quick     a smoke run of a few seconds; its numbers mean nothing (with --growth: no picture)
#   --growth    instead: how cost grows, to target/bench/growth.json and as a picture to tests/bench/growth.svg
#   --checks    instead: the rows of flag checks, as a picture to tests/bench/checks.svg too
#   --redis     instead: the rows of Redis, with a library that has it, to target/bench/redis.json
#   --rows 4,7  only these rows
#   --dir DIR   where the files are made, in a directory that is removed afterwards (default: below target/)
# YYJSON_DIR: a directory with yyjson.c and yyjson.h, to compare with where yyjson is no package.
# FLAGSTORE_LIB_DIR: a directory with a libflagstore.so that is built already.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

checks='' dir='' growth='' quick='' redis='' rows=''
while [ $# -gt 0 ]; do
    case $1 in
    --checks) checks=yes rows='--rows 1,4,5,6'; shift ;;
    --dir) dir=$2; shift 2 ;;
    --growth) growth=yes; shift ;;
    --quick) quick=--quick; shift ;;
    --redis) redis=yes; shift ;;
    --rows) rows="--rows $2"; shift 2 ;;
    *) echo "run.sh: no such option: $1" >&2; exit 2 ;;
    esac
done

# What Debian calls it, and what pkg-config calls it.
missing=()
libraries=(libsqlite3-dev:sqlite3 liblmdb-dev:lmdb libglib2.0-dev:glib-2.0 libjansson-dev:jansson libcjson-dev:libcjson)
[ -z "$redis" ] || libraries=()
for pair in "${libraries[@]}"; do
    pkg-config --exists "${pair#*:}" 2>/dev/null || missing+=("${pair%:*}")
done
for pair in gcc:cc pkg-config:pkg-config python3:python3 binutils:strip; do
    command -v "${pair#*:}" >/dev/null || missing+=("${pair%:*}")
done
# Debian's matplotlib is for Debian's Python, which need not be the first in the path.
python=python3
if [ -n "$checks$growth" ] && [ -z "$quick" ] && ! python3 -c 'import matplotlib' 2>/dev/null; then
    python=/usr/bin/python3
    $python -c 'import matplotlib' 2>/dev/null || missing+=(python3-matplotlib)
fi
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "tests/bench/run.sh: not installed: ${missing[*]}" >&2
        exit 1
    fi
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

target=$(cargo metadata --format-version 1 --no-deps --manifest-path "$root/Cargo.toml" |
    sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
plain=()
if [ -z "${FLAGSTORE_LIB_DIR:-}" ]; then
    cargo build --release --quiet --manifest-path "$root/Cargo.toml"
    FLAGSTORE_LIB_DIR=$target/release
    if [ -n "$redis" ]; then
        cargo build --release --features redis --quiet --manifest-path "$root/Cargo.toml" --target-dir "$target/redis"
        plain=(--plain "$target/release/libflagstore.so")
        FLAGSTORE_LIB_DIR=$target/redis/release
    fi
fi
[ -e "$FLAGSTORE_LIB_DIR/libflagstore.so.0.2" ] || ln -sf libflagstore.so "$FLAGSTORE_LIB_DIR/libflagstore.so.0.2"
export LD_LIBRARY_PATH="$FLAGSTORE_LIB_DIR${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

out=$target/bench
mkdir -p "$out"
peers="sqlite3 lmdb glib-2.0 jansson libcjson"
# Debian 12 has no yyjson; later ones do.
yyjson=
if [ "$(id -u)" = 0 ] && ! pkg-config --exists yyjson && apt-cache show libyyjson-dev >/dev/null 2>&1; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends libyyjson-dev >/dev/null
fi
if pkg-config --exists yyjson; then
    peers+=" yyjson"
    yyjson=-DHAVE_YYJSON
elif [ -n "${YYJSON_DIR:-}" ]; then
    cc -O2 -DNDEBUG -c "$YYJSON_DIR/yyjson.c" -o "$out/yyjson.o"
    yyjson="-DHAVE_YYJSON -I$YYJSON_DIR $out/yyjson.o"
fi
compile() { # NAME FILE...: with what every program of the benchmark shares
    local name=$1
    shift
    # shellcheck disable=SC2086,SC2046
    cc -std=gnu11 -O2 -Wall -Wextra -Werror -D_GNU_SOURCE $yyjson -I"$root/include" -I"$here" \
        "$here"/{common,measure,report,data}.c "$@" -o "$out/$name" \
        $(pkg-config --cflags $peers) -L"$FLAGSTORE_LIB_DIR" -lflagstore $(pkg-config --libs $peers) -lpthread
}

# What no other process can disturb.
count_instructions() { # count_instructions WHAT PROGRAM ARGUMENTS...
    local calls counted
    calls=$(valgrind --tool=callgrind --collect-atstart=no --callgrind-out-file=/dev/null "${@:2}" 2>"$out/callgrind")
    counted=$(sed -n 's/.*Collected : //p' "$out/callgrind")
    echo "$1, 1 000 flags: $((counted / calls)) instructions a call"
}
have_callgrind() {
    if command -v valgrind >/dev/null && [ -e /usr/include/valgrind/callgrind.h ]; then return; fi
    echo "instructions are not counted: valgrind is not installed"
    return 1
}

# The rows of Redis, on a server of their own.
redis_rows() {
    if ! command -v redis-server >/dev/null || ! pkg-config --exists hiredis; then
        echo "the rows of Redis are left out: needs redis-server and hiredis (Debian: redis-server, libhiredis-dev)"
        [ "${FLAGSTORE_TESTS:-}" != all ]
        return
    fi
    peers=hiredis yyjson='' compile redis "$here"/redis*.c -ldl
    # shellcheck disable=SC2086  # several words, or none
    "$out/redis" --dir "$files" --scripts "$here" --json "$out/redis.json" "${plain[@]}" $quick $1
}

# Of what takes turns in a row, by its number there.
redis_instructions() {
    local names=(15:0:"get + free, FRESH" 15:1:"hiredis HGET + free" 16:0:"set, FRESH" 16:1:"hiredis EVALSHA for it"
        16:2:"guarded commit" 16:3:"hiredis EVALSHA for it" 18:0:"get_bool, WATCHED" 18:1:"memory get_bool")
    local name row number
    for name in "${names[@]}"; do
        IFS=: read -r row number name <<<"$name"
        mkdir -p "$files/$row-$number"
        count_instructions "$name" "$out/redis" --dir "$files/$row-$number" --scripts "$here" --rows "$row" \
            --instructions "$number"
    done
}

# What row 14 runs, where a language is installed.
compile_bindings() {
    local lib
    lib=$(cd "$FLAGSTORE_LIB_DIR" && pwd)
    rm -f "$out"/bindings-*
    if command -v go >/dev/null; then
        (cd "$here/bindings/go" && CGO_ENABLED=1 CGO_CFLAGS="'-I$root/include'" CGO_LDFLAGS="'-L$lib'" \
            GOPROXY=off GOTOOLCHAIN=local go build -o "$out/bindings-go")
    fi
    if command -v c++ >/dev/null; then
        c++ -std=c++11 -O2 -Wall -Wextra -Werror -I"$root/include" "$here/bindings/bindings.cpp" -o "$out/bindings-cpp" \
            -L"$FLAGSTORE_LIB_DIR" -lflagstore
    fi
}

files=$(mktemp -d "${dir:-$out}/bench-files.XXXXXX")
trap 'rm -rf "$files"' EXIT

if [ -n "$growth" ]; then
    compile growth "$here/growth.c"
    "$out/growth" --dir "$files" --json "$out/growth.json" $quick
    python3 -m json.tool "$out/growth.json" >/dev/null
    [ -n "$quick" ] || "$python" "$here/growth.py" "$out/growth.json" "$here/growth.svg"
    echo "as JSON: $out/growth.json${quick:+, not drawn}"
    exit
fi

if [ -n "$redis" ]; then
    redis_rows "$rows"
    [ -n "$quick$rows" ] || ! have_callgrind || redis_instructions
    exit
fi

compile bench "$here"/{bench,bare,memory,read,parsers,write,list,databases,group,library,process,bindings}.c
cc -std=gnu11 -O2 -Wall -Wextra -Werror "$here/load.c" -o "$out/load" -ldl
# shellcheck disable=SC2046
cc -std=gnu11 -O2 -Wall -Wextra -Werror "$here/cjson_get.c" -o "$out/cjson_get" $(pkg-config --cflags --libs libcjson)
cc -std=c99 -O2 -I"$root/include" "$root"/examples-c/flagctl*.c -o "$out/flagctl" -L"$FLAGSTORE_LIB_DIR" -lflagstore
compile_bindings
# shellcheck disable=SC2086  # several words, or none
"$out/bench" --dir "$files" --scripts "$here" --programs "$out" --json "$out/bench.json" $quick $rows
python3 -m json.tool "$out/bench.json" >/dev/null
echo "as JSON: $out/bench.json"
[ -z "$checks" ] || [ -n "$quick" ] || "$python" "$here/checks.py" "$out/bench.json" "$here/checks.svg"

# The calls of rows 1 and 3 in instructions, with the loop around them.
if have_callgrind; then
    compile instructions "$here/instructions.c"
    for row in "get_bool memory" "get_int64 memory" "get memory" "get_bool watched"; do
        read -r call store <<<"$row"
        count_instructions "$store $call" "$out/instructions" "$call" "$store"
    done
fi

# The rows of Redis in short, if the library that is shipped is here and has it.
if [ -n "$quick" ] && [ -z "$rows" ] && [ -n "${FLAGSTORE_SHIPPED:-}" ]; then
    export LD_LIBRARY_PATH=$FLAGSTORE_SHIPPED
    redis_rows ""
fi

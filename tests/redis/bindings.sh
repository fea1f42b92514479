#!/usr/bin/env bash
# The tests of stores on Redis through C++, Go, Ruby and Python, on a Redis of its own: the contract of each language
# with Redis as a kind of store, what is special there, the workers of the fault tests, and the examples of
# include/redis.md. Needs redis-server, redis-cli and openssl, FLAGSTORE_INCLUDE_DIR, and in FLAGSTORE_LIB_DIR a library
# with the feature "redis", also as libflagstore.so.0.2.
# shellcheck disable=SC2317  # the functions are called by their names
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
: "${FLAGSTORE_LIB_DIR:?is not set}" "${FLAGSTORE_INCLUDE_DIR:?is not set}"
missing() { # missing PROGRAM...: says that one is not installed, and fails if nothing may be skipped
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null && continue
        echo "SKIPPED tests/redis/bindings.sh${language:+, $language}: $program is not installed" >&2
        [ "${FLAGSTORE_TESTS:-}" != all ] || exit 1
        return 0
    done
    return 1
}
! missing redis-server redis-cli openssl || exit 0

work=$(mktemp -d "${TMPDIR:-/tmp}/flagstore-redis.XXXXXX")
server=
clean_up() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || :
        wait "$server" || :
    fi
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# Certificates of an authority of this test's own: the server's, for flags.test and no address, and a client's.
new_certificate() { # new_certificate NAME OPTION...
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -subj "/CN=$1" "${@:2}" 2>>said ||
        { cat said >&2; return 1; }
}
certificates() {
    export FLAGSTORE_REDIS_CERTIFICATES=$work/certificates
    mkdir "$FLAGSTORE_REDIS_CERTIFICATES"
    cd "$FLAGSTORE_REDIS_CERTIFICATES"
    local name
    new_certificate ca -x509 -days 2 -out ca.pem
    printf 'basicConstraints = CA:FALSE\nsubjectAltName = DNS:flags.test\n' >leaf
    for name in server client; do
        new_certificate $name -out $name.csr
        openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile leaf -out $name.pem \
            2>>said || { cat said >&2; return 1; }
    done
    cd "$root"
}

# Whose port is taken ends at once: then it is another.
start_server() {
    local port of=$FLAGSTORE_REDIS_CERTIFICATES
    for _ in $(seq 50); do
        port=$((20000 + RANDOM % 6000 * 2))
        redis-server --port "$port" --tls-port $((port + 1)) --bind 127.0.0.1 --dir "$work" --save '' --appendonly no \
            --databases 16 --logfile "$work/log" --tls-ca-cert-file "$of/ca.pem" --tls-cert-file "$of/server.pem" \
            --tls-key-file "$of/server.key" &
        server=$!
        while kill -0 "$server" 2>/dev/null; do
            if redis-cli -p "$port" INFO server 2>/dev/null | tr -d '\r' | grep -qx "process_id:$server"; then
                export FLAGSTORE_REDIS=redis://127.0.0.1:$port FLAGSTORE_REDIS_TLS=rediss://127.0.0.1:$((port + 1))
                return
            fi
            sleep 0.02
        done
        wait "$server" || :
        server=
    done
    cat "$work/log" >&2
    return 1
}
[ -n "${HOME:-}${GOCACHE:-}" ] || export GOCACHE=$work/go-cache
certificates
start_server

cpp() {
    ! missing c++ || return 0
    local test
    for test in contract values changes redis; do
        c++ -std=c++11 -Wall -Wextra -Werror "-I$FLAGSTORE_INCLUDE_DIR" "$root/tests/cpp/$test.cpp" -o "$work/$test" \
            "-L$FLAGSTORE_LIB_DIR" -lflagstore -lpthread "-Wl,-rpath,$FLAGSTORE_LIB_DIR"
        "$work/$test" redis
    done
}

# go with what cgo needs; its cache does not look into a C header: hence the sum.
with_go() {
    local header
    header=$(cksum <"$FLAGSTORE_INCLUDE_DIR/flagstore.h" | tr ' ' _)
    CGO_ENABLED=1 CGO_CFLAGS="'-I$FLAGSTORE_INCLUDE_DIR' -DFLAGSTORE_HEADER_SUM=$header" \
        CGO_LDFLAGS="'-L$FLAGSTORE_LIB_DIR'" GOPROXY=off GOTOOLCHAIN=local go "$@"
}

go_() {
    ! missing go cc || return 0
    cd "$root/tests/go"
    # What runs on each kind of store runs on those on Redis alone.
    local all
    all=$(awk '/^func Test/ { split($2, name, "("); if (name[1] ~ /Redis/) print name[1] }
               /onEachKind\(t/ { print name[1] }' ./*_test.go | sort -u | paste -sd '|')
    LD_LIBRARY_PATH="$FLAGSTORE_LIB_DIR${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" \
        with_go test -count=1 -v -run "^($all)\$/^redis" . >"$work/go.said" || { cat "$work/go.said"; return 1; }
    echo "go: $(grep -c '^ *--- PASS' "$work/go.said") tests"
}

ruby_() {
    ! missing ruby || return 0
    local test
    for test in contract changes hash fork redis; do
        timeout --kill-after=5 300 ruby -w "$root/tests/ruby/${test}_test.rb" -n '/[Rr]edis/' >"$work/ruby.said" 2>&1 ||
            { cat "$work/ruby.said"; return 1; }
        grep ' runs, [1-9].* 0 skips$' "$work/ruby.said" || { cat "$work/ruby.said"; return 1; }
    done
}

python() {
    ! missing python3 || return 0
    "$root/tests/python/run.sh" -k Redis -k test_redis 2>&1
}

# The examples of include/redis.md, here on this server.
documents() {
    ! missing c++ go cc ruby python3 || return 0
    local here="$work/documents" kind
    mkdir -p "$here/shop"
    for kind in cpp go rb py out; do
        awk -v "name=redis.$kind" '/^```/ { on = $2 == name; next } on' "$root/include/redis.md" |
            sed "s#redis://localhost#$FLAGSTORE_REDIS#" >"$here/redis.$kind"
        [ -s "$here/redis.$kind" ]
    done
    cp "$here/redis.go" "$here/shop/main.go"
    printf 'module shop\n\ngo 1.19\n\nrequire flagstore v0.2.0\n\nreplace flagstore => "%s"\n' "$root/include/go" \
        >"$here/shop/go.mod"
    (cd "$here/shop" && with_go build -o "$here/go" .)
    c++ -std=c++11 -Wall -Wextra -Werror "-I$FLAGSTORE_INCLUDE_DIR" "$here/redis.cpp" -o "$here/cpp" \
        "-L$FLAGSTORE_LIB_DIR" -lflagstore
    cd "$here"
    same() { diff -u redis.out - || return 1; }
    export LD_LIBRARY_PATH="$FLAGSTORE_LIB_DIR${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    ./cpp | same
    ./go | same
    ruby -w -I "$root/include/ruby/lib" redis.rb | same
    PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$root/include/python python3 redis.py | same
    echo "documents: 4 examples"
}

workers() {
    ! missing python3 cc go ruby || return 0
    python3 "$root/tests/redis/workers.py"
}

# Side by side, for each waits for its server most of the time.
for language in cpp go_ ruby_ python workers documents; do
    { "$language"; echo "${language%_}: after $SECONDS s"; } >"$work/$language.out" 2>&1 &
    jobs="${jobs:-} $!:$language"
done
status=0
for job in $jobs; do
    wait "${job%:*}" || status=1
    cat "$work/${job#*:}.out"
done
if [ $status != 0 ]; then
    echo "tests/redis/bindings.sh failed; the server's log ends with:" >&2
    tail -n 5 "$work/log" >&2
fi
exit $status

#!/usr/bin/env bash
# The backend of examples-c/postgres_backend.c on a PostgreSQL of its own, which is started in a temporary directory and
# ended with the test: the contract of tests/c, then scenarios.c, then the program examples-c/postgres.c. Needs
# PostgreSQL's server (initdb, postgres) and libpq with its header; FLAGSTORE_LIB_DIR and FLAGSTORE_INCLUDE_DIR. As root
# it runs the server as the user "nobody", for PostgreSQL refuses to run as root.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
: "${FLAGSTORE_LIB_DIR:?is not set}" "${FLAGSTORE_INCLUDE_DIR:?is not set}"
fail() {
    printf 'postgres: %s\n' "$*" >&2
    exit 1
}
unset "${!PG@}" # what libpq and the server would read
bin=$(pg_config --bindir)
if [ ! -x "$bin/initdb" ]; then
    [ "${FLAGSTORE_TESTS:-}" != all ] || fail "no initdb in $bin: PostgreSQL's server is not installed"
    echo "SKIPPED tests/postgres: PostgreSQL's server is not installed"
    exit
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/flagstore-postgres.XXXXXX")
unprivileged=()
if [ "$(id -u)" = 0 ]; then
    command -v setpriv >/dev/null || fail "needs setpriv to run as root (on Debian: apt-get install util-linux)"
    unprivileged=(setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups)
    chown nobody "$work"
fi
ended() { ! kill -0 "$1" 2>/dev/null; }
clean_up() {
    if [ -s "$work/pid" ]; then
        pid=$(cat "$work/pid")
        kill -QUIT "$pid" 2>/dev/null || :
        for _ in $(seq 300); do ! ended "$pid" || break; sleep 0.1; done
    fi
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# server start|kill: what scenarios.c calls too. The server listens on a socket in this directory and nowhere else.
cat >"$work/server" <<END
#!/usr/bin/env bash
set -euo pipefail
cd "$work"
case \$1 in
start)
    for _ in \$(seq 300); do
        ${unprivileged[*]} "$bin/postgres" -D data -k "$work" -c listen_addresses= -c fsync=off -c autovacuum=off \\
            -c max_connections=60 -c shared_buffers=8MB -c log_line_prefix='%m [%p] ' >>log 2>&1 </dev/null &
        echo \$! >pid
        while kill -0 "\$(cat pid)" 2>/dev/null; do
            ! "$bin/pg_isready" --quiet --host "$work" --username postgres || exit 0
            sleep 0.05
        done
        sleep 0.1 # the processes of a killed one were still there
    done
    tail -n 20 log >&2
    exit 1
    ;;
kill) # its other processes notice, and end
    pid=\$(cat pid)
    kill -KILL "\$pid"
    while kill -0 "\$pid" 2>/dev/null; do sleep 0.01; done
    : >pid
    ;;
esac
END
chmod +x "$work/server"
options=(--auth=trust --username=postgres --encoding=UTF8 --locale=C --no-sync)
(cd "$work" && "${unprivileged[@]}" "$bin/initdb" -D data "${options[@]}" >log 2>&1) ||
    fail "initdb: $(tail -n 5 "$work/log")"
"$work/server" start || fail "the server does not start"
export FLAGSTORE_POSTGRES_DIRECTORY=$work
export FLAGSTORE_POSTGRES="host=$work user=postgres dbname=postgres"

compile() { # compile OUTPUT ARGUMENTS...
    ${CC:-cc} -std=c99 -g -Wall -Wextra -Werror "-I$FLAGSTORE_INCLUDE_DIR" "-I$(pg_config --includedir)" \
        "${@:2}" -o "$1"
}
libraries=("-L$FLAGSTORE_LIB_DIR" -lflagstore "-Wl,-rpath,$FLAGSTORE_LIB_DIR" "-L$(pg_config --libdir)" -lpq)
for part in backend db; do
    compile "$work/$part.o" -Wpedantic -c "$root/examples-c/postgres_$part.c"
done
libraries=("$work/backend.o" "$work/db.o" "${libraries[@]}" -lpthread -lm)
for test in c/{contract,batches,batch_races,snapshots,sized,watches} postgres/scenarios; do
    compile "$work/test" -D_GNU_SOURCE '-DOTHER_KINDS="../postgres/kinds.h"' "$root/tests/$test.c" "${libraries[@]}"
    "$work/test" || fail "$test; the server's log ends with: $(tail -n 20 "$work/log")"
    echo "after $SECONDS s"
done

# The program.
compile "$work/postgres" -Wpedantic "$root/examples-c/postgres.c" "${libraries[@]}"
checks=0
expect() { # expect STATUS OUTPUT WORD...
    local status=0 output
    output=$("$work/postgres" "$FLAGSTORE_POSTGRES" "${@:3}" 2>&1) || status=$?
    [[ $status = "$1" && $output = $2 ]] || fail "postgres ${*:3}: expected $1 and $2, got $status and $output"
    checks=$((checks + 1))
}
"$bin/psql" -qX --host "$work" --username postgres --command 'TRUNCATE flagstore_flags'
expect 0 '' list
expect 0 '' set dark-mode true
expect 0 true get dark-mode
expect 1 '' get other
expect 0 5 add count 5
expect 0 3 add count -2
expect 0 $'count: 3\ndark-mode: true' list
expect 0 'live, 2 flags' status
expect 0 '' delete count
expect 1 '' delete count
expect 2 'postgres: FLAGSTORE_INVALID_JSON: *' set dark-mode maybe
expect 2 'usage: *' get
"$work/postgres" "$FLAGSTORE_POSTGRES" watch >"$work/seen" 2>"$work/watching" &
until grep -q watching "$work/watching"; do sleep 0.05; done
expect 0 '' set dark-mode false
until grep -q . "$work/seen"; do sleep 0.05; done
kill -INT $!
wait $!
[ "$(cat "$work/seen")" = 'dark-mode: true -> false' ] || fail "postgres watch: $(cat "$work/seen")"
echo "examples-c/postgres: $((checks + 1)) checks"

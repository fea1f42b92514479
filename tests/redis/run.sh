#!/usr/bin/env bash
# Flags on a Redis of the tests' own, which listens on loopback and is ended with the test. Needs redis-server and
# redis-cli; FLAGSTORE_LIB_DIR and FLAGSTORE_INCLUDE_DIR, of a library built with the feature redis.
#   tests/redis/run.sh [contract|scenarios|faults [OPTION...]]
# contract: the programs of tests/c that know kinds of store; scenarios: scenarios*.c; faults: faults.py with its
# options. All of them without an argument.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
: "${FLAGSTORE_LIB_DIR:?is not set}" "${FLAGSTORE_INCLUDE_DIR:?is not set}"
fail() {
    printf 'redis: %s\n' "$*" >&2
    exit 1
}
for program in redis-server redis-cli python3; do
    if ! command -v $program >/dev/null; then
        [ "${FLAGSTORE_TESTS:-}" != all ] || fail "no $program"
        echo "SKIPPED tests/redis: no $program"
        exit
    fi
done
part=${1:-all}
case $part in
all | contract | scenarios | faults) ;;
*) fail "no part is called $part" ;;
esac

work=$(mktemp -d "${TMPDIR:-/tmp}/flagstore-redis.XXXXXX")
ended() { ! kill -0 "$1" 2>/dev/null; }
clean_up() {
    if [ -s "$work/pid" ]; then
        pid=$(cat "$work/pid")
        kill -KILL "$pid" 2>/dev/null || :
        for _ in $(seq 300); do ! ended "$pid" || break; sleep 0.1; done
    fi
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# server start|kill: what the scenarios call too. A port below those that clients get: a client of a server that is down
# must not be given the server's own port.
cat >"$work/server" <<END
#!/usr/bin/env bash
set -euo pipefail
cd "$work"
case \$1 in
start)
    for _ in \$(seq 50); do
        [ -s port ] || echo \$((15000 + RANDOM % 17000)) >port
        redis-server --port "\$(cat port)" --bind 127.0.0.1 --unixsocket "$work/socket" --save '' --appendonly no \\
            --dir "$work" --logfile "$work/log" --databases 16 --maxclients 2000 >/dev/null 2>&1 </dev/null &
        echo \$! >pid
        while kill -0 "\$(cat pid)" 2>/dev/null; do
            answer=\$(redis-cli -s "$work/socket" PING 2>/dev/null) || :
            [ "\$answer" != PONG ] || exit 0
            sleep 0.02
        done
        [ "\${2:-}" = again ] || rm port # somebody else has it
    done
    tail -n 20 log >&2
    exit 1
    ;;
kill)
    pid=\$(cat pid)
    kill -KILL "\$pid"
    while kill -0 "\$pid" 2>/dev/null; do sleep 0.01; done
    : >pid
    ;;
esac
END
chmod +x "$work/server"

compile() { # compile OUTPUT ARGUMENTS...
    ${CC:-cc} -std=c99 -D_GNU_SOURCE -g -Wall -Wextra -Werror "-I$FLAGSTORE_INCLUDE_DIR" "${@:2}" -o "$1" \
        "-L$FLAGSTORE_LIB_DIR" -lflagstore "-Wl,-rpath,$FLAGSTORE_LIB_DIR" -lpthread -lm
}
run_programs() { # run_programs SOURCE...
    local source failed=()
    for source; do
        compile "$work/test" '-DOTHER_KINDS="../redis/kinds.h"' "$root/tests/$source.c"
        "$work/test" || failed+=("$source")
        echo "after $SECONDS s"
    done
    [ ${#failed[@]} = 0 ] || fail "${failed[*]}; the server's log ends with: $(tail -n 20 "$work/log")"
}

if [ "$part" != faults ]; then
    "$work/server" start || fail "the server does not start"
    FLAGSTORE_REDIS=redis://127.0.0.1:$(cat "$work/port")
    export FLAGSTORE_REDIS FLAGSTORE_REDIS_SOCKET=$work/socket FLAGSTORE_REDIS_SERVER=$work/server
    [ "$part" = scenarios ] || run_programs c/{contract,batches,batch_races,snapshots,sized,watches}
    [ "$part" = contract ] || run_programs redis/scenarios{,_load,_open,_lost,_fork}
fi
if [ "$part" = faults ] || [ "$part" = all ]; then
    compile "$work/worker" "$root/tests/redis/worker.c"
    "$root/tests/redis/faults.py" "--worker=$work/worker" "${@:2}"
    echo "after $SECONDS s"
fi

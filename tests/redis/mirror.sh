#!/usr/bin/env bash
# flagctl mirror on a Redis of its own, which is started on a free port in a temporary directory and ended with the test:
# changes arrive, what is edited in the file is undone, outages of either side are survived, passwords are not shown.
# Then the program examples-c/stores.c, and the unit for systemd. Needs redis-server; FLAGSTORE_LIB_DIR and
# FLAGSTORE_INCLUDE_DIR of a library with the feature "redis".
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
: "${FLAGSTORE_LIB_DIR:?is not set}" "${FLAGSTORE_INCLUDE_DIR:?is not set}"
unset FLAGSTORE_FILE FLAGSTORE_LOG FLAGSTORE_REDIS_PASSWORD
work=$(mktemp -d "${TMPDIR:-/tmp}/flagstore-mirror.XXXXXX")
server='' checks=0
started=()
tls=()
fail() {
    printf 'mirror: %s\n' "$*" >&2
    exit 1
}
skip() { # skip WHAT WHY
    [ "${FLAGSTORE_TESTS:-}" != all ] || fail "cannot check $1: $2"
    echo "SKIPPED $1: $2"
}
clean_up() {
    exec 2>/dev/null # the shell has a word for each that is killed
    for pid in $server "${started[@]}"; do
        kill -KILL "$pid" 2>/dev/null || :
    done
    wait
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM
passed() { checks=$((checks + 1)); }

compile() { # compile OUTPUT SOURCE...
    ${CC:-cc} -std=c99 -g -Wall -Wextra -Wpedantic -Werror "-I$FLAGSTORE_INCLUDE_DIR" "${@:2}" -o "$1" \
        "-L$FLAGSTORE_LIB_DIR" -lflagstore "-Wl,-rpath,$FLAGSTORE_LIB_DIR"
}
compile "$work/flagctl" "$root"/examples-c/flagctl*.c
compile "$work/stores" "$root/examples-c/stores.c"
compile "$work/reader" "$root/tests/redis/mirror_reader.c"
PATH=$work:$PATH
mkdir "$work/here"
cd "$work/here"

# ---- what is wrong is told at once ----

expect() { # expect STATUS MESSAGE-PATTERN COMMAND...: what it says, and how it ends
    local status=0
    timeout 60 "${@:3}" >"$work/said" 2>&1 || status=$?
    # shellcheck disable=SC2053  # a pattern is wanted
    [[ $status = "$1" && $(cat "$work/said") == $2 ]] ||
        fail "${*:3}: expected $1 and $2, got $status and $(cat "$work/said")"
    ! grep -q geheim "$work/said" || fail "${*:3}: a password is shown: $(cat "$work/said")"
    passed
}
if [[ $(flagctl mirror --once --timeout 1 redis://127.0.0.1:1 flags.json 2>&1) == *'without the feature redis'* ]]; then
    expect 2 'flagctl: not implemented: *' flagctl mirror redis://localhost flags.json
    skip tests/redis/mirror.sh 'the library has no feature "redis"'
    exit
fi
for words in '' 'flags.json' 'redis://a redis://b' 'redis://a flags.json other.json' '--frob redis://a flags.json' \
    '--hash' 'redis://a flags.json --timeout 0' 'redis://a flags.json --timeout 1x' '--verify -1 redis://a flags.json'; do
    # shellcheck disable=SC2086  # words
    expect 2 'flagctl: usage: flagctl *mirror *' flagctl mirror $words
done
expect 2 'flagctl: no file: *' flagctl mirror redis://localhost
for url in http://geheim@localhost redis://:geheim@localhost:port redis://:geheim@localhost/x redis://:geheim@; do
    expect 2 'flagctl: *' flagctl mirror "$url" flags.json
done
expect 2 'flagctl: *no-such-file*' flagctl mirror --password-file no-such-file redis://localhost flags.json
expect 2 'flagctl: *no-such-file*' flagctl mirror --ca no-such-file rediss://localhost flags.json
expect 2 'flagctl: cannot open the directory *no-such*' flagctl mirror redis://localhost no-such/flags.json
mkdir directory unwritable
mkfifo fifo
ln -s nowhere link
expect 2 'flagctl: *directory*' flagctl mirror redis://localhost directory
expect 2 'flagctl: *fifo*' flagctl mirror redis://localhost fifo
expect 2 'flagctl: *link*' flagctl mirror redis://localhost link
chmod 555 unwritable
unprivileged=()
if [ "$(id -u)" = 0 ]; then
    chmod 755 "$work"
    unprivileged=(setpriv --reuid=65534 --regid=65534 --clear-groups)
fi
if "${unprivileged[@]}" "$work/flagctl" --version >"$work/said" 2>&1; then
    expect 2 'flagctl: cannot write in the directory *' \
        "${unprivileged[@]}" "$work/flagctl" mirror redis://localhost unwritable/flags.json
else
    skip "a directory that is not writable" "$(cat "$work/said")"
fi
rm -r directory unwritable fifo link
[ -z "$(ls -A)" ] || fail "something was created: $(ls -A)"
passed

# ---- a server ----

if ! command -v redis-server >/dev/null || ! command -v redis-cli >/dev/null; then
    skip tests/redis/mirror.sh "redis-server and redis-cli are not installed"
    exit
fi
port=$((20000 + RANDOM % 20000))
# Users with the rights that the README tells.
{
    echo 'user default on nopass ~* &* +@all'
    awk '/^```/ { on = $2 == "acl"; next } on' "$root/README.md" | tr -s '\n ' ' ' |
        sed 's/ACL SETUSER/\nuser/g; s/>PASSWORD/>geheim/g'
    echo
} | grep user >"$work/users"
[ "$(grep -c '^user [a-z]* on ' "$work/users")" = 3 ] || fail "the README has no rights of users: $(cat "$work/users")"
cli() { redis-cli -s "$work/socket" "$@"; }
start_server() { # with what it had when it was killed
    for _ in $(seq 100); do
        redis-server --port "$port" --bind 127.0.0.1 --unixsocket "$work/socket" --dir "$work" --aclfile "$work/users" \
            --save '' --appendonly yes --appendfsync always --daemonize no --loglevel warning >>"$work/log" 2>&1 &
        server=$!
        while kill -0 "$server" 2>/dev/null; do
            [ "$(cli PING 2>/dev/null)" != PONG ] || return 0
            sleep 0.05
        done
        wait "$server" || :
        [ -e "$work/was-up" ] || port=$((20000 + RANDOM % 20000)) # somebody else's
        sleep 0.1
    done
    fail "the server does not start: $(tail -n 5 "$work/log")"
}
kill_server() {
    kill -KILL "$server"
    wait "$server" 2>/dev/null || :
    server=''
    : >"$work/was-up"
}
start_server
url=redis://127.0.0.1:$port
kill_server

# ---- how the mirror is looked at ----

mirror() { # mirror WORD...: in the background; what it says is in $work/told
    : >"$work/told"
    flagctl mirror "$@" 2>"$work/told" &
    pid=$!
    started+=("$pid")
}
until_() { # until_ WHAT COMMAND...: the command succeeds, however slow this machine is
    for _ in $(seq 1200); do
        ! "${@:2}" || { passed; return 0; }
        sleep 0.05
    done
    fail "waited in vain: $1; the mirror said: $(cat "$work/told"); the file: $(cat flags.json 2>&1)"
}
is() { [ "$(flagctl flags.json list --json 2>/dev/null)" = "$1" ]; }
holds() { until_ "the file is $1" is "$1"; }
has_told() { [ "$(grep -c -e "$2" "$work/told")" -ge "$1" ]; }
tells() { until_ "line $1 with $2" has_told "$1" "$2"; } # tells HOW-OFTEN PATTERN
ends() { # ends SIGNAL
    local status=0
    kill -"$1" "$pid"
    wait "$pid" || status=$?
    [ "$status" = 0 ] || fail "SIG$1 ends the mirror with $status: $(cat "$work/told")"
    ! grep -q geheim "$work/told" || fail "a password is shown: $(cat "$work/told")"
    passed
}

# ---- an outage at the start ----

expect 1 "flagctl: flags.json is not equal to $url after 1 s: *" flagctl mirror --once --timeout 1 "$url" flags.json
[ ! -e flags.json ] || fail "a file was created for a store that was not reached"
flagctl flags.json set old 1
mirror "$url" flags.json
tells 1 "^flagctl: $url is not reached yet, flags.json stays as it is: "
is '{"old":1}' || fail "the file was changed while the store was not reached"
start_server # which may have been restarted without its data
tells 1 "^flagctl: $url has no flags, flags.json stays as it is: "
is '{"old":1}' || fail "the file was emptied by a store that may have lost its flags"
rm flags.json # so it is not that: a missing file is made, of no flags if there are none
holds '{}'
tells 1 "^flagctl: $url is reached\$"

# ---- changes ----

expect 0 '{"dark-mode":true,"starts":1}' stores "$url"
holds '{"dark-mode":true,"starts":1}'
expect 0 '{"dark-mode":true,"starts":2}' stores "redis://writer:geheim@127.0.0.1:$port"
holds '{"dark-mode":true,"starts":2}'
cli HSET flagstore starts 3 name '"Zo\u00eb"' >/dev/null # by hand
holds '{"dark-mode":true,"name":"Zoë","starts":3}'
cli HDEL flagstore name dark-mode >/dev/null
holds '{"starts":3}'
cli HSET flagstore starts ja other 1 new nein >/dev/null # which is no JSON: the last value of a flag is better than none
holds '{"other":1,"starts":3}'
tells 1 '^flagctl: flags on .* are not JSON (1), flags.json keeps their last values$'
cli HDEL flagstore new other >/dev/null
cli HSET flagstore starts 3 >/dev/null
holds '{"starts":3}'
tells 1 'every flag on .* is JSON again$'
flagctl check flags.json || fail "the file is not in the library's layout"
passed

# What is changed here by hand is undone, however it is done.
flagctl flags.json set starts 4
holds '{"starts":3}'
flagctl flags.json set mine true
holds '{"starts":3}'
echo '{}' >flags.json
holds '{"starts":3}'
flagctl flags.json delete starts || : # it may have been restored and deleted again
holds '{"starts":3}'
chmod 640 flags.json
echo '{"starts": 3,' >flags.json
holds '{"starts":3}'
[ "$(stat -c %a flags.json)" = 640 ] || fail "a file that was corrupt has another mode than before"
rm flags.json
holds '{"starts":3}'
ends TERM
[ "$(echo .[!.]* *)" = '.flags.json.lock flags.json' ] || fail "more files than there should be: $(ls -A)"
passed

# ---- outages, with a reader ----

cli HSET flagstore n 0 >/dev/null
expect 0 "flagctl: $url is reached" flagctl mirror --once "$url" flags.json
expect 0 '' flagctl mirror --once --quiet "$url" flags.json
reader flags.json >"$work/read" &
reader=$!
started+=("$reader")
n=0
is_read() { [ "$(tail -n 1 "$work/read")" = "$n" ]; }
change_arrives() {
    n=$((n + 1))
    cli HSET flagstore n "$n" >/dev/null
    until_ "the reader sees $n" is_read
}
mirror "$url" flags.json
change_arrives
for times in 1 2 3; do
    kill_server
    tells "$times" "^flagctl: $url is lost, flags.json stays as it is: "
    start_server
    tells "$times" "^flagctl: $url is reached again\$"
    change_arrives
done
kill -STOP "$server" # alive, and silent
tells 4 'is lost'
kill -CONT "$server"
tells 4 'is reached again'
change_arrives

# The flags are suddenly gone, which is not believed: all of Redis, then the hash alone.
before=$(flagctl flags.json list --json)
cli FLUSHALL >/dev/null
tells 1 "^flagctl: the flags have vanished from $url, flags.json stays as it is\$"
is "$before" || fail "the flags have vanished from the file"
expect 1 "flagctl: *flags.json is not equal to $url after 1 s: it has no flags, *" \
    flagctl mirror --once --quiet --timeout 1 "$url" flags.json
cli HSET flagstore n "$n" >/dev/null
tells 5 'is reached again'
change_arrives
holds "{\"n\":$n}"

# The file cannot be written for a while.
mkdir folder
kill "$reader" # which must be there
wait "$reader" 2>/dev/null || :
ends INT
tail -n 1 "$work/read" | grep -qx "$n" || fail "the reader: $(tail -n 1 "$work/read")"
sort -n -C "$work/read" || fail "the reader saw older flags after newer ones"
passed
mirror "$url" folder/flags.json
tells 1 'is reached$'
until_ "the file is there" test -e folder/flags.json
mv folder away
tells 1 '^flagctl: folder/flags.json is not written for now: '
cli HSET flagstore n 100 >/dev/null
mv away folder
tells 1 '^flagctl: folder/flags.json is written again$'
until_ "the file is as before" grep -q 100 folder/flags.json
ends TERM
# Each line tells a change.
[ "$(uniq "$work/told" | wc -l)" = "$(wc -l <"$work/told")" ] || fail "something is told twice: $(cat "$work/told")"
passed

# ---- passwords, and what else can be said ----

hidden() { # hidden: nobody sees the password in the list of processes
    ! tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q geheim
}
rm -rf flags.json folder
printf 'falsch\n' >"$work/password"
mirror --user reader --password-file "$work/password" "$url" flags.json
tells 1 "^flagctl: $url is not reached yet, flags.json stays as it is: .*WRONGPASS"
printf 'geheim\n' >"$work/password" # it is read at each connect
holds '{"n":100}'
cli HSET flagstore n 101 >/dev/null # the rights are enough to hear of it
holds '{"n":101}'
until_ "the password is hidden" hidden
ends TERM
(umask 077 && FLAGSTORE_REDIS_PASSWORD=geheim expect 0 "flagctl: $url is reached" \
    flagctl mirror --once --user reader "$url" new.json)
[ "$(stat -c %a new.json)" = 644 ] || fail "a new file has mode $(stat -c %a new.json)"
passed
mirror "redis://reader:geheim@127.0.0.1:$port" flags.json
tells 1 "^flagctl: $url is reached\$"
until_ "the password is hidden" hidden
ends TERM
expect 1 "flagctl: flags.json is not equal to $url after 1 s: *WRONGPASS*" \
    flagctl mirror --once --timeout 1 "redis://reader:geheimnis@127.0.0.1:$port" flags.json
cli HSET other o 1 >/dev/null
FLAGSTORE_FILE=flags.json expect 0 '*is reached' flagctl mirror --once --hash other --verify 1 "redis+unix://$work/socket"
holds '{"o":1}'

# ---- TLS and Sentinel ----

if command -v openssl >/dev/null; then
    certificate() { # certificate NAME: signed by "ca"
        openssl req -newkey rsa:2048 -nodes -subj "/CN=$1" -addext "subjectAltName=DNS:$1" -keyout "$work/$1.key" \
            -out "$work/$1.req" 2>>"$work/log"
        openssl x509 -req -in "$work/$1.req" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial -copy_extensions copy \
            -days 2 -out "$work/$1.pem" 2>>"$work/log"
    }
    openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=ca -days 2 -keyout "$work/ca.key" -out "$work/ca.pem" 2>>"$work/log"
    certificate flags.example
    certificate client.example
    for setting in tls-ca-cert-file="$work/ca.pem" tls-cert-file="$work/flags.example.pem" \
        tls-key-file="$work/flags.example.key"; do
        tls+=("${setting%%=*}" "${setting#*=}")
    done
    for _ in $(seq 20); do # on a port that nobody has
        tls_port=$((20000 + RANDOM % 20000))
        [ "$(cli CONFIG SET "${tls[@]}" tls-port "$tls_port" 2>&1)" != OK ] || break
    done
    trusted=(--hash other --ca "$work/ca.pem" --server-name flags.example)
    known=(--cert "$work/client.example.pem" --key "$work/client.example.key")
    once=(flagctl mirror --once --timeout 1)
    expect 0 "flagctl: rediss://127.0.0.1:$tls_port is reached" \
        flagctl mirror --once "${trusted[@]}" "${known[@]}" "rediss://127.0.0.1:$tls_port" flags.json
    expect 1 '*: TLS: *' "${once[@]}" "${trusted[@]}" "rediss://127.0.0.1:$tls_port" flags.json
    expect 1 '*: TLS: *' "${once[@]}" "${trusted[@]}" "${known[@]}" --server-name other.example "rediss://127.0.0.1:$tls_port" flags.json
    expect 1 '*: TLS: *' "${once[@]}" --hash other "${known[@]}" --server-name flags.example "rediss://127.0.0.1:$tls_port" flags.json
else
    skip TLS "openssl is not installed"
fi
if command -v redis-sentinel >/dev/null; then
    for _ in $(seq 20); do
        sentinel_port=$((20000 + RANDOM % 20000))
        printf '%s\n' "port $sentinel_port" 'bind 127.0.0.1' "dir $work" "unixsocket $work/sentinel.socket" \
            "sentinel monitor shop 127.0.0.1 $port 1" >"$work/sentinel.conf"
        redis-sentinel "$work/sentinel.conf" >>"$work/log" 2>&1 &
        sentinel=$!
        started+=("$sentinel")
        while kill -0 "$sentinel" 2>/dev/null && ! redis-cli -s "$work/sentinel.socket" PING >"$work/said" 2>&1; do
            sleep 0.05
        done
        ! kill -0 "$sentinel" 2>/dev/null || break
    done
    rm flags.json
    expect 0 '*is reached' flagctl mirror --once --hash other --sentinel shop \
        "redis://127.0.0.1:1,127.0.0.1:$sentinel_port" flags.json
    holds '{"o":1}'
else
    skip Sentinel "redis-sentinel is not installed"
fi

# ---- a unit for systemd ----

if command -v systemd-analyze >/dev/null; then
    sed "s|/usr/bin/flagctl|$work/flagctl|; /^Documentation/d" "$root/examples-c/flagctl-mirror.service" \
        >"$work/flagctl-mirror.service"
    systemd-analyze verify "$work/flagctl-mirror.service" >"$work/said" 2>&1 || fail "$(cat "$work/said")"
    ! grep flagctl-mirror "$work/said" || fail "systemd has something to say of the unit"
    passed
else
    skip "the unit for systemd" "systemd-analyze is not installed"
fi
echo "flagctl mirror: $checks checks"

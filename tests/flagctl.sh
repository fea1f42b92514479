#!/bin/sh
# flagctl's promises to scripts: what it prints where, its exit status, and which files it leaves alone.
# Needs FLAGSTORE_LIB_DIR and FLAGSTORE_INCLUDE_DIR.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
: "${FLAGSTORE_LIB_DIR:?is not set}" "${FLAGSTORE_INCLUDE_DIR:?is not set}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
${CC:-cc} -std=c99 -Wall -Wextra -Wpedantic -Werror "-I$FLAGSTORE_INCLUDE_DIR" "$root/examples-c"/flagctl*.c \
    -o "$work/flagctl" "-L$FLAGSTORE_LIB_DIR" -lflagstore "-Wl,-rpath,$FLAGSTORE_LIB_DIR"
mkdir "$work/here"
cd "$work/here"
PATH=$work:$PATH
unset FLAGSTORE_FILE
checks=0

fail() {
    printf 'flagctl.sh: %s\n  expected: %s\n  got:      %s\n' "$1" "$2" "$3" >&2
    exit 1
}

# expect STATUS STDOUT STDERR-PATTERN COMMAND: the pattern is a case pattern; '' is silence.
expect() {
    status=0
    (eval "$4") >../out 2>../err || status=$?
    [ "$status" -eq "$1" ] || fail "exit status of: $4" "$1" "$status: $(cat ../err)"
    [ "$(cat ../out)" = "$2" ] || fail "output of: $4" "$2" "$(cat ../out)"
    # shellcheck disable=SC2254  # a pattern is wanted
    case $(cat ../err) in
    $3) ;;
    *) fail "message of: $4" "$3" "$(cat ../err)" ;;
    esac
    checks=$((checks + 3))
}
only_files() {
    [ "$(ls -A | grep -v '^\..*\.lock$' | tr '\n' ' ')" = "$1" ] || fail "files" "$1" "$(ls -A | tr '\n' ' ')"
    checks=$((checks + 1))
}

# Only set, apply and import create a file.
for command in 'get a' list 'list --json' len 'type a' 'why a' 'delete a' export watch; do
    expect 2 '' 'flagctl: *missing.json*' "flagctl missing.json $command"
done
[ -z "$(ls -A)" ] || fail "files after reading a missing one" "none" "$(ls -A)"
expect 0 '' '' 'flagctl f.json set a 1'
only_files 'f.json '

# Every command, found and absent.
expect 0 1 '' 'flagctl f.json get a'
expect 1 '' '' 'flagctl f.json get b'
expect 0 number '' 'flagctl f.json type a'
expect 1 absent '' 'flagctl f.json type b'
expect 0 1 '' 'flagctl f.json len'
expect 0 '' '' 'flagctl f.json delete a'
expect 1 '' '' 'flagctl f.json delete a'
expect 0 0 '' 'flagctl f.json len'
expect 0 '' '' 'flagctl f.json list'
expect 0 '{}' '' 'flagctl f.json list --json'
for pair in null:null bool:true number:1e400 'string:"x"' array:[1] 'object:{"a":{}}'; do
    expect 0 '' '' "flagctl f.json set k '${pair#*:}'"
    expect 0 "${pair#*:}" '' 'flagctl f.json get k'
    expect 0 "${pair%%:*}" '' 'flagctl f.json type k'
done
expect 0 '' '' 'flagctl f.json delete k'

# list: one line per flag whatever is in it.
expect 0 '' '' "flagctl f.json set plain '{\"b\": [1, {\"c\": \"}],\\\"\"}], \"a\": \"x, y\"}'"
expect 0 '' '' 'flagctl f.json set "two words" 1'
expect 0 '' '' 'flagctl f.json set a:b 1'
expect 0 '' '' 'flagctl f.json set "" "[]"'
expect 0 '' '' 'flagctl f.json set "$(printf "line\nbreak")" "\"\""'
expect 0 '' '' 'flagctl f.json set "quo\"te" 2'
expect 0 '' '' 'flagctl f.json set é 3'
expect 0 '"": []
"a:b": 1
"line\nbreak": ""
plain: {"a":"x, y","b":[1,{"c":"}],\""}]}
"quo\"te": 2
"two words": 1
é: 3' '' 'flagctl f.json list'
expect 0 '{"":[],"a:b":1,"line\nbreak":"","plain":{"a":"x, y","b":[1,{"c":"}],\""}]},'\
'"quo\"te":2,"two words":1,"é":3}' '' 'flagctl f.json list --json'

# Standard input.
expect 0 '' '' "echo ' [1, 2] ' | flagctl f.json set s -"
expect 0 '[1,2]' '' 'flagctl f.json get s'
expect 2 '' 'flagctl: *' 'flagctl f.json set s - </dev/null'
expect 2 '' 'flagctl: *' 'printf "1\\0" | flagctl f.json set s -'
expect 2 '' 'flagctl: cannot read standard input: *' 'flagctl f.json set s - <&-'
expect 0 '' '' '{ printf \"; head -c 100000 /dev/zero | tr "\\0" x; printf \"; } | flagctl f.json set long -'
expect 0 100002 '' 'flagctl f.json get long | tr -d "\n" | wc -c'
expect 0 '[1,2]' '' 'flagctl f.json get s'

# apply: everything in one write, or nothing.
expect 0 '' '' "echo '{}' | flagctl b.json apply -"
expect 0 '{}' '' 'flagctl b.json export'
expect 0 '' '' "echo '{\"set\": {\"a\": 1, \"b\": {\"y\": [1.10], \"x\": \"}\"}}, \"absent\": {\"a\": true}}' | flagctl b.json apply -"
expect 0 '{"a":1,"b":{"x":"}","y":[1.10]}}' '' 'flagctl b.json export'
cp b.json before
expect 1 '' 'flagctl: *"a"*' "echo '{\"clear\": true, \"absent\": {\"a\": true}}' | flagctl b.json apply -"
expect 1 '' 'flagctl: *"b"*' "echo '{\"set\": {\"a\": 2}, \"expect\": {\"a\": 1, \"b\": {}}}' | flagctl b.json apply -"
expect 2 '' 'flagctl: *"c"*' "echo '{\"set\": {\"a\": 2}, \"c\": {}}' | flagctl b.json apply -"
expect 2 '' 'flagctl: *takes nothing but true*' "echo '{\"set\": {\"a\": 2}, \"delete\": {\"b\": false}}' | flagctl b.json apply -"
expect 2 '' 'flagctl: *takes nothing but true*' "echo '{\"clear\": 1}' | flagctl b.json apply -"
expect 2 '' 'flagctl: *U+0000*' "echo '{\"set\": {\"a\\u0000b\": 2}}' | flagctl b.json apply -"
expect 2 '' 'flagctl: *expected a JSON object*' "echo '{\"set\": [1]}' | flagctl b.json apply -"
expect 2 '' 'flagctl: *expected a JSON object*' "echo '[]' | flagctl b.json apply -"
expect 2 '' 'flagctl: *standard input*line 1 column 9*' "echo '{\"set\": ?}' | flagctl b.json apply -"
expect 2 '' 'flagctl: *standard input*' 'flagctl b.json apply - </dev/null'
expect 2 '' 'flagctl: cannot read missing: *' 'flagctl b.json apply missing'
cmp b.json before
echo '{"clear": true, "expect": {"b": {"y": [1.10], "x": "}"}}, "set": {"c": null, "a": 2}, "delete": {"b": true}}' >batch
expect 0 '' '' 'flagctl b.json apply batch'
expect 0 '{"a":2,"c":null}' '' 'flagctl b.json export'

# export and import: everything, there and back.
expect 0 '' '' 'flagctl f.json export | flagctl b.json import'
expect 0 '' '' 'cmp f.json b.json'
expect 0 '' '' "echo '{\"é\": 1, \"a\": [{}]}' | flagctl b.json import"
expect 0 '{"a":[{}],"é":1}' '' 'flagctl b.json export'
expect 2 '' 'flagctl: *standard input*' "echo '{\"a\": 1' | flagctl b.json import"
expect 2 '' 'flagctl: *expected a JSON object*' "echo 1 | flagctl b.json import"
expect 2 '' 'flagctl: *' 'flagctl b.json import </dev/null'
expect 0 '{"a":[{}],"é":1}' '' 'flagctl b.json export'
rm before batch b.json

# watch: one line per change. Changes in quick succession come as one, so each waits for the one before it.
await() { # await COMMAND: until it succeeds, for a minute
    for _ in $(seq 600); do
        ! eval "$1" || return 0
        sleep 0.1
    done
    fail "wait for" "$1" "$(cat ../seen ../err)"
}
flagctl w.json set 'a b' 1
flagctl w.json watch --count 3 >../seen 2>../err &
await 'grep -q watching ../err'
flagctl w.json set plain '{"b": 1, "a": "x"}'
await '[ "$(wc -l <../seen)" -eq 1 ]'
flagctl w.json set 'a b' 2
await '[ "$(wc -l <../seen)" -eq 2 ]'
flagctl w.json delete 'a b'
wait $! || fail "exit status of watch" 0 "$?"
expect 0 'plain: {"a":"x","b":1}
"a b": 2
"a b":' '' 'cat ../seen'
flagctl w.json watch plain --count 1 >../seen 2>../err &
await 'grep -q watching ../err'
flagctl w.json set other 1
flagctl w.json set plain 2
wait $! || fail "exit status of watch" 0 "$?"
expect 0 'plain: 2' '' 'cat ../seen'
for words in '--count 0' '--count' '--count x' 'a b' '--count 1 b c'; do
    expect 2 '' 'flagctl: usage: *watch*' "flagctl w.json watch $words"
done
rm w.json

# check says where a file is not canonical, and --fix rewrites it and keeps every flag.
differs() { # differs POSITION WHY TEXT: with the escapes of printf
    printf '%b' "$3" >x.json
    cp x.json before
    list=$(flagctl x.json export)
    expect 1 "x.json:$1: not canonical: $2" '' 'flagctl check x.json'
    cmp x.json before
    expect 0 "x.json:$1: not canonical: $2" '' 'flagctl check --fix x.json'
    expect 0 '' '' 'flagctl check x.json'
    expect 0 "$list" '' 'flagctl x.json export'
}
layout='white space or line breaks differ'
escapes='characters are escaped otherwise'
order='the keys are not in order'
repeated='a key stands more than once; its last value counts'
differs 1:2 "$layout" '{"b":1,"a":2}'
differs 3:1 "$layout" '{\n  "a": 1,\n\t"b": 2\n}\n'
differs 1:2 "$layout" '{\r\n  "a": 1\r\n}\r\n'
differs 3:2 "$layout" '{\n  "a": "x"\n}'
differs 2:9 "$layout" '{\n  "a": [1.10, 1e5]\n}\n\n'
differs 2:8 "$escapes" '{\n  "a": "é"\n}\n'
differs 3:3 "$escapes" '{\n  "a\\u00e9": "\\u00fc",\n  "b\\u00E9": 1\n}\n'
differs 2:8 "$escapes" '{\n  "a": "\\/ \\ud83d"\n}\n'
differs 2:8 "$escapes" '{\n  "a": "\\uD83D"\n}\n'
differs 3:5 "$order" '{\n  "a": {\n    "y": 1,\n    "x": 2\n  }\n}\n'
differs 2:9 "$repeated (1 repeated in all)" '{\n  "a": 1,\n  "a": 1\n}\n'
differs 2:8 "$repeated (1 repeated in all)" '{\n  "a": 1,\n  "b": 2,\n  "a": 3\n}\n'
differs 3:11 "$repeated (2 repeated in all)" '{\n  "e": {\n    "x": {},\n    "x": {\n      "y": [],\n      "y": 1\n    }\n  }\n}\n'

# check of several files tells of each; what is corrupt, missing or no file stays as it is, and is worse than the rest.
printf '{\n  "a": "\\ud83d",\n  "b": 1e400\n}\n' >good.json
echo '{"a": 1}' >bad.json
printf '{"a": 1,\n "\\ud83d": 2}' >corrupt.json
cp good.json ../good.json
expect 0 '' '' 'flagctl check good.json ../good.json'
expect 0 '' '' 'flagctl good.json check'
expect 0 '' '' 'FLAGSTORE_FILE=good.json flagctl check'
expect 1 "bad.json:1:2: not canonical: $layout" '' 'flagctl bad.json check good.json'
expect 1 "bad.json:1:2: not canonical: $layout" '' 'FLAGSTORE_FILE=corrupt.json flagctl check good.json bad.json ../good.json'
expect 2 "bad.json:1:2: not canonical: $layout" 'flagctl: *corrupt.json:2:*' 'flagctl check corrupt.json bad.json'
expect 2 '' 'flagctl: *missing.json*' 'flagctl check --fix missing.json good.json'
expect 2 '' 'flagctl: *' 'flagctl check .'
expect 2 '' 'flagctl: no file:*' 'flagctl check'
expect 2 '' 'flagctl: no file:*' 'flagctl check --fix'
expect 2 '' 'flagctl: check does not know "--fxi"*' 'flagctl check --fxi bad.json'
cp corrupt.json before
expect 2 "bad.json:1:2: not canonical: $layout" 'flagctl: *corrupt.json:2:*' 'flagctl check corrupt.json bad.json good.json --fix'
cmp corrupt.json before
cmp good.json ../good.json
expect 0 '' '' 'flagctl check bad.json'
[ ! -e missing.json ] || fail "files after check" "no missing.json" "$(ls)"
[ ! -e .good.json.lock ] || fail "files after check of a canonical file" "no lock" "$(ls -A)"

# check --fix cleans up after one that was interrupted.
flagctl good.json set 'flagctl check --fix' true
expect 1 'good.json: an interrupted --fix left the flag "flagctl check --fix"' '' 'flagctl check good.json'
expect 0 'good.json: an interrupted --fix left the flag "flagctl check --fix"' '' 'flagctl check --fix good.json'
cmp good.json ../good.json

# check --fix beside other writers loses none of their changes, and keeps the file's permissions.
printf '{"z": 1, "y": [2]}' >x.json
chmod 640 x.json
for i in 1 2 3 4 5 6 7 8; do flagctl x.json set "key$i" "$i"; done &
for _ in 1 2 3 4; do flagctl check --fix x.json >/dev/null; done
wait $! || fail "exit status of the other writer" 0 "$?"
expect 0 '' '' 'flagctl check x.json'
expect 0 10 '' 'flagctl x.json len'
expect 0 640 '' 'stat -c %a x.json'
rm x.json good.json bad.json corrupt.json before

# --layer: several files read as one, the first on top. Nothing is changed, and nothing is created.
flagctl top.json set a null
flagctl top.json set 'two words' '"top"'
flagctl middle.json set b '[2]'
flagctl middle.json set a 2
flagctl bottom.json set a 3
flagctl bottom.json set c 1.10
cat top.json middle.json bottom.json >../before
layers='--layer top.json --layer middle.json --layer bottom.json'
expect 0 null '' "flagctl $layers get a"
expect 0 '[2]' '' "flagctl $layers get b"
expect 0 1.10 '' "flagctl $layers get c"
expect 1 '' '' "flagctl $layers get d"
expect 0 null '' "flagctl $layers type a"
expect 1 absent '' "flagctl $layers type d"
expect 0 4 '' "flagctl $layers len"
expect 0 'a: null
b: [2]
c: 1.10
"two words": "top"' '' "flagctl $layers list"
expect 0 '{"a":null,"b":[2],"c":1.10,"two words":"top"}' '' "flagctl $layers list --json"
expect 0 '{"a":null,"b":[2],"c":1.10,"two words":"top"}' '' "flagctl $layers export"
expect 0 2 '' 'FLAGSTORE_FILE=top.json flagctl --layer middle.json get a'
for command in 'set a 1' 'set d 1' 'delete a' 'apply -' 'import' 'check' 'check --fix'; do
    expect 2 '' "flagctl: ${command%% *} is for one file: name that instead of any --layer" \
        "echo '{}' | flagctl $layers $command"
done
cat top.json middle.json bottom.json | cmp - ../before
expect 2 '' 'flagctl: *missing.json*' 'flagctl --layer top.json --layer missing.json get a'
[ ! -e missing.json ] || fail "files after reading a missing layer" "no missing.json" "$(ls)"
expect 2 '' 'flagctl: "--layer" is not a command*' 'flagctl --layer'
expect 2 '' 'flagctl: "top.json" is not a command*' 'flagctl --layer top.json'
expect 2 '' 'flagctl: "f.json" is not a command*' 'flagctl --layer top.json f.json get a'
expect 0 '"top"' '' 'flagctl --layer ./top.json get "two words"'
expect 1 '' '' 'flagctl top.json get --layer'
flagctl $layers watch --count 2 >../seen 2>../err &
await 'grep -q watching ../err'
flagctl bottom.json set a 4
flagctl bottom.json set b 4
flagctl bottom.json set d 4
await '[ "$(wc -l <../seen)" -eq 1 ]'
flagctl top.json delete a
wait $! || fail "exit status of watch" 0 "$?"
expect 0 'd: 4
a: 2' '' 'cat ../seen'

# why: one line for each layer.
expect 0 'absent  top.json
answers middle.json: 2
hidden  bottom.json: 4' '' "flagctl $layers why a"
expect 0 'absent  top.json
absent  middle.json
answers bottom.json: 1.10' '' "flagctl $layers why c"
expect 1 'absent  top.json
absent  middle.json
absent  bottom.json' '' "flagctl $layers why e"
expect 0 'answers bottom.json: 4' '' 'flagctl bottom.json why a'
expect 1 'absent  bottom.json' '' 'FLAGSTORE_FILE=bottom.json flagctl why e'
expect 2 '' 'flagctl: usage: *why KEY*' "flagctl $layers why"
printf '{' >middle.json
expect 2 'absent  top.json' 'flagctl: *middle.json:1:2*' "flagctl $layers why a"
expect 2 '' 'flagctl: *middle.json:1:2*' "flagctl $layers get a"
expect 2 '' 'flagctl: *middle.json:1:2*' "flagctl $layers list"
expect 0 '"top"' '' "flagctl $layers get 'two words'"
expect 2 'answers top.json: "top"' 'flagctl: *middle.json:1:2*' "flagctl $layers why 'two words'"
rm top.json middle.json bottom.json

# Which file: the first argument, unless it is the name of a command.
expect 2 '' 'flagctl: no file:*' 'flagctl len'
expect 2 '' 'flagctl: no file:*' 'FLAGSTORE_FILE= flagctl len'
expect 0 '[1,2]' '' 'FLAGSTORE_FILE=f.json flagctl get s'
expect 1 '' '' 'FLAGSTORE_FILE=f.json flagctl get get'
expect 0 '' '' 'flagctl ./get set get 5'
expect 0 5 '' 'FLAGSTORE_FILE=get flagctl get get'
expect 0 5 '' 'FLAGSTORE_FILE=f.json flagctl ./get get get'
expect 2 '' 'flagctl: usage: *./get*' 'flagctl get get get'

# A wrong command line.
expect 2 '' 'usage: flagctl *' 'flagctl'
expect 2 '' 'flagctl: "f.json" is not a command*' 'flagctl f.json'
expect 2 '' 'flagctl: "frob" is not a command*' 'flagctl f.json frob'
expect 2 '' 'flagctl: usage: flagctl *FILE* set KEY JSON*' 'flagctl f.json set a'
expect 2 '' 'flagctl: usage: *' 'flagctl f.json len more'
expect 2 '' 'flagctl: list does not know "--yaml"*' 'flagctl f.json list --yaml'
expect 0 "$(flagctl --help)" '' 'flagctl -h'
expect 0 1 '' 'flagctl --help | grep -c "^usage: flagctl"'
expect 0 1 '' 'flagctl --version | grep -Ecx "flagctl [0-9]+\.[0-9]+\.[0-9]+"'

# What is wrong in the file or in the answer's way.
printf '{\n  "a": tru\n}\n' >broken.json
cp broken.json before
echo '{}' >empty
for command in 'get a' 'set a 1' 'delete a' list len 'type a' 'why a' export watch 'apply empty' 'import <empty'; do
    expect 2 '' 'flagctl: *broken.json:2:*' "flagctl broken.json $command"
done
cmp broken.json before
expect 2 '' 'flagctl: *line 1*column 2*' 'flagctl f.json set a 01'
expect 2 '' 'flagctl: *' 'flagctl f.json set a "$(printf "\"\\377\"")"'
expect 2 '' 'flagctl: *' 'flagctl . get a'
expect 2 '' 'flagctl: cannot write the answer: *' 'flagctl f.json list >/dev/full'

echo "flagctl: $checks checks"

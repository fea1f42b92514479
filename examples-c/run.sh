#!/bin/sh
# Builds the library and the examples, then uses them the way a person would. Needs cargo and a C compiler; works from
# any directory; fails when anything comes out other than it should.
# With FLAGSTORE_LIB_DIR set, uses the library in that directory instead of building one.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
cc=${CC:-cc} # may be several words, as "ccache gcc"

include=${FLAGSTORE_INCLUDE_DIR:-$root/include}

die() {
    printf 'run.sh: %s\n' "$*" >&2
    exit 1
}
need() {
    command -v "$1" >/dev/null || die "needs $1 ($2)"
}

need "${cc%% *}" "on Debian: apt-get install gcc"
work=$(mktemp -d "${TMPDIR:-/tmp}/flagstore-examples.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
printf '#!/bin/sh\n' >"$work/probe"
chmod +x "$work/probe"
"$work/probe" 2>/dev/null || die "no program can be run in ${TMPDIR:-/tmp} (noexec?): set TMPDIR to another directory"

if [ -n "${FLAGSTORE_LIB_DIR:-}" ]; then
    library=$(cd "$FLAGSTORE_LIB_DIR" && pwd)/libflagstore.so
else
    need cargo "the Rust toolchain"
    echo "building the library"
    # cargo says where it puts what it builds: that depends on its target and on its configuration.
    cargo build --release --manifest-path "$root/Cargo.toml" --message-format json-render-diagnostics >"$work/built"
    library=$(sed -n 's/.*"filenames":\["\([^"]*libflagstore\.so\)".*/\1/p' "$work/built")
fi
[ -f "$library" ] || die "no libflagstore.so in $(dirname "$library")"

# The library under both of its names, as an installation has it: that for the linker, and the one that programs ask
# the loader for.
number='s/^#define FLAGSTORE_VERSION "'
compatible=$(sed -n "$number\(0\.[0-9]*\)\..*/\1/p; $number\([1-9][0-9]*\)\..*/\1/p" "$include/flagstore.h")
lib=$work/lib
mkdir "$lib"
ln -s "$library" "$lib/libflagstore.so"
ln -s "$library" "$lib/libflagstore.so.$compatible"

echo "compiling the examples"
compile() { # compile PROGRAM ARGUMENTS...: of PROGRAM.c and PROGRAM_*.c
    program=$1
    shift
    set -- -o "$work/$program" "$@"
    for source in "$here/$program".c "$here/$program"_*.c; do
        [ ! -e "$source" ] || set -- "$source" "$@"
    done
    # shellcheck disable=SC2086  # several words
    $cc -std=c99 -O2 -Wall -Wextra -Wpedantic -Werror "-I$include" "$@"
}
for program in flagctl quickstart watch batch backend stores; do
    compile "$program" "-L$lib" -lflagstore "-Wl,-rpath,$lib"
done
compile plugin -ldl "-Wl,-rpath,$lib"

cp "$here/flags.json" "$work/flags.json"
cd "$work"
PATH=$work:$PATH

# run STATUS COMMAND: shows a command, what it prints and how it ends, which must be with STATUS.
run() {
    printf '\n$ %s\n' "$2"
    status=0
    (eval "$2") 2>&1 || status=$?
    [ "$status" -eq 0 ] || echo "(exit status $status)"
    [ "$status" -eq "$1" ] || die "expected exit status $1 from: $2"
}
say() {
    printf '\n# %s\n' "$*"
}

say "Reading. A flag is any JSON value; a missing one is no error, but exit status 1."
run 0 'flagctl flags.json get checkout.new-flow'
run 1 'flagctl flags.json get checkout.old-flow'
run 0 'flagctl flags.json type cart.max-items'
export FLAGSTORE_FILE=flags.json
run 0 'export FLAGSTORE_FILE=flags.json; flagctl len'
run 0 'flagctl list | grep kill-switch'

say "Changing. The file keeps one layout, so a review shows the change and nothing else."
cp flags.json before.json
run 0 'flagctl set ops.kill-switch.recommendations true'
run 0 'flagctl get checkout.new-flow | sed "s/25/40/" | flagctl set checkout.new-flow -'
run 0 'flagctl delete checkout.gift-wrapping'
run 1 'flagctl delete checkout.gift-wrapping'
run 1 'diff -U 1 before.json flags.json'
[ "$(diff before.json flags.json | grep -c '^[<>]')" -eq 5 ] || die "expected a diff of five lines"

say "Changing it back gives back the same bytes."
run 0 'flagctl set ops.kill-switch.recommendations false'
run 0 'flagctl set checkout.new-flow "$(flagctl before.json get checkout.new-flow)"'
run 0 'flagctl set checkout.gift-wrapping false'
run 0 'cmp before.json flags.json'

say "Mistakes are refused, and say where they are."
run 2 'flagctl set search.boosts "{\"new\": 1.1,}"'
run 2 'flagctl typo.json get checkout.express'
[ ! -e typo.json ] || die "reading created a file"
run 0 'sed "/\"per_minute\"/s/: 600/ 600/" before.json > broken.json'
run 2 'flagctl broken.json get checkout.express'
cp broken.json untouched.json
run 2 'flagctl broken.json set checkout.express false'
run 0 'cmp broken.json untouched.json'
say "What was good is still good."
run 0 'cmp before.json flags.json'

say "Several changes in one write, if nobody was faster: expect, set, commit."
run 0 'flagctl set search.rollout.percent 25'
run 0 'batch flags.json search.rollout 25 50'
run 1 'batch flags.json search.rollout 25 75'
run 0 'flagctl list | grep "^search.rollout"'
run 0 'echo "{\"expect\": {\"search.rollout.percent\": 50}, \"delete\": {\"search.rollout.raised\": true, \"search.rollout.percent\": true}}" | flagctl apply -'
run 1 'echo "{\"expect\": {\"search.rollout.percent\": 50}, \"clear\": true}" | flagctl apply -'
run 0 'flagctl export | flagctl copy.json import && cmp flags.json copy.json && cmp flags.json before.json'

say "Files over files: the first that has a flag answers, and why says which that is."
run 0 'flagctl overrides.json set search.synonyms-version 42'
run 0 'flagctl --layer overrides.json --layer flags.json list | grep synonyms'
run 0 'flagctl --layer overrides.json --layer flags.json why search.synonyms-version'
run 1 'flagctl --layer overrides.json --layer flags.json why search.antonyms'
run 2 'flagctl --layer overrides.json --layer flags.json set search.antonyms true'
run 0 'cmp flags.json before.json'

say "Changes as they happen, whoever makes them: here another process, while watch sleeps."
cat >watched.sh <<'END'
watch copy.json 3 checkout.express >seen 2>watching &
until grep -q watching watching; do sleep 0.1; done
expected=0
change() { # changes in quick succession come as one: wait for each
    flagctl copy.json "$@"
    expected=$((expected + 1))
    until [ "$(wc -l <seen)" -eq "$expected" ]; do sleep 0.1; done
}
flagctl copy.json set unwatched true
change set checkout.express false
change set checkout.express '"maybe"'
change delete checkout.express
wait
cat seen
END
run 0 'timeout 60 sh watched.sh'

say "A backend of one's own: environment variables above a file."
run 0 'FLAG_CHECKOUT_EXPRESS="\"by hand\"" backend flags.json checkout.express'
run 0 'backend flags.json checkout.express'
run 2 'FLAG_CHECKOUT_EXPRESS=true backend flags.json checkout.express false'
run 2 'FLAG_CHECKOUT_EXPRESS=maybe backend flags.json checkout.express'
run 0 'cmp before.json flags.json'

say "One program on several kinds of store. Redis has a test of its own."
run 0 'stores memory'
run 0 'stores counted.json && stores counted.json'
run 1 'stores no-such-directory/flags.json'

say "The first program of the README, in a directory of its own."
mkdir quickstart-here
run 0 'cd quickstart-here && quickstart && cat flags.json'

say "The library loaded at run time, by a program that is not linked to it."
run 0 plugin
run 2 'plugin ./no-such-library.so'

printf '\nall as expected\n'

#!/bin/sh
# The documents do what they say. Every fenced block carries a name behind its language, by which it is compiled, run
# and compared with the block NAME.out, or found in the file it quotes; a block without a rule is a failure. Then the
# links, the functions and constants, the error codes, and the lists that must be complete.
# Needs FLAGSTORE_LIB_DIR and FLAGSTORE_INCLUDE_DIR. Says which language it skipped for want of a toolchain; with
# FLAGSTORE_TESTS=all a skip is a failure, except of Node, LuaJIT, PHP and Mono.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
: "${FLAGSTORE_LIB_DIR:?is not set}" "${FLAGSTORE_INCLUDE_DIR:?is not set}"
lib=$(cd "$FLAGSTORE_LIB_DIR" && pwd)
include=$(cd "$FLAGSTORE_INCLUDE_DIR" && pwd)
documents="README.md include/README.md include/other-languages.md include/redis.md include/python/README.md
    examples-c/README.md examples-c/recipes.md
    tests/README.md tests/faults/README.md tests/bench/README.md"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
checks=0

fail() {
    printf '%s: %s\n' "$document" "$*" >&2
    exit 1
}
same() { # same EXPECTED-FILE GOT-FILE WHAT
    diff -u "$1" "$2" >&2 || fail "$3: expected (-) and got (+) differ"
    checks=$((checks + 1))
}
skip() { # skip WHAT WHY
    [ "${FLAGSTORE_TESTS:-}" != all ] || fail "cannot check $1: $2"
    echo "SKIPPED $1: $2"
}
missing() { # missing TOOL WHAT: is it? then say so
    ! command -v "$1" >/dev/null && skip "$2" "$1 is not installed"
}

# An empty directory to run a program in.
empty() {
    rm -rf "$work/here"
    mkdir "$work/here"
}
# run NAME COMMAND...: in an empty directory; prints what NAME.out says.
run() {
    expected=$blocks/$1.out
    shift
    empty
    (cd "$work/here" && LD_LIBRARY_PATH=$lib "$@") >"$work/got" || fail "$* failed"
    same "$expected" "$work/got" "output of $*"
}

# A checkout for the recipes. Its cargo brings the library that was built before the tests.
checkout=$work/checkout
mkdir -p "$checkout/include" "$work/bin"
ln -s "$root/examples-c" "$root/tests" "$root/install.sh" "$root/Cargo.toml" "$checkout"
ln -s "$include/flagstore.h" "$include/flagstore.hpp" "$root"/include/*/ "$checkout/include"
built=$(dirname "$(readlink -f "$lib/libflagstore.so")") # the archive stands where the library really is
cat >"$work/bin/cargo" <<END
#!/bin/sh
set -eu
case \$* in
fetch*) exit ;;
rustc*) echo '{"filenames":["$built/libflagstore.a"]}' && exit ;;
build) profile=debug ;;
"build --release") profile=release ;;
*) echo "cargo: unexpected: \$*" >&2; exit 1 ;;
esac
mkdir -p target/\$profile
ln -sf "$built/libflagstore.so" "$built/libflagstore.a" target/\$profile/
END
printf '#!/bin/sh\nexec "$@"\n' >"$work/bin/sudo"
printf '#!/bin/sh\n' >"$work/bin/ldconfig" # LD_RUN_PATH has its part
chmod +x "$work/bin/"*
(cd "$checkout" && "$work/bin/cargo" build --release) # for the recipes that begin after it
# recipe FILE: runs its commands in the checkout, as a newcomer would, and leaves what they print in $work/got.
recipe() {
    (cd "$checkout" && unset LD_LIBRARY_PATH FLAGSTORE_LIB_DIR FLAGSTORE_INCLUDE_DIR CARGO_TARGET_DIR LIBDIR DESTDIR &&
        PATH=$work/bin:$PATH PREFIX=$work/prefix PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig \
        LD_RUN_PATH=$work/prefix/lib sh -eu "$1") >"$work/got" 2>"$work/said" </dev/null ||
        { cat "$work/said" >&2; fail "the recipe $(basename "$1") failed"; }
    checks=$((checks + 1))
}

check_c() {
    ${CC:-cc} -std=c99 -Wall -Wextra -Wpedantic -Werror "-I$include" "$1" -o "$work/program" "-L$lib" -lflagstore
    run "$2" "$work/program"
}
check_cpp() {
    ! missing "${CXX:-c++}" C++ || return 0
    for standard in c++11 c++17; do
        ${CXX:-c++} -std=$standard -Wall -Wextra -Wpedantic -Werror "-I$include" "$1" \
            -o "$work/program" "-L$lib" -lflagstore
        run "$2" "$work/program"
    done
}
check_go() {
    ! missing go Go || return 0
    rm -rf "$work/shop"
    mkdir -p "$work/shop/third_party"
    cp -R "$root/include/go" "$work/shop/third_party/flagstore"
    cp "$1" "$work/shop/main.go"
    cp "$blocks/go.mod" "$work/shop/"
    (cd "$work/shop" && GOPROXY=off GOFLAGS=-mod=mod CGO_CFLAGS="'-I$include'" CGO_LDFLAGS="'-L$lib'" \
        go build -o "$work/program" .) || fail "$2 does not compile"
    run "$2" "$work/program"
}
check_rb() {
    ! missing ruby Ruby || return 0
    if grep -q '"flipper' "$1" && ! ruby -e 'require "flipper"' 2>/dev/null; then
        skip "the Flipper adapter" "flipper is not installed"
        return 0
    fi
    run "$2" env FLAGSTORE_LIB_DIR="$lib" ruby -I "$root/include/ruby/lib" "$1"
}
check_py() {
    ! missing python3 Python || return 0
    mkdir -p "$work/python"
    cp -r "$root/include/python/flagstore" "$work/python/"
    cp "$1" "$work/python/program.py"
    run "$2" env PYTHONDONTWRITEBYTECODE=1 FLAGSTORE_LIB_DIR="$lib" python3 "$work/python/program.py"
}

# The samples of other languages run where these are installed. They never fail a run for want of a tool, nor of a net.
optional() { # optional TOOL: is it missing? then say so
    command -v "$1" >/dev/null && return 1
    echo "SKIPPED a sample: $1 is not installed"
}
check_mjs() {
    ! optional node || return 0
    modules=$root/target/node/node_modules
    if [ ! -d "$modules/koffi" ]; then
        if [ "${FLAGSTORE_TESTS:-}" != all ] || ! command -v npm >/dev/null ||
            ! timeout 120 npm install --prefix "$root/target/node" --no-save --fetch-retries=0 koffi@3 \
                >"$work/said" 2>&1; then
            echo "SKIPPED a sample: no koffi; npm install --prefix target/node koffi@3"
            return 0
        fi
    fi
    mkdir -p "$work/node"
    ln -sfn "$modules" "$work/node/node_modules"
    cp "$1" "$work/node/program.mjs"
    run "$2" timeout 60 node "$work/node/program.mjs"
}
check_lua() {
    ! optional luajit || return 0
    run "$2" sh -c "cp '$checkout/flagstore.i' . && timeout 60 luajit '$1'"
}
check_php() {
    ! optional php || return 0
    php -r 'exit((int) !extension_loaded("ffi"));' || { echo "SKIPPED a sample: PHP has no FFI"; return 0; }
    run "$2" sh -c "cp '$checkout/flagstore.i' . && timeout 60 php -d ffi.enable=1 '$1'"
}
check_cs() {
    ! optional mcs || return 0
    ! optional mono || return 0
    mcs -out:"$work/program.exe" "$1" || fail "$2.cs does not compile"
    run "$2" timeout 60 mono "$work/program.exe"
}

# A session: what stands behind "$ " is run, everything else is what it prints.
check_console() {
    ${CC:-cc} -std=c99 "-I$include" "$root/examples-c"/flagctl*.c -o "$work/bin/flagctl" "-L$lib" -lflagstore
    empty
    cp "$root/examples-c/flags.json" "$work/here/"
    [ "$2" != git ] || {
        ! missing git "the hook for git" || return 0
        cp "$blocks/pre-commit.sh" "$work/pre-commit"
    }
    sed -n 's/^\$ //p' "$1" >"$work/commands"
    (cd "$work/here" && PATH=$work/bin:$PATH && export LD_LIBRARY_PATH="$lib" GIT_CONFIG_GLOBAL=/dev/null &&
        export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.org
        while IFS= read -r command; do
            printf '$ %s\n' "$command"
            eval "$command" </dev/null 2>&1 || :
        done <"$work/commands") >"$work/got"
    same "$1" "$work/got" "session $2"
}

# check_command WORD...: that the program is there, and knows the options; that cargo's tests are there.
check_command() {
    program=$1
    shift
    case $program in
    cargo)
        [ "$1" = test ] || fail "no rule for cargo $1"
        shift
        files="$root/src"
        while [ $# -gt 0 ]; do
            case $1 in
            --lib) ;;
            --test)
                shift
                files=$root/tests/$1.rs
                [ -f "$files" ] || fail "there is no test $1"
                ;;
            *) grep -rq "fn [a-z0-9_]*$1" "$files" || fail "there is no test function $1 in $files" ;;
            esac
            shift
        done
        ;;
    */*)
        [ -x "$root/$program" ] || fail "$program is not an executable file"
        for option in "$@"; do
            case $option in
            --*)
                grep -rq --exclude=*.md -e "$option\b" "$(dirname "$root/$program")" ||
                    fail "$program has no option $option"
                ;;
            esac
        done
        ;;
    *) fail "no rule for the command $program" ;;
    esac
    checks=$((checks + 1))
}

check_sh() {
    case $2 in
    *commands) # are there to be run, each on its own; what stands behind # says what for
        sed 's/ *#.*//; /^$/d' "$1" >"$work/lines"
        while read -r line; do
            # shellcheck disable=SC2086  # words
            check_command $line
        done <"$work/lines"
        ;;
    quickstart)
        recipe "$1"
        same "$blocks/quickstart.out" "$work/got" "output of the recipe"
        ;;
    gem)
        ! missing gem Ruby || return 0
        mkdir -p "$work/gem/include"
        cp -R "$root/include/ruby" "$work/gem/include/"
        (cd "$work/gem" && GEM_HOME=$work/gems sh -eu "$1") >"$work/got" 2>&1 ||
            { cat "$work/got" >&2; fail "the commands of $2.sh failed"; }
        checks=$((checks + 1))
        ;;
    one-program | declarations) recipe "$1" ;;
    doxygen) # a warning is an error; each function is there, and the comments are
        ! missing doxygen "the HTML of the header" || return 0
        recipe "$1"
        html=$checkout/target/doxygen/html/flagstore_8h.html
        grep -q 'It cannot fail' "$html" || fail "$2.sh: no comments in the HTML"
        for name in $(grep -o '^[a-z].*flagstore_[a-z0-9_]*(' "$include/flagstore.h" | sed 's/.*[ *]//; s/($//'); do
            grep -q ">$name<" "$html" || fail "$2.sh: no $name in the HTML"
        done
        ;;
    pre-commit) ;; # the session git runs it
    postgres) ;; # needs a server: tests/postgres/run.sh has one, and runs the like
    redis-cli) ;; # hand edits, which tests/redis/run.sh and mirror.sh make
    stores | mirror) ;; # needs a server, which tests/redis/mirror.sh has
    one-language)
        ! missing python3 Python || return 0
        recipe "$1"
        grep -q '^Ran [1-9]' "$work/said" || fail "the recipe $2.sh ran no test"
        ;;
    install)
        ! missing pkg-config "the pkg-config file" || return 0
        [ -f "$built/libflagstore.a" ] ||
            { skip "the installation" "no libflagstore.a beside libflagstore.so"; return 0; }
        cp "$root/examples-c/quickstart.c" "$checkout/program.c"
        recipe "$1"
        run quickstart env -u LD_LIBRARY_PATH "$checkout/program"
        ;;
    static)
        [ -f "$built/libflagstore.a" ] ||
            { skip "static linking" "no libflagstore.a beside libflagstore.so"; return 0; }
        cp "$root/examples-c/quickstart.c" "$checkout/program.c"
        recipe "$1"
        blocks=$work/blocks/README.md # the program is the README's, and so is what it prints
        run quickstart env -u LD_LIBRARY_PATH "$checkout/program"
        blocks=$work/blocks/$document
        ;;
    *) fail "no rule for the block $2.sh" ;;
    esac
}

# The text of an excerpt stands in the file, whole lines and in one piece.
check_excerpt() {
    file=$root/$(basename "$1" | tr % /)
    awk 'NR == FNR { want = want $0 "\n"; next } { have = have $0 "\n" } END { exit !index("\n" have, "\n" want) }' \
        "$1" "$file" || fail "its excerpt of $file is not in that file"
    checks=$((checks + 1))
}

# The anchors of a document's headings.
anchors() {
    sed -n 's/^##* //p' "$1" | tr '[:upper:]' '[:lower:]' | sed 's/[^[:alnum:] _-]//g; s/ /-/g'
}
# Every relative link leads to a file, or to a heading.
check_links() {
    folder=$(dirname "$root/$document")
    grep -o '](\([^)]*\))' "$work/prose" | sed 's/^](//; s/)$//' | sort -u >"$work/links" || :
    while read -r link; do
        case $link in
        http://* | https://*) continue ;;
        esac
        target=$folder/${link%%#*}
        [ "${link%%#*}" != '' ] || target=$root/$document
        [ -e "$target" ] || fail "a link leads nowhere: $link"
        case $link in
        *#*) anchors "$target" | grep -qx -e "${link#*#}" || fail "a link leads to no heading: $link" ;;
        esac
        checks=$((checks + 1))
    done <"$work/links"
}
# Functions and constants are those of the header; variables of the environment are those that somebody reads.
check_names() {
    # Files, versions, the build tag of the Go module and a table of an example are no functions and no constants.
    sed 's/flagstore_[a-z]*\.\(py\|rb\|go\)//g; s/\bflagstore_flags\b//g; s/`[^`]*flagstore_pkgconfig`//g; s/FLAGSTORE_[0-9.]*[0-9]//g' \
        "$root/$document" >"$work/text"
    for name in $(grep -o '\bflagstore_[a-z0-9_]*[a-z0-9]' "$work/text" | sort -u); do
        grep -q "\b$name\b" "$include/flagstore.h" || fail "$name is not in flagstore.h"
        checks=$((checks + 1))
    done
    [ "$document" != CHANGELOG.md ] || return 0 # it names what there was
    for name in $(grep -o '\bFLAGSTORE_[A-Z0-9_]*[A-Z0-9]' "$work/text" | sort -u); do
        grep -q "\b$name\b" "$include/flagstore.h" || grep -rq "\b$name\b" "$root/src/ffi/log.rs" "$root/tests/common" \
            "$root/tests/bench/run.sh" \
            "$root/examples-c/flagctl.c" || fail "$name is not in flagstore.h"
        checks=$((checks + 1))
    done
}

for document in $documents CHANGELOG.md; do
    blocks=$work/blocks/$document
    mkdir -p "$blocks"
    # Each block goes to a file of its name; a / in it is written as %. The rest is prose.
    awk -v dir="$blocks" -v prose="$work/prose" -v order="$work/order" '
        BEGIN             { printf "" > prose; printf "" > order }
        /^```/ && inside  { inside = 0; close(file); next }
        /^```/            { if ($2 == "") { print "line " NR ": a block without a name"; bad = 1; exit }
                            gsub("/", "%", $2); file = dir "/" $2
                            if (seen[file]++) { print "line " NR ": a second block " $2; bad = 1 }
                            printf "" > file; print file > order; inside = 1; next }
        inside            { print > file; next }
                          { print > prose }
        END               { if (inside) { print "a block without an end"; bad = 1 }; exit bad }
    ' "$root/$document" >"$work/said" || fail "$(cat "$work/said")"

    while read -r block <&3; do
        name=$(basename "$block")
        case $name in
        *%*) check_excerpt "$block" ;;
        go.mod) ;; # of the program in Go
        acl) ;; # rights of users, which those of tests/redis/mirror.sh have
        redis.cpp | redis.go | redis.py | redis.rb) ;; # need a server: tests/redis/bindings.sh runs them
        *.out) ls "${block%.out}".[a-np-z]* >/dev/null 2>&1 || fail "nothing prints the block $name" ;;
        *.c | *.cpp | *.go | *.rb | *.py | *.sh | *.console | *.mjs | *.lua | *.php | *.cs)
            "check_${name##*.}" "$block" "${name%.*}"
            ;;
        flags.yaml) # what is in a ConfigMap is a file of flags
            sed -n 's/^    //p' "$block" >"$work/flags.json"
            LD_LIBRARY_PATH=$lib "$work/bin/flagctl" check "$work/flags.json" || fail "$name is not canonical"
            ;;
        *) fail "no rule for the block $name" ;;
        esac
    done 3<"$work/order" # programs that run here must not read the list
    check_links
    check_names
done

document=README.md
same "$root/examples-c/quickstart.c" "$work/blocks/README.md/quickstart.c" "quickstart.c in examples-c and the README"
# Tables of the error codes have all of them.
sed -n '/^#define FLAGSTORE_OK 0$/,/_INTERNAL 99$/s/^#define \(FLAGSTORE_[A-Z_]* [0-9]*\)$/\1/p' \
    "$include/flagstore.h" >"$work/codes"
for document in README.md examples-c/recipes.md; do
    sed -n 's/^| *\([0-9]*\) *| `\(FLAGSTORE_[A-Z_]*\)` .*/\2 \1/p' "$root/$document" >"$work/got"
    same "$work/codes" "$work/got" "error codes"
done

document=CHANGELOG.md
version=$(sed -n 's/^#define FLAGSTORE_VERSION "\(.*\)"/\1/p' "$include/flagstore.h")
grep -q "^## \[*$version\]*\( \|\$\)" "$root/CHANGELOG.md" || fail "it does not know version $version"
checks=$((checks + 1))

# complete DOCUMENT FILE...: the document names each of them.
complete() {
    document=$1
    shift
    for file in "$@"; do
        grep -q -e "[\`(/]$(basename "$file")[\`)]" "$root/$document" || fail "it does not name $file"
        checks=$((checks + 1))
    done
}
complete tests/README.md "$root"/tests/*
complete tests/faults/README.md "$root"/tests/faults/row*.py
complete examples-c/README.md "$root"/examples-c/*.c
complete include/README.md "$root"/include/*.h* "$root/include/go" "$root"/include/python/flagstore/[!_]*.py \
    "$root"/include/ruby/*.gemspec "$root"/include/ruby/lib/*.rb "$root"/include/ruby/lib/flipper/adapters/*.rb
document=tests/bench/README.md
for option in $(sed -n 's/^#   \(--[a-z]*\).*/\1/p' "$root/tests/bench/run.sh"); do
    grep -q -e "$option" "$root/$document" || fail "it does not explain $option"
    checks=$((checks + 1))
done

echo "documents: $checks checks"

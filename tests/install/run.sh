#!/usr/bin/env bash
# What install.sh puts where, and that consumers find and use it: moved elsewhere, from a path with a space in it,
# through pkg-config, CMake and a plain compile line, shared and static.
# Needs FLAGSTORE_LIB_DIR and FLAGSTORE_INCLUDE_DIR, and installs the library that was built there. With an argument it
# looks at what is installed in that prefix instead, and with a second one, "redis", that the library has this feature:
# tests/install/release.sh calls it so.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/install
cc=${CC:-cc}
# shellcheck source=tests/install/common.sh
. "$here/common.sh"
unset LD_LIBRARY_PATH PKG_CONFIG_PATH PREFIX LIBDIR DESTDIR CARGO_TARGET_DIR

if [ $# -gt 0 ]; then
    prefix=$1
else
    archive=$(dirname "$(readlink -f "${FLAGSTORE_LIB_DIR:?is not set}/libflagstore.so")")/libflagstore.a
    [ -f "$archive" ] || fail "there is no $archive"
    # A cargo that brings the library that was built before the tests.
    mkdir "$work/bin"
    cat >"$work/bin/cargo" <<END
#!/bin/sh
case \$1 in
fetch) ;;
rustc) echo '{"reason":"compiler-artifact","filenames":["$archive"]}' ;;
*) echo "cargo: unexpected: \$*" >&2; exit 1 ;;
esac
END
    chmod +x "$work/bin/cargo"
    without_cargo=$PATH
    PATH=$work/bin:$PATH
    export CARGO_TARGET_DIR=$work/target

    says 'install.sh: nothing is built: *' "$root/install.sh" install
    says 'install.sh: usage: *' "$root/install.sh" frob
    PREFIX="$work/the prefix" "$root/install.sh"
    says '*is not an absolute path: here' env PREFIX=here "$root/install.sh" install
    says '*is not below PREFIX*' env PREFIX=/usr LIBDIR=/lib "$root/install.sh" install

    # For a package; by somebody who has no cargo; a second time.
    for _ in first second; do
        PATH=$without_cargo DESTDIR=$work/stage PREFIX=/usr LIBDIR=/usr/lib/some-linux-gnu "$root/install.sh" install
    done
    [ "$(ls "$work/stage")" = usr ] || fail "something stands outside of /usr: $(ls "$work/stage")"
    [ "$(ls "$work/stage/usr/lib")" = some-linux-gnu ] || fail "something stands outside of LIBDIR"
    same "$(readelf -d "$work/stage/usr/bin/flagctl" | grep -c -e RPATH -e RUNPATH || :)" 0 "rpaths of a system's flagctl"
    grep -q "\[\$ORIGIN/../lib\]" <<<"$(readelf -d "$work/the prefix/bin/flagctl")" || fail "flagctl does not find its library"
    export PKG_CONFIG_PATH=$work/stage/usr/lib/some-linux-gnu/pkgconfig
    same "$(pkg-config --variable=prefix flagstore | xargs realpath)" "$work/stage/usr" "prefix of a package"
    same "$(pkg-config --variable=libdir flagstore | xargs realpath)" "$work/stage/usr/lib/some-linux-gnu" "its libdir"
    unset PKG_CONFIG_PATH

    # Modes and links of every file.
    (cd "$work/the prefix" && find . -mindepth 1 ! -type d -printf '%m %P %l\n' | LC_ALL=C sort -k 2) >"$work/files"
    diff -u - "$work/files" <<END || fail "other files, modes or links are installed than should be"
755 bin/flagctl 
644 include/flagstore.h 
644 include/flagstore.hpp 
644 lib/cmake/flagstore/flagstore-config-version.cmake 
644 lib/cmake/flagstore/flagstore-config.cmake 
644 lib/libflagstore.a 
777 lib/libflagstore.so $soname
777 lib/$soname libflagstore.so.$version
644 lib/libflagstore.so.$version 
644 lib/pkgconfig/flagstore.pc 
644 share/doc/flagctl/examples/flagctl-mirror.service 
644 share/man/man1/flagctl.1 
END
    mv "$work/the prefix" "$work/moved away"
    prefix="$work/moved away"
fi
lib=$(dirname "$(find "$prefix" -name "libflagstore.so.$version")")

# cargo-c installs no flagctl, and a library as rustc links it: with all its names, and without versions.
if [ -x "$prefix/bin/flagctl" ]; then by=install.sh; else by=cargo-c; fi

# ---- the shared library ----
if [ $by = install.sh ]; then
    same "$(nm -D --defined-only "$lib/libflagstore.so" | sed -n "s/.* T \(.*\)@@FLAGSTORE_$compatible\$/\1/p")" \
        "$(declared)" "exports with their version"
    same "$(readelf -S --wide "$lib/libflagstore.so" | grep -c -e '\.symtab' -e '\.debug' || :)" 0 "sections to be stripped"
fi
same "$(nm -D --defined-only --without-symbol-versions "$lib/libflagstore.so" | sed -n 's/.* T //p')" "$(declared)" "exports"
dynamic=$(readelf -d "$lib/libflagstore.so")
for want in "soname: \[$soname\]" NODELETE BIND_NOW; do
    grep -q "$want" <<<"$dynamic" || fail "the shared library has no $want: $dynamic"
done
same "$(readelf -r --wide "$lib/libflagstore.so" | grep -c ' flagstore_' || :)" 0 "calls that a host can intercept"

# ---- consumers ----
program=$root/examples-c/quickstart.c
# built: the program just compiled works in an empty directory.
built() {
    mkdir "$work/here"
    (cd "$work/here" && "$@" "$work/program") >"$work/got" || fail "$* the program failed"
    same "$(cat "$work/got")" $'dark mode is on\nnew-checkout is {"percent":25}' "output of the program"
    rm -r "$work/here" "$work/program"
}
$cc -std=c99 "$program" -o "$work/program" "-I$prefix/include" "-L$lib" -lflagstore "-Wl,-rpath,$lib"
built env
export PKG_CONFIG_PATH=$lib/pkgconfig
same "$(pkg-config --modversion flagstore)" "$version" "version for pkg-config"
pkg-config --validate flagstore
eval "$cc -std=c99 '$program' -o '$work/program' $(pkg-config --cflags --libs flagstore)"
grep -q "NEEDED.*\[$soname\]" <<<"$(readelf -d "$work/program")" || fail "the program asks for another library than $soname"
built env "LD_LIBRARY_PATH=$lib"
if [ $by = install.sh ]; then # cargo-c's line names libgcc_s, of which there is no static one
    # The linker remarks that names of hosts and users need glibc's shared library; nobody asks for those.
    eval "$cc -std=c99 '$program' -o '$work/program' -static $(pkg-config --static --cflags --libs flagstore)" \
        2>"$work/said" || fail "$(cat "$work/said")"
    built env
fi
eval "$cc -std=c99 '$program' -o '$work/program' $(pkg-config --cflags flagstore) '$lib/libflagstore.a' \
    $(pkg-config --static --libs-only-l flagstore | sed 's/-lflagstore//')"
built env
if [ "${2:-}" = redis ]; then # either library
    for link in "'-L$lib' -lflagstore '-Wl,-rpath,$lib'" \
        "'$lib/libflagstore.a' $(pkg-config --static --libs-only-l flagstore | sed 's/-lflagstore//')"; do
        eval "$cc -std=c99 '$here/redis.c' -o '$work/program' '-I$prefix/include' $link"
        same "$("$work/program")" yes "the feature redis"
    done
fi
if [ -n "${FLAGSTORE_LIB_DIR:-}" ]; then # cargo's own library has no versions: either works in the place of the other
    $cc -std=c99 "$program" -o "$work/program" "-I$prefix/include" "-L$FLAGSTORE_LIB_DIR" -lflagstore
    built env "LD_LIBRARY_PATH=$lib"
    $cc -std=c99 "$program" -o "$work/program" "-I$prefix/include" "-L$lib" -lflagstore
    built env "LD_LIBRARY_PATH=$FLAGSTORE_LIB_DIR" 2>"$work/said"
    grep -q 'no version information' "$work/said" || fail "expected the loader's remark, got: $(cat "$work/said")"
fi

if command -v cmake >/dev/null; then
    cmake_project() { # cmake_project ARGUMENTS-OF-FIND_PACKAGE: whether it is found
        rm -rf "$work/build" && mkdir "$work/build"
        cmake -S "$here" -B "$work/build" "-DCMAKE_PREFIX_PATH=$prefix" "-DPROGRAM=$program" "-DWANT=$1" \
            "-DFLAGSTORE_HPP_TEST=$work/program.cpp" >"$work/said" 2>&1
    }
    printf '#include <flagstore.hpp>\nint main() { return flagstore::store::memory().get_bool("a", false); }\n' >"$work/program.cpp"
    for want in "$compatible" "$version;EXACT" "$version" ''; do
        cmake_project "$want" || fail "CMake does not find version $want: $(cat "$work/said")"
    done
    for want in 0.1 0.3 "$version.1" 9 9.9; do
        ! cmake_project "$want" || fail "CMake takes version $version for $want"
        grep -q "$version" "$work/said" || fail "CMake did not refuse the version, but: $(cat "$work/said")"
    done
    cmake_project '0.1...<9' || fail "CMake does not find version 0.1...<9: $(cat "$work/said")"
    ! cmake_project "0.1...<$version" || fail "CMake takes version $version for less than that"
    cmake_project "$compatible" || fail "$(cat "$work/said")"
    cmake --build "$work/build" >"$work/said" 2>&1 || fail "$(cat "$work/said")"
    for kind in shared static pkgconfig; do
        cp "$work/build/$kind" "$work/program"
        built env
    done
    "$work/build/cpp"
    same "$(readelf -d "$work/build/static" | grep -c 'NEEDED.*flagstore' || :)" 0 "shared libraries in a static link"
else
    skip "the CMake package" "cmake is not installed"
fi

# ---- flagctl and its manual ----
if [ $by = install.sh ]; then
    flagctl=$prefix/bin/flagctl
    # That of a Debian package looks where the loader looks by itself.
    [ "$lib" = "$prefix/lib" ] || export LD_LIBRARY_PATH="$lib"
    same "$("$flagctl" --version)" "flagctl $version" "flagctl --version"
    (cd "$work" && "$flagctl" flags.json set a '[1]' && same "$("$flagctl" flags.json get a)" '[1]' "flagctl get")
    page=$work/flagctl.1
    gzip -dcf "$prefix"/share/man/man1/flagctl.1* >"$page"
    grep -q "\"flagstore $version\"" "$page" || fail "the manual is not of version $version"
    # Every command and option that the help lists.
    sed 's/\\//g' "$page" >"$work/page"
    for word in $("$flagctl" --help | sed -n 's/^  \([a-z]\{3,\}\).*/\1/p; s/^  --help, --version/help version/p'); do
        grep -Eq "^\.(B|BI|BR) .*\b$word\b" "$work/page" || fail "the manual does not know $word"
    done
    if command -v mandoc >/dev/null; then
        mandoc -T lint -W style "$page" >"$work/said" || fail "$(cat "$work/said")"
    else
        skip "the manual" "mandoc is not installed"
    fi
fi
echo "install: $checks checks"

#!/usr/bin/env bash
# Everything that is handed out, made and used as its users would: the installation, the tarball, the Debian packages,
# and with cargo-c. Heavy: a release build, and what it needs is fetched. Run it by hand, as root on Debian, before a
# release.
#
#     tests/install/release.sh [install|tarball|packages|cargo-c]...     default: all four
#
# Needs cmake, debhelper, debootstrap, lintian, mandoc and pkg-config; a Debian of 400 MB stays in /var/tmp.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/install/common.sh
. "$root/tests/install/common.sh"
unset FLAGSTORE_LIB_DIR FLAGSTORE_INCLUDE_DIR LD_LIBRARY_PATH PREFIX LIBDIR DESTDIR RUSTFLAGS FEATURES
export CARGO_TARGET_DIR="$root/target/release-tree/target"
build=$CARGO_TARGET_DIR/install

# A clean copy, whose parent directory takes the packages. It keeps its path, so that cargo keeps what it built.
tree=$root/target/release-tree/flagstore
rm -rf "$tree"
mkdir -p "$tree"
(cd "$root" && git ls-files -z | tar -c --null --files-from=- | tar -x -C "$tree")
cd "$tree"

# The machine that built it is not in it.
no_path() { # no_path DIRECTORY-OR-FILE...
    for path in "$root" "${CARGO_HOME:-$HOME/.cargo}" "$HOME/" "$work" "$(rustc --print sysroot)"; do
        ! grep -rlaF -e "$path" "$@" || fail "$path is named in a file above"
        checks=$((checks + 1))
    done
}

# The C tests on a library that was not linked by rustc.
c_programs() { # c_programs PREFIX
    # shellcheck disable=SC2013  # no name has a space
    for source in $(grep -l '^/\* run:.* plain' tests/c/*.c); do
        cc -std=c99 -D_GNU_SOURCE -g "$source" -o "$work/test" "-I$1/include" "-L$1/lib" "-Wl,-rpath,$1/lib" \
            -lflagstore -lpthread -lm
        FLAGSTORE_LIB_DIR=$1/lib "$work/test" >"$work/said" 2>&1 || fail "$source: $(tail "$work/said")"
        checks=$((checks + 1))
    done
}

# Whose licences hold is written down, of every crate that is in the library.
licences() {
    cargo tree --locked --edges normal,no-proc-macro --features redis --prefix none --format '{p}' >"$work/said"
    while read -r crate _; do
        grep -qw -e "$crate" LICENSE-third-party || fail "LICENSE-third-party does not name $crate"
        checks=$((checks + 1))
    done <"$work/said"
}

install_() {
    licences
    PREFIX="$work/prefix" ./install.sh
    no_path "$work/prefix"
    ls -l "$work/prefix/lib" "$work/prefix/bin"
    tests/install/run.sh "$work/prefix"
    c_programs "$work/prefix"
}

tarball() {
    ./install.sh tarball
    name=flagstore-$version-linux-$(uname -m)
    ls -l "$build/$name.tar.gz"
    mkdir "$work/unpacked"
    tar -xzf "$build/$name.tar.gz" -C "$work/unpacked"
    no_path "$work/unpacked"
    for file in LICENSE-MIT LICENSE-APACHE LICENSE-third-party README.md include/flagstore.hpp lib/pkgconfig/flagstore.pc; do
        [ -f "$work/unpacked/$name/$file" ] || fail "the tarball has no $file"
    done
    for file in "$work/unpacked/$name/bin/flagctl" "$work/unpacked/$name/lib/libflagstore.so.$version"; do
        newest=$(objdump -T "$file" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1)
        echo "$(basename "$file") needs $newest"
        same "$(printf '%s\n' "$newest" GLIBC_2.17 | sort -V | tail -n 1)" GLIBC_2.17 "the newest glibc"
        # A library that this glibc does not have any more would be another reason not to load.
        for library in $(objdump -p "$file" | sed -n 's/^ *NEEDED *//p'); do
            case $library in
            libc.so.6 | libpthread.so.0 | libdl.so.2 | libm.so.6 | librt.so.1 | libutil.so.1) ;;
            ld-linux-*.so.* | libgcc_s.so.1 | "$soname") ;;
            *) fail "$file needs $library" ;;
            esac
        done
    done
    tests/install/run.sh "$work/unpacked/$name" redis
    c_programs "$work/unpacked/$name"
}

packages() {
    rm -f ../*.deb ../*.changes ../*.buildinfo
    dpkg-buildpackage -b --no-sign
    ls -l ../*.deb
    lintian --fail-on error --info ../*.changes
    # The packages laid out as files: what -dev has, with the library of the other.
    for package in ../*.deb; do dpkg-deb -x "$package" "$work/laid out"; done
    no_path "$work/laid out"
    tests/install/run.sh "$work/laid out/usr" redis

    # And installed, in a Debian with nothing but a compiler.
    debian=/var/tmp/flagstore-debian-12
    [ -x "$debian/usr/bin/gcc" ] ||
        debootstrap --variant=minbase --include=gcc,libc6-dev,pkgconf bookworm "$debian" >"$work/said" ||
        fail "$(tail "$work/said")"
    rm -rf "$debian/flagstore"
    mkdir "$debian/flagstore"
    cp ../*.deb examples-c/quickstart.c "$debian/flagstore"
    rm -f "$debian"/flagstore/*dbgsym*
    # shellcheck disable=SC2016  # the inner shell expands
    chroot "$debian" env -C /flagstore PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -euc '
        dpkg -i ./*.deb
        flagctl flags.json set a 1
        cc quickstart.c -o quickstart $(pkgconf --cflags --libs flagstore)
        ./quickstart
        cc -static quickstart.c -o quickstart $(pkgconf --static --cflags --libs flagstore)
        ./quickstart
        dpkg --purge flagctl libflagstore-dev libflagstore0.2
        ! [ -e /usr/bin/flagctl ]'
    checks=$((checks + 1))
}

# Pinned: newer ones need a newer Rust.
cargo_c() {
    tools=$root/target/cargo-c
    PATH=$tools/bin:$PATH
    command -v cargo-cinstall >/dev/null ||
        cargo install cargo-c --version 0.10.24+cargo-0.98.0 --locked --root "$tools" --target-dir "$tools/target"
    cargo cinstall --release --locked --features redis --target-dir "$CARGO_TARGET_DIR/cargo-c" --prefix "$work/cinstalled" \
        --libdir lib
    prefix=$work/cinstalled
    (cd "$prefix" && find . ! -type d | sort)
    for file in include/flagstore.h include/flagstore.hpp lib/libflagstore.a "lib/libflagstore.so.$version" \
        lib/libflagstore.so "lib/$soname" lib/pkgconfig/flagstore.pc share/cmake/flagstore/flagstore-config.cmake; do
        [ -e "$prefix/$file" ] || fail "cargo cinstall installs no $file"
        checks=$((checks + 1))
    done
    tests/install/run.sh "$prefix" redis
}

[ $# != 0 ] || set -- install tarball packages cargo-c
for part; do
    printf '\n== %s (after %d s)\n' "$part" "$SECONDS"
    case $part in
    install) install_ ;;
    tarball | packages) "$part" ;;
    cargo-c) cargo_c ;;
    *) fail "there is no part $part" ;;
    esac
done
echo "release: $checks checks"

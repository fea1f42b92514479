#!/bin/sh
# Builds the library and installs it as one in C is: the shared library with its links, the static one, the headers,
# what pkg-config and CMake look for, flagctl, its manual and a unit for systemd as an example.
#
#     ./install.sh            builds and installs
#     ./install.sh build      only builds the libraries; needs cargo and a C compiler
#     ./install.sh install    only installs what was built; needs no cargo, so that sudo can run it
#     ./install.sh tarball    makes flagstore-VERSION-linux-ARCH.tar.gz, which needs no glibc newer than 2.17
#
# PREFIX (/usr/local) and LIBDIR (PREFIX/lib) say where to; what is installed may be moved as a whole afterwards. With
# DESTDIR everything goes below that directory, for a package. CC, STRIP, CPPFLAGS, CFLAGS and LDFLAGS are honoured.
# FEATURES names the features of the library beside the default: FEATURES=redis builds one with flags on Redis, as a
# tarball has them.
set -eu

root=$(cd "$(dirname "$0")" && pwd)
build=${CARGO_TARGET_DIR:-$root/target}/install
mkdir -p "$build"
build=$(cd "$build" && pwd)

die() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}
need() {
    command -v "$1" >/dev/null || die "needs $1 ($2)"
}

version=$(sed -n '/^\[package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$root/Cargo.toml")
# What is compatible has one SONAME: MAJOR, and for 0.x MAJOR.MINOR, as build.rs has it.
compatible=${version%.*}
case $compatible in
0.*) ;;
*) compatible=${version%%.*} ;;
esac
soname=libflagstore.so.$compatible

[ "$(uname -s)" != Darwin ] || die "this is for ELF and its linkers; on macOS use cargo cinstall"

# The static library, in which no path says where it was built.
build_static() {
    need cargo "the Rust toolchain"
    cargo fetch --locked --manifest-path "$root/Cargo.toml" # the crates' directories are listed below
    separator=$(printf '\037')
    flags=$(printf %s "${RUSTFLAGS:-}" | tr ' ' "$separator")
    set -- "$root=flagstore" "$build=target" "$(rustc --print sysroot)=rust"
    for crates in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/* "$root"/vendor; do
        [ ! -d "$crates" ] || set -- "$@" "$crates=crates"
    done
    for mapping; do # of several that fit, the last counts
        flags=${flags:+$flags$separator}--remap-path-prefix=$mapping
    done
    # Alone: optimising across crates leaves more behind where an rlib is wanted as well.
    CARGO_ENCODED_RUSTFLAGS=$flags cargo rustc --release --locked --lib --crate-type staticlib \
        --features "${FEATURES:-}" --manifest-path "$root/Cargo.toml" --target-dir "$build" \
        --message-format json-render-diagnostics >"$build/messages"
    archive=$(sed -n 's/.*"filenames":\["\([^"]*libflagstore\.a\)".*/\1/p' "$build/messages")
    [ -f "$archive" ] || die "cargo built no libflagstore.a"
    # Another process may have the old one open.
    rm -f "$build/libflagstore.a"
    cp "$archive" "$build/libflagstore.a"
    "${STRIP:-strip}" --strip-debug "$build/libflagstore.a"
}

# The shared library is linked from the static one: rustc's own link cannot give the symbols a version. More than that
# differs in nothing from build.rs: calls inside stay inside, the code outlives a dlclose.
build_shared() { # build_shared LINKER-ARGUMENTS...
    cat >"$build/symbols.map" <<END
FLAGSTORE_$compatible { global: flagstore_*; local: *; };
END
    rm -f "$build/libflagstore.so" "$build/$soname"
    # shellcheck disable=SC2086  # several words
    ${CC:-cc} ${LDFLAGS:-} -shared -o "$build/libflagstore.so" \
        -Wl,--whole-archive "$build/libflagstore.a" -Wl,--no-whole-archive -Wl,--gc-sections \
        "-Wl,--version-script=$build/symbols.map" "-Wl,-soname,$soname" \
        -Wl,-Bsymbolic -Wl,-z,nodelete,-z,relro,-z,now,-z,defs -Wl,-s "$@"
    ln -sf libflagstore.so "$build/$soname"
}

build_all() {
    # shellcheck disable=SC2086  # CC may be several words
    need ${CC:-cc} "on Debian: apt-get install gcc"
    need "${STRIP:-strip}" "on Debian: apt-get install binutils"
    build_static
    build_shared
}

pkg_config_file() {
    # Where it stands is known to pkg-config, so the prefix follows when everything is moved.
    cat <<END
prefix=\${pcfiledir}/$up
libdir=\${prefix}/${LIBDIR#"$PREFIX"/}
includedir=\${prefix}/include

Name: flagstore
Description: Feature flags in one JSON file that people can read
Version: $version
Cflags: -I\${includedir}
Libs: -L\${libdir} -lflagstore
Libs.private: -lutil -lrt -lpthread -lm -ldl -lc
END
}

install_all() {
    [ -f "$build/libflagstore.so" ] || die "nothing is built: run ./install.sh build"
    PREFIX=${PREFIX:-/usr/local}
    PREFIX=${PREFIX%/}
    LIBDIR=${LIBDIR:-$PREFIX/lib}
    LIBDIR=${LIBDIR%/}
    case $PREFIX in
    /* | '') ;;
    *) die "PREFIX is not an absolute path: $PREFIX" ;;
    esac
    case $LIBDIR in
    "$PREFIX"/*) ;;
    *) die "LIBDIR ($LIBDIR) is not below PREFIX ($PREFIX)" ;;
    esac
    up=$(printf %s "${LIBDIR#"$PREFIX"/}/pkgconfig" | sed 's,[^/][^/]*,..,g')

    # The loader looks into the system's directories anyway; from elsewhere flagctl finds the library beside it.
    case $LIBDIR in
    /lib | /lib/* | /lib64 | /usr/lib | /usr/lib/*-linux-* | /usr/lib64) set -- ;;
    *) set -- "-Wl,-rpath,\$ORIGIN/../${LIBDIR#"$PREFIX"/}" ;;
    esac
    # shellcheck disable=SC2086  # several words
    ${CC:-cc} -std=c99 ${CPPFLAGS:-} ${CFLAGS:--O2} "-I$root/include" "$root"/examples-c/flagctl*.c -o "$build/flagctl" \
        ${LDFLAGS:-} "-L$build" -lflagstore -Wl,-s "$@"

    bin=${DESTDIR:-}$PREFIX/bin include=${DESTDIR:-}$PREFIX/include lib=${DESTDIR:-}$LIBDIR
    man=${DESTDIR:-}$PREFIX/share/man/man1 examples=${DESTDIR:-}$PREFIX/share/doc/flagctl/examples
    install -d "$bin" "$include" "$lib/pkgconfig" "$lib/cmake/flagstore" "$man" "$examples"
    install -m 644 "$root/include/flagstore.h" "$root/include/flagstore.hpp" "$include"
    install -m 644 "$build/libflagstore.a" "$lib"
    install -m 644 "$build/libflagstore.so" "$lib/libflagstore.so.$version"
    ln -sf "libflagstore.so.$version" "$lib/$soname"
    ln -sf "$soname" "$lib/libflagstore.so"
    pkg_config_file >"$build/flagstore.pc"
    install -m 644 "$build/flagstore.pc" "$lib/pkgconfig"
    install -m 644 "$root"/include/cmake/*.cmake "$lib/cmake/flagstore"
    install -m 755 "$build/flagctl" "$bin"
    install -m 644 "$root/examples-c/flagctl.1" "$man"
    install -m 644 "$root/examples-c/flagctl-mirror.service" "$examples"
}

# zig brings the symbol versions of every glibc. It comes from PyPI unless it is there.
find_zig() {
    if command -v zig >/dev/null; then
        echo zig
        return
    fi
    need python3 "on Debian: apt-get install python3-venv"
    python=$build/zig/bin/python3
    [ -x "$python" ] || python3 -m venv "$build/zig" >&2
    "$python" -m pip install --quiet --disable-pip-version-check ziglang==0.15.2 >&2
    # A name without a space, wherever this stands.
    ln -sf "$("$python" -c 'import ziglang; print(ziglang.__path__[0])')/zig" "$zig_link"
    echo "$zig_link"
}

tarball() {
    target=$(rustc -vV | sed -n 's/^host: //p')
    case $target in
    *-unknown-linux-gnu) ;;
    *) die "a tarball is made on Linux with glibc, not on $target" ;;
    esac
    arch=${target%%-*}
    # Exceptions and backtraces pass through the system's own unwinder, of which the process must have one only.
    unwinder=$(${CC:-cc} -print-file-name=libgcc_s.so.1)
    [ -f "$unwinder" ] || die "finds no libgcc_s.so.1: CC must be gcc"

    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    FEATURES=${FEATURES-redis}
    need "${STRIP:-strip}" "on Debian: apt-get install binutils"
    build_static # with the CC of this machine: crates with code in C call it with options that zig does not have
    zig_link=$work/zig
    CC="$(find_zig) cc -target $arch-linux-gnu.2.17" CFLAGS=-O2 LDFLAGS=''
    export ZIG_GLOBAL_CACHE_DIR="$build/zig-cache" ZIG_LOCAL_CACHE_DIR="$build/zig-cache"
    build_shared "$unwinder"
    epoch=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 0)}
    name=flagstore-$version-linux-$arch
    DESTDIR=$work/stage PREFIX=/$name LIBDIR=/$name/lib
    install_all
    install -m 644 "$root"/LICENSE-* "$root/README.md" "$DESTDIR/$name"
    tar -c -C "$DESTDIR" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$epoch" "$name" |
        gzip -n9 >"$build/$name.tar.gz"
    # What it was linked for is of no use to this machine.
    rm -f "$build/libflagstore.so" "$build/$soname"
    echo "$build/$name.tar.gz"
}

case $#:${1:-} in
0:) build_all && install_all ;;
1:build) build_all ;;
1:install) install_all ;;
1:tarball) tarball ;;
1:-h | 1:--help) sed -n '2,/^set/{s/^# \{0,1\}//p;}' "$0" ;;
*) die "usage: ./install.sh [build|install|tarball]; what they do stands at its beginning" ;;
esac

#!/usr/bin/env bash
# Builds the library for other kinds of machine and runs its C programs there: natively where this processor can, under
# qemu-user elsewhere. Heavy: run it by hand, as root on x86-64. It needs cargo, debootstrap, python3 and pip, and keeps
# a Debian of 5 GB in a directory, which the next run uses.
#
#     tests/ports/run.sh [TARGET...]     default: all of the table in inside.sh
#
# FLAGSTORE_PORTS=DIRECTORY    where the Debian stands; default: target/ports
set -euo pipefail
cd "$(dirname "$0")/../.."
debian=${FLAGSTORE_PORTS:-target/ports}
mkdir -p "$debian"
debian=$(realpath "$debian")

# The commands need /proc and /dev, and a root directory that the list of mounts tells; they are gone with them.
inside() {
    unshare --mount bash -ec '
        mount --bind "$0" "$0"
        mount -t proc proc "$0/proc"
        mount --rbind /dev "$0/dev"
        exec chroot "$0" "$@"' \
        "$debian" env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive "$@"
}

packages=binutils,cargo,gcc,libc6-dev,rustc,rust-src,musl,qemu-user
packages+=,gcc-aarch64-linux-gnu,libc6-dev-arm64-cross,gcc-arm-linux-gnueabihf,libc6-dev-armhf-cross
packages+=,gcc-i686-linux-gnu,libc6-dev-i386-cross
if ! [ -e "$debian/ready" ]; then
    debootstrap --variant=minbase --include="$packages" trixie "$debian"
    # Rust's standard library for other processors, of the same version. As packages these would pull in all of LLVM.
    inside bash -ec '
        for architecture in arm64 armhf i386 s390x; do dpkg --add-architecture $architecture; done
        apt-get update -q
        cd /var/cache
        apt-get download -q libstd-rust-dev:{arm64,armhf,i386,s390x}
        for package in libstd-rust-dev_*.deb; do dpkg-deb -x "$package" /; rm "$package"; done'
    # Programs for i686 run natively; their loader is looked for at this path.
    ln -sfn ../usr/i686-linux-gnu/lib/ld-linux.so.2 "$debian/lib/ld-linux.so.2"
    # A compiler that links with an old glibc, or with musl, and brings an unwinder for it.
    wheel=$(mktemp -d)
    python3 -m pip download --quiet --no-deps --only-binary=:all: --dest "$wheel" ziglang==0.17.1
    python3 -m zipfile -e "$wheel"/*.whl "$debian/opt"
    rm -r "$wheel"
    chmod +x "$debian/opt/ziglang/zig"
    touch "$debian/ready"
fi

# The sources as they are here, and those of the crates and of Rust's standard library, so that nothing is fetched inside.
tree=$debian/flagstore
mkdir -p "$tree"
find "$tree" -mindepth 1 -maxdepth 1 ! -name target -exec rm -rf {} +
git ls-files -z --cached --others --exclude-standard | tar -c --null --files-from=- | tar -x -C "$tree"
std=$(echo "$debian"/usr/src/rustc-*/library/Cargo.toml)
RUSTC_BOOTSTRAP=1 cargo vendor --quiet --locked --sync "$std" "$tree/vendor" >/dev/null
mkdir "$tree/.cargo"
cat >"$tree/.cargo/config.toml" <<'end'
[source.crates-io]
replace-with = "vendored"
[source.vendored]
directory = "vendor"
end

inside /flagstore/tests/ports/inside.sh "$@"

#!/usr/bin/env bash
# Builds and tests the library with Debian 13's own cargo, which is as old as rust-version in Cargo.toml allows. Heavy:
# run it by hand, as root. It needs debootstrap, and keeps a Debian of 1 GB in the directory, which the next run uses.
#
#     tests/msrv.sh [DIRECTORY]     default: /var/tmp/flagstore-debian-13
set -euo pipefail
cd "$(dirname "$0")/.."
debian=${1:-/var/tmp/flagstore-debian-13}

if ! [ -x "$debian/usr/bin/cargo" ]; then
    debootstrap --variant=minbase --include=cargo,gcc,libc6-dev,rustc trixie "$debian"
fi

# The sources as they are here, and those of the crates, so that nothing is fetched inside.
tree=$debian/flagstore
mkdir -p "$tree"
find "$tree" -mindepth 1 -maxdepth 1 ! -name target -exec rm -rf {} +
git ls-files -z --cached --others --exclude-standard | tar -c --null --files-from=- | tar -x -C "$tree"
cargo vendor --quiet --locked "$tree/vendor" >/dev/null
mkdir "$tree/.cargo"
cat >"$tree/.cargo/config.toml" <<'end'
[source.crates-io]
replace-with = "vendored"
[source.vendored]
directory = "vendor"
end

# The tests need /proc and /dev, which are gone with the command.
inside() {
    unshare --mount bash -ec 'mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"; exec chroot "$0" "$@"' \
        "$debian" env -C /flagstore PATH=/usr/bin:/bin HOME=/root "$@"
}
inside cargo --version
inside cargo build --locked --offline
inside cargo test --locked --offline --quiet --no-run
inside cargo test --locked --offline --quiet --lib --test contract --test fuzz_corpus
inside cargo test --locked --offline --quiet --doc
inside tests/rust/run.sh

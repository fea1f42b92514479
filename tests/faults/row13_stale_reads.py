#!/usr/bin/env python3
"""Row 13: no read of a store that is CHECKED or WATCHED gives what was there before, on seven file systems and after
six kinds of edit: CHECKED at once, WATCHED once its thread has been told, and never again what was before that.

Edits come in quick succession, of the same size, so that many leave the file's times as they were; pauses of all
lengths around the tick of a file system's clock decide when a stamp may be trusted. Where Linux gives the others a
precise time after each look, ramfs goes by the clock's ticks all the same, and ext2's inodes have whole seconds."""
import os
import random
import statistics
import time

from common import call, in_own_namespace, needs, promise, row, run, size, wait_until

from flagstore import ATOMIC, READ_CHECKED, READ_WATCHED, Store

SEED = 13
IMAGES = {  # megabytes, and how the image is made
    "ext4": (64, "mkfs.ext4", "-q", "-F"), "xfs": (304, "mkfs.xfs", "-q", "-f"),
    "btrfs": (128, "mkfs.btrfs", "-q", "-f"), "ext2": (16, "mkfs.ext2", "-q", "-F", "-I", "128"),
}
MODES = {"CHECKED": READ_CHECKED, "WATCHED": READ_WATCHED}


def mount(folder, system):
    """An empty folder on a file system of that kind."""
    place = os.path.join(folder, system)
    os.mkdir(place)
    if system in IMAGES:
        megabytes, *mkfs = IMAGES[system]
        image = place + ".image"
        with open(image, "wb") as file:
            file.truncate(megabytes << 20)
        call(*mkfs, image)
        call("mount", "-o", "loop", "-t", system, image, place)
    else:
        call("mount", "-t", "ramfs" if system == "ramfs" else "tmpfs", "none", place)
    if system != "overlay":
        return place
    lower, upper, work, merged = (os.path.join(place, name) for name in ["lower", "upper", "work", "merged"])
    for part in [lower, upper, work, merged]:
        os.mkdir(part)
    call("mount", "-t", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={work}", "none", merged)
    return merged


class Edits:
    """A file whose number is changed in every way; each change has another one, of the same length."""

    def __init__(self, folder):
        self.path, self.number = os.path.join(folder, "flags.json"), 100_000
        self.versions = []
        self.link()

    def text(self):
        self.number += 1
        return b'{"n": %d}\n' % self.number

    def real(self):
        return os.path.realpath(self.path)

    def replace(self):
        with open(self.real() + ".new", "wb") as file:
            file.write(self.text())
        os.rename(self.real() + ".new", self.real())

    def overwrite(self):
        fd = os.open(self.path, os.O_WRONLY)
        os.pwrite(fd, self.text(), 0)
        os.close(fd)

    def recreate(self):
        """With the inode number of the one before, as likely as not."""
        real = self.real()
        os.unlink(real)
        with open(real, "wb") as file:
            file.write(self.text())

    def backdate(self):
        before = os.stat(self.path)
        self.overwrite()
        os.utime(self.path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def link(self):
        """As Kubernetes swaps a ConfigMap."""
        folder = os.path.dirname(self.path)
        version = f"..{len(self.versions)}"
        self.versions.append(version)
        os.mkdir(os.path.join(folder, version))
        with open(os.path.join(folder, version, "flags.json"), "wb") as file:
            file.write(self.text())
        os.symlink(version, os.path.join(folder, "..tmp"))
        os.rename(os.path.join(folder, "..tmp"), os.path.join(folder, "..data"))
        if not os.path.islink(self.path):
            os.symlink("..data/flags.json", self.path)

    def other_store(self):
        self.number += 1
        with Store.file(self.path, durability=ATOMIC) as store:
            store.set("n", self.number)
        # The file has grown into its canonical layout: back to the length of all others.
        self.replace()

    ALL = [replace, overwrite, recreate, backdate, link, other_store]


def check_checked(rng, edits, store, where):
    edit = rng.choice(Edits.ALL)
    edit(edits)
    if rng.random() < 0.3:
        time.sleep(rng.random() * 0.04)  # around the moment from which a stamp is trusted
    seen = store.get("n")
    promise(seen == edits.number, where, "CHECKED after", edit.__name__, "of", edits.number, "reads", seen)
    if rng.random() < 0.5:
        edits.overwrite()  # before the clock has moved on
        seen = store.get("n")
        promise(seen == edits.number, where, "CHECKED after one more overwrite of", edits.number, "reads", seen)


def check_watched(rng, edits, store, where):
    """How long it took."""
    edit = rng.choice(Edits.ALL)
    edit(edits)
    done = time.monotonic()
    wait_until(lambda: store.get("n") == edits.number, f"{where}: WATCHED sees {edit.__name__}")
    seconds = time.monotonic() - done
    for _ in range(5):
        seen = store.get("n")
        promise(seen == edits.number, where, "WATCHED after", edit.__name__, "reads", seen, "again")
    if rng.random() < 0.3:
        store.set("n", edits.number + 1)
        promise(store.get("n") == edits.number + 1, where, "WATCHED does not see its own change")
        edits.replace()
        wait_until(lambda: store.get("n") == edits.number, f"{where}: WATCHED sees what replaced its own change")
    if rng.random() < 0.3:
        time.sleep(rng.random() * 0.04)
    return seconds


def check_whole_seconds(edits, store, where):
    """A stamp of whole seconds becomes trusted, and is changed in the very next moment."""
    edits.overwrite()
    written = time.monotonic()
    while time.monotonic() < written + 2.3:
        promise(store.get("n") == edits.number, where, "reads something else")
        time.sleep(0.02)
    edits.overwrite()
    promise(store.get("n") == edits.number, where, "does not see what follows two seconds of rest")


def test(folder):
    rng = random.Random(SEED)
    checked, latencies = 0, []
    systems = ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "ramfs", "ext2"]
    for system in systems:
        place = mount(folder, system)
        for name, mode in MODES.items():
            here = os.path.join(place, name)
            os.mkdir(here)
            edits = Edits(here)
            where = f"{system}, seed {SEED}:"
            with Store.file(edits.path, read_mode=mode, durability=ATOMIC) as store:
                for _ in range(size(200, 5000) if mode == READ_CHECKED else size(60, 1500)):
                    if mode == READ_CHECKED:
                        check_checked(rng, edits, store, where)
                        checked += 1
                    else:
                        latencies.append(check_watched(rng, edits, store, where))
                if system == "ext2" and mode == READ_CHECKED:
                    for _ in range(size(1, 20)):
                        check_whole_seconds(edits, store, where)
    row(13, f"stale reads on {', '.join(systems)}", f"CHECKED: 0 after {checked} edits",
        f"WATCHED: 0 after {len(latencies)} edits, seen after {statistics.median(latencies) * 1e6:.0f} us (median), "
        f"{max(latencies) * 1e3:.0f} ms at most")


needs(13, "mount", "unshare", *(image[1] for image in IMAGES.values()))
in_own_namespace(13)
run(test)

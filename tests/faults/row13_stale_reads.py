#!/usr/bin/env python3
"""Row 13: no read is staler than one that reads the file: CHECKED never, WATCHED not for longer than its event takes;
whatever the file system and the kind of edit. Edits follow one another within a tick of the clock, keep their size,
keep the time of modification, come by the number of the inode that was just freed."""
import os
from collections import Counter

import common
import flagstore
from file_systems import BTRFS, EXT4, EXT4_SECONDS, XFS, fuse, on_disk, overlay, tmpfs
from power_disk import needs_power_disk

KINDS = ["rename", "rewrite", "resize", "recreate", "link", "truncate", "leave"]
MODES = {"FRESH": flagstore.READ_FRESH, "CHECKED": flagstore.READ_CHECKED, "WATCHED": flagstore.READ_WATCHED}
EDITS = common.size(30, 1000)
IMAGES = {"ext4": EXT4, "ext4 of whole seconds": EXT4_SECONDS, "xfs": XFS, "btrfs": BTRFS}


def fill(folder):
    """One file for each mode and kind of edit."""
    for mode in MODES:
        for kind in KINDS:
            os.makedirs(os.path.join(folder, mode, kind))
            with open(os.path.join(folder, mode, kind, "flags.json"), "w", encoding="ascii") as file:
                file.write('{"number": 1000000000}\n')


def built(folder):
    """The modes that this library has."""
    path = os.path.join(folder, "built.json")
    for mode, number in MODES.items():
        try:
            flagstore.Store.file(path, read_mode=number).close()
            yield mode
        except flagstore.FlagstoreError as error:
            common.promise(error.code == flagstore.NOT_IMPLEMENTED, mode, "cannot be opened:", error)


class Counts:
    def __init__(self, program, modes):
        self.program, self.modes, self.systems = program, modes, 0
        self.counts, self.longest = Counter(), dict.fromkeys(modes, 0.0)

    def measure(self, system, place, beside=None):
        """Reads in `place`, edits in `beside` if that is another."""
        self.systems += 1
        for mode in self.modes:
            for kind in KINDS:
                path, edited = (os.path.join(at, mode, kind, "flags.json") for at in (place, beside or place))
                self.add(system, mode, kind, path, edited)

    def add(self, system, mode, kind, path, beside):
        what = f"{system}, {mode}, {kind}"
        process = common.start(self.program, MODES[mode], kind, path, beside, EDITS, stdout=-1, text=True)
        common.end_of(process, what, common.DEADLINE + EDITS)
        common.forget(process)
        reads, late, longest, naive = map(float, process.stdout.read().split())
        common.note(f"{what}: {reads:.0f} reads, {late:.0f} late, longest {longest} ms, naive cache {naive:.0f} wrong")
        common.promise(mode == "WATCHED" or late == 0, what, f"{late:.0f} of {reads:.0f} reads were stale")
        self.counts += Counter({(mode, "reads"): reads, (mode, "late"): late, "naive": naive, "reads": reads})
        self.longest[mode] = max(self.longest[mode], longest)

    def figures(self):
        for mode in self.modes:
            reads, late = f"{self.counts[mode, 'reads']:.0f}", f"{self.counts[mode, 'late']:.0f}"
            if mode == "WATCHED":
                yield f"WATCHED {late} of {reads} late, by {self.longest[mode]:.1f} ms at most"
            else:
                yield f"{mode} {late} of {reads} stale"
        yield f"by inode, size and times {self.counts['naive']:.0f} of {self.counts['reads']:.0f} wrong"
        yield from (f"{mode} is not built" for mode in MODES if mode not in self.modes)


def test(folder):
    counts = Counts(common.compile_c(folder, "row13_stale_reads"), list(built(folder)))
    for system, kind in IMAGES.items():
        with on_disk(os.path.join(folder, system), kind) as place:
            fill(place)
            counts.measure(system, place)
    for kind in ["tmpfs", "ramfs"]:
        with tmpfs(os.path.join(folder, kind), kind) as place:
            fill(place)
            counts.measure(kind, place)
    with overlay(os.path.join(folder, "overlay"), fill) as place:
        counts.measure("overlayfs", place)
    fill(shown := os.path.join(folder, "shown"))
    with fuse(os.path.join(folder, "fuse"), shown) as place:
        counts.measure("FUSE", place, shown)
    common.row(13, f"{EDITS} edits x {len(KINDS)} kinds ({', '.join(KINDS)}) x {counts.systems} file systems",
               *counts.figures())


if __name__ == "__main__":
    needs_power_disk(13, EXT4, XFS, BTRFS)
    common.run(test)

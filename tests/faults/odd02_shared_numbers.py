#!/usr/bin/env python3
"""Odd machines 2: no read is stale where a file system has the magic number of another one: ext3 and ext2, which have
ext4's, and devtmpfs, which has tmpfs's. Their times go by the clock's ticks, whatever the kernel."""
import os

import common
from file_systems import EXT2, EXT3, devtmpfs, on_disk
from power_disk import needs_power_disk
from row13_stale_reads import EDITS, KINDS, Counts, built, fill


def test(folder):
    counts, violations = Counts(common.compile_c(folder, "row13_stale_reads"), list(built(folder))), []

    def measure(system, place):
        fill(place)
        try:
            counts.measure(system, place)
        except common.Violated as violated:
            violations.append(str(violated))

    for system in [EXT3, EXT2]:
        with on_disk(os.path.join(folder, system.name), system) as place:
            measure(system.name, place)
    with devtmpfs(os.path.join(folder, "devtmpfs")) as place:
        measure("devtmpfs", place)
    common.promise(not violations, "; ".join(violations))
    common.row("odd2", f"{EDITS} edits x {len(KINDS)} kinds ({', '.join(KINDS)}) x ext3, ext2, devtmpfs",
               *counts.figures())


if __name__ == "__main__":
    needs_power_disk("odd2", EXT3, EXT2)
    common.run(test)

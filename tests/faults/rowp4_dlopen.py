#!/usr/bin/env python3
"""Point 4 of the issue: the library is loaded and unloaded while threads live that have used it; and two copies of it
in one process work on one file and free each other's objects."""
import os
import shutil
import subprocess

import common

CYCLES = common.size(500, 5_000)
SETS = common.size(300, 20_000)
GROWTH_KIB = 512  # what an allocator may round up in all cycles together; one leaked stack or store a cycle is far more


def output_of(*command):
    process = common.start(*command, stdout=subprocess.PIPE)
    common.end_of(process, " ".join(map(os.path.basename, map(str, command))), 5 * common.DEADLINE + SETS / 10)
    return map(int, process.stdout.read().split())


def test(folder):
    library = os.path.join(common.LIBRARIES, "libflagstore.so.0.2")
    copy = os.path.join(folder, "another-copy.so")
    shutil.copy(library, copy)
    program = common.compile_c(folder, "rowp4_dlopen", linked=False)
    before, after = output_of(program, "cycles", library, os.path.join(folder, "cycles.json"), CYCLES)
    common.promise(after - before <= GROWTH_KIB, f"memory grew from {before} to {after} KiB in {CYCLES} cycles")
    output_of(program, "copies", library, copy, os.path.join(folder, "copies.json"), SETS)
    common.row("p4", f"{CYCLES} dlopen/dlclose with live threads, a lock waiter and a WATCHED store; two copies in one "
                     f"process, {4 * SETS} sets of 4 threads in the {common.MODES}, 20 forks, objects freed by the "
                     "other copy",
               "0 crashes", f"resident memory {before} -> {after} KiB", "0 lost")


if __name__ == "__main__":
    common.needs("p4", "cc", "setpriv")
    common.run(test)

#!/usr/bin/env python3
"""Odd machines 4 and 1: where the kind of file system cannot be asked for (a sandbox refuses fstatfs), it is not taken
for a local one: on a file system with another clock and coarse times no CHECKED read is stale; a WATCHED one sees what
is changed behind the mount, of which no event tells, at once as well."""
import errno
import os

import common
from edits import at_once
from file_systems import fuse, tmpfs
from odd import each, tools
from power_disk import needs_power_disk
from refused_calls import numbers
from row13_stale_reads import EDITS, KINDS, MODES, fill

SHIFT_MS = -200
CALLS = ["statfs", "fstatfs"]


def check(programs, place, beside, where, mode, kind):
    stale, refuse = programs
    known, error = numbers(), errno.EPERM
    path, edited = (os.path.join(at, where, mode, kind, "flags.json") for at in (place, beside))
    process = common.start(refuse, error, *(known[call] for call in CALLS), "--", stale, MODES[mode], kind, path, edited,
                           EDITS, stdout=-1, text=True)
    common.end_of(process, f"{mode}, {kind}", common.DEADLINE * 2 + EDITS)
    common.forget(process)
    reads, late, longest, naive = map(float, process.stdout.read().split())
    common.note(f"{mode}, {kind}: {reads:.0f} reads, {late:.0f} late, longest {longest} ms, naive cache {naive:.0f} wrong")
    common.promise(late == 0, f"{late:.0f} of {reads:.0f} reads were stale, by {longest} ms at most")


def test(root):
    programs = tools(root, "row13_stale_reads", "refuse")
    shown = os.path.join(root, "shown")
    with tmpfs(shown, "ramfs"):  # times by the clock's ticks
        for where in ["here", "beside"]:
            fill(os.path.join(shown, where))
        with fuse(os.path.join(root, "fuse"), shown, SHIFT_MS, at_once()) as place:
            each("odd4", f"{EDITS} edits of each kind, fstatfs refused, a clock {SHIFT_MS} ms away", [
                (f"{mode}, {kind}, {where}", lambda case=(beside, where, mode, kind): check(programs, place, *case))
                for mode in ["CHECKED", "WATCHED"] for kind in KINDS
                for where, beside in [("here", place), ("beside", shown)]])


if __name__ == "__main__":
    needs_power_disk("odd4")
    common.run(test)

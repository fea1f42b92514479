#!/usr/bin/env python3
"""Rows 1 and 2: no power cut, at any moment, loses an acknowledged SYNC_FULL set, or tears a file of SYNC_FULL or
SYNC_ORDERED.

Sets run on a disk that logs its writes and flushes, while two noise processes sync other files. A power cut is a moment
between two flushes: what was written before the first is safe, of what was written since there may be nothing, all,
the beginning, any part, and halves of single writes. Each such state is mounted, which runs the file system's
recovery, and its flags are read. As a control, SYNC_NONE must leave broken files and SYNC_ORDERED must lose sets: a
harness that cannot see those proves nothing.
"""
import os
import random
import subprocess
import sys
from collections import Counter, namedtuple

from common import HERE, note, promise, row, run, size, start, wait_until
from power_disk import BTRFS, EXT4, XFS, mounted, needs_power_disk, power_disk, sync
from power_workload import Workload, noise_name, set_again, verdict
import flagstore

SEED = 20250301
RECORDING = size(1000, 2000)  # writes and flushes
ROUND = 500                   # states replayed of one recording
STATES = {EXT4: size(200, 10000), XFS: size(40, 2000), BTRFS: size(40, 2000)}
CONTROL = {EXT4: 30, XFS: 10, BTRFS: 10}
NAMES = {flagstore.SYNC_FULL: "SYNC_FULL", flagstore.SYNC_ORDERED: "SYNC_ORDERED", flagstore.SYNC_NONE: "SYNC_NONE"}
SECTOR = 512

# A power cut between the flush before the log entry `first` and the next one, `end`, and what reached the disk since.
State = namedtuple("State", "first end kind pieces")


def record(disk, system, folder, durability, seed):
    """Sets under noise, all logged by the disk."""
    with mounted(disk.device, os.path.join(folder, system.name), system) as place:
        path = os.path.join(place, "flags.json")
        workload = Workload(path, durability, disk.position)
        noise = [start(sys.executable, os.path.join(HERE, "power_workload.py"), place, seed + process)
                 for process in (0, 1)]
        try:
            wait_until(lambda: all(os.path.exists(noise_name(place, seed + process)) for process in (0, 1)), "noise")
            sync(place)
            disk.command("record")
            with workload.writing():
                wait_until(lambda: disk.position() >= RECORDING or workload.errors, "a recording")
            disk.command("stop")
            promise(not workload.errors, "a set on a sound disk failed:", workload.errors)
            promise(all(process.poll() is None for process in noise), "a noise process ended")
        finally:
            for process in noise:
                process.kill()
                process.wait()
    return workload


def moments(log):
    """(first, end) of the writes between each two flushes."""
    first = 0
    for number, (_, length) in enumerate(log):
        if length == 0:
            yield first, number
            first = number + 1
    yield first, len(log)


def torn(order, number, length):
    """The sectors of one write that reached the disk: its beginning, its end, or any."""
    sectors = length // SECTOR
    cut = order.randrange(1, sectors) if sectors > 1 else 0
    kind = order.randrange(3)
    if kind == 0:
        return [(number, 0, cut)]
    if kind == 1:
        return [(number, cut, sectors - cut)]
    return [(number, sector, 1) for sector in range(sectors) if order.randrange(2)]


def survivors(order, kind, log, first, end):
    """Of the writes since the last flush, the pieces that reached the disk: (entry, first sector, sectors)."""
    writes = range(first, end)
    if kind == "prefix":
        writes = writes[:order.randrange(len(writes) + 1)]
    elif kind in ("subset", "torn subset"):
        writes = [number for number in writes if order.randrange(2)]
    pieces = [[(number, 0, log[number][1] // SECTOR)] for number in (() if kind == "none" else writes)]
    if kind.startswith("torn") and pieces:
        for at in order.sample(range(len(pieces)), order.randrange(1, min(3, len(pieces)) + 1)):
            number = pieces[at][0][0]
            pieces[at] = torn(order, number, log[number][1])
    return [piece for write in pieces for piece in write]


def choose(order, log, count):
    """Different states, in the order of their moments."""
    cuts = list(moments(log))
    states = {}
    for attempt in range(20 * count):
        kind = ("none", "all", "prefix", "subset", "torn", "torn subset")[attempt % 6]
        first, end = order.choice(cuts)
        pieces = survivors(order, kind, log, first, end)
        states.setdefault((first, tuple(pieces)), State(first, end, kind, pieces))
        if len(states) == count:
            break
    return sorted(states.values(), key=lambda state: state.first)


def show(disk, state):
    disk.command(f"safe {state.first}", *(f"apply {number} {sector} {count}" for number, sector, count in state.pieces))


def outcome(disk, system, folder, workload, state, go_on):
    """What is left of the file after recovery, and with `go_on` whether it takes another set."""
    show(disk, state)
    try:
        with mounted(disk.device, os.path.join(folder, system.name), system) as place:
            path = os.path.join(place, "flags.json")
            result, details = verdict(path, workload.acknowledged_at(state.end), workload.started)
            stuck = go_on and result == "kept" and set_again(path)
            return ("stuck", stuck) if stuck else (result, details)
    except OSError as error:
        return "unmountable", str(error)


def replay(disk, system, folder, workload, states, allowed):
    """Counts the outcomes; keeps the disk of the first state with each outcome that is not allowed."""
    counts, violations = Counter(), {}
    for step, state in enumerate(states):
        result, details = outcome(disk, system, folder, workload, state, step % 16 == 0)
        counts[result] += 1
        if result not in allowed and result not in violations:
            image = keep(disk, state, os.path.join(folder, f"{system.name}-{result}.img"))
            violations[result] = (f"the first {result}: log entries {state.first} to {state.end}, {state.kind}:"
                                  f" {details}; its disk: {image}")
    return counts, violations


def keep(disk, state, image):
    """The disk as the power cut left it, before any recovery: no seed brings the same schedule back."""
    show(disk, state)
    subprocess.run(["cp", "--sparse=always", disk.file, image], check=True)
    return image


def rounds(folder, system, durability, wanted, allowed):
    counts, seed = Counter(), SEED + 1000 * durability
    while wanted > 0:
        with power_disk(folder, system) as disk:
            workload = record(disk, system, folder, durability, seed)
            states = choose(random.Random(seed), disk.log(), min(wanted, ROUND))
            promise(states, "nothing was recorded")
            found, violations = replay(disk, system, folder, workload, states, allowed)
        what = f"{NAMES[durability]} on {system.name}, seed {seed}:"
        promise(not violations, what, dict(found), *violations.values())
        counts += found
        wanted -= len(states)
        note(what, f"{dict(counts)} so far, {sum(workload.started)} sets recorded")
        seed += 10
    return counts


def every_system(folder, durability, sizes, allowed):
    counts = {system: rounds(folder, system, durability, wanted, allowed) for system, wanted in sizes.items()}
    total = sum(counts.values(), Counter())
    per_system = "/".join(f"{counts[system].total()} {system.name}" for system in counts)
    lost = "/".join(str(counts[system]["lost"]) for system in counts)
    return total, f"{per_system} power-cut states of {NAMES[durability]} sets with noise", lost


def test(folder):
    total, what, _ = every_system(folder, flagstore.SYNC_FULL, STATES, {"kept"})
    row(1, what, f"{total['torn']} torn", f"{total['empty']} empty", f"{total['lost']} lost")
    total, what, lost = every_system(folder, flagstore.SYNC_ORDERED, STATES, {"kept", "lost"})
    row(2, what, f"{total['torn']} torn", f"{total['empty']} empty", f"{total['lost']} lost ({lost})")
    broken, what, _ = every_system(folder, flagstore.SYNC_NONE, CONTROL, {"kept", "lost", "torn", "empty"})
    note(f"row 1 control | {what} | {broken['torn']} torn, {broken['empty']} empty;",
         f"row 2 lost {total['lost']}: the harness sees what it looks for")
    seen = broken["torn"] + broken["empty"] > 0 and total["lost"] > 0
    promise(seen, "the harness is blind: SYNC_NONE or SYNC_ORDERED looks like SYNC_FULL")


if __name__ == "__main__":
    needs_power_disk([1, 2], *STATES)
    run(test)

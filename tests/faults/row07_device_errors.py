#!/usr/bin/env python3
"""Row 7: a device that answers writes or flushes with EIO, once or for ever, in the middle of SYNC_FULL sets.

While it refuses everything, every set must say so. A set that was acknowledged, before the errors, between or after
them, must be there after a remount, and also if the power goes instead of the unmount."""
import errno
import os
import random

from common import note, promise, row, run, size
from power_disk import BTRFS, EXT4, XFS, mounted, needs_power_disk, power_disk
from power_workload import WRITERS, Workload, verdict
import flagstore

SEED = 20250307
TRIALS = size(12, 240)  # on each file system
WRITES, FLUSHES, BOTH = 1, 2, 3
FOR_EVER = 1 << 30
FEW, MANY = 5, 40  # sets


class Tally:
    """What the sets on failing devices came to."""

    def __init__(self):
        self.acknowledged = self.device_errors = 0
        self.single_reported = self.single_harmless = 0  # requests refused once
        self.dead_reported = 0                           # sets on a device that refuses everything


def check_report(error, first):
    """The error of a sync that failed; a file system that has given up afterwards may also say that it is read-only."""
    promise(error.code in (flagstore.IO, flagstore.NOT_DURABLE), "a failed sync was answered by", error)
    expected = (errno.EIO,) if first else (errno.EIO, errno.EROFS)
    promise(error.os_code in expected, "errno", error.os_code, "in", error)


def sets(workload, order, count, tally):
    """Sets one after the other; how many of them failed."""
    failed = 0
    for _ in range(count):
        error = workload.set(order.randrange(WRITERS))
        if error:
            check_report(error, first=len(workload.errors) == 1)
            failed += 1
        else:
            tally.acknowledged += 1
    return failed


def one_refusal(disk, workload, order, what, tally):
    """The device refuses one request, somewhere within the next sets."""
    before = disk.refusals()
    disk.command(f"fail {what} {order.randrange(12)} 1")
    for _ in range(MANY):
        failed = sets(workload, order, 1, tally)
        if disk.refusals() > before:
            break
    disk.command("fail 0 0 0")
    promise(disk.refusals() > before, "nothing was refused")
    # A file system may repeat the request or have a second copy: whether that was so, the verdict tells.
    tally.single_reported += failed
    tally.single_harmless += not failed


def no_more(disk, workload, order, tally):
    """The device refuses everything from somewhere within a set on: after the first report no set is acknowledged."""
    disk.command(f"fail {BOTH} {order.randrange(12)} {FOR_EVER}")
    before = disk.refusals()
    for _ in range(MANY):
        if sets(workload, order, 1, tally):
            break
    promise(disk.refusals() > before, "nothing was refused")
    failed = 1 + sets(workload, order, FEW, tally)
    tally.dead_reported += failed
    promise(failed == 1 + FEW, f"{1 + FEW - failed} of {FEW} sets acknowledged by a device that refuses everything")
    disk.command("fail 0 0 0")


def trial(disk, place, system, kind, order, tally):
    """One mount with errors; gives the workload and how much of the log a power cut would have left."""
    disk.command("record")
    with mounted(disk.device, place, system):
        workload = Workload(os.path.join(place, "flags.json"), flagstore.SYNC_FULL)
        sets(workload, order, FEW, tally)
        promise(not workload.errors, "a set on a sound disk failed:", workload.errors)
        if kind == "dead":
            no_more(disk, workload, order, tally)
        else:
            one_refusal(disk, workload, order, {"write": WRITES, "flush": FLUSHES}[kind], tally)
            # Without more sets the error is the last thing that happened to the file.
            sets(workload, order, order.choice((0, FEW)), tally)
        left = disk.position()
    disk.command("stop")
    flushes = [number for number, (_, length) in enumerate(disk.log()[:left]) if length == 0]
    return workload, flushes[-1]


def judge(disk, place, system, workload, safe, what):
    disk.command(f"safe {safe}")
    with mounted(disk.device, place, system):
        result, details = verdict(os.path.join(place, "flags.json"), workload.last_acknowledged(), workload.started)
    reported = [str(error) for error in workload.errors]
    promise(result == "kept", f"{what} the file is {result}: {details}; reported were", reported)


def errors_on(folder, system, tally):
    place = os.path.join(folder, system.name)
    with power_disk(folder, system) as disk:
        for step in range(TRIALS):
            order = random.Random(SEED + step)
            kind = ("write", "flush", "dead")[step % 3]
            what = f"{system.name}, trial {step} ({kind}) of seed {SEED}:"
            workload, cut = trial(disk, place, system, kind, order, tally)
            judge(disk, place, system, workload, cut, what + " after a power cut")
            judge(disk, place, system, workload, disk.position(), what + " after a remount")
        tally.device_errors += disk.refusals()
    note(f"{system.name}: {vars(tally)} so far")


def test(folder):
    tally = Tally()
    for system in (EXT4, XFS, BTRFS):
        errors_on(folder, system, tally)
    row(7, f"{TRIALS} ext4/{TRIALS} xfs/{TRIALS} btrfs runs of sets, {tally.device_errors} requests answered with EIO",
        f"100 % reported ({tally.dead_reported} sets on a dead device and {tally.single_reported} after a single EIO;"
        f" {tally.single_harmless} EIO did no harm)",
        f"0 of {tally.acknowledged} acknowledged sets lost by power cut or remount")


if __name__ == "__main__":
    needs_power_disk(7, EXT4, XFS, BTRFS)
    run(test)

#!/usr/bin/env python3
"""Row 3: a file system that is cut off in the middle of SYNC_FULL sets (FS_IOC_SHUTDOWN: not even its log is written
out) has every acknowledged set when it is mounted again, and refuses every set from the cut on."""
import errno
import fcntl
import os
import random
import struct
import time

from common import note, promise, row, run, size, wait_until
from power_disk import EXT4, XFS, mounted, needs_power_disk, power_disk
from power_workload import WRITERS, Workload, verdict
import flagstore

SEED = 20250303
CUTS = size(20, 500)
FS_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
NO_LOG_FLUSH = 2


def cut_off(place):
    directory = os.open(place, os.O_RDONLY)
    try:
        fcntl.ioctl(directory, FS_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
    finally:
        os.close(directory)


def cut_during_sets(place, order):
    workload = Workload(os.path.join(place, "flags.json"), flagstore.SYNC_FULL)
    sets = WRITERS + order.randrange(30)
    with workload.writing():
        wait_until(lambda: sum(workload.last_acknowledged()) >= sets, "acknowledged sets")
        moment = time.perf_counter() + order.uniform(0, 0.004)  # anywhere within a set
        while time.perf_counter() < moment:
            pass
        cut_off(place)
        wait_until(lambda: len(workload.errors) == WRITERS, "an error for every writer")
    for error in workload.errors:
        promise(error.code in (flagstore.IO, flagstore.NOT_DURABLE) and error.os_code == errno.EIO,
                "a set on a file system that was cut off was answered by", error)
    return workload


def cuts(folder, system):
    order, acknowledged = random.Random(SEED), 0
    with power_disk(folder, system) as disk:
        for step in range(CUTS):
            place = os.path.join(folder, system.name)
            with mounted(disk.device, place, system):
                workload = cut_during_sets(place, order)
            with mounted(disk.device, place, system):
                path = os.path.join(place, "flags.json")
                result, details = verdict(path, workload.last_acknowledged(), workload.started)
            promise(result == "kept", f"{system.name}, seed {SEED}, cut {step}: the file is {result}: {details}")
            acknowledged += sum(workload.last_acknowledged())
    note(f"{system.name}: {CUTS} cuts, {acknowledged} acknowledged sets")
    return acknowledged


def test(folder):
    acknowledged = cuts(folder, EXT4) + cuts(folder, XFS)
    what = f"{CUTS} ext4/{CUTS} xfs cuts by FS_IOC_SHUTDOWN during SYNC_FULL sets"
    row(3, what, f"0 lost of {acknowledged} acknowledged")


if __name__ == "__main__":
    needs_power_disk(3, EXT4, XFS)
    run(test)

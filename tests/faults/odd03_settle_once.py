#!/usr/bin/env python3
"""Odd machines 3: a missing or corrupt file is waited for once per state of the file, not once per read; where others
keep its directory busy, about once a second. Counted are looks at the file and sleeps, in each read mode, in what was
always the slow case: times in the future, as on a board without a clock chip, and a directory that is never at rest."""
import os
import re
import subprocess
import threading
import time

import common
from odd import MODES, each, tools
from system_calls import fresh_folder

READS = 30
LOOKS = 10  # of one wait for a file: 0.5, 1, 2, ... 64 ms, and one more
WAITS = 3  # for one state; the open and a second thread may have one each
CALL = re.compile(r"^(\d+) +(\w+)\((.*)$")


def missing(_path):
    return 0


def corrupt(path):
    with open(path, "wb") as file:
        file.write(b'{"flag": ')
    return READS


def in_the_future(path):
    future = time.time() + 3600
    for at in [path, os.path.dirname(path)]:
        if os.path.exists(at):
            os.utime(at, (future, future))


class Busy:
    """A neighbour that never rests, as a database's journal."""

    def __init__(self, path):
        self.name, self.ended = os.path.join(os.path.dirname(path), "journal"), threading.Event()
        self.thread = threading.Thread(target=self.work)

    def work(self):
        while not self.ended.wait(0.001):
            with open(self.name, "wb"):
                pass
            os.unlink(self.name)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_failure):
        self.ended.set()
        self.thread.join()


def counted(program, path, mode):
    """Failed reads, looks at the file, sleeps, and how many seconds it took."""
    trace, started = os.path.dirname(path) + ".trace", time.monotonic()
    command = ["strace", "-f", "-qq", "-e", "trace=openat,clock_nanosleep,nanosleep,getppid", "-o", trace,
               program, path, str(mode), str(READS)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=common.DEADLINE * 2)
    seconds, marks, looks, sleeps = time.monotonic() - started, 0, 0, 0
    with open(trace, encoding="utf-8") as lines:
        for _process, name, text in (match.groups() for match in map(CALL.match, lines) if match):
            marks += name == "getppid"
            looks += marks == 1 and name == "openat" and f'"{path}"' in text
            sleeps += marks == 1 and name.endswith("nanosleep")
    os.remove(trace)
    return int(done.stdout.split()[0]), looks, sleeps, seconds


def check(program, root, state, mode, circumstance):
    folder = fresh_folder(root)
    os.mkdir(folder)
    path = os.path.join(folder, "flags.json")
    expected = state(path)
    if circumstance == "busy":
        with Busy(path):
            failed, looks, sleeps, seconds = counted(program, path, MODES[mode])
        waits = WAITS + seconds  # a slow machine may wait more often
    else:
        in_the_future(path)
        failed, looks, sleeps, seconds = counted(program, path, MODES[mode])
        waits = WAITS
    common.promise(failed == expected, failed, "reads failed, not", expected)
    common.promise(sleeps <= waits * LOOKS, sleeps, "sleeps in", READS, "reads:", f"more than {waits:.0f} waits")
    # A read, a look of the cache before it, and those of the waits.
    common.promise(looks <= 2 * READS + waits * LOOKS, looks, "looks in", READS, "reads")


def test(root):
    [program] = tools(root, "odd03_settle_once")
    cases = [(f"{state.__name__}, {circumstance}, {mode}",
              lambda state=state, mode=mode, circumstance=circumstance: check(program, root, state, mode, circumstance))
             for state in [missing, corrupt] for circumstance in ["in the future", "busy"] for mode in MODES
             if (state, circumstance) != (corrupt, "busy")]
    each("odd3", f"{READS} reads of a missing or corrupt file, times in the future or a busy directory", cases)


if __name__ == "__main__":
    common.needs("odd3", "cc", "strace")
    common.run(test)

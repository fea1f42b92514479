#!/usr/bin/env python3
"""Odd machines 7: a process that may have no more threads (RLIMIT_NPROC, a container's limit of processes) waits for a
lock as long as any other: the set beside a second writer works, and one beside a writer that stays is LOCKED."""
import contextlib
import fcntl
import os
import resource
import threading
import time

import common
from odd import ALICE, House, as_user, each, need_root, tools

TRIES = common.size(10, 50)
LOCKED = 5
HELD = 0.1  # seconds


@contextlib.contextmanager
def held(house, seconds):
    """The lock, as a second writer has it."""
    fd = os.open(house.lock, os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(fd, fcntl.LOCK_EX)
    timer = threading.Timer(seconds, lambda: fcntl.flock(fd, fcntl.LOCK_UN))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        os.close(fd)


def without_threads(house, program, value):
    def limit():
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
    return house.call(program, "set", "flag", str(value), preexec_fn=limit, **as_user(ALICE, ALICE))


def beside_a_writer(root, program):
    house = House(root, owner=(ALICE, ALICE)).file(owner=(ALICE, ALICE))
    house.set(program, 1, **as_user(ALICE, ALICE))
    for value in range(2, TRIES + 2):
        with held(house, HELD):
            outcome, lines = without_threads(house, program, value)
        common.promise(outcome.code == 0, house, "set", value, "says", outcome, lines)


def beside_a_writer_that_stays(root, program):
    house = House(root, owner=(ALICE, ALICE)).file(owner=(ALICE, ALICE))
    house.set(program, 1, **as_user(ALICE, ALICE))
    with held(house, common.DEADLINE * 10):
        started = time.monotonic()
        outcome, _ = without_threads(house, program, 2)
        took = time.monotonic() - started
    common.promise(outcome.code == LOCKED, house, "says", outcome)
    common.promise(took >= 5, house, "gave up after", took, "seconds of five")


def test(root):
    [program] = tools(root, "one_call")
    each("odd7", f"{TRIES} sets beside a writer, without a thread to be had", [
        (name.__name__, lambda name=name: name(root, program)) for name in [beside_a_writer, beside_a_writer_that_stays]])


if __name__ == "__main__":
    need_root("odd7")
    common.run(test)

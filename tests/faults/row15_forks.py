#!/usr/bin/env python3
"""Row 15: servers in C, Ruby and Python fork while their threads change the stores: no child hangs, no lock leaks."""
import os
import random
import subprocess
import sys
import time

import common
import flagstore

MODES = 3
CHILDREN = common.size(7, 112)  # of each language in each read mode, not counting their own
ORPHANS = common.size(3, 51)  # a multiple of the modes
GATE_ROUNDS = common.size(1, 14)  # in each read mode
SEED = 15


def output_of(*command):
    process = common.start(*command, env=common.next_mode(), stdout=subprocess.PIPE)
    common.end_of(process, " ".join(map(os.path.basename, map(str, command))), 5 * common.DEADLINE + CHILDREN)
    return int(process.stdout.read())


def in_each_mode(*command):
    return sum(output_of(*command) for _ in range(MODES))


def outlive(command, path, rng, environment):
    """A child lives on after its parent was killed at a random moment of its sets: the lock is free for others."""
    server = common.start(*command, "orphan", path, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    common.promise(server.stdout.readline() == b"lives\n", "the child did not start")
    time.sleep(rng.uniform(0, 0.005))  # any moment will do
    server.kill()
    server.wait()
    with flagstore.Store.file(path, lock_timeout=common.DEADLINE) as store:
        store.set("before", 1)  # LOCKED if the child keeps its parent's lock
    server.stdin.close()
    common.wait_until(lambda: is_ready(server.stdout), f"the orphan ends its calls, seed {SEED}")
    common.promise(server.stdout.read() == b"done\n", "the orphan failed")


def is_ready(stream):
    os.set_blocking(stream.fileno(), False)
    try:
        return stream.peek(5)
    finally:
        os.set_blocking(stream.fileno(), True)


def test(folder):
    commands = {
        "c": [common.compile_c(folder, "forks")],
        "ruby": ["ruby", os.path.join(common.HERE, "forks.rb"), "serve"],
        "python": [sys.executable, os.path.join(common.HERE, "forks.py"), "serve"],
    }
    children = sum(in_each_mode(*command, os.path.join(folder, name + ".json"), CHILDREN)
                   for name, command in commands.items())
    rng, path = random.Random(SEED), os.path.join(folder, "orphan.json")
    for _ in range(ORPHANS):
        environment = common.next_mode()
        for name in ["ruby", "python"]:
            outlive(commands[name][:-1], path, rng, environment)
    forks = in_each_mode(common.compile_c(folder, "fork_gates"), os.path.join(folder, "gates.json"), GATE_ROUNDS)
    left = [name for name in os.listdir(folder) if name.endswith(".tmp")]
    common.promise(len(left) <= 1, "left behind by killed parents:", left)
    common.row(15, f"{children} children and grandchildren of servers in C, Ruby and Python with stores in the "
                   f"{common.MODES}; {forks} forks at chosen moments and {2 * ORPHANS} at random ones whose parent was "
                   "killed", "0 hangs", "0 leaked locks")


if __name__ == "__main__":
    common.needs(15, "cc", "ruby", "setpriv")
    common.run(test)

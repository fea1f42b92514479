#!/usr/bin/env python3
"""Row 15: servers in C, Ruby and Python fork while their threads change the stores: no child hangs, no lock leaks."""
import os
import random
import subprocess
import sys
import time

import common
import flagstore

CHILDREN = common.size(20, 334)  # of each language, not counting their own
ORPHANS = common.size(3, 50)
GATE_ROUNDS = common.size(3, 40)
SEED = 15


def output_of(*command):
    process = common.start(*command, stdout=subprocess.PIPE)
    common.end_of(process, " ".join(map(os.path.basename, map(str, command))), 5 * common.DEADLINE + CHILDREN)
    return int(process.stdout.read())


def outlive(command, path, rng):
    """A child lives on after its parent was killed at a random moment of its sets: the lock is free for others."""
    server = common.start(*command, "orphan", path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    common.promise(server.stdout.readline() == b"lives\n", "the child did not start")
    time.sleep(rng.uniform(0, 0.005))  # any moment will do
    server.kill()
    server.wait()
    with flagstore.Store.file(path, lock_timeout_ms=common.DEADLINE * 1000) as store:
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
    children = sum(output_of(*command, os.path.join(folder, name + ".json"), CHILDREN)
                   for name, command in commands.items())
    rng, path = random.Random(SEED), os.path.join(folder, "orphan.json")
    for _ in range(ORPHANS):
        for name in ["ruby", "python"]:
            outlive(commands[name][:-1], path, rng)
    forks = output_of(common.compile_c(folder, "fork_gates"), os.path.join(folder, "gates.json"), GATE_ROUNDS)
    left = [name for name in os.listdir(folder) if name.endswith(".tmp")]
    common.promise(len(left) <= 1, "left behind by killed parents:", left)
    common.row(15, f"{children} children and grandchildren of servers in C, Ruby and Python; {forks} forks at chosen "
                   f"moments and {2 * ORPHANS} at random ones whose parent was killed", "0 hangs", "0 leaked locks")


if __name__ == "__main__":
    common.needs(15, "cc", "ruby", "setpriv")
    common.run(test)

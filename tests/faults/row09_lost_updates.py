#!/usr/bin/env python3
"""Row 9: C, Go, Ruby and Python processes, four threads each, change one file at once: no update is lost."""
import json
import os
import sys

import common
import flagstore

THREADS, OWN_KEYS, TURNS = 4, 3, 3


def worker_commands(folder):
    return {
        "c": [common.compile_c(folder, "worker")],
        "go": [common.compile_go(folder, "worker")],
        "ruby": ["ruby", os.path.join(common.HERE, "worker.rb")],
        "python": [sys.executable, os.path.join(common.HERE, "worker.py")],
    }


def count(commands, path, durability, sets):
    """How many sets were made; each worker has checked that none of its own was lost on the way."""
    turns = sets // (len(commands) * THREADS)
    workers = {name: common.start(*command, "count", path, name, THREADS, turns, durability, env=common.next_mode())
               for name, command in commands.items()}
    for name, worker in workers.items():
        common.end_of(worker, f"the {name} worker on {path}", seconds=common.DEADLINE + sets / 10)
    expected = {f"{name}.{thread}.{turn % OWN_KEYS}": turn for name in commands for thread in range(THREADS)
                for turn in range(turns - OWN_KEYS + 1, turns + 1)}
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    lost = {key: (value, found.get(key)) for key, value in expected.items() if found.get(key) != value}
    common.promise(found == expected, "lost, as {key: (set, found)}:", lost, "in", path)
    return turns * len(commands) * THREADS


def count_in_turns(commands, folder, name, durability, sets):
    """Each language gets each read mode, for there is one language more than modes."""
    return sum(count(commands, os.path.join(folder, f"{name}{turn}.json"), durability, sets // TURNS)
               for turn in range(TURNS))


def test(folder):
    commands = worker_commands(folder)
    unsynced = count_in_turns(commands, folder, "unsynced", flagstore.SYNC_NONE, common.size(4_000, 1_000_000))
    synced = count_in_turns(commands, folder, "synced", flagstore.SYNC_FULL, common.size(400, 20_000))
    litter = [name for name in os.listdir(folder) if name.endswith(".tmp")]
    common.promise(not litter, "left behind:", litter)
    common.row(9, f"C + Go + Ruby + Python, {THREADS} threads each, in each of the {common.MODES}: {unsynced} sets in "
                  f"SYNC_NONE, {synced} in SYNC_FULL",
               "0 lost updates")


if __name__ == "__main__":
    common.needs(9, "cc", "go", "ruby", "setpriv")
    common.run(test)

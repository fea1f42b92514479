#!/usr/bin/env python3
"""Row 11: git checkouts and install(1), which unlink the file, create it and write it, while processes read it: nobody
takes it for missing, for corrupt, or for what was in neither edition."""
import os
from collections import Counter

import common
from edits import Git, Worker, at_once, document, ended, readers, write
from file_systems import tmpfs

EDITS = common.size(60, 1000)  # of each
THREADS = 2
EDITIONS = [document(1, times=10), document(2, times=10_000)]  # 100 bytes, and 20 000


def check_outs(folder, path, now):
    """Switches between two branches again and again."""
    git = Git(folder, os.path.dirname(path))
    names = git.branches(os.path.basename(path), EDITIONS)

    def edit(number):
        git.run("checkout", "-q", names[number % 2], now=now)
    return edit


def installs(folder, path, now):
    made = os.path.join(folder, "made.json")
    write(path, EDITIONS[0])

    def edit(number):
        write(made, EDITIONS[number % 2])
        common.call(*now, "install", "-m", "644", made, path)
    return edit


def under_load(program, folder, tool):
    """While the tool makes all its edits: reads, changes that were seen, looks without the library, and wrong ones."""
    place = os.path.join(folder, tool.__name__)
    tree = os.path.join(place, "tree")
    os.makedirs(tree)
    path = os.path.join(tree, "flags.json")
    edit = tool(place, path, at_once())
    processes = readers(program, path, THREADS)
    naive = Worker("nice", program, "naive", path)
    with ended(naive, *processes) as numbers:
        for number in range(EDITS):
            edit(number)
            for process in processes:
                process.check()
    looks, *of_readers = numbers
    reads, changes, lowest, highest = zip(*of_readers)
    common.promise({*lowest, *highest} == {1, 2}, "foreign editions:", lowest, highest)
    return Counter(reads=sum(reads), changes=sum(changes), looks=looks[0], wrong=looks[1])


def test(folder):
    program = common.compile_c(folder, "edits_worker")
    # A busy disk would keep git waiting between its steps, for longer than anybody would wait for it.
    with tmpfs(os.path.join(folder, "memory")) as memory:
        seen = under_load(program, memory, check_outs) + under_load(program, memory, installs)
    common.row(11, f"{EDITS} git checkouts and {EDITS} installs, {seen['reads']} reads by processes of {THREADS} "
                   f"threads in the {common.MODES}, {seen['changes']} changes seen",
               "0 false-empty", "0 false-corrupt", "0 foreign documents",
               f"without the library {seen['wrong']} of {seen['looks']} wrong")


if __name__ == "__main__":
    common.needs(11, "cc", "git", "install", "chrt", "mount", "unshare", "setpriv")
    common.in_own_namespace(11)
    common.run(test)

#!/usr/bin/env python3
"""Row 10: processes read while others replace the file: every read is a whole known document."""
import os
import subprocess

import common
import flagstore

REPLACES = common.size(5_000, 1_000_000)
FILES = {"flags.json": "ab", "flags.json.json": "c"}  # the names that their writers set; neighbours with similar names
# For each file, one in each read mode; the writers go first, or readers that never wait would leave them no processor.
READERS = 3


def prepare(path, names):
    with flagstore.Store.file(path, durability=flagstore.SYNC_NONE) as store:
        store.set("steady", True)
        for name in names:
            store.set(name, {"fill": "", "turn": 0})


def reads_of(reader):
    reader.stdin.close()
    common.end_of(reader, "a reader")
    return int(reader.stdout.read())


def test(folder):
    program = common.compile_c(folder, "row10_replaces")
    os.mkdir(os.path.join(folder, "store"))
    readers, writers = [], []
    turns = REPLACES // sum(map(len, FILES.values()))
    for file, names in FILES.items():
        path = os.path.join(folder, "store", file)
        prepare(path, names)
        readers += [common.start("nice", program, "read", path, names, env=common.next_mode(),
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(READERS)]
        writers += [common.start(program, "write", path, name, turns) for name in names]
    common.wait_until(lambda: end_together(writers, readers), "all replaces", common.DEADLINE + REPLACES / 100)
    reads = sum(map(reads_of, readers))
    common.promise(reads > REPLACES / 100, "only", reads, "reads: this shows nothing")
    left = set(os.listdir(os.path.join(folder, "store"))) - set(FILES) - {f".{file}.lock" for file in FILES}
    common.promise(not left, "left behind:", left)
    common.row(10, f"{turns * len(writers)} replaces by {len(writers)} processes in SYNC_NONE, "
                   f"{reads} reads by {len(readers)} processes in the {common.MODES}",
               "0 torn", "0 foreign", "0 empty", "0 older")


def end_together(writers, readers):
    """Whether all writers have ended, and well; a reader that has found something ends the wait too."""
    for process in writers + readers:
        common.promise(process.poll() in (None, 0), "a process ended with", process.poll())
    return all(writer.poll() == 0 for writer in writers)


if __name__ == "__main__":
    common.needs(10, "cc", "setpriv")
    common.run(test)

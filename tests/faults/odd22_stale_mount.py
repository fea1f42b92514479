#!/usr/bin/env python3
"""Odd machines 22: a single file that is mounted into a container and replaced outside is the old one for ever. The log
warns of it, once, in every read mode, as soon as the mounted file has no name left; not before."""
import os

import common
from edits import write
from odd import MODES, each, tools
from system_calls import fresh_folder

READS = 20


def lines_of(reader, path, mode, wanted):
    process = common.start(reader, path, MODES[mode], READS, wanted, stdout=-1, stderr=-1, text=True)
    out, told = process.communicate(timeout=common.DEADLINE * 2)
    common.forget(process)
    common.promise(process.returncode == 0, "no warning:", told)
    failed, lines = map(int, out.split())
    common.promise(failed == 0, failed, "reads failed")
    return lines


def check(root, reader, mode):
    folder = fresh_folder(root)
    os.makedirs(os.path.join(folder, "mounted"))
    source, path = os.path.join(folder, "source.json"), os.path.join(folder, "mounted", "flags.json")
    for at in [source, path]:
        write(at, {"flag": 1})
    common.call("mount", "--bind", source, path)
    try:
        common.promise(lines_of(reader, path, mode, 0) == 0, mode, "warns of a file that is what it should be")
        write(source + "~", {"flag": 2})
        os.rename(source + "~", source)
        common.promise(os.stat(path).st_nlink == 0, "the mounted file still has a name")
        lines = lines_of(reader, path, mode, 1)
        common.promise(lines == 1, mode, "warns", lines, "times")
    finally:
        common.call("umount", path)


def test(root):
    [reader] = tools(root, "odd03_settle_once")
    each("odd22", "a mounted file that is replaced outside", [
        (mode, lambda mode=mode: check(root, reader, mode)) for mode in MODES])


if __name__ == "__main__":
    common.needs("odd22", "cc", "mount", "unshare")
    common.in_own_namespace("odd22")
    common.run(test)

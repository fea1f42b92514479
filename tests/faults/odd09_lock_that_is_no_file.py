#!/usr/bin/env python3
"""Odd machines 9: what stands in the lock file's place and is no regular file (anybody who may write the directory can
put a FIFO there) is an error that names it, for set, delete and the open of a missing file; no call waits for it."""
import os
import socket

import common
from odd import IO, House, each, tools


def fifo(house):
    os.mkfifo(house.lock)


def folder(house):
    os.mkdir(house.lock)


def link(house):
    os.symlink("elsewhere", house.lock)


def link_to_a_fifo(house):
    os.mkfifo(house.name("elsewhere"))
    os.symlink("elsewhere", house.lock)


def end_of_a_socket(house):
    with socket.socket(socket.AF_UNIX) as end:
        here = os.open(house.folder, os.O_PATH | os.O_DIRECTORY)
        end.bind(f"/proc/self/fd/{here}/{os.path.basename(house.lock)}")  # a path may be long, a socket's may not
        os.close(here)


def device(house):
    os.mknod(house.lock, 0o666 | 0o020000, os.makedev(1, 3))


def check(root, program, kind, call):
    house = House(root)
    if call != "open":
        house.file()
    kind(house)
    before = os.lstat(house.lock)
    outcome, lines = house.call(program, *call.split())
    common.promise(outcome.code == IO and os.path.basename(house.lock) in outcome.result, house, "says", outcome)
    after = os.lstat(house.lock)
    same = (before.st_mode, before.st_ino, before.st_uid) == (after.st_mode, after.st_ino, after.st_uid)
    common.promise(same, house, "the", kind.__name__, "was changed")
    common.promise(len(lines) == 1, house, "the log has", lines)
    names = set(os.listdir(house.folder)) - {"elsewhere"}
    common.promise(names == {".flags.json.lock"} | ({"flags.json"} if call != "open" else set()), house, "left", names)


def test(root):
    [program] = tools(root, "one_call")
    kinds = [fifo, folder, link, link_to_a_fifo, end_of_a_socket, *([device] if os.geteuid() == 0 else [])]
    each("odd9", "what is no regular file in the lock's place", [
        (f"{kind.__name__}, {call}", lambda kind=kind, call=call: check(root, program, kind, call))
        for kind in kinds for call in ["set flag 2", "delete flag", "open"]])


if __name__ == "__main__":
    common.needs("odd9", "cc")
    common.run(test)

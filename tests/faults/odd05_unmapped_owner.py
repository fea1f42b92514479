#!/usr/bin/env python3
"""Odd machines 5: in a user namespace an owner without a number there shows as 65534, which is a real user's number
there: a set never gives the file or its lock to that user, and never takes them from somebody without a line in the
log."""
import ctypes
import os

import common
from odd import House, as_user, each, need_root, tools
from scenarios import DOCUMENT

INSIDE_0 = 100000  # the host's number of the namespace's root
OVERFLOW = 65534
STRANGER = INSIDE_0 + OVERFLOW
ALICE = 1000  # has no number inside
CLONE_NEWUSER = 0x10000000


def inside(house, program, *words):
    """The outcome of one_call by root of a namespace of 65536 users; lines in its log."""
    libc = ctypes.CDLL(None, use_errno=True)
    ready_in, ready_out = os.pipe()
    mapped_in, mapped_out = os.pipe()
    output = house.name("output")
    child = os.fork()
    if child == 0:
        to = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(to, 1)
        os.dup2(to, 2)
        if libc.unshare(CLONE_NEWUSER) != 0:
            os._exit(77)
        os.write(ready_out, b"x")
        os.close(mapped_out)
        os.read(mapped_in, 1)
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        os.execve(program, [program, house.path, *words],
                  {"LD_LIBRARY_PATH": house.root, "FLAGSTORE_LOG": "warn", "PATH": os.environ["PATH"]})
    os.close(ready_out)
    if os.read(ready_in, 1) != b"x":
        os.waitpid(child, 0)
        common.skip("odd5", "there are no user namespaces to be had")
    for name in ["uid_map", "gid_map"]:
        with open(f"/proc/{child}/{name}", "w", encoding="ascii") as file:
            file.write(f"0 {INSIDE_0} 65536\n")
    os.close(mapped_out)
    _, status = os.waitpid(child, 0)
    with open(output, encoding="utf-8") as file:
        lines = file.read().splitlines()
    os.unlink(output)
    for fd in [ready_in, mapped_in]:
        os.close(fd)
    common.promise(status == 0, house, "inside it ended with", status, lines)
    answers = [line for line in lines if not line.startswith("flagstore: ")]
    return answers[-1], [line for line in lines if line.startswith("flagstore: ")]


def check(root, program, mode, owner, lock_first):
    house = House(root, mode=0o777, owner=(0, 0)).file(mode, owner)
    if lock_first:
        house.set(program, 1, **as_user(0, 0))
    answer, lines = inside(house, program, "set", "flag", "2")
    common.promise(answer.startswith("0 "), house, "the set says", answer, lines)
    house.holds({**DOCUMENT, "flag": 2})
    for path in [house.path, house.lock]:
        _, uid, gid = house.rights(path)
        common.promise(uid != STRANGER and gid != STRANGER, house, path, "belongs to the stranger now:", uid, gid)
    now = house.rights()
    common.promise(now[1:] == owner or lines, house, "owner", owner, "became", now[1:], "without a line in the log")
    common.promise(now[0] & ~mode == 0, house, f"mode {mode:o} became {now[0]:o}")


def test(root):
    [program] = tools(root, "one_call")
    cases = [(f"mode {mode:o}, owner {uid}:{gid}, {'lock file there' if lock_first else 'no lock file'}",
              lambda mode=mode, uid=uid, gid=gid, lock_first=lock_first: check(root, program, mode, (uid, gid), lock_first))
             for mode, uid, gid in [(0o640, ALICE, INSIDE_0), (0o660, ALICE, INSIDE_0), (0o644, ALICE, ALICE),
                                    (0o660, INSIDE_0, ALICE), (0o644, INSIDE_0, INSIDE_0)]
             for lock_first in [False, True]]
    each("odd5", "sets by the root of a user namespace", cases)


if __name__ == "__main__":
    need_root("odd5")
    common.run(test)

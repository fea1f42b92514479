#!/usr/bin/env python3
"""Odd machines 11: who may only read the flags cannot keep the lock, and so cannot block a change; who may change them
can. Tried with flock on everything in the folder that a reader may open, also the folder and the flags themselves."""
import fcntl
import os

import common
from odd import ALICE, BOB, STAFF, House, as_user, each, need_root, tools


def hold_all(house, uid, gid, groups):
    """A child of that user that has flock on what it can open; the end of a pipe that lets it go."""
    ready_in, ready_out = os.pipe()
    go_in, go_out = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(go_out)
        os.setgroups(groups)
        os.setgid(gid)
        os.setuid(uid)
        for name in [".", *os.listdir(house.folder)]:
            for flags in [os.O_RDONLY, os.O_RDWR]:
                try:
                    fd = os.open(house.name(name), flags | os.O_NONBLOCK)
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    continue
        os.write(ready_out, b"x")
        os.read(go_in, 1)
        os._exit(0)
    os.close(ready_out)
    os.close(go_in)
    common.promise(os.read(ready_in, 1) == b"x", "the reader has ended")
    os.close(ready_in)
    return child, go_out


def readers_cannot(root, program, folder_mode, folder_owner, mode, owner, umask):
    house = House(root, folder_mode, folder_owner).file(mode, owner)
    who = as_user(*folder_owner, umask=umask)
    house.set(program, 1, **who)
    house.set(program, 2, **who)
    for uid, gid, groups in [(BOB, BOB, []), (BOB, BOB, [STAFF])]:
        if groups and folder_mode & 0o020:
            continue  # the group may write, and so lock
        child, go = hold_all(house, uid, gid, groups)
        try:
            outcome, lines = house.call(program, "set", "flag", "3", **who)
        finally:
            os.close(go)
            os.waitpid(child, 0)
        common.promise(outcome.code == 0, house, f"user {uid} of {groups} blocks a set:", outcome, lines,
                       f"lock file {house.rights(house.lock)}")


def writers_can(root, program, folder_mode, folder_owner, who):
    house = House(root, folder_mode, folder_owner).file(0o664, folder_owner)
    house.set(program, 1, **as_user(0, 0, umask=0o077))
    house.set(program, 2, **who)
    house.set(program, 3, **as_user(0, 0))


def owner_can(root, program, umask):
    """The lock file is of a member of the folder's group; the folder's owner is not one."""
    house = House(root, 0o775, (ALICE, STAFF)).file(0o664, (ALICE, STAFF))
    house.set(program, 1, **as_user(BOB, BOB, STAFF, umask=umask))
    common.promise(house.rights(house.lock)[1] == BOB, house, "the lock file is not of its creator:",
                   house.rights(house.lock))
    os.chown(house.path, ALICE, STAFF)
    os.chmod(house.path, 0o664)
    house.set(program, 2, **as_user(ALICE, ALICE))
    house.set(program, 3, **as_user(BOB, BOB, STAFF))


def test(root):
    [program] = tools(root, "one_call")
    cases = [(f"folder {folder_mode:o} of {folder_owner}, file {mode:o}, umask {umask:o}",
              lambda case=(folder_mode, folder_owner, mode, owner, umask): readers_cannot(root, program, *case))
             for folder_mode, folder_owner in [(0o755, (0, 0)), (0o755, (ALICE, STAFF)), (0o775, (ALICE, STAFF))]
             for mode, owner in [(0o644, folder_owner), (0o640, (folder_owner[0], STAFF))] for umask in [0o022, 0o000]]
    cases += [(f"a writer of a folder {folder_mode:o} of {folder_owner}",
               lambda case=(folder_mode, folder_owner, who): writers_can(root, program, *case))
              for folder_mode, folder_owner, who in [
                  (0o775, (ALICE, STAFF), as_user(BOB, BOB, STAFF)), (0o2775, (0, STAFF), as_user(BOB, BOB, STAFF)),
                  (0o777, (0, 0), as_user(BOB, BOB)), (0o755, (ALICE, ALICE), as_user(ALICE, ALICE))]]
    cases += [(f"the owner of a folder of a group, umask {umask:o}", lambda umask=umask: owner_can(root, program, umask))
              for umask in [0o022, 0o077]]
    each("odd11", "who may only read beside who may change", cases)


if __name__ == "__main__":
    need_root("odd11")
    common.run(test)

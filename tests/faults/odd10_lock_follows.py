#!/usr/bin/env python3
"""Odd machines 10: nobody is shut out for good by the lock file of the first day. Whoever may change the flags may lock,
once its owner or root has made a change after the chmod, chown or access list; until then the error says whose the lock
file is. And one run with a strange umask shuts nobody out at all."""
import os

import common
from odd import ALICE, BOB, IO, STAFF, House, as_user, each, need_root, tools
from scenarios import GROUP_OBJ, MASK, OTHER, USER, USER_OBJ, ACL, ANYONE, access_list

ROOT, MEMBER, OWNER = as_user(0, 0), as_user(BOB, BOB, STAFF), as_user(ALICE, ALICE)


def turn_over(house, program, who, what):
    """The first set of `who` may be refused, with the owner's name and a way out; after one of root's it works."""
    outcome, lines = house.call(program, "set", "flag", "2", **who)
    if outcome.code != 0:
        named = any(name in outcome.result for name in ["root", "uid 0", "user 0"])
        told = outcome.code == IO and ".flags.json.lock" in outcome.result and named
        common.promise(told, house, what, "says neither whose the lock file is:", outcome, lines)
    house.set(program, 3, **ROOT)
    house.set(program, 4, **who)
    house.set(program, 5, **ROOT)


def created_by_root_then_chown(root, program):
    house = House(root, owner=(ALICE, ALICE))
    outcome, _ = house.call(program, "open", **as_user(0, 0, umask=0o077))
    common.promise(outcome.code == 0, house, outcome)
    house.file(0o600, (ALICE, ALICE))
    turn_over(house, program, OWNER, "chown")


def chown_of_folder_and_file(root, program):
    house = House(root, mode=0o700).file(0o600)
    house.set(program, 1, **ROOT)
    os.chown(house.folder, ALICE, ALICE)
    os.chown(house.path, ALICE, ALICE)
    turn_over(house, program, OWNER, "chown of all but the lock file")


def later_chmod(root, program):
    house = House(root, mode=0o700).file(0o600)
    house.set(program, 1, **ROOT)
    os.chown(house.folder, 0, STAFF)
    os.chmod(house.folder, 0o770)
    os.chown(house.path, 0, STAFF)
    os.chmod(house.path, 0o660)
    turn_over(house, program, MEMBER, "chmod and chgrp")


def later_access_list(root, program):
    house = House(root, mode=0o700).file(0o600)
    house.set(program, 1, **ROOT)
    for path, most in [(house.folder, 7), (house.path, 6)]:
        os.setxattr(path, ACL, access_list((USER_OBJ, most, ANYONE), (USER, most, ALICE), (GROUP_OBJ, 0, ANYONE),
                                           (MASK, most, ANYONE), (OTHER, 0, ANYONE)))
    turn_over(house, program, OWNER, "an access list")


def one_run_with_a_strange_umask(root, program, umask):
    house = House(root, owner=(ALICE, ALICE))
    outcome, lines = house.call(program, "open", **as_user(ALICE, ALICE, umask=umask))
    common.promise(outcome.code == 0, house, outcome, lines)
    os.chmod(house.path, 0o644)
    for _ in range(2):
        outcome, lines = house.call(program, "set", "flag", "2", **OWNER)
        common.promise(outcome.code == 0, house, f"after umask {umask:o} a set says", outcome, lines)


def of_a_folder_with_a_group(root, program, umask):
    """A folder that a group shares: whoever of it comes first, the others may lock."""
    house = House(root, mode=0o2775, owner=(0, STAFF))
    for number, who in enumerate([as_user(ALICE, ALICE, STAFF, umask=umask), MEMBER, ROOT, MEMBER]):
        outcome, lines = house.call(program, "set", "flag", str(number), **who)
        common.promise(outcome.code == 0, house, who, "says", outcome, lines)
        if number == 0:
            os.chmod(house.path, 0o664)


def test(root):
    [program] = tools(root, "one_call")
    cases = [(case.__name__, lambda case=case: case(root, program))
             for case in [created_by_root_then_chown, chown_of_folder_and_file, later_chmod, later_access_list]]
    cases += [(f"{case.__name__}, {umask:o}", lambda case=case, umask=umask: case(root, program, umask))
              for case in [one_run_with_a_strange_umask, of_a_folder_with_a_group] for umask in [0o777, 0o077, 0o022]
              # A file that such a umask creates, its owner cannot read.
              if (case, umask) != (of_a_folder_with_a_group, 0o777)]
    each("odd10", "permissions that change after the lock file was made", cases)


if __name__ == "__main__":
    need_root("odd10")
    common.run(test)

#!/usr/bin/env python3
"""Odd machines 13: what a stranger has left under the temporary file's name, and nobody else may remove (a killed
writer's in a sticky directory, a folder), does not stop a set, is left as it is, and brings no litter of ours."""
import os

import common
from odd import ALICE, BOB, House, as_user, each, need_root, tools

SETS = 3


def killed_writers(house):
    with open(house.temporary, "wb") as file:
        file.write(b'{"half":')
    os.chown(house.temporary, BOB, BOB)
    os.chmod(house.temporary, 0o600)


def folder(house):
    os.mkdir(house.temporary)
    os.chown(house.temporary, BOB, BOB)


def link(house):
    os.symlink("victim", house.temporary)
    os.chown(house.temporary, BOB, BOB, follow_symlinks=False)
    with open(house.name("victim"), "wb") as file:
        file.write(b"untouched")


def check(root, program, plant, mode, who, durability):
    house = House(root, mode, (ALICE, ALICE) if mode == 0o755 else (0, 0)).file(0o644, (who["user"], who["group"]))
    house.set(program, 1, f"-d{durability}", **who)
    plant(house)
    before = os.lstat(house.temporary)
    names = set(os.listdir(house.folder))
    for value in range(2, SETS + 2):
        house.set(program, value, f"-d{durability}", **who)
    if mode == 0o1777 or plant is folder:
        after = os.lstat(house.temporary)
        same = (before.st_ino, before.st_mode, before.st_uid, before.st_size) == (
            after.st_ino, after.st_mode, after.st_uid, after.st_size)
        common.promise(same, house, "the stranger's was touched")
    left = set(os.listdir(house.folder)) - names
    common.promise(not left, house, "left", left)
    if plant is link:
        with open(house.name("victim"), "rb") as file:
            common.promise(file.read() == b"untouched", house, "wrote through the link")


def test(root):
    [program] = tools(root, "one_call")
    each("odd13", f"{SETS} sets beside a stranger's temporary file", [
        (f"{plant.__name__}, folder {mode:o}, user {who['user']}, durability {durability}",
         lambda case=(plant, mode, who, durability): check(root, program, *case))
        for plant in [killed_writers, folder, link]
        for mode, who in [(0o1777, as_user(ALICE, ALICE)), (0o755, as_user(ALICE, ALICE)), (0o755, as_user(0, 0))]
        for durability in [0, 1]])


if __name__ == "__main__":
    need_root("odd13")
    common.run(test)

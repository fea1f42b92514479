#!/usr/bin/env python3
"""Odd machines 12: a hard link of a file of root's at the lock's name, there before or slipped in while the lock file is
made: the file that it leads to keeps its owner, mode and content. The set works or says what is in its way."""
import os
import subprocess

import common
from odd import ALICE, IO, House, each, need_root, tools
from scenarios import DOCUMENT

PROTECTED = "/proc/sys/fs/protected_hardlinks"  # stops others than root, which makes the links here


def check(root, program, when, owner, mode):
    house = House(root, 0o777).file(mode, owner)
    secret = house.name("secret")
    with open(secret, "wb") as file:
        file.write(b"of root")
    os.chmod(secret, 0o600)
    before = house.rights(secret)
    done = subprocess.run([program, house.path, secret, when], capture_output=True, text=True, check=False,
                          timeout=common.DEADLINE)
    common.promise(done.returncode == 0, house, done.stderr)
    code, _, message = done.stdout.split(" ", 2)
    common.promise(house.rights(secret) == before, house, "the secret's", before, "became", house.rights(secret))
    with open(secret, "rb") as file:
        common.promise(file.read() == b"of root", house, "the secret was written")
    if code == "0":
        house.holds({**DOCUMENT, "flag": 2})
    else:
        common.promise(code == str(IO) and ".flags.json.lock" in message, house, "says", done.stdout)
        house.holds(DOCUMENT)


def test(root):
    [program] = tools(root, "odd12_hard_link")
    each("odd12", "hard links at the lock's name", [
        (f"{when}, flags {mode:o} of {owner}", lambda case=(when, owner, mode): check(root, program, *case))
        for when in ["before", "between"] for owner, mode in [((65534, 65534), 0o644), ((ALICE, ALICE), 0o600), ((0, 0), 0o644)]])


if __name__ == "__main__":
    need_root("odd12")
    common.run(test)

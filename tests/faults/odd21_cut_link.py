#!/usr/bin/env python3
"""Odd machines 21: a set of a file that has a second name cuts the two apart, as every replacement does; the log says
so, once for each cut, with the path, and not where there is nothing to cut."""
import os

import common
from odd import House, each, tools
from scenarios import DOCUMENT


def check(root, program, names, durability):
    house = House(root).file()
    others = [house.name(f"other{number}.json") for number in range(names)]
    for other in others:
        os.link(house.path, other)
    lines = house.set(program, 2, f"-d{durability}")
    wanted = 1 if names else 0
    common.promise(len(lines) == wanted, house, "the log has", lines)
    common.promise(all(house.path in line and "link" in line for line in lines), house, "the log says", lines)
    common.promise(house.set(program, 3, f"-d{durability}") == [], house, "the log goes on")
    for other in others:
        with open(other, "rb") as file:
            common.promise(b'"flag": 1' in file.read(), house, other, "was changed")
    lines = house.set(program, 3, f"-d{durability}")
    common.promise(lines == [], house, "a set of the same cuts nothing, and says", lines)
    house.holds({**DOCUMENT, "flag": 3})


def unchanged(root, program):
    house = House(root).file()
    os.link(house.path, house.name("other.json"))
    lines = house.set(program, DOCUMENT["flag"])
    common.promise(lines == [], house, "nothing was cut, and the log says", lines)
    common.promise(os.stat(house.path).st_nlink == 2, house, "a set of the same cut the link")


def test(root):
    [program] = tools(root, "one_call")
    cases = [(f"{names} other names, durability {durability}",
              lambda case=(names, durability): check(root, program, *case)) for names in [0, 1, 2] for durability in [0, 1, 2]]
    each("odd21", "sets of files with several names", [*cases, ("nothing to change", lambda: unchanged(root, program))])


if __name__ == "__main__":
    common.needs("odd21", "cc")
    common.run(test)

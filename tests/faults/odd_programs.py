#!/usr/bin/env python3
"""The C programs among the tests of odd machines: tests/c/odd*.c whose first line is `/* run: odd */`, one row each."""
import glob
import os
import subprocess

import common

SECONDS = 1800


def names():
    for source in sorted(glob.glob(os.path.join(common.ROOT, "tests", "c", "odd*.c"))):
        with open(source, encoding="utf-8") as file:
            if file.readline() == "/* run: odd */\n":
                yield source


def test(folder):
    failed = []
    for source in names():
        name = os.path.basename(source)[:-2]
        program = os.path.join(folder, name)
        common.call("cc", "-std=c99", "-D_GNU_SOURCE", "-g", "-Wall", "-Wextra", "-Werror", f"-I{common.HEADERS}",
                    source, "-o", program, f"-L{common.LIBRARIES}", f"-Wl,-rpath,{common.LIBRARIES}", "-lflagstore",
                    "-lpthread")
        done = subprocess.run([program], stdout=subprocess.PIPE, text=True, check=False, timeout=SECONDS)
        *skipped, said = done.stdout.splitlines() or [""]
        common.note(*skipped)
        if done.returncode == 0:
            common.row(name.split("_")[0], name.split("_", 1)[1].replace("_", " "), said)
        else:
            failed.append(name)
    common.promise(not failed, "failed:", ", ".join(failed))


if __name__ == "__main__":
    common.needs("odd", "cc")
    common.run(test)

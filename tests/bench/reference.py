#!/usr/bin/env python3
"""What the benchmark takes for the reference implementation: every set loads the file, changes one flag, and replaces
the file. `reference.py FILE` reads numbers from its input; for each it makes so many sets and answers with a line."""

import json
import os
import sys


def set_flag(path, key, value):
    with open(path, encoding="utf-8") as file:
        flags = json.load(file)
    flags[key] = value
    temporary = path + ".py"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(flags, file, indent=2, sort_keys=True)
        file.write("\n")
    os.replace(temporary, path)


def main(path):
    with open(path, encoding="utf-8") as file:
        flags = json.load(file)
    booleans = [key for key, value in flags.items() if isinstance(value, bool)]
    turn = 0
    for line in sys.stdin:
        for _ in range(int(line)):
            key = booleans[turn * 7919 % len(booleans)]
            flags[key] = not flags[key]
            set_flag(path, key, flags[key])
            turn += 1
        print("done", flush=True)


main(sys.argv[1])

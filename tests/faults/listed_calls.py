#!/usr/bin/env python3
"""The table of system calls in examples-c/recipes.md names every call that strace sees in each use of a store, and puts
each where refused_calls.py has it: what the file itself needs, or what the library goes on without."""
import os
import re
import subprocess

import common
from refused_calls import LINE, NEEDED, OF_LIBC, OF_THE_PROCESS, OF_THE_TEST, SAYS_NO, TOGETHER

ROW = "listed"
TABLE = re.compile(r"^\| (\w+) \|.*\| ([^|]*) \| ([^|]*) \|$", re.MULTILINE)
# Of every process of the C library and of every thread, as the text above the table says.
OF_A_PROCESS = OF_THE_PROCESS | OF_LIBC | {"close", "munmap", "mprotect", "madvise", "rt_sigaction", "rt_sigprocmask"}
# Of the program here and of what stands in for the other writer.
OF_HERE = OF_THE_TEST - {"prctl"} | {"clock_nanosleep", "nanosleep"}


def table():
    with open(os.path.join(common.ROOT, "examples-c", "recipes.md"), encoding="utf-8") as document:
        text = document.read()
    section = text[text.index("\n## Sandboxes\n"):]
    return {use: [set(re.findall(r"`(\w+)`", cell)) for cell in cells]
            for use, *cells in TABLE.findall(section[:section.index("\n## ", 1)]) if use != "use"}


def made_calls(program, folder, use):
    path = os.path.join(folder, "flags.json")
    trace = os.path.join(folder, "trace")
    with open(path, "w", encoding="utf-8") as file:
        file.write("{}")
    running = subprocess.Popen(["strace", "-f", "-qq", "-o", trace, program, use], cwd=folder)
    for value in range(100):  # another writer, for as long as it runs
        if running.poll() is not None:
            break
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write('{"a": %d}' % value)
        os.rename(path + ".new", path)
        try:
            running.wait(0.02)
        except subprocess.TimeoutExpired:
            pass
    common.promise(running.wait(common.DEADLINE) == 0, use, "ended with", running.returncode)
    with open(trace, encoding="utf-8", errors="replace") as lines:
        names = [match.group(2) for match in map(LINE.match, lines) if match]
    begin, end = (index for index, name in enumerate(names) if name == "getppid")
    return set(names[begin:end]) - OF_A_PROCESS - OF_HERE


def test(folder):
    program = common.compile_c(folder, "listed_calls")
    rows = table()
    common.promise(list(rows) == ["FRESH", "CHECKED", "WATCHED", "wait", "watch", "change"], "rows:", *rows)
    for use, (needed, others) in rows.items():
        may_fail = NEEDED | SAYS_NO.get(use, set())
        common.promise(needed <= may_fail, use, "goes on without", *sorted(needed - may_fail))
        common.promise(not others & may_fail, use, "may fail without", *sorted(others & may_fail))
        named = needed | others
        for calls in TOGETHER.values():  # another kernel or C library may use another of them
            if named & set(calls):
                named = named | set(calls)
        unnamed = made_calls(program, folder, use) - named
        common.promise(not unnamed, use, "makes calls that the table lacks:", *sorted(unnamed))
    common.row(ROW, "the table of system calls in examples-c/recipes.md", f"{len(rows)} uses", "0 calls are missing")


if __name__ == "__main__":
    common.needs(ROW, "strace", "cc")
    common.run(test)

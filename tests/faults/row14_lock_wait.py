#!/usr/bin/env python3
"""Row 14: nobody waits for ever for a lock that others hold for 1 ms at a time; who waits for a stopped process gets
LOCKED after the timeout, has written nothing, and leaves no threads behind."""
import os
import subprocess

import common

PROCESSES = 4
SETS = common.size(250, 10_000)
ROUNDS = common.size(20, 500)


def output_of(program, *arguments):
    process = common.start(program, *arguments, stdout=subprocess.PIPE, text=True)
    common.end_of(process, " ".join(map(str, arguments)), seconds=common.DEADLINE + PROCESSES * SETS / 20)
    return process.stdout.read().split()


def test(folder):
    program = common.compile_c(folder, "row14_lock_wait")
    median, most, longest = map(float, output_of(program, "wait", os.path.join(folder, "busy.json"), PROCESSES, SETS))
    calls, overshoot, threads = output_of(program, "stopped", os.path.join(folder, "stopped.json"), ROUNDS)
    left = [name for name in os.listdir(folder) if name.endswith(".tmp")]
    common.promise(not left, "left behind:", left)
    common.row(14, f"{PROCESSES} processes x {SETS} sets that hold the lock 1 ms; {calls} calls of 4 threads against "
                   "a stopped holder", f"wait median {median} ms", f"99 % {most} ms", f"max {longest} ms",
               f"all LOCKED, at most {overshoot} ms late", f"{threads} waiting thread", "0 writes")


if __name__ == "__main__":
    common.needs(14, "cc", "setpriv")
    common.run(test)

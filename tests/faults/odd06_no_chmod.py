#!/usr/bin/env python3
"""Odd machines 6: where no mode can be changed (bindfs, DrvFs, CIFS, exFAT refuse fchmod) a set works, and does not take
a file from anybody, nor open it to anybody: its mode stays, or is narrower by the umask and the log says so."""
import errno

import common
from odd import House, each, need_root, tools
from refused_calls import TOGETHER, numbers
from scenarios import DOCUMENT


def check(root, programs, umask, mode, error):
    one_call, refuse = programs
    house = House(root)
    if mode is not None:
        house.file(mode)
    known = numbers()
    calls = [str(known[name]) for name in TOGETHER["any mode"] if name in known]
    lines = []
    for value in [2, 3]:
        outcome, more = house.call(one_call, "set", "flag", str(value), wrapper=[refuse, error, *calls, "--"],
                                   umask=umask)
        common.promise(outcome.code == 0, house, "says", outcome)
        lines += more
    house.holds({**DOCUMENT, "flag": 3} if mode is not None else {"flag": 3})
    wanted = mode if mode is not None else 0o666 & ~umask
    now = house.rights()[0]
    common.promise(now & ~wanted == 0, house, f"mode {wanted:o} was widened to {now:o}")
    common.promise(now == wanted or wanted & umask, house, f"mode {wanted:o} was narrowed to {now:o} by no umask")
    common.promise(now == wanted or lines, house, f"mode {wanted:o} was narrowed to {now:o} without a line in the log")
    common.promise(len(lines) <= 1, house, "the log says more than once", lines)


def test(root):
    programs = tools(root, "one_call", "refuse")
    cases = [(f"umask {umask:o}, mode {mode or 0:o}, {errno.errorcode[error]}",
              lambda umask=umask, mode=mode, error=error: check(root, programs, umask, mode, error))
             for umask, mode in [(0o022, None), (0o022, 0o644), (0o022, 0o600), (0o002, 0o664), (0o077, 0o644)]
             for error in [errno.EPERM, errno.ENOTSUP]]
    each("odd6", "two sets where fchmod is refused", cases)


if __name__ == "__main__":
    need_root("odd6")
    common.run(test)

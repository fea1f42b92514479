#!/usr/bin/env python3
"""The faults of one Redis, against clients in C and, where they are asked for, in other languages: matrix.py and its
table.py, rights.py, lost_answers.py. run.sh compiles the client in C and calls this."""
import argparse
import collections
import concurrent.futures
import sys
import tempfile
import threading

import lost_answers
import rights
import table
from clients import Languages, Lateness
from matrix import befall

ROWS_AT_ONCE = 4
SECONDS, FULL_SECONDS = 8, 120
FULL_ROUNDS = 5


class Worst:
    """The worst of each figure, and the row that it comes from."""

    def __init__(self):
        self.lock, self.figures = threading.Lock(), collections.defaultdict(lambda: (0.0, "none"))

    def note(self, figure, value, row):
        with self.lock:
            self.figures[figure] = max(self.figures[figure], (value, row))


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--worker", required=True, help="the compiled worker.c")
    options.add_argument("--languages", default="c", help="some of c,go,ruby,python")
    options.add_argument("--modes", default="fresh,checked,watched", help="some of fresh,checked,watched")
    options.add_argument("--full", action="store_true", help="more rounds")
    options.add_argument("--only", default="", help="rows whose name has this in it; or rights, or lost answers")
    options = options.parse_args()
    lateness, worst, failures = Lateness(), Worst(), []
    with tempfile.TemporaryDirectory(prefix="flagstore-faults.") as directory:
        languages = Languages(options.languages.split(","), options.modes.split(","), options.worker, directory)
        rows = [fault for fault in table.FAULTS if options.only in fault.name] * (FULL_ROUNDS if options.full else 1)
        at_once = max(1, ROWS_AT_ONCE // len(languages.names))  # they wait most of the time
        with concurrent.futures.ThreadPoolExecutor(max_workers=at_once) as pool:
            for failed in pool.map(lambda fault: befall(fault, languages, lateness, worst.note), rows):
                failures += [failed] if failed else []
        good = len(rows) - len(failures)
        print(f"faults: {len(rows)} rows in {options.languages}, {options.modes}: {good} as they should be; {lateness}")
        for figure, (value, row) in worst.figures.items():
            print(f"faults: {figure}: {value:.0f} ms at most ({row})")
        if options.only in "rights":
            failures += rights.check(languages, lateness, print)
        if options.only in "lost answers":
            failures += lost_answers.check(languages, lateness, FULL_SECONDS if options.full else SECONDS, print)
    for failure in failures:
        print("FAILED", failure, file=sys.stderr)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()

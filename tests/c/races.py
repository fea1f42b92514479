#!/usr/bin/env python3
"""The races in ThreadSanitizer's logs, apart from those it cannot judge: races.py libflagstore.so log...

Rust's standard library comes without instrumentation. So two kinds of order between threads are not seen: that by a
std Mutex or Condvar somebody had to wait for, and that by the fence with which the last owner of an Arc drops it.
The first kind guards the registry of the lock's queues (tests/model explores it instead), the second a thread's own
packet. The logs come without names, because ThreadSanitizer's way to names hangs in forked children.
"""
import re
import subprocess
import sys

UNSEEN = ["/src/file/turn.rs", "library/std/src/thread/"]


def reports(paths):
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as log:
            yield from (report for report in log.read().split("=" * 18 + "\n") if "WARNING: " in report)


def frames(library, text):
    """Function and place of every frame in the library, inlined ones included."""
    offsets = re.findall(r"\(libflagstore\.so[^+]*\+(0x[0-9a-f]+)\)", text)
    if not offsets:
        return ""
    command = ["addr2line", "-f", "-i", "-C", "-p", "-e", library, *offsets]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main():
    library, *paths = sys.argv[1:]
    real = 0
    unseen = 0
    for report in reports(paths):
        accesses = re.split(r"\n  (?:Location|Mutex|Thread|As if)", report)[0]
        named = frames(library, accesses)
        if any(place in named for place in UNSEEN):
            unseen += 1
            continue
        real += 1
        print(report + named, file=sys.stderr)
    print(f"races: {real}, and {unseen} reports on what is not instrumented")
    return real > 0


if __name__ == "__main__":
    sys.exit(main())

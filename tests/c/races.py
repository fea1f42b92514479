#!/usr/bin/env python3
"""The races in ThreadSanitizer's logs, apart from those it cannot judge: races.py libflagstore.so log...

Rust's standard library comes without instrumentation, and ThreadSanitizer knows no fences. So two kinds of order
between threads are not seen:
  - that by a std Mutex or Condvar somebody had to wait for. It guards the registry of the lock's queues (tests/model
    explores it instead) and what is handed on under its lock: a request, from the thread that waits with it to the
    leader that completes it, and back with the outcome. So a report on memory of the heap is not judged if one of the two threads
    was completing a group.
  - that by the fence with which the last owner of an Arc drops it, or takes out what is in it (cached files,
    flags, snapshots, texts, a thread's packet): uses by former owners before that are not judged. A use after it is.
The logs come without names, because ThreadSanitizer's way to names hangs in forked children.
"""
import re
import subprocess
import sys

UNSEEN = ["/src/file/write/queue.rs", "library/std/src/thread/"]
UNSEEN_ON_HEAP = ["flagstore::file::write::write_group", "flagstore::file::write::commit"]
LAST_OWNER = ["::drop_slow", ">>::into_inner"]


def reports(paths):
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as log:
            yield from (report for report in log.read().split("=" * 18 + "\n") if "WARNING: " in report)


def offsets(text):
    return re.findall(r"\(libflagstore\.so[^+]*\+(0x[0-9a-f]+)\)", text)


def names(library, reports_):
    """Function and place of every frame in the library, inlined ones included, by its offset."""
    wanted = sorted({offset for report in reports_ for offset in offsets(report)})
    if not wanted:
        return {}
    command = ["addr2line", "-a", "-f", "-i", "-C", "-p", "-e", library, *wanted]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(zip(wanted, re.split(r"^0x[0-9a-f]+: ", text, flags=re.MULTILINE)[1:]))


def is_unseen(later, earlier, is_on_heap):
    """Whether the order of the two accesses is not to be seen."""
    both = later + earlier
    return any(place in both for place in UNSEEN) or is_on_heap and any(place in both for place in UNSEEN_ON_HEAP) or any(
        end in later for end in LAST_OWNER)


def main():
    library, *paths = sys.argv[1:]
    found = list(reports(paths))
    named_at = names(library, found)
    real = 0
    for report in found:
        accesses = re.split(r"\n  (?:Location|Mutex|Thread|As if)", report)[0]
        later, _, earlier = accesses.partition("\n\n")
        later, earlier = ("".join(named_at[offset] for offset in offsets(access)) for access in (later, earlier))
        if not is_unseen(later, earlier, "\n  Location is heap block" in report):
            real += 1
            print(report, later, earlier, sep="\n", file=sys.stderr)
    print(f"races: {real}, and {len(found) - real} reports on what is not instrumented")
    return real > 0


if __name__ == "__main__":
    sys.exit(main())

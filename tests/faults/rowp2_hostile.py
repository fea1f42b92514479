#!/usr/bin/env python3
"""Point 2: whatever the file holds or is, every call answers or says clearly why not, never hangs, and never takes more
memory than three times max_bytes. Quick: files of a few MB with max_bytes as large as they are; full: of 8 MiB, of
256 MiB (the default), 1 GiB, 10 million flags, a string of 200 MB."""
import errno
import os
import shutil
import threading

from common import DEADLINE, FULL, compile_c, needs, note, promise, row, run, size
from hostile_files import CORRUPT, VALID, padded, special_files, write
from system_calls import outcome_of

from flagstore import INVALID_JSON, IO
from flagstore import CORRUPT as CORRUPT_CODE

MIB = 1 << 20
DEFAULT_MAX = 256 * MIB
TIMES = 3
CODE = MIB  # of the library and the C library, that the call is the first to touch
PATIENCE = 10 * DEADLINE if FULL else DEADLINE
READS = ["get flag", "get_string flag", "get_type flag", "list_all", "len"]
CHANGES = ["set flag 2", "set new 1", "delete flag"]
TOO_LARGE, TOO_BUSY = (IO, errno.EFBIG), (IO, errno.EBUSY)
MISMATCH = (8, 0)  # get_string of what is no string


class Measured:
    """The worst of many calls, and those that took too much."""

    def __init__(self, program):
        self.program, self.calls, self.worst, self.excesses = program, 0, (0.0, ""), []

    def call(self, what, path, call, max_bytes, allowed, options=()):
        """One call, which must end with one of the `allowed` (code, errno)."""
        command = [self.program, "-r", "-d", "1", "-m", str(max_bytes), *options, path, *call.split()]
        outcome, _ = outcome_of(command, seconds=PATIENCE)
        self.calls += 1
        answered = not outcome.signal and (outcome.code, outcome.os_code) in allowed
        promise(answered, f"{call} of {what}:", outcome, command)
        times = max(0, outcome.grew - CODE) / max_bytes
        self.worst = max(self.worst, (times, f"{call.split()[0]} of {what}"))
        note(f"{times:.2f} x {max_bytes >> 10} KiB, code {outcome.code} errno {outcome.os_code}: {call} of {what}")
        if times > TIMES:
            self.excesses.append(f"{times:.2f} x max_bytes of {max_bytes >> 10} KiB: {call} of {what}")

    def figures(self):
        return [f"{self.calls} calls, none hangs", "at most {:.2f} x max_bytes ({})".format(*self.worst)]


def shapes(measured, folder, length, calls=None):
    """Files exactly as large as max_bytes allows."""
    original, path = os.path.join(folder, "original.json"), os.path.join(folder, "flags.json")
    for name, make in (VALID | CORRUPT).items():
        allowed = [(CORRUPT_CODE, 0)] if name in CORRUPT else [(0, 0), TOO_LARGE, MISMATCH]
        write(original, make(length))
        for call in calls or READS + CHANGES:
            shutil.copy(original, path)
            measured.call(name, path, call, length, allowed)
    os.remove(path)


def values(measured, folder, length):
    """Values that a caller gives, smaller and larger than max_bytes, into a file half as large."""
    path = os.path.join(folder, "flags.json")
    sizes = [("string", length // 2), ("string", length * 2), ("members", length // 24), ("members", length // 6)]
    for value in [f"@{kind}:{count}" for kind, count in sizes]:
        write(path, padded('{"flag":"', "x", '"}', length // 3))
        measured.call(f"a file of {length // 3} bytes", path, f"set flag {value}", length, [(0, 0), TOO_LARGE])
    write(path, ["{}"])
    for depth, allowed in [(127, (0, 0)), (128, (INVALID_JSON, 0)), (100_000, (INVALID_JSON, 0))]:
        measured.call("a small file", path, f"set flag @nested:{depth}", length, [allowed])
    os.remove(path)


def deep(measured, folder):
    path = os.path.join(folder, "deep.json")
    for shape in ["[", '{"a":']:
        write(path, ['{"flag":', shape * 100_000, "1", ("]" if shape == "[" else "}") * 100_000, "}"])
        for call in READS + CHANGES:
            measured.call("a file nested 100 000 levels", path, call, 4 * MIB, [(CORRUPT_CODE, 0)])
    os.remove(path)


def no_files(measured, folder):
    """Also where they take the file's place after it was opened."""
    refused = [(IO, number) for number in (errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.ENOTDIR, errno.ENXIO)]
    for call in ["open", *READS, *CHANGES]:
        os.mkdir(place := os.path.join(folder, "special"))
        for name, other in special_files(place):
            measured.call(name, other, call, MIB, refused)
            if call != "open":
                path = os.path.join(place, name, "flags.json")
                os.mkdir(os.path.dirname(path))
                measured.call(name + " put in its place", path, call, MIB, refused, ["-w", other])
        shutil.rmtree(place)


def keep_growing(path, stop, limit, filler):
    """Appends until the file has become too large, and begins anew."""
    while not stop.is_set():
        write(path + ".new", ['{"flag":1}'])
        os.replace(path + ".new", path)
        with open(path, "ab", buffering=0) as file:
            while file.tell() < limit and not stop.is_set():
                file.write(filler)


def growing(measured, folder, length):
    path = os.path.join(folder, "growing.json")
    for what, filler, also in [("spaces", b" " * 4096, (0, 0)), ("junk", b"x" * 4096, (CORRUPT_CODE, 0))]:
        write(path, ['{"flag":1}'])
        stop = threading.Event()
        thread = threading.Thread(target=keep_growing, args=(path, stop, 2 * length, filler), daemon=True)
        thread.start()
        try:
            for call in (READS + CHANGES) * size(2, 20):
                measured.call(f"a file that grows by {what}", path, call, length,
                              [(0, 0), also, MISMATCH, TOO_LARGE, TOO_BUSY])
        finally:
            stop.set()
            thread.join()


def large(measured, folder, total):
    """A file of `total` bytes, sparse and real, with max_bytes a quarter of it, and as large as it."""
    path = os.path.join(folder, "large.json")
    with open(path, "wb") as file:
        file.truncate(total)
    for call in READS + CHANGES:
        measured.call(f"a sparse file of {total >> 20} MiB", path, call, total // 4, [TOO_LARGE])
    measured.call(f"a sparse file of {total >> 20} MiB", path, "get flag", total, [(CORRUPT_CODE, 0)])
    write(path, VALID["one string"](total))
    for call in READS + CHANGES:
        measured.call(f"a real file of {total >> 20} MiB", path, call, total // 4, [TOO_LARGE])
    for call in ["get_type flag", "get flag", "list_all", "set new 1", "delete flag"]:
        measured.call(f"a real file of {total >> 20} MiB", path, call, total, [(0, 0), TOO_LARGE])
    os.remove(path)


def ten_million_flags(path):
    write(path, (f'{"," if number else "{"}"flag-{number:08}":{number % 10}' for number in range(10_000_000)))
    with open(path, "a", encoding="ascii") as file:
        file.write(',"flag":1}')


def at_full_size(measured, folder):
    original, path = os.path.join(folder, "original.json"), os.path.join(folder, "flags.json")
    ten_million_flags(original)
    for call in READS + CHANGES:
        shutil.copy(original, path)
        for max_bytes in [DEFAULT_MAX, os.path.getsize(path)] if call in READS else [DEFAULT_MAX]:
            measured.call("10 million flags", path, call, max_bytes, [(0, 0), TOO_LARGE, MISMATCH])
        write(path, VALID["one string"](200_000_000))
        measured.call("a string of 200 MB", path, call, DEFAULT_MAX, [(0, 0)])
    measured.call("a small file", path, "set flag @string:200000000", DEFAULT_MAX, [(0, 0)])
    measured.call("a string of 200 MB", path, "set flag @string:200000000", DEFAULT_MAX, [(0, 0)])
    os.remove(path)
    shapes(measured, folder, DEFAULT_MAX, ["get flag", "list_all", "set new 1"])


def test(folder):
    measured = Measured(compile_c(folder, "one_call"))
    no_files(measured, folder)
    deep(measured, folder)
    growing(measured, folder, MIB)
    for length in size([4 * MIB], [4 * MIB, 8 * MIB]):
        shapes(measured, folder, length)
        values(measured, folder, length)
    large(measured, folder, size(64 * MIB, 1024 * MIB))
    if FULL:
        at_full_size(measured, folder)
    excesses = measured.excesses
    promise(not excesses, len(excesses), "calls take too much memory:\n" + "\n".join(excesses))
    row("p2", f"hostile files: {len(VALID)} shapes as large as max_bytes, {len(CORRUPT)} corrupt ones, FIFO, devices, "
        "loops, growing, sparse, 100 000 levels", *measured.figures())


needs("p2", "cc")
run(test)

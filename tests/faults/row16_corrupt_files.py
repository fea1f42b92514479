#!/usr/bin/env python3
"""Row 16: of a file that is not one JSON object, every call says FLAGSTORE_CORRUPT with path, line and column, and none
changes a byte, the inode or a time stamp. Full: ten times the files, and every durability."""
import os
import random
import re
import time

from common import FULL, MODES, Violated, note, promise, row, run, size

import documents
import flagstore
import oracle
from flagstore import Store

SEED = 16
READ_MODES = [flagstore.READ_FRESH, flagstore.READ_CHECKED, flagstore.READ_WATCHED]
YOUNG = 0.1  # seconds: a younger file is looked at again before it is believed

BOM = b"\xef\xbb\xbf"
WRONG_ANYWHERE = [
    b"NaN", b"-Infinity", b"tru", b"01", b"1.", b"+1", b"'x'", b"/**/", b"\0", b"\x01", b"\x0c", b"\xff", b"\xc3", BOM,
    b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b'"\\ud800"', b'"\\x"',
]
WRONG_AROUND = [b"x", b",", b"{}", b"[]", b"\0", b"// end", b"\x1a", b"null", b'"more"', b"}", BOM, b"\xff\xfe"]
WRONG_ROOTS = [
    b"", b" ", b"\n", b"null", b"[]", b"1", b'"text"', b"true", b"[{}]", b"{", b"}", b"{]", b"<flags/>", b"flag: 1",
    b"{'flag':1}", b"{flag:1}", b'{"flag"}', b'{"flag":}', b'{"flag":1,}', b'{,"flag":1}', b'{"flag":1 "b":2}',
    BOM + b"{}", '{"flag":1}'.encode("utf-16"), '{"flag":1}'.encode("utf-32"), b"\0" * 4096, b"{}{}",
    b'{"flag":' + b"[" * 128 + b"]" * 128 + b"}", b'{"flag":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b"[" * 100_000, b'{"a":' * 100_000,
]


def broken_files(rng, count):
    """(bytes, (line, column) where it must be found or None): the wrong roots, then documents broken somewhere."""
    yield from ((data, None) for data in WRONG_ROOTS)
    while count > 0:
        data = documents.laid_out(rng, documents.random_document(rng, rng.randint(1, 5), depth=3)).encode()
        for broken, at in [truncated(rng, data), flipped(rng, data), spliced(rng, data), surrounded(rng, data)]:
            if not oracle.is_document(broken):
                yield broken, at and place(broken, at)
                count -= 1


def truncated(rng, data):
    """Found at its end, unless a character, a word or an escape was cut in two."""
    end = rng.randrange(1, len(data))
    cut = data[:end]
    return cut, end if is_utf8(cut) and not (cut[-1:].isalnum() or cut[-1:] == b"\\") else None


def flipped(rng, data):
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1:], None


def spliced(rng, data):
    at = rng.randrange(len(data))
    return data[:at] + rng.choice(WRONG_ANYWHERE) + data[at:], None


def surrounded(rng, data):
    """Text after the end is found where it begins."""
    after = rng.choice(WRONG_AROUND)
    broken = data.rstrip() + b"\n " + after
    return broken, len(broken) - len(after) if is_utf8(broken) else None


def is_utf8(data):
    return data.decode(errors="replace").encode() == data


def place(data, at):
    before = data[:at]
    return before.count(b"\n") + 1, len(before[before.rfind(b"\n") + 1:].decode()) + 1


CALLS = {
    "get": lambda store: store.get_json("flag"),
    "get of an absent key": lambda store: store.get_json("no such flag"),
    "get_bool": lambda store: store.get_bool("flag", True),
    "get_int64": lambda store: store.get_int64("flag", 1),
    "get_double": lambda store: store.get_double("flag", 1.0),
    "get_string": lambda store: store.get_string("flag", "fallback"),
    "get_type": lambda store: store.get_type("flag"),
    "list_all": lambda store: store.list_all_json(),
    "len": len,
    "set": lambda store: store.set_json("flag", "1"),
    "set_string": lambda store: store.set_string("flag", "text"),
    "set_bool": lambda store: store.set_bool("other", True),
    "delete": lambda store: store.delete("flag"),
    "delete of an absent key": lambda store: store.delete("no such flag"),
}


def state(path):
    with open(path, "rb") as file:
        data, stat = file.read(), os.fstat(file.fileno())
    return data, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_mode


def found_at(path, call, store, where):
    """The line and column of the error that the call must give."""
    try:
        answer = CALLS[call](store)
    except flagstore.FlagstoreError as error:
        promise(error.code == flagstore.CORRUPT and error.os_code == 0, where, error)
        match = re.match(re.escape(path) + r":(\d+):(\d+): corrupt: \S", error.message)
        promise(match, where, "the message names no place:", error.message)
        return int(match[1]), int(match[2])
    raise Violated(f"{where} answered {answer!r}")


def check_file(path, data, expected, durability):
    before = state(path)
    places = {}
    for mode in READ_MODES:
        with Store.file(path, read_mode=mode, durability=durability) as store:
            where = f"of {path}, {data[:80]!r}, read mode {mode}, seed {SEED}:"
            places |= {(call, mode): found_at(path, call, store, f"{call} {where}") for call in CALLS}
    promise(len(set(places.values())) == 1, path, "the calls do not agree where:", places)
    line, column = places["get", flagstore.READ_FRESH]
    lines = data.split(b"\n")
    promise(line <= len(lines) and column <= len(lines[line - 1]) + 1, path, "there is no place", (line, column))
    promise(expected in (None, (line, column)), path, "found at", (line, column), "not at", expected)
    promise(state(path) == before, path, "was touched")
    return expected is not None


def test(folder):
    rng = random.Random(SEED)
    files = []
    for number, (data, expected) in enumerate(broken_files(rng, size(600, 6000))):
        path = os.path.join(folder, f"{number}.json")
        with open(path, "wb") as file:
            file.write(data)
        files.append((path, data, expected))
    while time.time() - os.stat(files[-1][0]).st_ctime <= YOUNG:
        time.sleep(0.01)
    note(f"{len(files)} files, seed {SEED}")
    durabilities = [flagstore.SYNC_FULL, flagstore.SYNC_NONE, flagstore.SYNC_ORDERED] if FULL else [flagstore.SYNC_FULL]
    known = sum(check_file(*file, durability) for durability in durabilities for file in files) // len(durabilities)
    left = [name for name in os.listdir(folder) if name.endswith(".tmp")]
    promise(left == [], "temporary files are left:", left[:3])
    answers = len(files) * len(CALLS) * len(READ_MODES) * len(durabilities)
    row(16, f"{len(files)} corrupt files x {len(CALLS)} calls in the {MODES}",
        f"{answers} times CORRUPT with line and column (of {known} files known beforehand)", "0 files touched")


run(test)

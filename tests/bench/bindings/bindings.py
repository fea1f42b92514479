"""Row 14 in Python: get_bool of the package, and the same call made bare. Prints the ns of both for each round.

Usage: bindings.py FILE ROUNDS NANOSECONDS
"""
import ctypes
import json
import os
import random
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "..", "include", "python"))
sys.dont_write_bytecode = True
import flagstore  # noqa: E402

WARM_UP = 0.1  # seconds: a file that has just been written is cached a little later


def bare_call(path):
    library = ctypes.CDLL("libflagstore.so.0.2")
    library.flagstore_file_open_with.restype = ctypes.c_void_p
    library.flagstore_file_open_with.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p]
    options = struct.pack("QiiIiIIQ", 40, flagstore.READ_WATCHED, 0, 0, 0, 0, 0, 0)
    store = library.flagstore_file_open_with(path.encode(), options, None)
    get_bool = library.flagstore_get_bool
    get_bool.restype = ctypes.c_bool
    get_bool.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_bool, ctypes.c_void_p]

    def run(keys):
        for key in keys:
            get_bool(store, key.encode(), False, None)
    return run


def bindings_call(path):
    store = flagstore.Store.file(path, read_mode=flagstore.READ_WATCHED)

    def run(keys):
        for key in keys:
            store.get_bool(key, False)
    return run


def fastest(run, keys, seconds):
    end, best = time.perf_counter() + seconds, float("inf")
    while True:
        start = time.perf_counter()
        run(keys)
        now = time.perf_counter()
        best = min(best, now - start)
        if now >= end:
            return best / len(keys) * 1e9


def main(path, rounds, nanoseconds):
    with open(path, encoding="utf-8") as file:
        keys = [key for key, value in json.load(file).items() if isinstance(value, bool)]
    random.Random(14).shuffle(keys)
    runs = [bindings_call(path), bare_call(path)]
    for run in runs:
        fastest(run, keys, WARM_UP)
    for _ in range(int(rounds)):
        print(*[fastest(run, keys, int(nanoseconds) / 1e9) for run in runs])


main(*sys.argv[1:])

#!/usr/bin/env python3
"""Row 19: durable sets a second from one thread, eight threads and four processes, as ratios to overwriting a file
with the same bytes and fdatasync on the same file system; and the same of SQLite (WAL, synchronous=FULL). Nothing is
asserted of them: they are printed. On tmpfs, which has nothing to sync, they say what the library itself takes."""
import contextlib
import os
import sqlite3
import statistics
import threading
import time

import common
from file_systems import ON_DISK, on_disk, tmpfs
from power_disk import needs_power_disk

MS = common.size(60, 1000)  # each measurement
ROUNDS = common.size(5, 15)  # in turn, so that a busy moment is nobody's alone
THREADS, PROCESSES = 8, 4


def number_of(program, *arguments):
    process = common.start(program, *arguments, MS, stdout=-1, text=True)
    common.end_of(process, " ".join(map(str, arguments)), common.DEADLINE + MS / 100)
    common.forget(process)
    return float(process.stdout.read())


def sets(program, folder, processes, threads):
    return number_of(program, "sets", os.path.join(folder, "flags.json"), processes, threads)


def raw(program, folder):
    """With the bytes that a set writes."""
    bytes_of_set = os.path.getsize(os.path.join(folder, "flags.json"))
    return number_of(program, "raw", os.path.join(folder, "raw"), bytes_of_set)


def connect(path):
    database = sqlite3.connect(path, timeout=common.DEADLINE, isolation_level=None)
    database.execute("pragma journal_mode = wal")
    database.execute("pragma synchronous = full")
    return database


def sqlite(folder, threads):
    path = os.path.join(folder, "flags.sqlite")
    done, end = [0] * threads, time.monotonic() + MS / 1000
    with contextlib.closing(connect(path)) as database:
        database.execute("create table if not exists flags (name text primary key, value)")

    def replace(number):
        with contextlib.closing(connect(path)) as database:
            while time.monotonic() < end:
                database.execute("replace into flags values (?, ?)", (f"thread{number}", 1_000_000 + done[number]))
                done[number] += 1

    started, workers = time.monotonic(), [threading.Thread(target=replace, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(done) / (time.monotonic() - started)


def ratios(program, folder):
    """Of 1 thread, 8 threads, 4 processes, and of SQLite with 1 and 8 threads."""
    measured = [[] for _ in range(5)]
    sets(program, folder, PROCESSES, THREADS)  # all flags are there
    for _ in range(ROUNDS):
        base = raw(program, folder)
        found = [sets(program, folder, 1, 1), sets(program, folder, 1, THREADS), sets(program, folder, PROCESSES, 1),
                 sqlite(folder, 1), sqlite(folder, THREADS)]
        for list_of, number in zip(measured, found):
            list_of.append(number / base)
    return [f"{statistics.median(list_of):.2f}" for list_of in measured]


def figure(system, one, threads, processes, sqlite_one, sqlite_threads):
    return f"{system} {one} / {threads} / {processes} (SQLite {sqlite_one} / {sqlite_threads})"


def test(folder):
    program, figures = common.compile_c(folder, "row19_throughput"), []
    for system in ON_DISK:
        with on_disk(os.path.join(folder, system.name), system) as place:
            figures.append(figure(system.name, *ratios(program, place)))
    with tmpfs(os.path.join(folder, "tmpfs")) as place:
        figures.append(figure("tmpfs", *ratios(program, place)))
    common.row(19, f"durable sets of 1 thread / {THREADS} threads / {PROCESSES} processes, as ratios to fdatasync of "
                   f"the same bytes (SQLite WAL FULL with 1 / {THREADS} threads)", *figures)


if __name__ == "__main__":
    needs_power_disk(19, *ON_DISK)
    common.run(test)

#!/usr/bin/env python3
"""Odd machines 1: a file system whose clock is behind or ahead of this machine's (NFS, CIFS, 9p, virtiofs; here a FUSE
file system that shifts all times). Whatever the edit, no read is stale, falsely empty or falsely corrupt, in any read
mode; and a set beside a program that unlinks, waits 2 ms and creates leaves all flags of that program."""
import itertools
import os
import time
from collections import Counter

import common
import flagstore
from edits import Git, Sets, at_once, document, ended, read, readers, undisturbed, write
from file_systems import fuse, tmpfs
from power_disk import needs_power_disk
from row13_stale_reads import EDITS, KINDS, Counts, built, fill

ROW = "odd1"
SHIFTS_MS = [-200, 2000, -3_600_000, 0]
ROUNDS = common.size(40, 1000)  # of each way of editing under load
GAP = 0.002  # seconds
THREADS = 2
KEYS = {f"flag{number}": number for number in range(20)}


# ---- other programs' ways ----

def text_of(number):
    """Two editions of one size take turns, and of two sizes."""
    return document(2 + number % 8, times=[40, 400][number % 2])


def in_place(path, number):
    with undisturbed():
        write(path, text_of(number))


def slowly_in_place(path, number):
    with undisturbed():
        os.truncate(path, 0)
        time.sleep(GAP)
        write(path, text_of(number))


def created_anew(path, number):
    write(path + "~", text_of(number))
    with open(path + "~", "rb") as file:
        whole = file.read()
    with undisturbed():
        os.unlink(path)
        time.sleep(GAP)
        put_exclusively(path, whole)


def renamed(path, number):
    write(path + "~", text_of(number))
    os.rename(path + "~", path)


def put_exclusively(path, whole):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    with os.fdopen(fd, "wb") as file:
        file.write(whole)


def installed(now, made):
    def by_install(path, number):
        write(made, text_of(number))
        common.call(*now, "install", "-m", "644", made, path)
    return by_install


def checked_out(now, git, made):
    def by_checkout(path, number):
        write(made, text_of(number))
        git.check_out(now, made, os.path.basename(path))
    return by_checkout


def under_load(program, folder, tree):
    """Readers in all modes meet whole documents only; how many reads there were."""
    os.makedirs(tree)
    path = os.path.join(tree, "flags.json")
    write(path, document(1))
    now, made = at_once(), os.path.join(folder, "made.json")
    ways = [in_place, slowly_in_place, created_anew, renamed, installed(now, made),
            checked_out(now, Git(folder, tree), made)]
    with ended(*(processes := readers(program, path, THREADS))) as numbers:
        for number, way in itertools.product(range(ROUNDS), ways):
            way(path, number)
            for process in processes:
                process.check()
    return sum(reads for reads, *_ in numbers)


# ---- sets beside ----

def beside_sets(program, folder, tree):
    """Unlink, 2 ms, O_EXCL create of twenty flags, a set every millisecond: how often the other program was told that
    the file exists. Between a set's last look and its rename there is a moment that nobody can close: then the file
    holds what it held before, all of it."""
    os.makedirs(tree)
    path = os.path.join(tree, "flags.json")
    write(path, KEYS)
    with open(path, "rb") as file:
        whole = file.read()
    sets, told = Sets(program, path, folder, flagstore.SYNC_NONE, 1000), 0
    with ended(sets) as numbers:
        for number in range(ROUNDS):
            sets.wait_for_next()
            os.unlink(path)
            time.sleep(GAP)
            try:
                put_exclusively(path, whole)
            except FileExistsError:
                told += 1
            sets.wait_for_next()
            found = read(path)
            lost = KEYS.keys() - found.keys()
            common.promise(not lost, "round", number, "of", tree, ":", len(lost), "of", len(KEYS), "flags are lost, left",
                           found, "the other program was told that the file exists", told, "times")
    [(made, refused)] = numbers
    common.promise(refused == 0, refused, "of", made, "sets were refused")
    return told


# ---- all of it ----

def stale_reads(counts, violations, system, place):
    fill(place)
    try:
        counts.measure(system, place)
    except common.Violated as violated:
        violations.append(str(violated))


def test(folder):
    stale, worker = (common.compile_c(folder, name) for name in ["row13_stale_reads", "edits_worker"])
    counts, violations, reads, told = Counts(stale, list(built(folder))), [], Counter(), Counter()
    parts = [word.removeprefix("--part=") for word in os.sys.argv[1:] if word.startswith("--part=")]

    def judged(part, shift, count, test_part, *arguments):
        if parts and part not in parts:
            return
        try:
            count[shift] += test_part(*arguments)
        except common.Violated as violated:
            violations.append(f"{part}, shifted by {shift} ms: {violated}")
            common.note(violations[-1])

    for shift in SHIFTS_MS:
        with tmpfs(os.path.join(folder, f"memory{shift}")) as memory:
            shown, aside = (os.path.join(memory, name) for name in ["shown", "aside"])
            os.mkdir(shown)
            with fuse(os.path.join(folder, f"fuse{shift}"), shown, shift, at_once()) as place:
                for part in ["load", "sets"]:
                    os.makedirs(os.path.join(aside, part))
                judged("load", shift, reads, under_load, worker, os.path.join(aside, "load"), os.path.join(place, "load"))
                judged("sets", shift, told, beside_sets, worker, os.path.join(aside, "sets"), os.path.join(place, "sets"))
                if not parts or "stale" in parts:
                    stale_reads(counts, violations, f"shifted by {shift} ms", os.path.join(place, "stale"))
    common.promise(not violations, "; ".join(violations))
    common.row(ROW, f"clocks {', '.join(f'{shift} ms' for shift in SHIFTS_MS)} away, {sum(reads.values())} reads under "
                    f"{ROUNDS} rounds of edits, {EDITS} edits x {len(KINDS)} kinds", *counts.figures(),
               "0 falsely empty, 0 falsely corrupt, 0 flags lost",
               f"{sum(told.values())} of {ROUNDS * len(SHIFTS_MS)} creates beside sets told that the file exists")


if __name__ == "__main__":
    common.needs(ROW, "git", "install", "chrt")
    needs_power_disk(ROW)
    common.run(test)

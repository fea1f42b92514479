#!/usr/bin/env python3
"""Rows 4 and 18: writers killed with -9 at random moments: no acknowledged set is lost, nothing is torn, the next
set works, and what is left behind is one lock file and at most one temporary file."""
import json
import os
import random
import time

import common
import flagstore

KILLS = common.size(300, 10_000)
WRITERS, THREADS, SEED = 3, 2, 4


class Writer:
    """row04_writer on keys of its own."""

    def __init__(self, program, path, name, durability):
        self.name = name
        self.process = common.start(program, path, name, durability, stdout=-1, bufsize=0)
        self.lines = self.process.stdout.readline()
        common.promise(self.lines, name, "ended by itself")

    def kill(self):
        """The last number acknowledged by each thread."""
        self.process.kill()
        lines = self.lines + self.process.stdout.read()
        self.process.stdout.close()
        status = self.process.wait()
        common.promise(status == -9, self.name, "had ended by itself with", status)
        common.forget(self.process)
        return dict(map(int, line.split()) for line in lines.decode("ascii").splitlines())


class Crashes:
    def __init__(self, folder):
        self.program = common.compile_c(folder, "row04_writer")
        self.folder = os.path.join(folder, "store")
        os.mkdir(self.folder)
        self.path = os.path.join(self.folder, "flags.json")
        self.store = flagstore.Store.file(self.path, lock_timeout=common.DEADLINE,
                                          durability=flagstore.SYNC_NONE)
        self.random = random.Random(SEED)
        self.known = {}
        self.temporaries = 0

    def start(self, number):
        return Writer(self.program, self.path, f"writer{number}", self.random.randrange(3))

    def check(self, writer, acknowledged):
        """What the dead writer acknowledged is there, or one set more, and whole."""
        for thread in range(THREADS):
            key = f"{writer.name}.{thread}"
            last = acknowledged.get(thread, self.known.get(key, 0))
            value = self.store.get(key) or {"fill": "", "number": 0}
            number = value["number"]
            common.promise(number in (last, last + 1), f"{key} was acknowledged as {last}, found {number}; seed {SEED}")
            common.promise(value["fill"] == "z" * (number * 37 % 3000), f"{key} is torn: {value}; seed {SEED}")
            self.known[key] = number

    def check_file(self):
        """As a reader without the library sees it."""
        with open(self.path, "rb") as file:
            data = file.read()
        try:
            document = json.loads(data)
        except ValueError as error:
            raise common.Violated(f"torn: {error} in {data}") from None
        expected = json.dumps(document, indent=2, sort_keys=True).encode("ascii") + b"\n"
        common.promise(data == expected, "not as written:", data)

    def leftovers(self):
        return sorted(set(os.listdir(self.folder)) - {"flags.json"})

    def run(self):
        writers = [self.start(number) for number in range(WRITERS)]
        for turn in range(KILLS):
            time.sleep(self.random.uniform(0, 0.006))  # any moment will do
            victim = turn % WRITERS
            acknowledged = writers[victim].kill()
            self.check(writers[victim], acknowledged)
            self.check_file()
            self.store.set("next", turn)
            common.promise(self.store.get("next") == turn, "the next set is not there, turn", turn)
            if turn % 10 == 0:  # nobody is left to clean up after the dead
                for writer in writers[:victim] + writers[victim + 1:]:
                    self.check(writer, writer.kill())
                left = self.leftovers()
                common.promise(set(left) <= {".flags.json.lock", ".flags.json.tmp"}, "left behind:", left)
                self.temporaries += ".flags.json.tmp" in left
                self.check_file()
                self.store.set("alone", turn)
                common.promise(self.leftovers() == [".flags.json.lock"], "left behind:", self.leftovers())
                writers = [self.start(number) for number in range(WRITERS)]
            else:
                writers[victim] = self.start(victim)
        for writer in writers:
            self.check(writer, writer.kill())
        return KILLS + (KILLS + 9) // 10 * (WRITERS - 1) + WRITERS


def test(folder):
    crashes = Crashes(folder)
    kills = crashes.run()
    sets = sum(crashes.known.values())
    common.row(4, f"{kills} random kill -9 of {WRITERS} writers with {THREADS} threads, every durability, {sets} sets",
               "0 lost", "0 torn", "the next set worked")
    common.row(18, f"the same {kills} crashes", f"at most 1 temporary file ({crashes.temporaries} times), 1 lock file",
               "0 after the next set")


if __name__ == "__main__":
    common.needs([4, 18], "cc", "setpriv")
    common.run(test)

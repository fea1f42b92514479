#!/usr/bin/env python3
"""Row 20: C, Go, Ruby and Python processes read and write one file while they are killed, people and deploys replace
the file, and its disk fills up. Each worker checks what it reads and sets (worker.c says how) and ends on a violation."""
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import time

import common
import flagstore
from row09_lost_updates import worker_commands

SECONDS = common.size(20, 1800)
DISK = "1m"
SEED = 20
COUNTERS = ["c", "go", "python", "ruby"]


class Editors:
    """Those who change the file without the library, each edit under a number of its own. Each way of writing has its
    moment in which the file is missing or short; a real-time priority keeps that to what the system calls take."""

    def __init__(self, folder, path):
        self.path, self.editions = path, itertools.count(1)
        self.made = os.path.join(folder, "made")
        self.git = ["git", "--git-dir", os.path.join(folder, "git"), "--work-tree", os.path.dirname(path),
                    "-c", "user.name=deploy", "-c", "user.email=deploy@localhost", "-c", "gc.auto=0"]
        common.call(*self.git, "init", "-q")
        self.ways = [self.rename, self.install, self.checkout]
        at_once = ["chrt", "--fifo", "1"]
        allowed = subprocess.run([*at_once, "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0
        self.at_once = at_once if allowed else []

    def edit(self, rng):
        with open(self.path, encoding="utf-8") as file:
            document = json.load(file)
        edition = next(self.editions)
        document |= {"edition": edition, "payload": f"{edition}." * (edition % 50 + 1)}
        with open(self.made, "w", encoding="ascii") as file:
            json.dump(document, file, indent=rng.choice([None, 2, 4]))
        return rng.choice(self.ways)()

    def rename(self):
        beside = self.path + "~"
        shutil.copy(self.made, beside)
        os.replace(beside, self.path)
        return True

    def install(self):
        return self.succeeds("install", "-m", "644", self.made, self.path)

    def checkout(self):
        blob = subprocess.check_output([*self.git, "hash-object", "-w", self.made], text=True).strip()
        common.call(*self.git, "update-index", "--add", "--cacheinfo", f"100644,{blob},{os.path.basename(self.path)}")
        return self.succeeds(*self.git, "checkout-index", "-f", os.path.basename(self.path))

    def succeeds(self, *command):
        """Tools that unlink and create fail where a set brings the file back in between."""
        return subprocess.run([*self.at_once, *command], stderr=subprocess.DEVNULL, check=False).returncode == 0


class Soak:
    def __init__(self, folder, disk):
        self.folder, self.disk = folder, disk
        self.path = os.path.join(disk, "flags.json")
        self.commands = worker_commands(folder)
        with flagstore.Store.file(self.path) as store:
            for key, value in {**dict.fromkeys(COUNTERS, 0), "edition": 0, "payload": "0."}.items():
                store.set(key, value)
        self.editors = Editors(folder, self.path)
        self.random = random.Random(SEED)
        self.workers, self.happened = {}, dict.fromkeys(["kills", "edits", "full disks"], 0)
        self.acknowledged = open(os.path.join(folder, "acknowledged"), "ab", buffering=0)
        for name in self.commands:
            self.start(name)

    def start(self, name):
        self.workers[name] = common.start(*self.commands[name], "soak", self.path, name, self.random.randrange(3),
                                          env=common.next_mode(), stdout=self.acknowledged)

    def kill(self):
        name = self.random.choice(COUNTERS)
        self.stop(name)
        self.start(name)
        self.happened["kills"] += 1

    def stop(self, name):
        worker = self.workers.pop(name)
        worker.kill()
        common.promise(worker.wait() == -9, f"the {name} worker ended by itself with {worker.returncode}; seed {SEED}")
        common.forget(worker)

    def edit(self):
        # Each try is an edit of its own: one that failed may have written what it was to write.
        common.wait_until(lambda: self.editors.edit(self.random), "an edit")
        self.happened["edits"] += 1

    def fill(self):
        """Leaves no byte on the disk for a moment."""
        filler = os.path.join(self.disk, "filler")
        try:
            with open(filler, "wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
        except OSError:
            time.sleep(self.random.uniform(0, 0.1))
        finally:
            os.remove(filler)
        self.happened["full disks"] += 1

    def run(self):
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            self.random.choices([self.kill, self.edit, self.fill], [4, 4, 1])[0]()
            time.sleep(self.random.uniform(0, 0.2))  # the workers work
            for name, worker in self.workers.items():
                common.promise(worker.poll() is None, f"the {name} worker ended with {worker.returncode}; seed {SEED}")
            common.promise(set(os.listdir(self.disk)) <= {"flags.json", ".flags.json.lock", ".flags.json.tmp"},
                           "litter:", os.listdir(self.disk))
        for name in COUNTERS:
            self.check_progress(name)
            self.stop(name)

    def check_progress(self, name):
        """After all that has happened each worker still gets its sets through."""
        with flagstore.Store.file(self.path) as store:
            before = store.get_int64(name)
            common.wait_until(lambda: store.get_int64(name) > before, f"the {name} worker sets")

    def finish(self):
        with flagstore.Store.file(self.path) as store:
            store.set("end", True)
            store.delete("end")
            document = store.list_all()
        with open(self.path, "rb") as file:
            common.promise(file.read() == json.dumps(document, indent=2, sort_keys=True).encode() + b"\n", "not as written")
        common.promise(sorted(os.listdir(self.disk)) == [".flags.json.lock", "flags.json"], os.listdir(self.disk))
        self.acknowledged.close()
        return os.path.getsize(os.path.join(self.folder, "acknowledged"))


def test(folder):
    disk = os.path.join(folder, "disk")
    os.mkdir(disk)
    common.call("mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", disk)
    try:
        soak = Soak(folder, disk)
        soak.run()
        sets = soak.finish()
    finally:
        common.end_all()
        shutil.copytree(disk, os.path.join(folder, "disk-at-the-end"))
        common.call("umount", disk)
    what = ", ".join(f"{count} {name}" for name, count in soak.happened.items())
    common.row(20, f"soak of {SECONDS} s: C, Go, Ruby and Python in the {common.MODES}, {sets} sets, {what}",
               "0 broken invariants")


if __name__ == "__main__":
    common.needs(20, "cc", "go", "ruby", "git", "install", "mount", "unshare", "chrt", "setpriv")
    common.in_own_namespace(20)
    common.run(test)

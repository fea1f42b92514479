"""Several processes on one file: no update lost, nothing half-written seen, kills survived, locks respected."""
import json
import os
import random
import signal
import subprocess
import sys
import threading

import flagstore
import oracle
from stores import WORKER, FolderCase

PROCESSES, THREADS, TURNS = 4, 4, 30
KILLS, SEED = 24, 99


class WorkerCase(FolderCase):
    def start(self, role, *arguments):
        """worker.py in that role, killed at the end of the test at the latest."""
        process = subprocess.Popen([sys.executable, WORKER, role, *map(str, arguments)], stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def kill(self, process):
        """All that it had printed."""
        process.send_signal(signal.SIGKILL)
        return process.stdout.read()

    def read_whole(self):
        """The document as a reader without the library sees it, which must be a whole one."""
        data = self.read()
        document = json.loads(data)
        self.assertEqual(data, oracle.file_bytes(document))
        return document


class Processes(WorkerCase):
    def test_processes_and_threads_lose_no_update_and_readers_see_whole_documents(self):
        store = self.open()
        writers = [self.start("update", self.path, name, THREADS, TURNS) for name in range(PROCESSES)]
        reads, largest = 0, {}
        while any(writer.poll() is None for writer in writers):
            for document in [self.read_whole(), store.list_all()]:
                turns = {key: value["turn"] for key, value in document.items()}
                backwards = {key: turn for key, turn in turns.items() if turn < largest.get(key, 0)}
                self.assertEqual(backwards, {}, "an older state came back")
                largest.update(turns)
                reads += 1
        expected = {}
        for writer in writers:
            expected.update(json.loads(writer.stdout.read()))
            self.assertEqual(writer.wait(), 0)
        self.assertEqual(len(expected), PROCESSES * THREADS * 7)
        self.assertGreater(reads, 10)
        self.assertEqual(self.read_whole(), expected)
        self.assertEqual(sorted(os.listdir(self.folder)), [".flags.json.lock", "flags.json"])

    def test_a_killed_writer_leaves_old_or_new_and_the_next_set_works(self):
        rng = random.Random(SEED)
        store = self.open()
        store.set("number", 0)
        number, leftovers = 0, 0
        for turn in range(KILLS):
            durability = [flagstore.SYNC_NONE, flagstore.SYNC_FULL][turn % 2]
            writer = self.start("churn", self.path, durability, number + 1)
            lines = [writer.stdout.readline() for _ in range(rng.randint(1, 15))]
            self.assertTrue(lines[-1], "the writer ended by itself")
            lines += self.kill(writer).splitlines()
            number = self.check_after_kill(store, int(lines[-1]))
            files = set(os.listdir(self.folder))
            leftovers += ".flags.json.tmp" in files
            self.assertLessEqual(files, {"flags.json", ".flags.json.lock", ".flags.json.tmp"})
            store.set("parent", turn)
            self.assertEqual(self.read_whole()["parent"], turn)
            self.assertEqual(sorted(os.listdir(self.folder)), [".flags.json.lock", "flags.json"])
        print(f"\n{KILLS} writers killed, {leftovers} left a temporary file, seed {SEED}")

    def check_after_kill(self, store, acknowledged):
        """The file's number, which is the last acknowledged one or one more."""
        document = self.read_whole()
        self.assertTrue(oracle.same(document, store.list_all()))
        number, churned = document["number"], document["churned"]
        self.assertIn(number, [acknowledged, acknowledged + 1])
        self.assertIn(churned, [[it] * (it % 1000) for it in [number, number + 1]])
        return number


class Locks(WorkerCase):
    def setUp(self):
        super().setUp()
        self.open().set("key", "old")
        self.holder = self.start("hold", os.path.join(self.folder, ".flags.json.lock"))
        self.assertEqual(self.holder.stdout.readline(), b"held\n")

    def test_a_held_lock_is_reported_after_the_timeout_and_nothing_is_written(self):
        store, before = self.open(lock_timeout=0.08), self.read()
        for change in [lambda: store.set("key", "new"), lambda: store.delete("key"),
                       lambda: store.set_bool("new", True)]:
            with self.fails(flagstore.LOCKED):
                change()
        self.assertEqual((self.read(), store.get("key")), (before, "old"))  # readers take no lock
        self.kill(self.holder)
        self.holder.wait()
        store.set("key", "new")
        self.assertEqual(store.get("key"), "new")

    def test_a_waiting_set_goes_on_when_the_lock_is_free(self):
        stores = [self.open(lock_timeout=limit) for limit in [None, 60]]
        threads = [threading.Thread(target=store.set, args=("key", "new"), daemon=True) for store in stores]
        for thread in threads:
            thread.start()
        threads[0].join(0.2)
        self.assertEqual([thread.is_alive() for thread in threads], [True, True])
        self.assertEqual(self.read_whole(), {"key": "old"})
        self.kill(self.holder)
        for thread in threads:
            thread.join(20)
        self.assertEqual([thread.is_alive() for thread in threads], [False, False])
        self.assertEqual(self.read_whole(), {"key": "new"})

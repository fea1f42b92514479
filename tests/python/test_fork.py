"""A process that forks while its threads write: the children use the store they inherited, and none hangs."""
import os
import signal
import subprocess
import sys
import threading
import time

import forks
import oracle
from stores import WORKER, FolderCase, on_every_kind

FORKS, WRITERS = 30, 3
FIRST_USES = {"open": 100, "change": 300}  # how often each is tried: the moment is short


class Fork:
    def setUp(self):
        super().setUp()
        self.stop = threading.Event()
        self.failures = []
        self.writers = [threading.Thread(target=self.write_all_the_time, args=[f"thread {number}"], daemon=True)
                        for number in range(WRITERS)]
        for writer in self.writers:
            writer.start()
        self.addCleanup(self.stop_writers)
        self.wait_until(lambda: len(self.store) == WRITERS, "every thread writes")

    def write_all_the_time(self, key):
        number = 0
        try:
            while not self.stop.is_set():
                number += 1
                self.store.set(key, number)
                if self.store.get(key) != number:
                    raise AssertionError(f"{key}: set {number}, then read something else")
        except BaseException as failure:
            self.failures.append(failure)

    def stop_writers(self):
        self.stop.set()
        for writer in self.writers:
            writer.join(20)
        self.assertEqual([writer for writer in self.writers if writer.is_alive()], [])

    def test_children_use_the_store_while_the_parent_writes(self):
        def child():
            self.store.set(own, number)
            assert self.store.get_int64(own) == number
            assert self.store.get_json("absent") is None
            assert self.store.delete(own)
            self.store.set(own, -number)
            everything = self.store.list_all()
            assert everything[own] == -number, everything
            assert len(self.store) >= 1
            self.store.close()
        for number in range(FORKS):
            own = f"child {number}"
            self.assertEqual(forks.exit_code(forks.in_child(child)), 0, own)
        self.stop_writers()
        self.assertEqual(self.failures, [])
        self.assertEqual(set(self.store.list_all()), self.keys_of_all())

    def keys_of_all(self):
        """A file or a Redis is shared with the children; a memory store is each process's own."""
        keys = {f"thread {number}" for number in range(WRITERS)}
        if "Redis" in type(self).__name__:
            keys |= {f"child {number}" for number in range(FORKS)}
        if os.path.exists(self.path):
            with open(self.path, "rb") as file:
                self.assertEqual(file.read(), oracle.file_bytes(self.store.list_all()))
            keys |= {f"child {number}" for number in range(FORKS)}
        return keys

    def test_a_child_killed_at_once_leaves_no_lock(self):
        def child():
            while True:
                self.store.set("child", 1)
                self.store.delete("child")
        for number in range(10):
            pid = forks.in_child(child)
            time.sleep(0.001 * number)  # any moment will do
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            self.store.set("parent", number)
        self.stop_writers()
        self.assertEqual((self.failures, self.store.get("parent")), ([], 9))


on_every_kind(Fork, but=["Remote"])  # whose children are a test of test_remote.py


class FirstUse(FolderCase):
    """What a library sets up once is half set up then. Needs fresh processes: forks of one that used nothing yet."""

    def check(self, first_use):
        self.write(b"{}\n")
        done = subprocess.run([sys.executable, WORKER, "fork_early", self.path, first_use, str(FIRST_USES[first_use])],
                              capture_output=True, text=True, timeout=300)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_a_fork_during_the_first_open_does_no_harm(self):
        self.check("open")

    def test_a_fork_during_the_first_change_does_no_harm(self):
        self.check("change")

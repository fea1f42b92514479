"""Ctrl-C: it interrupts what waits, it never makes a call answer wrongly, and what was interrupted changed nothing."""
import os
import signal
import time

import flagstore
import scripts
from test_processes import WorkerCase

# It says that it is about to wait, and then whether it was interrupted.
WAIT = """
    import sys
    import flagstore
    store = flagstore.Store.file(sys.argv[1], lock_timeout=float(sys.argv[3]))
    batch = flagstore.Batch()
    batch.set("key", "new")
    call = eval("lambda: " + sys.argv[2])
    try:
        print("waits", flush=True)
        call()
        print("returned")
    except KeyboardInterrupt:
        print("interrupted")
    store.close()
    assert not store._doomed and not store._users, "not freed"
"""
# Another thread interrupts the main thread at any moment of its calls.
HAMMER = """
    import os, random, signal, sys, threading, time
    import flagstore

    class Methods(dict):
        def set(self, key, text):
            self[key] = text

        def remove(self, key):
            return self.pop(key, None) is not None

        def list_all(self):
            return self.items()

    def interrupt():
        while True:
            ready.acquire()
            time.sleep(random.random() / 2000)
            os.kill(os.getpid(), signal.SIGINT)

    flags, ready, wrong = Methods(a="1"), threading.Semaphore(0), []
    below = flagstore.open_backend(flags)

    class Above:
        def get(self, key):
            return below.get_json(key)

        def set(self, key, text):
            below.set_json(key, text)

        def list_all(self):
            return below.list_all().items() and flags.items()

    store = {"backend": below, "two": flagstore.open_backend(Above()), "memory": flagstore.Store.memory()}[sys.argv[1]]
    store.set("a", 1)
    threading.Thread(target=interrupt, daemon=True).start()
    for _ in range(int(sys.argv[2])):
        try:
            ready.release()
            while True:
                for answer, right in [(store.get_json("a"), "1"), (store.list_all_json(), '{"a":1}'), (len(store), 1)]:
                    if answer != right:
                        wrong.append(answer)
                store.set_json("a", "1")
        except KeyboardInterrupt:
            pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    print(wrong)
"""


class Interrupts(WorkerCase):
    def setUp(self):
        super().setUp()
        self.open().set("key", "old")

    def check_interrupted(self, call, lock_timeout="inf"):
        process = scripts.start(WAIT, self.path, call, lock_timeout)
        self.assertEqual(process.stdout.readline(), "waits\n")
        time.sleep(0.5)  # it would be as right without: then it is interrupted before it waits
        process.send_signal(signal.SIGINT)
        self.assertEqual(scripts.end_of(process), (0, "interrupted\n", ""), call)

    def test_a_wait_is_interrupted(self):
        for call in ["store.wait(store.revision())", "store.wait(store.revision(), 3600)"]:
            self.check_interrupted(call)

    def test_a_wait_for_the_lock_is_interrupted_and_nothing_is_written(self):
        holder = self.start("hold", os.path.join(self.folder, ".flags.json.lock"))
        self.assertEqual(holder.stdout.readline(), b"held\n")
        before = self.read()
        for call in ["store.set('key', 'new')", "store.delete('key')", "store.set_bool('key', True)",
                     "store.commit(batch)", "store.update(key='new')"]:
            for lock_timeout in ["inf", "3600"]:
                self.check_interrupted(call, lock_timeout)
        self.kill(holder)
        holder.wait()
        self.open(lock_timeout=60).set("other", 1)  # whoever still waited has had the lock
        self.assertEqual((self.read_whole(), before), ({"key": "old", "other": 1}, b'{\n  "key": "old"\n}\n'))

    def test_the_lock_is_asked_for_until_the_timeout_and_told_of_once(self):
        holder = self.start("hold", os.path.join(self.folder, ".flags.json.lock"))
        self.assertEqual(holder.stdout.readline(), b"held\n")
        lines = []
        flagstore.set_log(lambda _level, message: lines.append(message))
        self.addCleanup(flagstore.set_log, None)
        for seconds, milliseconds in [(0.5, 500), (0.201, 201), (0, 1)]:
            with self.fails(flagstore.LOCKED, self.path, f"more than {milliseconds} ms"):
                self.open(lock_timeout=seconds).set("key", "new")
            self.assertEqual(sum("locked by another" in line for line in lines), 1, lines)
            lines.clear()
        self.kill(holder)

    def test_a_lock_timeout_is_a_number_of_seconds(self):
        for timeout in [-1, -0.001, float("nan"), float("-inf"), 2**40]:
            with self.fails(flagstore.INVALID_ARGUMENT):
                self.open(lock_timeout=timeout)
        for timeout in ["1", b"1", [1]]:
            with self.assertRaises(TypeError):
                self.open(lock_timeout=timeout)

    def test_an_interrupt_at_any_moment_makes_no_answer_wrong(self):
        for kind, times in {"backend": 300, "two": 200, "memory": 200}.items():
            self.assertEqual(scripts.run(HAMMER, kind, times, seconds=200), (0, "[]\n", ""), kind)

    def test_a_backends_method_is_interrupted(self):
        self.assertEqual(scripts.run("""
            import os, signal, time
            import flagstore
            class Methods:
                def get(self, key):
                    os.kill(os.getpid(), signal.SIGINT)
                    time.sleep(3600)
            with flagstore.open_backend(Methods()) as store:
                try:
                    store.get("a")
                except KeyboardInterrupt:
                    print("interrupted")
            print(store.closed)
        """), (0, "interrupted\nTrue\n", ""))

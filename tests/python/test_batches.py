"""Batches: all of their changes or none, on condition, for threads and processes at once."""
import ctypes
import os
import threading

import flagstore
import oracle
import worker
from flagstore import CONFLICT, INVALID_ARGUMENT, Batch
from flagstore._native import lib
from stores import KINDS, StoreCase, on_every_kind
from test_processes import WorkerCase

PROCESSES, THREADS, TURNS = 4, 4, 60
BEFORE = {"a": 1, "b": [2], "c": {"x": 1, "y": "é"}}
# What is expected of BEFORE (None: absence) and whether it is so.
EXPECTATIONS = [
    ("a", "1", True), ("a", " 1\n", True), ("a", "1.0", False), ("a", "1e0", False), ("a", "2", False),
    ("a", '"1"', False), ("a", None, False), ("b", "[ 2 ]", True), ("b", "[2,2]", False), ("b", "[]", False),
    ("c", r'{"y":"\u00e9", "x":1}', True), ("c", '{"x":1}', False), ("c", '{"x":2,"x":1,"y":"é"}', True),
    ("absent", None, True), ("absent", "null", False), ("", None, True),
]
# The steps of a batch and what they make of BEFORE.
BATCHES = [
    ([], BEFORE),
    ([("set", "a", 9)], BEFORE | {"a": 9}),
    ([("set", "new", None), ("set", "", [])], BEFORE | {"new": None, "": []}),
    ([("delete", "a"), ("delete", "absent")], {"b": [2], "c": BEFORE["c"]}),
    ([("set", "a", 9), ("delete", "a")], {"b": [2], "c": BEFORE["c"]}),
    ([("delete", "a"), ("set", "a", 9), ("set", "a", 8)], BEFORE | {"a": 8}),
    ([("clear",)], {}),
    ([("clear",), ("set", "a", 9)], {"a": 9}),
    ([("set", "a", 9), ("set", "new", 1), ("clear",), ("delete", "new")], {"a": 9}),
    ([("expect", "a", 1), ("clear",), ("expect", "b", [2]), ("set", "b", 0), ("expect", "b", [2])], {"b": 0}),
]


def batch_of(*steps):
    batch = Batch()
    for name, *arguments in steps:
        getattr(batch, name)(*arguments)
    return batch


@on_every_kind
class Batches:
    def fill(self):
        self.store.commit(batch_of(("clear",), *(("set", key, value) for key, value in BEFORE.items())))

    def test_a_batch_makes_all_its_changes(self):
        for steps, after in BATCHES:
            with self.subTest(steps=steps):
                self.fill()
                self.store.commit(batch_of(*steps))
                self.assertEqual(self.store.list_all(), after)
                self.check_file(after)

    def check_file(self, after):
        if os.path.exists(self.path):
            self.assertEqual(self.read(), oracle.file_bytes(after))

    def test_a_batch_is_committed_only_if_all_it_expects_is_so(self):
        for key, text, holds in EXPECTATIONS:
            with self.subTest(key=key, text=text):
                self.fill()
                batch = batch_of(("expect", "a", 1), ("expect_json", key, text), ("set", "new", 1), ("delete", "b"))
                if holds:
                    self.store.commit(batch)
                else:
                    with self.fails(CONFLICT, key):
                        self.store.commit(batch)
                after = {"a": 1, "c": BEFORE["c"], "new": 1} if holds else BEFORE
                self.assertEqual(self.store.list_all(), after)
                self.check_file(after)

    def test_a_batch_may_be_committed_again_and_elsewhere(self):
        batch = batch_of(("expect_json", "a", None), ("set", "a", 1))
        self.store.commit(batch)
        with self.fails(CONFLICT, "a"):
            self.store.commit(batch)
        with flagstore.Store.memory() as other:
            other.commit(batch)
            self.assertEqual((other.list_all(), self.store.list_all()), ({"a": 1}, {"a": 1}))

    def test_keys_may_hold_nuls(self):
        self.store.commit(batch_of(("set", "a\0", 1), ("set", "a", 2), ("set", "", 3)))
        self.store.commit(batch_of(("expect", "a\0", 1), ("expect_json", "\0", None),
                                   ("delete", "a\0"), ("set", "\0", 4)))
        self.assertEqual(self.store.list_all(), {"": 3, "\0": 4, "a": 2})
        with self.fails(CONFLICT):
            self.store.commit(batch_of(("expect_json", "\0", None), ("clear",)))

    def test_what_a_batch_refuses_leaves_it_as_it_was(self):
        batch = batch_of(("set_json", "a", "[ 1.10 ]"), ("expect_json", "a", None))
        for text in ["", "{", "1 2", "NaN"]:
            for step in [batch.set_json, batch.expect_json]:
                with self.fails(flagstore.INVALID_JSON, "dark-mode"):
                    step("dark-mode", text)
        for step in [batch.set_json, batch.expect_json]:
            with self.fails(flagstore.INVALID_JSON, "dark-mode"):
                step("dark-mode", "1\0")
        for step in [lambda: batch.delete(b"\xff"), lambda: batch.set_json(b"\xff", "1"),
                     lambda: batch.set_json("a", b'"\xff"'), lambda: batch.expect_json(b"\xff", None)]:
            with self.fails(INVALID_ARGUMENT):
                step()
        self.store.commit(batch)
        self.assertEqual(self.store.list_all_json(), '{"a":[1.10]}')

    def test_null_and_other_handles_are_refused(self):
        batch, store = batch_of(("set", "a", 1)), self.store._pointer[0]
        for name, *arguments in [
                ("commit", None, batch._pointer[0]), ("commit", store, None), ("commit", store, store),
                ("commit", batch._pointer[0], batch._pointer[0]), ("batch_clear", None), ("batch_clear", store),
                ("batch_set", None, b"b", b"1"), ("batch_set", batch._pointer[0], None, b"1"),
                ("batch_set", batch._pointer[0], b"b", None), ("batch_set", store, b"b", b"1"),
                ("batch_delete", None, b"a"), ("batch_delete", batch._pointer[0], None),
                ("batch_expect", None, b"a", None), ("batch_expect", batch._pointer[0], None, None),
                ("batch_set_n", None, b"b", 1, b"1", 1), ("batch_set_n", batch._pointer[0], None, 0, b"1", 1),
                ("batch_set_n", batch._pointer[0], b"b", 1, None, 0), ("batch_set_n", store, b"b", 1, b"1", 1),
                ("batch_delete_n", None, b"a", 1), ("batch_delete_n", batch._pointer[0], None, 0),
                ("batch_delete_n", store, b"a", 1), ("batch_expect_n", None, b"a", 1, None, 0),
                ("batch_expect_n", batch._pointer[0], None, 0, None, 0), ("batch_expect_n", store, b"a", 1, b"1", 1)]:
            with self.subTest(function=name, arguments=arguments):
                self.assertEqual(self.raw(name, *arguments), (False, INVALID_ARGUMENT))
                self.assertIs(getattr(lib, "flagstore_" + name)(*arguments, None), False)
        self.store.commit(batch)
        self.assertEqual(self.store.list_all_json(), '{"a":1}')

    def test_threads_increment_one_counter_and_lose_nothing(self):
        def work():
            for _ in range(TURNS):
                while not worker.increment_once(self.store, "counter"):
                    pass
        self.assertEqual(worker.run(lambda _number: work(), range(THREADS)), 0)
        self.assertEqual(self.store.get("counter"), THREADS * TURNS)

    def test_others_see_all_of_a_batch_or_none(self):
        def transfer():
            number = 0
            while not stop.is_set():
                number += 1
                self.store.commit(batch_of(("set", "a", number), ("set", "b", -number)))
        self.store.commit(batch_of(("set", "a", 0), ("set", "b", 0)))
        stop, seen = threading.Event(), set()
        writer = threading.Thread(target=transfer, daemon=True)
        writer.start()
        self.addCleanup(writer.join, 20)
        self.addCleanup(stop.set)

        def look():
            for picture in [self.store.list_all(), dict(self.store.snapshot())]:
                self.assertEqual(picture["a"], -picture["b"])
                seen.add(picture["a"])
            return len(seen) > 30
        self.wait_until(look, "30 pictures between batches", seconds=60)


class ReadingBatches(StoreCase):
    opener = staticmethod(KINDS["Memory"])

    def test_a_batch_can_be_read_back(self):
        batch = batch_of(("set_json", "é", '{"y": null, "x": 1.10}'), ("set", "b", 1), ("delete", "b"),
                         ("delete", "a\0"), ("set", "", None), ("expect_json", "e", "[ ]"), ("expect_json", "d\0", None))
        self.assertEqual(list(batch.changes().items()),
                         [("", "null"), ("a\0", None), ("b", None), ("é", '{"x":1.10,"y":null}')])
        self.assertEqual(list(batch.expectations().items()), [("d\0", None), ("e", "[]")])
        self.assertIs(batch.clears(), False)
        batch.clear()
        self.assertIs(batch.clears(), True)

    def test_an_empty_batch_and_what_is_no_batch_say_nothing(self):
        batch = Batch()
        for handle in [batch._pointer[0], None, self.store._pointer[0]]:
            self.assertIs(lib.flagstore_batch_clears(handle), False)
            for part in ["batch", "batch_expect"]:
                self.assertEqual(getattr(lib, f"flagstore_{part}_count")(handle), 0)
                for text in ["key", "value"]:
                    self.assertIsNone(getattr(lib, f"flagstore_{part}_{text}")(handle, 0, None))

    def test_past_the_end_there_is_nothing_and_len_may_be_null(self):
        batch = batch_of(("set", "key", 12), ("expect", "key", 12))
        for part in ["batch", "batch_expect"]:
            for name, expected in {"key": b"key", "value": b"12"}.items():
                function = getattr(lib, f"flagstore_{part}_{name}")
                self.assertEqual(ctypes.string_at(function(batch._pointer[0], 0, None)), expected)
                for index in [1, 2**64 - 1]:
                    self.assertIsNone(function(batch._pointer[0], index, None), (part, name, index))

    def test_json_is_equal_as_values(self):
        for one, other, equal in [
                (r'{"a": 1, "b": "\u00e9"}', '{"b":"é","a":1}', True), ("null", " null\n", True), ("1", "1.0", False),
                ("[1,2]", "[2,1]", False), ("tru", "tru", False), ("", "", False), ("1\0", "1\0", False)]:
            self.assertIs(flagstore.json_equal(one, other), equal, (one, other))
        for texts in [(None, 0, b"1", 1), (b"1", 1, None, 0), (None, 0, None, 0)]:
            self.assertIs(lib.flagstore_json_equal(*texts), False)


class FileBatches(WorkerCase):
    def test_processes_increment_one_counter_and_lose_nothing(self):
        store = self.open()
        workers = [self.start("increment", self.path, "counter", TURNS) for _ in range(PROCESSES)]
        conflicts = [int(process.stdout.read()) for process in workers]
        self.assertEqual([process.wait() for process in workers], [0] * PROCESSES)
        self.assertEqual(store.list_all(), {"counter": PROCESSES * TURNS})
        self.assertEqual(self.read_whole(), {"counter": PROCESSES * TURNS})
        print(f"\n{PROCESSES * TURNS} increments of {PROCESSES} processes, {sum(conflicts)} conflicts")

    def refused(self, code, store, *words):
        before = self.read()
        with self.fails(code, *words):
            store.commit(batch_of(("clear",), ("set", "a", 1)))
        self.assertEqual(self.read(), before)

    def test_nothing_is_written_to_a_store_that_is_read_only_corrupt_or_locked(self):
        self.write(b'{"a": 0}')
        self.refused(flagstore.READ_ONLY, self.open(flags=flagstore.OPEN_READ_ONLY))
        store = self.open(lock_timeout=0.05)
        store.set("a", 0)
        holder = self.start("hold", os.path.join(self.folder, ".flags.json.lock"))
        self.assertEqual(holder.stdout.readline(), b"held\n")
        self.refused(flagstore.LOCKED, store)
        self.kill(holder)
        holder.wait()
        self.write(b'{"a": 0')
        self.refused(flagstore.CORRUPT, store, self.path)

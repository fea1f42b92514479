"""Snapshots: one moment of a store, in order, untouched by what happens to the store later."""
import ctypes
import random
import threading

import documents
import flagstore
from flagstore import Store
from flagstore._native import lib
from stores import FolderCase, on_every_kind
from test_contract import KEYS, NUMBERS

LARGEST_INDEX = 2**64 - 1


@on_every_kind
class Snapshots:
    def take(self):
        return self.closed_later(self.store.snapshot())

    def test_an_empty_store_has_an_empty_snapshot(self):
        snapshot = self.take()
        self.assertEqual((len(snapshot), list(snapshot), snapshot.get("a"), "" in snapshot), (0, [], None, False))

    def test_it_holds_what_list_all_tells_in_the_order_of_bytes(self):
        rng = random.Random(5)
        expected = documents.random_document(rng, 60) | {key: documents.random_value(rng) for key in KEYS}
        for key, value in expected.items():
            self.store.set(key, value)
        snapshot = self.take()
        self.assertEqual(list(snapshot), sorted(expected, key=str.encode))
        self.assertEqual(dict(snapshot), expected)
        self.assertEqual("{" + ",".join(f"{self.quoted(key)}:{text}" for key, text in snapshot.items_json()) + "}",
                         self.store.list_all_json())

    def quoted(self, key):
        """The key as JSON, in the library's words."""
        with Store.memory() as store:
            store.set("key", key)
            return store.get_json("key")

    def test_every_key_is_found_and_no_other(self):
        for key in KEYS[::2]:
            self.store.set(key, key)
        snapshot = self.take()
        for number, key in enumerate(KEYS):
            expected = self.store.get_json(key)
            self.assertEqual((snapshot.get_json(key), key in snapshot), (expected, number % 2 == 0), key)

    def test_it_is_searched_by_prefix(self):
        keys = ["ui", "ui\0", "ui\0a", "ui.a", "ui.é", "v"]
        for key in keys:
            self.store.set(key, key)
        snapshot = self.take()
        for prefix, first, past in [("", 0, 6), ("u", 0, 5), ("ui", 0, 5), ("ui\0", 1, 3), ("ui\0b", 3, 3),
                                    ("ui.", 3, 5), ("ui.é", 4, 5), ("v", 5, 6), ("va", 6, 6), ("é", 6, 6)]:
            self.assertEqual(snapshot.seek(prefix), first, prefix)
            self.assertEqual([key for key, _ in snapshot.items_json(prefix)], keys[first:past], prefix)
        self.assertEqual(list(snapshot.items_json(b"v")), [("v", '"v"')])

    def test_numbers_keep_their_digits(self):
        for number, digits in enumerate(NUMBERS):
            self.store.set_json(str(number), digits)
        snapshot = self.take()
        self.assertEqual([snapshot.get_json(str(number)) for number in range(len(NUMBERS))], NUMBERS)

    def test_later_changes_do_not_reach_it(self):
        before = {"changed": 1, "deleted": [2], "kept": {"a": 3}}
        for key, value in before.items():
            self.store.set(key, value)
        old = self.take()
        self.store.set("changed", "é" * 1000)
        self.store.delete("deleted")
        self.store.set("new", True)
        self.assertEqual(old, before)
        self.assertEqual(self.take(), {"changed": "é" * 1000, "kept": {"a": 3}, "new": True})

    def test_it_outlives_its_store(self):
        self.store.set("key", "value")
        snapshot = self.take()
        self.store.close()
        self.assertEqual(snapshot, {"key": "value"})

    def test_threads_read_one_while_the_store_changes(self):
        def read():
            for _ in range(50):
                seen.append(dict(snapshot) == expected)
        expected = {str(number): [number] for number in range(50)}
        for key, value in expected.items():
            self.store.set(key, value)
        snapshot, seen = self.take(), []
        threads = [threading.Thread(target=read, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        for key in expected:
            self.store.delete(key)
        for thread in threads:
            thread.join(60)
        self.assertEqual(seen, [True] * 200)

    def test_past_the_end_there_is_nothing_and_len_may_be_null(self):
        self.store.set("key", 12)
        snapshot, length = self.take()._pointer[0], ctypes.c_size_t(99)
        for name, expected in {"snapshot_key": b"key", "snapshot_value": b"12"}.items():
            function = getattr(lib, "flagstore_" + name)
            text = function(snapshot, 0, ctypes.byref(length))
            self.assertEqual((ctypes.string_at(text), length.value), (expected, len(expected)))
            self.assertEqual(ctypes.string_at(function(snapshot, 0, None)), expected)
            for index in [1, 2, LARGEST_INDEX]:
                self.assertIsNone(function(snapshot, index, ctypes.byref(length)), (name, index))
        self.assertEqual(ctypes.string_at(lib.flagstore_snapshot_find(snapshot, b"key", None)), b"12")
        self.assertIsNone(lib.flagstore_snapshot_find(snapshot, b"absent", None))

    def test_what_is_no_snapshot_holds_nothing(self):
        self.store.set("key", 12)
        for handle in [None, self.store._pointer[0]]:
            self.assertEqual(lib.flagstore_snapshot_count(handle), 0)
            self.assertIsNone(lib.flagstore_snapshot_key(handle, 0, None))
            self.assertIsNone(lib.flagstore_snapshot_value(handle, 0, None))
            self.assertIsNone(lib.flagstore_snapshot_find(handle, b"key", None))
            self.assertIsNone(lib.flagstore_snapshot_find_n(handle, b"key", 3, None))
            self.assertEqual(lib.flagstore_snapshot_seek(handle, b"z", 1), 0)
        for key in [None, b"\xff"]:
            self.assertIsNone(lib.flagstore_snapshot_find(self.take()._pointer[0], key, None))
            length = 0 if key is None else 1
            self.assertIsNone(lib.flagstore_snapshot_find_n(self.take()._pointer[0], key, length, None))
        self.assertEqual(lib.flagstore_snapshot_seek(self.take()._pointer[0], None, 0), 1)

    def test_a_snapshot_is_no_store(self):
        self.assertEqual(self.raw("len", self.take()._pointer[0]), (-1, flagstore.INVALID_ARGUMENT))


class FileSnapshots(FolderCase):
    def test_it_is_of_one_file_however_that_changes_later(self):
        self.write(b'{"b": [1, 2], "a": "\\u00e9"}')
        snapshot = self.closed_later(self.open().snapshot())
        self.write(b'{"b": 0}')
        self.assertEqual(list(snapshot.items_json()), [("a", '"é"'), ("b", "[1,2]")])

    def test_none_is_taken_of_a_corrupt_file(self):
        store = self.open()
        for data, at in {b"[]": (1, 1), b'{"a": 1,\n "b": ?}': (2, 7)}.items():
            self.write(data)
            with self.fails(flagstore.CORRUPT, self.path, at=at):
                store.snapshot()

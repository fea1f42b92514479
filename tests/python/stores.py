"""The kinds of store the contract must hold on, and what the tests share to open and blame them."""
import contextlib
import ctypes
import os
import sys
import tempfile
import time
import unittest

import flagstore
import redis_server
from flagstore import FlagstoreError, Store, open_backend, open_remote
from flagstore._native import lib

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker.py")


class Forwarding:
    """A backend that leaves all to another store."""

    def __init__(self, store):
        self.store = store
        self.get, self.set, self.remove, self.close = store.get_json, store.set_json, store.delete, store.close

    def list_all(self):
        with self.store.snapshot() as snapshot:
            return list(snapshot.items_json())


class Following(Forwarding):
    """The same with everything."""

    concurrent = True

    def __init__(self, store):
        super().__init__(store)
        self.commit = store.commit
        self.woken = False

    def load(self, seen):
        revision = self.store.revision()
        return flagstore.Loaded.SAME if revision == seen else (self.list_all(), revision)

    def wait(self, seen, timeout):
        deadline, self.woken = time.monotonic() + timeout, False
        while not self.woken and time.monotonic() < deadline:
            revision = self.store.wait(seen, 0.05)
            if revision is not None:
                return revision
        return None

    def wake(self):
        self.woken = True


# A new kind of store is one line here; `folder` is empty, fresh for each test, removed afterwards.
KINDS = {
    "Memory": lambda folder: Store.memory(),
    "File": lambda folder: Store.file(os.path.join(folder, "flags.json")),
    "UnsyncedFile": lambda folder: Store.file(os.path.join(folder, "flags.json"), durability=flagstore.SYNC_NONE),
    "OrderedFile": lambda folder: Store.file(os.path.join(folder, "flags.json"), durability=flagstore.SYNC_ORDERED),
    "CheckedFile": lambda folder: Store.file(os.path.join(folder, "flags.json"), read_mode=flagstore.READ_CHECKED,
                                             durability=flagstore.SYNC_NONE),
    "WatchedFile": lambda folder: Store.file(os.path.join(folder, "flags.json"), read_mode=flagstore.READ_WATCHED,
                                             durability=flagstore.SYNC_NONE),
    "Backend": lambda folder: open_backend(Forwarding(Store.file(os.path.join(folder, "flags.json")))),
    "Remote": lambda folder: open_remote(Following(Store.file(os.path.join(folder, "flags.json"),
                                                              durability=flagstore.SYNC_NONE)), spread=0,
                                         read_mode=flagstore.READ_WATCHED, call_timeout=60, open_timeout=60),
}
if redis_server.URL:
    KINDS["Redis"] = lambda folder: redis_server.open_hash()
    KINDS["CheckedRedis"] = lambda folder: redis_server.open_hash(read_mode=flagstore.READ_CHECKED)
    KINDS["WatchedRedis"] = lambda folder: redis_server.open_hash(read_mode=flagstore.READ_WATCHED)


def on_every_kind(contract, but=()):
    """Class decorator: makes one TestCase of `contract` per kind; there `self.store` is open and empty."""
    module = vars(sys.modules[contract.__module__])
    for kind, opener in KINDS.items():
        if kind in but:
            continue
        title = f"{contract.__name__}On{kind}"
        module[title] = type(title, (contract, StoreCase),
                             {"opener": staticmethod(opener), "__module__": contract.__module__})
    return contract


class FolderCase(unittest.TestCase):
    """A test with a folder of its own and, in it, the path of a file store."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="flagstore-python-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.path = os.path.join(self.folder, "flags.json")

    def open(self, **options):
        """The file store at self.path, closed at the end of the test."""
        return self.closed_later(Store.file(self.path, **options))

    def closed_later(self, store):
        self.addCleanup(store.close)
        return store

    def write(self, data):
        with open(self.path, "wb") as file:
            file.write(data)

    def read(self):
        with open(self.path, "rb") as file:
            return file.read()

    @contextlib.contextmanager
    def fails(self, code, *words, at=None):
        """The block must fail with `code`; its message names each of `words` and the (line, column) `at`."""
        with self.assertRaises(FlagstoreError) as caught:
            yield caught
        error = caught.exception
        self.assertEqual((error.code, error.name), (code, flagstore.error_name(code)), error)
        for word in words:
            self.assertIn(word, error.message)
        if at is not None:
            self.assertRegex(error.message, r"\bline %d column %d\b|:%d:%d\b" % (at + at))

    def wait_until(self, condition, what, seconds=20):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                self.fail(f"not within {seconds} s: {what}")
            time.sleep(0.002)


class StoreCase(FolderCase):
    def setUp(self):
        super().setUp()
        self.store = self.closed_later(self.opener(self.folder))

    def raw(self, name, *arguments):
        """Calls flagstore_`name` as C would: (result, error code)."""
        error = ctypes.c_void_p(0xDEAD)  # outputs may be uninitialised memory
        result = getattr(lib, "flagstore_" + name)(*arguments, ctypes.byref(error))
        code = lib.flagstore_error_code(error)
        lib.flagstore_free(error)
        return result, code

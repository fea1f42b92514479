"""Errors: a class per code, which crosses pickle and multiprocessing whole."""
import copy
import errno
import multiprocessing
import os
import pickle
import unittest

import flagstore
from flagstore import FlagstoreError, Store
from stores import FolderCase
from test_arguments import NAMES

CLASSES = {
    flagstore.InvalidArgument: flagstore.INVALID_ARGUMENT, flagstore.InvalidJson: flagstore.INVALID_JSON,
    flagstore.Corrupt: flagstore.CORRUPT, flagstore.Io: flagstore.IO, flagstore.Locked: flagstore.LOCKED,
    flagstore.ReadOnly: flagstore.READ_ONLY, flagstore.NotImplementedByBackend: flagstore.NOT_IMPLEMENTED,
    flagstore.TypeMismatch: flagstore.TYPE_MISMATCH, flagstore.Conflict: flagstore.CONFLICT,
    flagstore.BackendFailed: flagstore.BACKEND, flagstore.NotDurable: flagstore.NOT_DURABLE,
    flagstore.Unavailable: flagstore.UNAVAILABLE, flagstore.Uncertain: flagstore.UNCERTAIN,
    flagstore.Internal: flagstore.INTERNAL}


class Special(flagstore.Locked):
    """Of a backend of somebody else."""

    def __init__(self, who, when):
        super().__init__(f"{who} at {when}", os_code=11)
        self.who = who


def read_broken(path):
    """What a worker process does."""
    with Store.file(path) as store:
        return store.get("a")


def open_missing(path):
    return Store.file(os.path.join(path, "no", "such", "folder"))


class Errors(FolderCase):
    def check_same(self, one, other):
        for name in ["code", "name", "message", "os_code", "args"]:
            self.assertEqual(getattr(one, name), getattr(other, name))
        self.assertEqual((type(one), str(one)), (type(other), str(other)))

    def test_each_code_has_a_class_and_a_name(self):
        self.assertEqual(set(CLASSES.values()), {code for code, name in NAMES.items() if name not in ["OK", "UNKNOWN"]})
        for cls, code in CLASSES.items():
            error = cls("text")
            self.assertTrue(issubclass(cls, FlagstoreError))
            self.assertEqual((error.code, error.name, error.message, error.os_code, str(error)),
                             (code, "FLAGSTORE_" + NAMES[code], "text", 0, f"FLAGSTORE_{NAMES[code]}: text"))
        self.assertEqual((FlagstoreError("odd", code=4711).name, FlagstoreError().code),
                         ("FLAGSTORE_UNKNOWN", flagstore.BACKEND))

    def test_what_a_call_raises_is_of_the_class_of_its_code(self):
        store = self.open()
        self.write(b"[]")
        for cls, call in [(flagstore.Corrupt, lambda: store.get("a")), (flagstore.InvalidJson,
                          lambda: store.set_json("a", "?")), (flagstore.Io, lambda: open_missing(self.folder)),
                          (flagstore.InvalidArgument, lambda: store.get(b"\xff"))]:
            with self.assertRaises(cls) as caught:
                call()
            self.assertIs(type(caught.exception), cls)
            self.assertEqual(caught.exception.code, CLASSES[cls])

    def test_errors_are_pickled_and_copied_whole(self):
        for error in [flagstore.Io("no", os_code=errno.ENOSPC), FlagstoreError("odd", code=4711), Special("it", "noon"),
                      *(cls("é") for cls in CLASSES)]:
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                self.check_same(pickle.loads(pickle.dumps(error, protocol)), error)
            self.check_same(copy.deepcopy(error), error)
        self.assertEqual(pickle.loads(pickle.dumps(Special("it", "noon"))).who, "it")

    def test_errors_cross_processes(self):
        self.write(b'{"a": ?}')
        for method in multiprocessing.get_all_start_methods():
            with self.subTest(method), multiprocessing.get_context(method).Pool(1) as pool:
                with self.fails(flagstore.CORRUPT, self.path, at=(1, 7)) as caught:
                    pool.apply(read_broken, [self.path])
                self.assertIs(type(caught.exception), flagstore.Corrupt)
                with self.fails(flagstore.IO) as caught:
                    pool.apply(open_missing, [self.folder])
                self.assertEqual(caught.exception.os_code, errno.ENOENT)

    def test_a_store_does_not_cross_but_its_error_says_so(self):
        with Store.memory() as store, multiprocessing.get_context("fork").Pool(1) as pool:
            with self.assertRaisesRegex(TypeError, "Store cannot be copied or pickled"):
                pool.apply(repr, [store])


class Bases(unittest.TestCase):
    def test_pythons_own_classes_catch_them_where_they_mean_the_same(self):
        for cls, base in [(flagstore.InvalidArgument, ValueError), (flagstore.InvalidJson, ValueError),
                          (flagstore.NotImplementedByBackend, NotImplementedError)]:
            self.assertTrue(issubclass(cls, base))

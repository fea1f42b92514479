"""Misuse is answered, never crashed on: NULL, handles of another kind, double frees; and the error object itself."""
import ctypes
import os
import signal
import subprocess
import sys
import unittest

import flagstore
from flagstore import INVALID_ARGUMENT, Store
from flagstore._native import lib
from stores import FolderCase, on_every_kind

STORE = object()  # stands for the open store
OPTIONAL = object()  # a pointer that may be NULL, passed as NULL
# function: its arguments (each pointer among them is made NULL in turn), what it returns when it fails
CALLS = {
    "get": ((STORE, b"key"), None),
    "set": ((STORE, b"key", b"1"), False),
    "delete": ((STORE, b"key"), False),
    "list_all": ((STORE,), None),
    "len": ((STORE,), -1),
    "snapshot": ((STORE,), None),
    "revision": ((STORE,), 0),
    "get_bool": ((STORE, b"key", True), True),
    "get_int64": ((STORE, b"key", -42), -42),
    "get_double": ((STORE, b"key", -4.5), -4.5),
    "get_type": ((STORE, b"key"), -1),
    "set_bool": ((STORE, b"key", True), False),
    "set_int64": ((STORE, b"key", 1), False),
    "set_double": ((STORE, b"key", 1.0), False),
    "set_string": ((STORE, b"key", b"text"), False),
    "get_string": ((STORE, b"key", OPTIONAL), None),
    "get_n": ((STORE, b"key", 3, OPTIONAL), None),
    "get_string_n": ((STORE, b"key", 3, OPTIONAL), None),
    "set_n": ((STORE, b"key", 3, b"1", 1), False),
    "delete_n": ((STORE, b"key", 3), False),
    "get_bool_n": ((STORE, b"key", 3, True), True),
    "get_int64_n": ((STORE, b"key", 3, -42), -42),
    "get_double_n": ((STORE, b"key", 3, -4.5), -4.5),
}
NAMES = {0: "OK", 1: "INVALID_ARGUMENT", 2: "INVALID_JSON", 3: "CORRUPT", 4: "IO", 5: "LOCKED", 6: "READ_ONLY",
         7: "NOT_IMPLEMENTED", 8: "TYPE_MISMATCH", 9: "CONFLICT", 10: "BACKEND", 11: "NOT_DURABLE", 12: "UNAVAILABLE", 13: "UNCERTAIN", 99: "INTERNAL",
         14: "UNKNOWN", -1: "UNKNOWN", 12345: "UNKNOWN", 2**31 - 1: "UNKNOWN", -2**31: "UNKNOWN"}


@on_every_kind
class Arguments:
    def arguments(self, name, null_at=None):
        """The C arguments of CALLS[name], with NULL at one index."""
        store = self.store._pointer[0]
        return [None if at == null_at or argument is OPTIONAL else store if argument is STORE else argument
                for at, argument in enumerate(CALLS[name][0])]

    def test_null_for_a_required_pointer_is_an_error(self):
        for name, (arguments, failure) in CALLS.items():
            for at, argument in enumerate(arguments):
                if argument is STORE or isinstance(argument, bytes):
                    with self.subTest(function=name, null=at):
                        self.assertEqual(self.raw(name, *self.arguments(name, at)), (failure, INVALID_ARGUMENT))
        self.assertEqual(len(self.store), 0)

    def test_a_null_key_is_no_empty_key(self):
        self.store.set("", 1)
        for name in ["get_n", "get_string_n", "delete_n", "get_bool_n", "get_int64_n", "get_double_n"]:
            arguments = self.arguments(name, 1)
            arguments[2] = 0
            self.assertEqual(self.raw(name, *arguments), (CALLS[name][1], INVALID_ARGUMENT), name)
        self.assertEqual(self.raw("set_n", self.store._pointer[0], None, 0, b"2", 1), (False, INVALID_ARGUMENT))
        self.assertEqual(self.raw("set_n", self.store._pointer[0], b"", 0, None, 0), (False, INVALID_ARGUMENT))
        self.assertEqual(self.store.list_all_json(), '{"":1}')

    def test_the_error_argument_may_be_null(self):
        for name, (_, failure) in CALLS.items():
            function = getattr(lib, "flagstore_" + name)
            with self.subTest(function=name):
                self.assertEqual(function(*self.arguments(name, null_at=0), None), failure)
        self.assertTrue(lib.flagstore_set(self.store._pointer[0], b"key", b"1", None))
        self.assertEqual(lib.flagstore_len(self.store._pointer[0], None), 1)

    def test_success_clears_the_error_argument(self):
        error = ctypes.c_void_p(0xDEAD)
        for name in ["set", "get_type", "len", "delete", "get", "get_bool"]:
            error.value = 0xDEAD
            getattr(lib, "flagstore_" + name)(*self.arguments(name), ctypes.byref(error))
            self.assertIsNone(error.value, name)

    def test_a_handle_of_another_kind_is_no_store(self):
        self.store.set("key", "text")
        text = lib.flagstore_get(self.store._pointer[0], b"key", None)
        error = lib.flagstore_error_new(flagstore.CONFLICT, b"text")
        for handle in [text, error]:
            for name, (_, failure) in CALLS.items():
                with self.subTest(function=name):
                    self.assertEqual(self.raw(name, handle, *self.arguments(name)[1:]), (failure, INVALID_ARGUMENT))
            lib.flagstore_free(handle)
        self.assertEqual(self.store.list_all_json(), '{"key":"text"}')

    def test_the_sized_twins_report_lengths_and_read_no_further(self):
        length = ctypes.c_size_t(99)
        store, text = self.store._pointer[0], b'"a\\u0000b" and more'
        self.assertTrue(lib.flagstore_set_n(store, b"key and more", 3, text, 10, None))
        self.assertEqual(self.store.list_all_json(), r'{"key":"a\u0000b"}')
        for name, expected in [("get_n", rb'"a\u0000b"'), ("get_string_n", b"a\0b")]:
            pointer, _ = self.raw(name, self.store._pointer[0], b"key and more", 3, length)
            self.assertEqual(ctypes.string_at(pointer, length.value), expected)
            self.assertEqual(ctypes.string_at(pointer + length.value, 1), b"\0")
            lib.flagstore_free(pointer)
        self.assertEqual(self.raw("get_string_n", self.store._pointer[0], b"absent", 6, length), (None, flagstore.OK))
        self.assertEqual(self.raw("delete_n", self.store._pointer[0], b"key and more", 3), (True, flagstore.OK))

    def test_a_closed_store_is_refused(self):
        self.store.close()
        with self.fails(INVALID_ARGUMENT):
            self.store.get("key")


class OpenArguments(FolderCase):
    def test_null_or_impossible_paths_are_refused(self):
        for path in [None, b"\xff/flags.json"]:
            for function, more in [(lib.flagstore_file_open, ()), (lib.flagstore_file_open_with, (None,))]:
                error = ctypes.c_void_p(0xDEAD)
                self.assertIsNone(function(path, *more, ctypes.byref(error)))
                self.assertEqual(lib.flagstore_error_code(error), INVALID_ARGUMENT)
                lib.flagstore_free(error)
                self.assertIsNone(function(path, *more, None))

    def test_null_options_are_the_defaults(self):
        handle = lib.flagstore_file_open_with(os.fsencode(self.path), None, None)
        self.closed_later(Store._of(handle)).set("key", 1)
        self.assertEqual(self.read(), b'{\n  "key": 1\n}\n')


class Library(unittest.TestCase):
    def test_version_and_features(self):
        self.assertEqual(flagstore.version(), "0.2.0")
        for feature, present in {"memory": True, "file": True, "backend": True, "snapshot": True, "batch": True,
                                 "watch": True, "checked": True, "watched": True, "": False, "no-such-thing": False}.items():
            self.assertIs(flagstore.has_feature(feature), present, feature)
        self.assertFalse(lib.flagstore_has_feature(None))
        self.assertFalse(lib.flagstore_has_feature(b"\xff"))

    def test_every_code_has_its_name(self):
        for code, name in NAMES.items():
            self.assertEqual(flagstore.error_name(code), "FLAGSTORE_" + name)

    def test_no_error_is_an_empty_one(self):
        lib.flagstore_free(None)
        self.assertEqual((lib.flagstore_error_code(None), lib.flagstore_error_message(None),
                          lib.flagstore_error_os_code(None)), (0, b"", 0))

    def test_an_error_can_be_made(self):
        error = lib.flagstore_error_new(flagstore.BACKEND, "né".encode())
        self.assertEqual((lib.flagstore_error_code(error), lib.flagstore_error_message(error),
                          lib.flagstore_error_os_code(error)), (flagstore.BACKEND, "né".encode(), 0))
        lib.flagstore_free(error)

    def test_what_is_no_error_is_said_to_be_an_invalid_argument(self):
        with Store.memory() as store:
            handle = store._pointer[0]
            self.assertEqual((lib.flagstore_error_code(handle), lib.flagstore_error_message(handle),
                              lib.flagstore_error_os_code(handle)), (INVALID_ARGUMENT, b"", 0))

    def test_an_error_is_made_of_whatever_is_given(self):
        self.assertIsNone(lib.flagstore_error_new(flagstore.OK, b"text"))
        for code, message, kept in [(flagstore.IO, None, b""), (12345, b"\xff", "\ufffd".encode())]:
            error = lib.flagstore_error_new(code, message)
            self.assertEqual((lib.flagstore_error_code(error), lib.flagstore_error_message(error)), (code, kept))
            lib.flagstore_free(error)

    def test_freeing_what_is_not_ours_or_twice_says_so_and_aborts(self):
        for misuse in ["store = Store.memory(); handle = store._pointer[0]; "
                       "lib.flagstore_free(handle); lib.flagstore_free(handle)",
                       "import ctypes; lib.flagstore_free(ctypes.addressof(ctypes.create_string_buffer(256)) + 128)"]:
            with self.subTest(misuse=misuse):
                source = "from flagstore import Store\nfrom flagstore._native import lib\n" + misuse
                done = subprocess.run([sys.executable, "-c", source],
                                      cwd=os.path.dirname(os.path.abspath(__file__)), capture_output=True, text=True,
                                      timeout=30)
                self.assertEqual(done.returncode, -signal.SIGABRT, done.stderr)
                self.assertEqual((done.stderr.count("\n"), "flagstore" in done.stderr), (1, True), done.stderr)

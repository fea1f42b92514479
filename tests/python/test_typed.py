"""Typed values: what each getter takes, what it falls back to, and what the setters write."""
import ctypes
import math

import flagstore
from flagstore import ABSENT, ARRAY, BOOL, NULL, NUMBER, OBJECT, STRING, TYPE_MISMATCH
from flagstore._native import lib
from stores import on_every_kind

LARGEST, SMALLEST = 2**63 - 1, -2**63
# text -> what get_int64 answers; None: TYPE_MISMATCH
INTEGERS = {
    "3": 3, "-7": -7, "3.0": 3, "3e2": 300, "0": 0, "-0": 0, "-0.0": 0, "0.000e5": 0, "0e999999999999999999999": 0,
    "10e-1": 1, "1.5e1": 15, "1500E-2": 15, "123.4500e+2": 12345, "1e18": 10**18,
    f"{LARGEST}": LARGEST, f"{SMALLEST}": SMALLEST, f"{LARGEST}.000": LARGEST, f"{LARGEST}0e-1": LARGEST,
    "-9.223372036854775808e18": SMALLEST, "9007199254740993": 2**53 + 1, "1" + "0" * 400 + "e-400": 1,
    "0." + "0" * 400 + "7e401": 7,
    "0.5": None, "1e-1": None, "1.5": None, "3.0000000000000000000000001": None, "15e-2": None,
    f"{LARGEST + 1}": None, f"{SMALLEST - 1}": None, f"{LARGEST}.5": None, "1e19": None, "-1e19": None,
    "12345678901234567890123": None, "1e999999999999999999999": None, "1e-999999999999999999999": None,
    "true": None, "null": None, '"3"': None, "[3]": None, "{}": None,
}
DOUBLES = {
    "0": 0.0, "-0": -0.0, "-0.0": -0.0, "3": 3.0, "1.10": 1.1, "1e5": 1e5, "1e308": 1e308, "1e-400": 0.0,
    "-1e-400": -0.0,
    "4.9e-324": 5e-324, "9007199254740993": 9007199254740992.0, "0e999999999999999999999": 0.0,
    "1e-999999999999999999999": 0.0, "1.7976931348623157e308": 1.7976931348623157e308,
    "1e400": None, "-1e400": None, "1e999999999999999999999": None, "2e308": None, "9" * 400: None,
    "true": None, "null": None, '"1.5"': None, "[1]": None,
}
BOOLEANS = {"true": True, "false": False, "0": None, "1": None, "null": None, '"true"': None, "[true]": None}
# \0 in the answer: only the sized getter can carry it
STRINGS = {'""': "", '"plain"': "plain", r'"\u00e9\ud83d\ude00\n\"\/"': 'é😀\n"/', r'"a\u0000b"': "a\0b",
           r'"\u0000"': "\0", r'"\ud83d"': None, r'"a\ude00\ud83d b"': None, "1": None, "true": None, "null": None, '["a"]': None, "{}": None}
TYPES = {"null": NULL, "true": BOOL, "false": BOOL, "1.5": NUMBER, "1e400": NUMBER, '"a"': STRING, "[]": ARRAY,
         "{}": OBJECT}


@on_every_kind
class TypedValues:
    def check(self, table, read, fallback):
        """`read` answers as the table says; a mismatch is an error that comes with the fallback."""
        for text, expected in table.items():
            with self.subTest(text=text[:60]):
                self.store.set_json("key", text)
                for name, arguments in read.items():
                    result, code = self.raw(name, self.store._pointer[0], *arguments)
                    if expected is None:
                        self.assertEqual((result, code), (fallback, TYPE_MISMATCH), name)
                    else:
                        self.assertEqual((result, code), (expected, flagstore.OK), name)
                        self.assertEqual(math.copysign(1, result), math.copysign(1, expected), name)

    def test_get_bool(self):
        for fallback in [False, True]:
            self.check(BOOLEANS, {"get_bool": (b"key", fallback), "get_bool_n": (b"key!", 3, fallback)}, fallback)

    def test_get_int64(self):
        self.check(INTEGERS, {"get_int64": (b"key", -42), "get_int64_n": (b"key!", 3, -42)}, -42)

    def test_get_double(self):
        self.check(DOUBLES, {"get_double": (b"key", -4.5), "get_double_n": (b"key!", 3, -4.5)}, -4.5)

    def get_c_string(self, fallback):
        pointer, code = self.raw("get_string", self.store._pointer[0], b"key", fallback)
        text = ctypes.string_at(pointer) if pointer else None
        lib.flagstore_free(pointer)
        return text, code

    def test_get_string(self):
        for text, expected in STRINGS.items():
            self.store.set_json("key", text)
            for fallback in [b"fall\xc3\xa9", None]:
                with self.subTest(text=text, fallback=fallback):
                    if expected is None or "\0" in expected:
                        self.assertEqual(self.get_c_string(fallback), (fallback, TYPE_MISMATCH))
                    else:
                        self.assertEqual(self.get_c_string(fallback), (expected.encode(), flagstore.OK))

    def test_the_sized_get_string_carries_nuls(self):
        for text, expected in STRINGS.items():
            with self.subTest(text=text):
                self.store.set_json("nul\0key", text)
                if expected is None:
                    with self.fails(TYPE_MISMATCH):
                        self.store.get_string("nul\0key")
                else:
                    self.assertEqual(self.store.get_string("nul\0key"), expected)

    def test_an_absent_key_gives_the_fallback_without_error(self):
        for fallback in [False, True]:
            self.assertEqual(self.raw("get_bool", self.store._pointer[0], b"key", fallback), (fallback, 0))
        self.assertEqual(self.raw("get_int64", self.store._pointer[0], b"key", SMALLEST), (SMALLEST, 0))
        self.assertEqual(self.raw("get_double", self.store._pointer[0], b"key", math.inf), (math.inf, 0))
        self.assertEqual(self.get_c_string(b"fall"), (b"fall", 0))
        self.assertEqual(self.get_c_string(None), (None, 0))
        self.assertEqual((self.store.get_string("key"), self.store.get_string("key", "fall")), (None, "fall"))

    def test_get_type(self):
        self.assertEqual(self.store.get_type("key"), ABSENT)
        for text, kind in TYPES.items():
            self.store.set_json("key", text)
            self.assertEqual(self.store.get_type("key"), kind, text)

    def test_the_message_of_a_mismatch_names_the_key(self):
        self.store.set("dark-mode", 1)
        with self.fails(TYPE_MISMATCH, "dark-mode"):
            self.store.get_bool("dark-mode")

    def test_setters_write_json(self):
        for write, value, text in [
                (self.store.set_bool, True, "true"), (self.store.set_bool, False, "false"),
                (self.store.set_int64, 0, "0"), (self.store.set_int64, LARGEST, str(LARGEST)),
                (self.store.set_int64, SMALLEST, str(SMALLEST)),
                (self.store.set_double, 0.1, "0.1"), (self.store.set_double, 1e16, "1e+16"),
                (self.store.set_double, 1e-5, "1e-05"), (self.store.set_double, 100000.0, "100000.0"),
                (self.store.set_double, -0.0, "-0.0"), (self.store.set_double, 5e-324, "5e-324"),
                (self.store.set_string, "", '""'),
                (self.store.set_string, 'é😀"\\/\n\x01', r'"é😀\"\\/\n\u0001"')]:
            with self.subTest(value=value):
                write("key", value)
                self.assertEqual(self.store.get_json("key"), text)

    def test_only_finite_doubles_are_set(self):
        for value in [math.nan, math.inf, -math.inf]:
            with self.fails(flagstore.INVALID_ARGUMENT):
                self.store.set_double("key", value)
        self.assertNotIn("key", self.store)

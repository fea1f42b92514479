"""get, set, delete, list_all and len: the same promises on every kind of store."""
import json
import random
import threading

import documents
import flagstore
import oracle
from stores import on_every_kind

# What is set, and what comes back: compact, sorted, non-ASCII unescaped, numbers untouched.
SPELLINGS = [
    ("null", "null"), (" true ", "true"), ("\r\n\tfalse\n", "false"),
    ('""', '""'), ('"plain"', '"plain"'), (r'"\u00e9\u4e2d"', '"é中"'), ('"é中"', '"é中"'),
    (r'"\ud83d\ude00"', '"😀"'), (r'"\uDBFF\uDFFF"', '"\U0010ffff"'), (r'"a\/b/c"', '"a/b/c"'),
    (r'"\u0041\u0022\u005C"', r'"A\"\\"'), (r'"\u000a\u000D\u0009\u0008\u000c"', r'"\n\r\t\b\f"'),
    (r'"\u001f\u0000"', r'"\u001f\u0000"'), ('"\u2028\ufeff"', '"\u2028\ufeff"'),
    ("[ ]", "[]"), ("{ }", "{}"), ("[1 , [ ] , {\n} ]", "[1,[],{}]"),
    ('{"b":1, "a" : {"d":2,"c":[3]}}', '{"a":{"c":[3],"d":2},"b":1}'),
    ('[{"é":1,"z":2,"\uffff":3,"\U00010000":4,"":5}]', '[{"":5,"z":2,"é":1,"\uffff":3,"\U00010000":4}]'),
    ('{"a":1,"b":2,"a":3}', '{"a":3,"b":2}'), (r'{"\u0061":1,"a":[]}', '{"a":[]}'),
    # a surrogate without its other half stays an escape and sorts as the code point that it is
    (r'"Hello \uD83D"', r'"Hello \ud83d"'), (r'"\ude00\ud83d"', r'"\ude00\ud83d"'),
    (r'"\uDFFF\uD800x"', r'"\udfff\ud800x"'), (r'"\uD83D\uD83D\uDE00\uDE00"', r'"\ud83d😀\ude00"'),
    (r'"\ud83d\u0041\n\ud83d\\ude00"', r'"\ud83dA\n\ud83d\\ude00"'),
    (r'[{"\udc00":1,"\uffff":2,"\ud7ff":3,"\uD800":4,"😀":5}]',
     '[{"\ud7ff":3,"\\ud800":4,"\\udc00":1,"\uffff":2,"😀":5}]'),
    (r'{"\ud83d":1,"\uD83D":2,"\ud83d\u0000":3}', r'{"\ud83d":2,"\ud83d\u0000":3}'),
]
NUMBERS = ["0", "-0", "0.0", "-0.0", "1.10", "1e5", "1E5", "1e+05", "1E-0", "100000000000000000000000",
           "12345678901234567890123", "0.1000", "1e400", "-1e-400", "3.0", "0e0", "9" * 5000, "0." + "0" * 5000 + "1"]
KEYS = ["", "a", "A", "dark-mode", "a b", "a/b.c", '"', "\\", "\n", "\x01", "\x7f", "é", "e\u0301", "中", "\uffff",
        "\U00010000", "😀", "\0", "nul\0inside", "nul\0", "k" * 10000, "null", "__proto__"]
NOT_JSON = ["", " ", "nul", "True", "NaN", "Infinity", "-Infinity", "01", "+1", "1.", ".5", "1e", "0x1", "--1", "'a'",
            '"', '"\n"', '"\0"', '"0123\x1f567"', '"\x1f"', r'"\x"', r'"\ud80"', r'"\udc0g"', r'"\ud83d\ude0"',
            "[1,]", "[1 2]", "[", "{", '{"a"}', '{"a":}',
            "{a:1}", '{"a":1,}', "1 2", "{} x", "null\0", "\ufeff1", "// c\n1", "[1]]", "\x0b1", "\xa01"]


@on_every_kind
class Contract:
    def test_a_new_store_is_empty(self):
        self.assertEqual((self.store.list_all_json(), len(self.store)), ("{}", 0))
        self.assertIsNone(self.store.get_json("a"))
        self.assertFalse(self.store.delete("a"))

    def test_what_is_set_comes_back_compact_and_sorted(self):
        for given, returned in SPELLINGS:
            with self.subTest(given=given):
                self.store.set_json("key", given)
                self.assertEqual(self.store.get_json("key"), returned)
                self.assertEqual(self.store.list_all_json(), '{"key":' + returned + "}")

    def test_numbers_keep_their_digits(self):
        for digits in NUMBERS:
            with self.subTest(digits=digits[:40]):
                self.store.set_json("key", f"[ {digits} ]")
                self.assertEqual(self.store.get_json("key"), f"[{digits}]")
                self.store.set_json("other", digits)
                self.assertEqual(self.store.get_json("other"), digits)
        self.assertEqual(self.store.list_all_json(), f'{{"key":[{NUMBERS[-1]}],"other":{NUMBERS[-1]}}}')

    def test_equal_numbers_of_other_digits_are_a_change(self):
        for digits in ["1.1", "1.10", "11e-1"]:
            self.store.set_json("key", digits)
            self.assertEqual(self.store.get_json("key"), digits)

    def test_any_key_is_kept_apart_and_listed_in_code_point_order(self):
        for number, key in enumerate(KEYS):
            self.store.set("shared", number)
            self.store.set(key, number)
        expected = {key: number for number, key in enumerate(KEYS)} | {"shared": len(KEYS) - 1}
        self.assertEqual(list(self.store.list_all().items()), sorted(expected.items()))
        self.assertEqual(len(self.store), len(expected))
        for key, number in expected.items():
            self.assertEqual((self.store.get(key), key in self.store), (number, True))

    def test_keys_are_deleted_once_and_alone(self):
        for key in KEYS:
            self.store.set(key, key)
        for number, key in enumerate(KEYS, start=1):
            self.assertTrue(self.store.delete(key))
            self.assertFalse(self.store.delete(key))
            self.assertIsNone(self.store.get_json(key))
            self.assertEqual(len(self.store), len(KEYS) - number)
        self.assertEqual(self.store.list_all_json(), "{}")

    def test_a_stored_null_is_not_absence(self):
        self.store.set("key", None)
        self.assertEqual((self.store.get_json("key"), self.store.get("key", 1), len(self.store)), ("null", None, 1))
        self.assertEqual((self.store.get("absent", 1), "absent" in self.store), (1, False))
        self.assertTrue(self.store.delete("key"))

    def test_any_value_of_python_comes_back(self):
        rng = random.Random(20)
        for _ in range(150):
            value = documents.random_value(rng)
            self.store.set_json("key", documents.odd(rng, value))
            text = self.store.get_json("key")
            self.assertTrue(oracle.same(json.loads(text), value), text)
            self.assertEqual(text.replace(r"\u007f", "\x7f"), oracle.compact(value))

    def test_large_values_are_kept(self):
        value = {"text": "é\"" * 200_000, "list": list(range(50_000))}
        self.store.set("key", value)
        self.assertEqual(self.store.get("key"), value)

    def test_127_levels_are_kept_and_128_refused(self):
        self.store.set_json("key", documents.nested(127))
        with self.fails(flagstore.INVALID_JSON):
            self.store.set_json("key", documents.nested(128))
        with self.fails(flagstore.INVALID_JSON):
            self.store.set_json("key", "[" * 100_000)
        self.assertEqual(self.store.get_json("key"), documents.nested(127).replace(" ", ""))

    def test_what_is_not_one_json_value_is_refused_and_changes_nothing(self):
        self.store.set("key", "old")
        for text in NOT_JSON:
            with self.subTest(text=text):
                self.assertFalse(oracle.is_value(text.encode()))
                with self.fails(flagstore.INVALID_JSON):
                    self.store.set_json("key", text)
        self.assertEqual(self.store.list_all_json(), '{"key":"old"}')

    def test_the_message_says_which_key_line_and_column(self):
        positions = {'{\n"a": 1,\n"b":?}': (3, 5), "?": (1, 1), '["é😀", ?]': (1, 8), "[1]\r\n]": (2, 1)}
        for text, at in positions.items():
            with self.fails(flagstore.INVALID_JSON, "dark-mode", at=at):
                self.store.set_json("dark-mode", text)

    def test_text_that_is_not_utf8_is_refused(self):
        for data in [b"\xff", b"\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a\x80"]:
            with self.subTest(data=data):
                for call in [self.store.get_json, self.store.delete, self.store.get_bool, self.store.get_int64,
                             self.store.get_double, self.store.get_string, self.store.get_type,
                             lambda key: self.store.set_json(key, "1"), lambda key: self.store.set_bool(key, True),
                             lambda key: self.store.set_int64(key, 1), lambda key: self.store.set_double(key, 1),
                             lambda key: self.store.set_string(key, ""),
                             lambda text: self.store.set_json("key", b'"' + text + b'"')]:
                    with self.fails(flagstore.INVALID_ARGUMENT):
                        call(data)
        self.assertEqual(len(self.store), 0)

    def test_threads_share_a_store_and_lose_no_update(self):
        def work(name):
            for turn in range(15):
                self.store.set(f"{name}.{turn}", turn)
                seen[name] += self.store.get(f"{name}.{turn}") == turn and self.store.delete(f"{name}.{turn - 1}")
        seen = dict.fromkeys("abcd", 0)
        threads = [threading.Thread(target=work, args=name, daemon=True) for name in seen]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(seen, dict.fromkeys("abcd", 14))
        self.assertEqual(self.store.list_all(), {f"{name}.14": 14 for name in "abcd"})

"""Which bytes are a store's file and which are not: the library and a strict use of Python's json agree."""
import json
import os
import random
import time

import documents
import flagstore
import oracle
from flagstore import Store
from stores import FolderCase

SEED, ORIGINALS, MUTANTS_OF_EACH = 77, 60, 50
SPLICES = [
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\u", b"\\ud800", b"\\udc00", b"0", b"-", b"+", b".",
    b"e", b"1", b"NaN", b"Infinity", b"null", b"true", b"//", b"/**/", b"'", b" ", b"\t", b"\r", b"\n", b"\0",
    b"\x0b", b"\x0c", b"\x1f", b"\x7f", b"\x80", b"\xc0\xaf", b"\xc3\xa9", b"\xed\xa0\x80", b"\xef\xbb\xbf",
    b"\xf0\x9f\x98\x80", b"\xf4\x90\x80\x80", b"\xff", b"\xc2\xa0", b"\xe2\x80\xa8",
]
VALUES = [  # each judged as it is, as the value of a key, and as an item of an array
    "0", "-0", "00", "01", "-01", "-", "+1", "1.", ".1", "1.0", "1.e1", "1e", "1e+", "1e+1", "1E-01", "1ee1",
    "1e1.0", "0x10", "1_000", "1,5", "1e400", "9" * 5000, "0." + "9" * 5000, "1e" + "9" * 50, "Infinity",
    "-Infinity", "+Infinity", "NaN", "-NaN", "nan", "inf", "true", "True", "tru", "truee", "false", "null",
    "nul", "nulll", "None", "undefined", "", '""', '"', '"a', 'a"', "''", "'a'", '"a" "b"', '"a""b"', r'"\""',
    r'"\\"', r'"\/"', r'"\b\f\n\r\t"', r'"\a"', r'"\x41"', r'"\0"', r'"\u"', r'"\u123"', r'"\u12G4"',
    r'"\u 123"', r'"\u+123"', r'"\U00e9"', r'"\u00E9"', r'"\u0000"', r'"\uFFFF"', r'"\ud83d\ude00"',
    r'"\ud83d"', r'"\ude00"', r'"\ude00\ud83d"', r'"\ud83d\ud83d\ude00"', r'"\ud83dx\ude00"', r'"\ud83d\n"',
    r'"\ud83d\u0041"', r'"\uD83D\uDE00\uDE00"', '"\\ud83d\U0001f600"', '"\\', '"\\"', '"\t"', '"\n"', '"\r"',
    '"\0"', '"\x1f"', '"\x7f"', '"\x80"', '"é"', '"\u2028"', '"\ufeff"', '"\uffff"', '"\U0010ffff"', b'"\xff"',
    b'"\xc0\x80"', b'"\xc3"', b'"\xe2\x82"', b'"\xed\xa0\x80"', b'"\xed\xb0\x80"',
    b'"\xed\xa0\xbd\xed\xb8\x80"', b'"\xf0\x82\x82\xac"', b'"\xf4\x90\x80\x80"', b'"\xf8\x88\x80\x80\x80"',
    b'"\xfe"', b"\xff", "é", "[]", "[ ]", "[", "]", "[]]", "[[]", "[,]", "[1,]", "[,1]", "[1,,2]", "[1 2]",
    "[1:2]", "[1", "{}", "{ }", "{", "}", "{}}", '{"a"}', '{"a":}', '{"a":1,}', '{,"a":1}', '{:1}', '{"a" 1}',
    '{"a"::1}', '{"a":1 "b":2}', '{"a":1,,"b":2}', "{a:1}", "{'a':1}", "{1:1}", "{null:1}", '{"a":1,"a":2}',
    r'{"\ud800":1}', r'{"a":"\ud800","a":1}', '{"a":tru,"a":1}', '{"":0}', "[}", "{]", '["a":1]', '{"a":[}',
    "// c", "/* c */ 1", "1 // c", "# c", "1 ", "\t1\r\n", "\x0b1", "\x0c1", "\xa01", "\u20281", "\ufeff1",
    "1\0", "1\x1a", "[\u3000]", "<a/>", "a: 1", "(1)", "1;",
]


def spelled_files():
    """The VALUES in every place, and what only the root of a file can get wrong."""
    for value in VALUES:
        value = value if isinstance(value, bytes) else value.encode()
        yield from [value, b'{"k": ' + value + b"}", b'{"j":1,"k":[' + value + b', 2]}',
                    b'{"k":' + value + b', "more than a register": "behind it"}']
    for depth in [1, 126, 127, 128, 129, 300]:
        yield from [b'{"k":%s}' % documents.nested(depth).encode(), b'{"k":' + b"[" * depth + b"]" * depth + b"}",
                    b'{"k":1,"k":%s,"k":2}' % documents.nested(depth).encode()]
    for around in [b" ", b"\n\r\t ", b"\0", b"\x0b", b"\xef\xbb\xbf", b"\xc2\xa0", b"x", b",", b"{}", b"\xff\xfe",
                   b"\x1a"]:
        yield from [around, around + b'{"k":1}', b'{"k":1}' + around]
    yield from ['{"k":1}'.encode(encoding) for encoding in ["utf-8", "utf-16", "utf-16-le", "utf-32"]]
    yield b""


def halved_files():
    """A flag begins near the middle of these, or only seems to, and what comes before or after it is broken."""
    long, between = '"%s"' % ("long" * 40), ",\n  "
    for value in [long, f"[{long}", f'{{"a": {long}', f'{{"a": [{long}', long[:-1], f"tru{long}", f'{long}, "b": {long}']:
        for rest in ['"b": 1', '"b": {"a": 1}', '"b"', '"b": 1]', '"b"]', '"b": 1}', '"b": 1}}', '"b": 1]}', '"b": 1]}}',
                     '"k": 1', '"\\u006b": 1', '"b": tru', '"b": 1,', '"b": 1 2', 'b": 1', '"b": 1,\n  "k": 2,\n  "k": 3']:
            for end in ["\n}\n", "}", "}}", "", "} x"]:
                yield ('{\n  "k": ' + value + between + rest + end).encode()
                yield ('{\n  "k": ' + value + "}" + between + rest + end).encode()


def mutants(rng):
    """Generated documents, cut, flipped, spliced and doubled somewhere."""
    for _ in range(ORIGINALS):
        data = documents.laid_out(rng, documents.random_document(rng, 3, depth=2)).encode()
        yield data
        for _ in range(MUTANTS_OF_EACH):
            at, end = rng.randrange(len(data)), rng.randrange(len(data))
            flipped = bytes([data[at] ^ 1 << rng.randrange(8)])
            yield rng.choice([
                data[:at], data[at:], data[:at] + flipped + data[at + 1:], data[:at] + rng.randbytes(1) + data[at + 1:],
                data[:at] + rng.choice(SPLICES) + data[at:], data[:at] + rng.choice(SPLICES) + data[at + 1:],
                data[:at] + data[at + 1:], data[:at] + data[min(at, end):max(at, end)] + data[at:],
            ])


class Verdict(FolderCase):
    def test_spelled_out_files(self):
        accepted, refused = self.judge(list(spelled_files()))
        self.assertGreater(min(accepted, refused), 50)

    def test_files_of_two_halves(self):
        accepted, refused = self.judge(list(halved_files()))
        self.assertGreater(min(accepted, refused), 40)

    def test_mutated_files(self):
        accepted, refused = self.judge(list(mutants(random.Random(SEED))))
        print(f"\nmutants of {ORIGINALS} documents, seed {SEED}: {accepted} accepted, {refused} refused")
        self.assertGreater(min(accepted, refused), 300)

    def judge(self, files):
        """Writes all first and lets them grow older than 100 ms: then none is waited for as unfinished."""
        for number, data in enumerate(files):
            with open(self.file(number), "wb") as file:
                file.write(data)
        time.sleep(0.15)
        verdicts = []
        for number, data in enumerate(files):
            verdicts.append(oracle.is_document(data))
            with self.subTest(data=data[:200]), Store.file(self.file(number), durability=flagstore.SYNC_NONE) as store:
                (self.check_accepted if verdicts[-1] else self.check_refused)(store, number, data)
        return verdicts.count(True), verdicts.count(False)

    def file(self, number):
        return os.path.join(self.folder, f"{number}.json")

    def check_accepted(self, store, number, data):
        listed, expected = exact(store.list_all_json()), exact(data.decode())
        self.assertTrue(oracle.same(listed, expected), listed)
        self.assertEqual(len(store), len(expected))
        for key, value in expected.items():
            # A store that has read the file knows its flags: the first read is the one that searches its text.
            with Store.file(self.file(number)) as fresh:
                self.assertTrue(oracle.same(exact(fresh.get_json(key)), value), key)

    def check_refused(self, store, number, data):
        for call in [store.list_all, lambda: store.get("k"), lambda: store.get("absent"), lambda: len(store),
                     lambda: store.set("k", 1), lambda: store.delete("k")]:
            with self.fails(flagstore.CORRUPT, self.file(number)):
                call()
        with open(self.file(number), "rb") as file:
            self.assertEqual(file.read(), data)

    def test_set_judges_values_alike(self):
        """A text that is not UTF-8 is a bad argument, one that is not JSON is bad JSON."""
        store = self.closed_later(Store.memory())
        for value in VALUES:
            data = value if isinstance(value, bytes) else value.encode()
            for text in [data, b"[" + data + b"]", b'{"k":' + data + b"}"]:
                with self.subTest(text=text[:200]):
                    if oracle.is_value(text):
                        store.set_json("key", text)
                        continue
                    with self.fails(flagstore.INVALID_JSON if is_utf8(text) else flagstore.INVALID_ARGUMENT):
                        store.set_json("key", text)


def exact(text):
    """The value with its numbers as marked text: Python refuses to convert very long ones."""
    return json.loads(text, parse_int="number {}".format, parse_float="number {}".format)


def is_utf8(data):
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True

"""The file, byte for byte what Python's json module writes, and any file Python writes is read."""
import json
import random
import re

import documents
import flagstore
import oracle
from flagstore import Batch
from stores import FolderCase

STEPS, SEEDS = 600, [11, 22, 33, 44]
DOCUMENTS, DOCUMENT_SEED = 2000, 55
# Most steps without fsync, for speed; the bytes must not depend on it.
DURABILITIES = [(flagstore.SYNC_NONE, 18), (flagstore.SYNC_ORDERED, 1), (flagstore.SYNC_FULL, 1)]


class Bytes(FolderCase):
    def test_after_every_step_the_file_is_what_python_writes(self):
        print(f"\nsets and deletes: {STEPS} steps for each of the seeds {SEEDS}")
        self.stores = [self.open(durability=durability) for durability, _ in DURABILITIES]
        for seed in SEEDS:
            self.write(oracle.file_bytes({}))
            self.run_steps(random.Random(seed), f"seed {seed}")

    def run_steps(self, rng, name):
        expected = {}
        keys = [""] + [documents.random_text(rng) for _ in range(40)]
        for step in range(STEPS):
            store, = rng.choices(self.stores, [weight for _, weight in DURABILITIES])
            key = rng.choice(keys)
            self.change(rng, store, key, expected)
            self.assertEqual(self.read(), oracle.file_bytes(expected), f"{name}, step {step}, key {key!a}")
            if step % 10 == 0:
                self.check_reads(store, expected)

    def change(self, rng, store, key, expected):
        """One set or delete, on the store and on the dict alike."""
        if rng.random() < 0.25:
            self.assertEqual(store.delete(key), key in expected)
            expected.pop(key, None)
            return
        value = documents.random_value(rng)
        text = rng.choice([json.dumps, oracle.compact, lambda value: documents.odd(rng, value)])(value)
        self.assertTrue(oracle.same(json.loads(text), value))
        store.set_json(key, text)
        expected[key] = value

    def test_any_layout_is_read_and_rewritten(self):
        print(f"\n{DOCUMENTS} documents in any layout, seed {DOCUMENT_SEED}")
        rng = random.Random(DOCUMENT_SEED)
        store = self.open(durability=flagstore.SYNC_NONE)
        for number in range(DOCUMENTS):
            document = documents.random_document(rng, rng.choice([0, 1, 3, 8]))
            data = documents.laid_out(rng, document).encode()
            self.write(data)
            with self.subTest(document=number, data=data):
                self.check_reads(store, document)
                document["rewritten"] = number
                store.set("rewritten", number)
                self.assertEqual(self.read(), oracle.file_bytes(document))

    def test_one_odd_byte_is_enough_to_rewrite_the_file(self):
        """A store copies what is canonical already, so it must know what is not."""
        document = {"": "\u00e9\ud83d\U0001f600\x7f/", "a": [1, {"b": {}, "c": []}], "b\n": True, "c": "x",
                    "d": {"x": 1, "y": 2}, "delete": "\x7f", "e": "\u00e9", "\u00e9": 1, "\x7f": 2}
        canonical = oracle.file_bytes(document).decode()
        first, between, last = '{\n  "', '",\n  "a"', "\n}\n"
        edits = [(first, odd) for odd in ['{\r\n  "', '{ \n  "', '{\n   "', '{"', '{\r\n "', '{\n\t "', '\n{\n  "', '{\n  "z": 0,\n  "']]
        edits += [('"": ', odd) for odd in ['"" : ', '"":', '"":  ']]
        edits += [(between, odd) for odd in ['" ,\n  "a"', '", \n  "a"', '",\n\t"a"', '",\n  \n"a"', '",\n   "a"', '","a"']]
        edits += [(between, odd) for odd in ['",\r\n "a"', '", \n "a"', '" ,\n "a"', '",\n \t"a"']]
        edits += [(last, odd) for odd in ["\n}", "\n}\n\n", "}\n", "\n }\n", "\n}\n ", "\n}\r\n"]]
        edits += [(f'"{old}"{end}', f'"{new}"{end}') for old, new in [(r"\u007f", "\x7f"), (r"\u00e9", "\u00e9")] for end in ",:"]
        edits += [(r"\u00e9", "\u00e9"), (r"\u00e9", r"\u00E9"), (r"\ud83d", r"\uD83d"), (r"\u007f", "\x7f"), ("/", r"\/"),
                  ('"x"', r'"\u0078"'), (r'"b\n"', r'"b\u000a"'), ('"a": ', r'"\u0061": '), ('"c": "x"', '"c":\t"x"'),
                  ("{}", "{ }"), ("[]", "[\n]"), ("1,\n", "1, \n"), ('      "b"', '     "b"'), ('  "c": "x",\n', ""),
                  ('"x": 1,\n    "y": 2', '"y": 2,\n    "x": 1'), ('"x": 1', '"x": 1,\n    "x": 1')]
        store = self.open(durability=flagstore.SYNC_NONE)
        for old, new in edits:
            with self.subTest(old=old, new=new):
                self.assertIn(old, canonical)
                text = new.join(canonical.rsplit(old, 1) if old == last else canonical.split(old, 1))
                self.write(text.encode())
                expected = json.loads(text)
                self.assertFalse(store.delete("absent"))
                self.assertEqual(self.read(), text.encode())
                store.set("rewritten", True)
                self.assertEqual(self.read(), oracle.file_bytes(expected | {"rewritten": True}))

    def check_reads(self, store, document):
        self.assertTrue(oracle.same(store.list_all(), document), "list_all")
        self.assertEqual(store.list_all_json().replace(r"\u007f", "\x7f"), oracle.compact(document))
        self.assertEqual(len(store), len(document))
        for key, value in document.items():
            self.assertTrue(oracle.same(json.loads(store.get_json(key)), value), key)
        self.assertIsNone(store.get_json("no such key"))

    def test_other_peoples_edits_between_changes_are_kept(self):
        """A store knows what it wrote last; what it finds may differ in one letter, in the same file, of the same size."""
        rng = random.Random(77)
        store, expected = self.open(durability=flagstore.SYNC_NONE), {}
        for step in range(1000):
            self.commit_some(rng, store, expected)
            if expected and rng.random() < 0.5:
                key = rng.choice(list(expected))
                expected[key] = rng.choice([True, None, 1234, 0.12])  # each as long as the others
                with open(self.path, "r+b") as file:
                    file.write(oracle.file_bytes(expected))
                    file.truncate()
            self.assertEqual(self.read(), oracle.file_bytes(expected), f"step {step}")

    def commit_some(self, rng, store, expected):
        """Some changes together, on the store and on the dict alike."""
        with Batch() as batch:
            if rng.random() < 0.05:
                batch.clear()
                expected.clear()
            for key in rng.choices("abcdefghijklmnopqrst\u00e9\U0001f600", k=rng.choice([1, 1, 2, 6])):
                if rng.random() < 0.3:
                    batch.delete(key)
                    expected.pop(key, None)
                else:
                    expected[key] = documents.random_value(rng)
                    batch.set(key, expected[key])
            store.commit(batch)

    def test_a_rewrite_retypes_no_number(self):
        """Python would: so its parser hands each number over as a marked string, unmarked in the text."""
        def verbatim(data):
            document = json.loads(data, parse_int="\0{}".format, parse_float="\0{}".format)
            document["rewritten"] = True
            return re.sub(rb'"\\u0000([^"]*)"', rb"\1", oracle.file_bytes(document))
        rng = random.Random(66)
        store = self.open(durability=flagstore.SYNC_NONE)
        for _ in range(300):
            members = (f'"{number % 20}" : [ {number_text(rng)},{{"n": {number_text(rng)}}} ]' for number in range(30))
            data = "{" + ",\t".join(members) + "}"
            self.write(data.encode())
            store.set("rewritten", True)
            self.assertEqual(self.read(), verbatim(data))


def number_text(rng):
    """Any spelling of a number, mostly not Python's."""
    def digits(most):
        return "".join(rng.choices("0123456789", k=rng.randint(1, most)))
    integer = rng.choice(["0", rng.choice("123456789"), rng.choice("123456789") + digits(rng.choice([3, 30, 300]))])
    fraction = rng.choice(["", "." + digits(5), "." + digits(40)])
    exponent = rng.choice(["", rng.choice("eE") + rng.choice(["", "+", "-"]) + digits(4)])
    return rng.choice(["", "-"]) + integer + fraction + exponent

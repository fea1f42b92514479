"""The escape of a lone surrogate, which half an emoji leaves behind: a value like any other, but no text."""
import json
import random

import documents
import flagstore
import oracle
from flagstore import CONFLICT, CORRUPT, TYPE_MISMATCH, Batch
from stores import FolderCase, on_every_kind

GREETING, COMPACT = "Hello \ud83d", r'"Hello \ud83d"'
# In Python's order, which is that of the code points.
KEYS = ["\ud7ff", "\ud800", "\ud83d", "\ud83d\0", "\ud83dA", "\ud83d\ud7ff", "\ud83d\ud83d", "\ud83d\ue000", "\udbff",
        "\udc00", "\ude00", "\ude00\ud83d", "\udfff", "\udfff\U0001f600", "\ue000", "\uffff", "\U00010000", "\U0001f600"]
DOCUMENTS, SEED = 3000, 19


def random_text(rng, others):
    """Mostly surrogates, which pair up where they can."""
    return documents.paired("".join(rng.choices(documents.SURROGATES + others, k=rng.randint(0, 7))))


@on_every_kind
class LoneSurrogates:
    def setUp(self):
        super().setUp()
        self.store.set("greeting", GREETING)
        self.store.set("dark-mode", True)

    def test_it_comes_back_as_its_escape(self):
        self.assertEqual((self.store.get_json("greeting"), self.store.get("greeting")), (COMPACT, GREETING))
        self.assertEqual(self.store.list_all_json(), '{"dark-mode":true,"greeting":%s}' % COMPACT)
        self.assertEqual(self.store.get_type("greeting"), flagstore.STRING)
        self.assertEqual(len(self.store), 2)

    def test_it_is_no_text_and_the_other_flags_are_read(self):
        for read in [self.store.get_string, self.store.get_bool, self.store.get_double]:
            with self.fails(TYPE_MISMATCH, "greeting"):
                read("greeting")
        with self.fails(TYPE_MISMATCH, "surrogate"):
            self.store.get_string("greeting")
        self.assertIs(self.store.get_bool("dark-mode", False), True)

    def test_every_spelling_is_the_same_value(self):
        for spelled in [r'"Hello \uD83D"', r' "\u0048ello\u0020\ud83D"']:
            with Batch() as batch:
                batch.expect_json("greeting", spelled)
                self.store.commit(batch)
        for other in ['"Hello "', '"Hello \ufffd"', r'"Hello \\ud83d"', r'"Hello \ud83d\ude00"', r'"Hello \ud83e"']:
            with self.subTest(other=other), Batch() as batch, self.fails(CONFLICT, "greeting"):
                batch.expect_json("greeting", other)
                self.store.commit(batch)

    def test_it_is_changed_and_deleted(self):
        self.store.set("dark-mode", "\ude00\ud83d")
        self.store.set("greeting", {"\udc00": ["\ud83d"]})
        self.assertEqual(self.store.list_all(), {"dark-mode": "\ude00\ud83d", "greeting": {"\udc00": ["\ud83d"]}})
        self.assertTrue(self.store.delete("greeting"))
        self.assertEqual(self.store.list_all(), {"dark-mode": "\ude00\ud83d"})

    def test_a_snapshot_holds_it(self):
        snapshot = self.closed_later(self.store.snapshot())
        self.assertEqual(list(snapshot.items_json()), [("dark-mode", "true"), ("greeting", COMPACT)])
        self.assertEqual(snapshot.get("greeting"), GREETING)

    def test_a_watch_is_called_with_it(self):
        changes = []
        self.closed_later(self.store.watch(lambda *change: changes.append(change)))
        self.store.set("greeting", "\ude00")
        self.wait_until(lambda: changes, "the call")
        self.assertEqual(changes, [("greeting", COMPACT, r'"\ude00"')])

    def test_nested_keys_are_in_the_order_of_code_points(self):
        self.assertEqual(KEYS, sorted(KEYS))
        self.store.set("keys", dict.fromkeys(reversed(KEYS), 0))
        self.assertEqual(list(json.loads(self.store.get_json("keys"))), KEYS)

    def test_both_ways_between_python_and_the_store(self):
        rng = random.Random(SEED)
        for _ in range(DOCUMENTS // 20):
            value = random_text(rng, "A\U0001f600\n\\")
            spell = rng.choice([json.dumps, oracle.compact, lambda text: documents.odd(rng, text)])
            self.store.set_json("key", spell(value))
            self.assertEqual((self.store.get("key"), self.store.get_json("key")), (value, oracle.compact(value)))


class InTheFile(FolderCase):
    def test_the_file_keeps_it_as_python_writes_it(self):
        flags = {"greeting": GREETING, "keys": dict.fromkeys(KEYS, "\udfff"), "dark-mode": True}
        self.write(oracle.file_bytes(flags))
        store = self.open()
        store.set("dark-mode", False)
        self.assertEqual(self.read(), oracle.file_bytes(flags | {"dark-mode": False}))

    def test_setting_it_again_leaves_the_file_alone(self):
        data = rb'{"greeting":"Hello \uD83D", "other": 1}'
        self.write(data)
        store = self.open()
        store.set("greeting", GREETING)
        self.assertEqual(self.read(), data)
        store.set("other", 2)
        self.assertEqual(self.read(), oracle.file_bytes({"greeting": GREETING, "other": 2}))

    def test_any_document_is_read_and_rewritten(self):
        """Keys and strings of nothing but surrogates and their neighbours."""
        rng = random.Random(SEED)
        print(f"\n{DOCUMENTS} documents of surrogates, seed {SEED}")

        def text():
            return random_text(rng, "A\ud7ff\uffff\U0001f600")
        store = self.open(durability=flagstore.SYNC_NONE)
        for number in range(DOCUMENTS):
            flags = {"object": {text(): text() for _ in range(rng.randint(0, 6))}, "list": [text(), {text(): 1}]}
            self.write(documents.laid_out(rng, flags).encode())
            self.assertEqual(store.list_all_json(), oracle.compact(flags), number)
            store.set("rewritten", number)
            self.assertEqual(self.read(), oracle.file_bytes(flags | {"rewritten": number}), number)

    def test_the_key_of_a_flag_cannot_hold_it(self):
        for key, column in [(r"\ud83d", 2), (r"ab\ude00", 4), (r"\ud83d\ude00\uD83D", 14), (r"\ud83d\ud83d\ude00", 2)]:
            self.write(b'{"flag": 1,\n"%s": 2}' % key.encode())
            for call in [lambda: self.open().get("flag"), self.open().list_all, lambda: len(self.open()),
                         lambda: self.open().set("flag", 2), lambda: self.open().delete("flag")]:
                with self.subTest(key=key), self.fails(CORRUPT, at=(2, column)):
                    call()
        for key in [r"\ud83d\ude00", r"\\ud83d", r"\uD83D\uDE00"]:
            self.write(b'{"%s": 2}' % key.encode())
            self.assertEqual(self.open().get(json.loads(f'"{key}"')), 2)

"""A store as Python's mapping, and values that take only their type."""
import collections.abc
import threading

import flagstore
from flagstore import Batch, Store
from stores import on_every_kind

# What each argument takes; everything else is a TypeError.
NOT_BOOL, NOT_INT, NOT_FLOAT, NOT_STR = [0, 1, None, "true", 1.0], [True, 1.0, "1", None], [True, "1", None, b"1"], [
    b"text", 1, True, ["text"]]
NOT_KEYS = [None, 1, True, ["a"], ("a",), bytearray(b"a"), memoryview(b"a")]


@on_every_kind
class Mapping:
    def test_it_is_one(self):
        store = self.store
        self.assertIsInstance(store, collections.abc.MutableMapping)
        store["b"], store["a"], store["é"] = 1, [None], "text"
        self.assertEqual((store["b"], "a" in store, "c" in store, len(store)), (1, True, False, 3))
        self.assertEqual((list(store), list(store.keys())), (["a", "b", "é"], ["a", "b", "é"]))
        self.assertEqual((list(store.items()), list(store.values())),
                         ([("a", [None]), ("b", 1), ("é", "text")], [[None], 1, "text"]))
        self.assertEqual((dict(store), {**store}), (store.list_all(), store.list_all()))
        del store["b"]
        for call in [lambda: store["b"], lambda: store.__delitem__("b"), lambda: store.pop("b")]:
            with self.assertRaises(KeyError):
                call()
        self.assertEqual((store.pop("b", 7), store.pop("a"), list(store)), (7, [None], ["é"]))
        self.assertEqual((store.setdefault("é", 1), store.setdefault("c"), store.setdefault("d", 2)), ("text", None, 2))
        self.assertEqual([store.popitem() for _ in range(3)], [("c", None), ("d", 2), ("é", "text")])
        with self.assertRaises(KeyError):
            store.popitem()

    def test_an_empty_store_is_true_and_equals_itself_only(self):
        with Store.memory() as other:
            self.assertTrue(self.store and other)
            self.assertEqual((len(self.store), self.store == other, self.store == {}), (0, False, False))
            self.assertEqual((self.store, len({self.store, other, self.store})), (self.store, 2))

    def test_update_and_clear_are_one_write_each(self):
        calls = []
        with self.store.watch(lambda *change: calls.append(self.store.list_all())):
            self.store.update({"a": 1}, b=2)
            self.wait_until(lambda: len(calls) == 2, "both are told")
            self.store.clear()
            self.wait_until(lambda: len(calls) == 4, "both are told")
        self.assertEqual(calls, [{"a": 1, "b": 2}] * 2 + [{}] * 2)
        self.store.update([("x", 1)])
        with self.assertRaises(TypeError):
            self.store.update({"y": 1, "z": object()})
        self.assertEqual(self.store.list_all(), {"x": 1})

    def test_of_all_who_pop_at_once_one_gets_it(self):
        def work(number):
            for turn in range(20):
                got.append(self.store.pop(str(turn), None))
                firsts.append(self.store.setdefault(f"first {turn}", number))
        self.store.update({str(turn): turn for turn in range(20)})
        got, firsts = [], []
        threads = [threading.Thread(target=work, args=[number], daemon=True) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(sorted(value for value in got if value is not None), list(range(20)))
        self.assertEqual(sorted(firsts), sorted(self.store[f"first {turn}"] for turn in range(20) for _ in range(4)))

    def test_values_take_only_their_type(self):
        store = self.store
        for calls, refused in [((store.get_bool, store.set_bool), NOT_BOOL),
                               ((store.get_int64, store.set_int64), NOT_INT),
                               ((store.get_double, store.set_double), NOT_FLOAT),
                               ((store.get_string, store.set_string), NOT_STR)]:
            for value in refused:
                for call in calls:
                    with self.subTest(call=call, value=value), self.assertRaises(TypeError):
                        call("key", value)
        with self.assertRaises(TypeError):
            store.set_string("key", None)
        for value in [2**63, -2**63 - 1]:
            for call in [store.get_int64, store.set_int64]:
                with self.assertRaises(OverflowError):
                    call("key", value)
        store.set_double("double", 1)
        self.assertEqual((store.get_json("double"), store.get_double("absent", 2), len(store)), ("1.0", 2.0, 1))

    def test_keys_and_texts_are_text(self):
        batch, store = Batch(), self.store
        with store.snapshot() as snapshot:
            for key in NOT_KEYS:
                for call in [store.get, store.get_json, store.delete, store.get_bool, store.get_type, store.__getitem__,
                             store.__contains__, store.pop, lambda key: store.set(key, 1),
                             lambda key: store.set_json("a", key),
                             lambda key: store.set_bool(key, True), lambda key: store.set_string(key, ""),
                             lambda key: batch.set(key, 1), lambda key: batch.set_json("a", key), batch.delete,
                             lambda key: batch.expect(key, 1), snapshot.get_json, snapshot.seek, snapshot.__contains__,
                             flagstore.has_feature, lambda text: flagstore.json_equal("1", text)]:
                    with self.subTest(key=key), self.assertRaises(TypeError):
                        call(key)
            for key in NOT_KEYS[1:]:
                with self.assertRaises(TypeError):
                    store.watch(print, key)
        for callback in [None, 1, "print"]:
            with self.assertRaises(TypeError):
                store.watch(callback)
        self.assertEqual((len(store), batch.changes(), batch.expectations()), (0, {}, {}))

    def test_revisions_and_timeouts_are_numbers(self):
        for revision in [True, 1.0, "1", None]:
            with self.assertRaises(TypeError):
                self.store.wait(revision, 0)
        for revision in [-1, 2**64]:
            with self.fails(flagstore.INVALID_ARGUMENT):
                self.store.wait(revision, 0)
        revision = self.store.revision()
        self.assertEqual([self.store.wait(revision, timeout) for timeout in [-1, 0, 0.01, 1e-9]], [None] * 4)
        with self.assertRaises(ValueError):
            self.store.wait(revision, float("nan"))

    def test_typed_setters_take_nuls(self):
        for write, value in [(self.store.set_bool, True), (self.store.set_int64, -2**63), (self.store.set_double, 1e16),
                             (self.store.set_string, "a\0b")]:
            for key in ["key", "nul\0"]:
                write(key, value)
                self.assertEqual((self.store.get(key), self.store.get_type(key)), (value, self.store.get_type("key")))
        self.assertEqual(self.store.get_type("absent\0"), flagstore.ABSENT)
        with self.fails(flagstore.INVALID_ARGUMENT):
            self.store.set_double("nul\0", float("nan"))

"""A backend of the caller's own: what reaches it, what it answers, and how it fails."""
import ctypes
import threading

import flagstore
from flagstore import BACKEND, NOT_IMPLEMENTED, FlagstoreError, Store, open_backend
from flagstore._native import BackendTable, call, lib
from stores import FolderCase, Forwarding
from test_batches import batch_of

# Each call of a store with the method that it needs.
CALLS = {
    "get": [lambda store: store.get("a"), lambda store: store.get_bool("a"), lambda store: store.get_int64("a"),
            lambda store: store.get_double("a"), lambda store: store.get_string("a"),
            lambda store: store.get_type("a"), lambda store: store.commit(batch_of(("expect", "a", 1)))],
    "set": [lambda store: store.set("a", 1), lambda store: store.set_bool("a", True),
            lambda store: store.set_int64("a", 1), lambda store: store.set_double("a", 1.5),
            lambda store: store.set_string("a", "text"), lambda store: store.commit(batch_of(("set", "a", 1)))],
    "remove": [lambda store: store.delete("a"), lambda store: store.commit(batch_of(("delete", "a")))],
    "list_all": [lambda store: store.list_all(), len, lambda store: store.snapshot(),
                 lambda store: store.watch(print), lambda store: store.commit(batch_of(("clear",)))],
}
NOT_VALUES = ["", "{", "1 2", "nul", b"\xff", b'"\xff"', '"\0"', "NaN"]


class Recorder:
    """A backend over a dict that notes its calls and checks that they do not overlap."""

    def __init__(self):
        self.flags, self.calls, self.alone = {}, [], threading.Lock()

    def noted(self, *call):
        assert self.alone.acquire(blocking=False), f"{call} came during another call"
        self.calls.append(call)
        self.alone.release()

    def get(self, key):
        self.noted("get", key)
        return self.flags.get(key)

    def set(self, key, text):
        self.noted("set", key, text)
        self.flags[key] = text

    def remove(self, key):
        self.noted("remove", key)
        return self.flags.pop(key, None) is not None

    def list_all(self):
        self.noted("list_all")
        return list(self.flags.items())

    def close(self):
        self.noted("close")


class OwnBackend(FolderCase):
    def setUp(self):
        super().setUp()
        self.backend = Recorder()
        self.store = self.closed_later(open_backend(self.backend))

    def without(self, name):
        """A store whose backend has all methods but one."""
        methods = type("Methods", (), {})()
        for other in {"get", "set", "remove", "list_all"} - {name}:
            setattr(methods, other, getattr(self.backend, other))
        return self.closed_later(open_backend(methods))

    def failing(self, name, failure):
        """A store whose backend raises `failure` where it was asked to `name`."""
        def fail(*_arguments):
            raise failure
        setattr(self.backend, name, fail)
        return self.store

    def test_what_reaches_it_is_the_key_and_compact_json(self):
        self.store.set_json("nul\0é", '{ "b": 1.10, "a": "\\u00e9" }')
        self.store.get("")
        self.store.delete("nul\0é")
        self.store.list_all()
        self.assertEqual(self.backend.calls, [("set", "nul\0é", '{"a":"é","b":1.10}'), ("get", ""),
                                              ("remove", "nul\0é"), ("list_all",)])

    def test_what_it_replies_is_made_compact_and_sorted(self):
        self.backend.flags = {"b": '{ "z": 1,\n"a": "\\u00e9" }', "a": " 1.10 ", "\0": "[ ]"}
        self.assertEqual(self.store.get_json("b"), '{"a":"é","z":1}')
        self.assertEqual(self.store.list_all_json(), r'{"\u0000":[],"a":1.10,"b":{"a":"é","z":1}}')

    def test_what_is_not_json_or_not_utf8_is_a_failure_of_the_backend(self):
        for text in NOT_VALUES:
            self.backend.flags = {"good": "1", "dark-mode": text}
            for call in [lambda: self.store.get("dark-mode"), lambda: self.store.get_bool("dark-mode"),
                         self.store.list_all, self.store.snapshot, self.store.__len__]:
                with self.subTest(text=text), self.fails(BACKEND, "dark-mode"):
                    call()
            self.assertEqual(self.store.get("good"), 1)
        self.backend.flags = {b"\xff": "1"}
        with self.fails(BACKEND):
            self.store.list_all()

    def test_what_the_store_refuses_never_reaches_it(self):
        for code, call in [(flagstore.INVALID_JSON, lambda: self.store.set_json("a", "{")),
                           (flagstore.INVALID_ARGUMENT, lambda: self.store.set_json(b"\xff", "1")),
                           (flagstore.INVALID_ARGUMENT, lambda: self.store.get_json(b"\xff")),
                           (flagstore.INVALID_ARGUMENT, lambda: self.store.set_double("a", float("nan")))]:
            with self.fails(code):
                call()
        self.assertEqual(self.backend.calls, [])

    def test_a_method_it_lacks_is_not_implemented_and_the_others_work(self):
        for missing in CALLS:
            store = self.without(missing)
            for needed, calls in CALLS.items():
                for number, call in enumerate(calls):
                    with self.subTest(missing=missing, needed=needed, call=number):
                        self.backend.flags = {}
                        self.check_call(store, call, missing if missing == needed else None)

    def check_call(self, store, call, missing):
        if missing:
            with self.fails(NOT_IMPLEMENTED, missing):
                call(store)
            return
        try:
            call(store)
        except FlagstoreError as failure:
            self.assertEqual(failure.code, flagstore.CONFLICT, failure)

    def test_what_it_raises_fails_the_call(self):
        for name, calls in CALLS.items():
            for failure, code, message in [
                    (ZeroDivisionError("on fire é"), BACKEND, "on fire é"),
                    (flagstore.Locked("busy"), flagstore.LOCKED, "busy"),
                    (FlagstoreError("odd", code=4711), 4711, "odd")]:
                for number, call in enumerate(calls):
                    with self.subTest(method=name, failure=failure, call=number):
                        with self.assertRaises(FlagstoreError) as caught:
                            call(self.failing(name, failure))
                        self.assertEqual(caught.exception.code, code)
                        self.assertIn(message, caught.exception.message)

    def test_a_change_that_happened_though_it_failed_is_a_new_revision(self):
        for method, call in {"set": lambda: self.store.set("a", 1), "remove": lambda: self.store.delete("a")}.items():
            revision = self.store.revision()
            self.failing(method, flagstore.NotDurable("no sync"))
            with self.fails(flagstore.NOT_DURABLE, "no sync"):
                call()
            self.assertNotEqual(self.store.revision(), revision, method)

    def test_a_batch_that_fails_half_way_leaves_what_it_did_and_is_told_of(self):
        def refuse_b(key, text):
            if key == "b":
                raise OSError("no room for b")
            self.backend.flags[key] = text
        self.backend.set, revision = refuse_b, self.store.revision()
        with self.fails(BACKEND, "no room for b"):
            self.store.commit(batch_of(("set", "a", 1), ("set", "b", 2)))
        self.assertEqual(self.store.list_all(), {"a": 1})
        self.assertNotEqual(self.store.revision(), revision)

    def test_false_without_an_error_object_is_a_failure_too(self):
        prototype = dict(BackendTable._fields_)["get"]
        table = BackendTable(ctypes.sizeof(BackendTable), None, get=prototype(lambda *_arguments: False))
        with Store._of(call(lib.flagstore_backend_open, ctypes.byref(table))) as store:
            with self.fails(BACKEND):
                store.get("a")

    def test_a_backend_that_calls_its_own_store_is_told_so(self):
        self.backend.get = lambda key: self.store.get_json("other")
        with self.fails(BACKEND):
            self.store.get("a")

    def test_its_calls_never_overlap(self):
        def work(name):
            for number in range(50):
                self.store.set(name, number)
                self.store.commit(batch_of(("expect", name, number), ("set", name, -number)))
                done.append(self.store.get(name) == -number and name in self.store.list_all())
        done = []
        threads = [threading.Thread(target=work, args=name, daemon=True) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(done, [True] * 200)

    def test_it_is_closed_once_with_the_last_of_store_and_watches(self):
        watches = [self.store.watch(print) for _ in range(2)]
        for handle in [self.store, *watches]:
            self.assertNotIn(("close",), self.backend.calls)
            handle.close()
        self.assertEqual(self.backend.calls.count(("close",)), 1)

    def test_a_table_that_is_null_or_sized_wrongly_is_refused_and_not_closed(self):
        closed = dict(BackendTable._fields_)["close"](self.fail)
        for table in [None, BackendTable(0, None, close=closed), BackendTable(2**40, None, close=closed)]:
            with self.fails(flagstore.INVALID_ARGUMENT):
                call(lib.flagstore_backend_open, table)
        lib.flagstore_reply(None, b"a", 1, b"1", 1)

    def test_a_change_through_the_store_below_is_seen_at_once(self):
        with Store.memory() as below, open_backend(Forwarding(below)) as above:
            below.set("a", 1)
            self.assertEqual((above.get("a"), dict(above.snapshot())), (1, {"a": 1}))

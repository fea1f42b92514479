"""No Python program harms the heap: handles are not copied, but closed beside running calls, in callbacks, in forks."""
import copy
import gc
import os
import pickle
import threading

import flagstore
import forks
from flagstore import Batch, InvalidArgument, Snapshot, Store, Watch, open_backend
from stores import FolderCase, Forwarding, on_every_kind

THREADS, TURNS = 4, 10


class Liar(str):
    def encode(self, *_arguments):
        return b"short"

    def __len__(self):
        return 10**9


class LyingBytes(bytes):
    def __len__(self):
        return 10**9


@on_every_kind
class Handles:
    def handles(self):
        batch, snapshot, watch = Batch(), self.store.snapshot(), self.store.watch(print)
        for handle in [batch, snapshot, watch]:
            self.addCleanup(handle.close)
        return [self.store, batch, snapshot, watch]

    def test_a_handle_is_neither_copied_nor_pickled(self):
        for handle in self.handles():
            for attempt in [copy.copy, copy.deepcopy, pickle.dumps, lambda handle: copy.deepcopy([{"a": handle}]),
                            lambda handle: pickle.dumps(handle, 0), lambda handle: handle.__reduce_ex__(4)]:
                with self.subTest(handle=handle), self.assertRaises(TypeError):
                    attempt(handle)
            self.assertFalse(handle.closed)

    def test_a_closed_handle_is_refused_and_closes_again(self):
        store, batch, snapshot, watch = self.handles()
        for handle in [batch, snapshot, watch, store]:
            handle.close()
            handle.close()
            self.assertTrue(handle.closed)
        for call in [store.revision, store.list_all, store.snapshot, lambda: store.wait(0), lambda: store.watch(print),
                     lambda: store.set("a", 1), lambda: store.commit(Batch()), lambda: len(store), batch.clear,
                     batch.changes, lambda: len(snapshot), lambda: snapshot.get("a"), lambda: list(snapshot)]:
            with self.assertRaises(InvalidArgument) as caught:
                call()
            self.assertIsInstance(caught.exception, ValueError)
        with Store.memory() as other, self.assertRaises(InvalidArgument):
            other.commit(batch)

    def test_only_the_library_makes_handles(self):
        for cls in [Store, Snapshot, Watch]:
            for arguments in [(), (1,), (self.store,)]:
                with self.assertRaises(TypeError):
                    cls(*arguments)
            with self.assertRaises(InvalidArgument):
                cls.__new__(cls)._call(print)
            del cls.__new__(cls).__dict__["_users"]  # and nothing happens when it goes
        with self.assertRaises(TypeError):
            self.store.__init__()
        with self.assertRaises(TypeError):
            self.store.commit(self.store)
        self.assertEqual(len(self.store), 0)

    def test_a_text_that_lies_about_its_length_is_read_as_it_is(self):
        self.store.set_json(Liar("key"), LyingBytes(b'"text"'))
        self.store.set_string(LyingBytes(b"other"), Liar("text"))
        self.assertEqual(self.store.list_all(), {"key": "text", "other": "text"})
        self.assertEqual(self.store.get(Liar("key")), "text")

    def use_until_closed(self, work):
        """Threads do it until another closes the store: they end with InvalidArgument, and nothing else happens."""
        def user():
            try:
                while True:
                    work()
                    used.set()
            except BaseException as failure:
                ends.append(failure)
        used, ends = threading.Event(), []
        threads = [threading.Thread(target=user, daemon=True) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        self.assertTrue(used.wait(20))
        self.store.close()
        for thread in threads:
            thread.join(20)
        self.assertEqual([type(end) for end in ends], [InvalidArgument] * THREADS, ends)

    def test_a_store_is_closed_while_threads_use_it(self):
        for turn in range(TURNS):
            store = self.store
            batch = Batch()
            batch.set("b", turn)
            works = [lambda: store.get("a"), lambda: store.set("a", turn), store.list_all, lambda: store.commit(batch),
                     lambda: dict(store.snapshot()), lambda: store.watch(print).close()]
            self.use_until_closed(works[turn % len(works)])
            self.store = self.closed_later(self.opener(self.folder))

    def test_a_wait_ends_when_the_store_is_closed(self):
        for timeout in [None, 3600]:
            store, ends = self.closed_later(self.opener(self.folder)), []

            def wait():
                try:
                    ends.append(store.wait(store.revision(), timeout))
                except InvalidArgument as closed:
                    ends.append(closed)
            thread = threading.Thread(target=wait, daemon=True)
            thread.start()
            self.wait_until(lambda: store._users or ends, "it waits")
            store.close()
            thread.join(20)
            self.assertEqual([type(end) for end in ends], [InvalidArgument])
            self.assertEqual((store._users, store._doomed), ([], []), "and it was freed")

    def test_a_watchs_call_closes_and_drops_everything(self):
        for turn in range(TURNS):
            store, done = self.opener(self.folder), threading.Event()
            kept = [store]

            def end(*_change):
                store = kept[0]
                for handle in kept[::-1]:
                    handle.close()
                kept.clear()
                gc.collect()
                self.assertTrue(store.closed)
                done.set()
            kept.append(store.watch(end))
            try:
                store.set("a", turn)
            except InvalidArgument:
                pass  # asked for the lock again, and was closed
            del store
            self.assertTrue(done.wait(20))
            self.assertEqual(kept, [])

    def test_a_snapshot_is_closed_while_threads_read_it(self):
        self.store.update({str(number): number for number in range(100)})
        for _ in range(TURNS):
            snapshot, ends = self.store.snapshot(), []

            def read():
                try:
                    while True:
                        assert len(dict(snapshot)) == 100
                except InvalidArgument:
                    ends.append("closed")
            threads = [threading.Thread(target=read, daemon=True) for _ in range(THREADS)]
            for thread in threads:
                thread.start()
            self.wait_until(lambda: snapshot._users, "it is read")
            snapshot.close()
            for thread in threads:
                thread.join(20)
            self.assertEqual(ends, ["closed"] * THREADS)

    def test_a_child_closes_what_its_parents_threads_use(self):
        def child():
            self.store.close()
            assert not self.store._doomed, "not freed"
        stop = threading.Event()

        def use():
            while not stop.is_set():
                self.store.get("a")
        threads = [threading.Thread(target=use, daemon=True) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for _ in range(TURNS):
            self.assertEqual(forks.exit_code(forks.in_child(child)), 0)
        stop.set()
        for thread in threads:
            thread.join(20)


class Batches(FolderCase):
    def test_threads_share_a_batch(self):
        def work(name):
            for number in range(200):
                batch.set(f"{name}{number}", number)
                store.commit(batch)
                done.append(len(batch.changes()) >= number)
        done = []
        with Store.memory() as store, Batch() as batch:
            threads = [threading.Thread(target=work, args=name, daemon=True) for name in "abcd"]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            self.assertEqual((done, len(store)), ([True] * 800, 800))

    def test_a_backend_cannot_change_the_batch_that_is_being_committed(self):
        class Meddler(dict):
            def set(self, key, text):
                for meddle in [lambda: batch.set("b", 1), batch.clear, batch.changes, lambda: other.commit(batch)]:
                    try:
                        meddle()
                    except InvalidArgument:
                        refused.append(key)
                batch.close()
                self[key] = text

            def list_all(self):
                return self.items()
        refused = []
        with Store.memory() as other, open_backend(Meddler()) as store:
            batch = Batch()
            batch.set("a", 1)
            store.commit(batch)
            self.assertEqual((refused, store.list_all(), batch.closed), (["a"] * 4, {"a": 1}, True))

    def test_a_batch_is_closed_while_threads_change_it(self):
        for _ in range(TURNS):
            batch, ends = Batch(), []

            def change():
                try:
                    while True:
                        batch.set("a", "text" * 100)
                        batch.changes()
                except InvalidArgument:
                    ends.append("closed")
            threads = [threading.Thread(target=change, daemon=True) for _ in range(THREADS)]
            for thread in threads:
                thread.start()
            batch.close()
            for thread in threads:
                thread.join(20)
            self.assertEqual(ends, ["closed"] * THREADS)


class Backends(FolderCase):
    def test_a_method_closes_its_own_store_and_drops_it(self):
        class Methods:
            def get(self, _key):
                kept.pop().close()
                gc.collect()
                return "1"

            def close(self):
                closed.append(1)
        kept, closed = [], []
        kept.append(open_backend(Methods()))
        self.assertEqual(kept[0].get("a"), 1)
        self.assertEqual((kept, closed), ([], [1]))

    def test_a_method_forks_and_the_child_closes_the_store(self):
        class Methods:
            def get(self, _key):
                def child():
                    store.close()
                    assert store._doomed, "freed inside its call"
                ends.append(forks.exit_code(forks.in_child(child)))
                return "1"
        ends, store = [], open_backend(Methods())
        with store:
            self.assertEqual((store.get("a"), ends), (1, [0]))

    def test_a_call_says_why_it_failed(self):
        class Methods(flagstore.Backend):
            def get(self, _key):
                raise ZeroDivisionError("by nought")

            def set(self, _key, _text):
                raise flagstore.Locked("busy")

            def remove(self, _key):
                class Unprintable(Exception):
                    def __str__(self):
                        raise ValueError
                raise Unprintable
        with open_backend(Methods()) as store:
            with self.assertRaises(flagstore.BackendFailed) as caught:
                store.get("a")
            self.assertIsInstance(caught.exception.__cause__, ZeroDivisionError)
            with self.assertRaises(flagstore.Locked):
                store.set("a", 1)
            with self.assertRaises(flagstore.BackendFailed):
                store.delete("a")
            with self.assertRaises(flagstore.NotImplementedByBackend) as caught:
                store.list_all()
            self.assertIsInstance(caught.exception, NotImplementedError)
        for what in [Methods, flagstore.Backend]:
            with self.assertRaises(TypeError):
                open_backend(what)

    def test_what_a_method_returns_may_be_nonsense(self):
        class Methods:
            def get(self, key):
                return {"number": 5, "list": [], "liar": Liar("1"), "text": "nul"}.get(key)

            def list_all(self):
                return 5

            def remove(self, _key):
                return "yes"
        with open_backend(Methods()) as store:
            for key in ["number", "list", "text"]:
                with self.assertRaises(flagstore.BackendFailed):
                    store.get(key)
            with self.assertRaises(flagstore.BackendFailed):
                store.list_all()
            self.assertEqual((store.get("liar"), store.delete("a")), (1, True))

    def test_threads_use_a_backend_that_is_closed(self):
        for _ in range(TURNS):
            below = Store.file(os.path.join(self.folder, "below.json"))
            store, ends = open_backend(Forwarding(below)), []

            def use():
                try:
                    while True:
                        store.get("a")
                except InvalidArgument:
                    ends.append("closed")
            threads = [threading.Thread(target=use, daemon=True) for _ in range(THREADS)]
            for thread in threads:
                thread.start()
            store.close()
            for thread in threads:
                thread.join(20)
            self.assertEqual((ends, below.closed), (["closed"] * THREADS, True))

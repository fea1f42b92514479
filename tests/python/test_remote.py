"""Backends with options: what they are asked, what is served while they are lost, deadlines; layers, status, sync."""
import os
import threading

import flagstore
import scripts
from flagstore import Batch, Conflict, Loaded, Store, Unavailable, Uncertain, open_backend, open_remote
from stores import FolderCase

PATIENCE = 60


class Engine:
    """Somewhere else that flags are kept in; it fails or blocks on command. A backend with the basic methods."""

    def __init__(self, **flags):
        self.changed = threading.Condition()
        self.flags, self.revision = flags, 1
        self.failure = None  # every call raises it
        self.blocked, self.inside = False, 0  # calls do not return; how many
        self.counts = {"set": 0, "commit": 0, "close": 0}

    def put(self, key, text):
        """As somebody else would."""
        with self.changed:
            self.flags[key] = text
            self.revision += 1
            self.changed.notify_all()

    def tell(self, **what):
        with self.changed:
            vars(self).update(what)
            self.changed.notify_all()

    def reach(self):
        """The caller has the lock."""
        self.inside += 1
        self.changed.wait_for(lambda: not self.blocked)
        self.inside -= 1
        if self.failure is not None:
            raise self.failure

    def get(self, key):
        with self.changed:
            self.reach()
            return self.flags.get(key)

    def set(self, key, text):
        with self.changed:
            self.reach()
            self.counts["set"] += 1
            self.put_locked({key: text})

    def remove(self, key):
        with self.changed:
            self.reach()
            existed = key in self.flags
            self.put_locked({key: None})
            return existed

    def list_all(self):
        with self.changed:
            self.reach()
            return list(self.flags.items())

    def close(self):
        self.counts["close"] += 1

    def put_locked(self, changes):
        for key, text in changes.items():
            if text is None:
                self.flags.pop(key, None)
            else:
                self.flags[key] = text
        self.revision += 1
        self.changed.notify_all()


class Complete(Engine):
    concurrent = True
    woken = False

    def commit(self, batch):
        with self.changed:
            self.reach()
            self.counts["commit"] += 1
            for key, text in batch.expectations().items():
                found = self.flags.get(key)
                if (found is None) != (text is None) or found is not None and not flagstore.json_equal(found, text):
                    raise Conflict(f"{key} is another")
            if batch.clears():
                self.flags.clear()
            self.put_locked(batch.changes())
            return self.revision

    def load(self, seen):
        with self.changed:
            self.reach()
            if seen == self.revision:
                return Loaded.SAME
            return list(self.flags.items()), self.revision

    def wait(self, seen, timeout):
        with self.changed:
            self.woken = False
            self.changed.wait_for(lambda: self.revision != seen or self.failure or self.woken, timeout)
            if self.failure:
                raise self.failure
            return self.revision if self.revision != seen else None

    def wake(self):
        self.tell(woken=True)

    def forked(self):
        """A child has its own, at another revision."""
        self.changed, self.flags, self.revision = threading.Condition(), {"process": '"child"'}, 100


class RemoteCase(FolderCase):
    def remote(self, engine, **options):
        """Nothing but the engine's doing ends its calls."""
        options = {"open_timeout": PATIENCE, "call_timeout": PATIENCE, "spread": 0, "retry_max": 0.02, **options}
        return self.closed_later(open_remote(engine, **options))

    def watched(self, engine, **options):
        return self.remote(engine, read_mode=flagstore.READ_WATCHED, **options)

    def wait_for_state(self, store, state):
        self.wait_until(lambda: store.status().state == state, f"state {state}", PATIENCE)


class Backends(RemoteCase):
    def test_a_batch_reaches_it_as_a_whole(self):
        for mode in [flagstore.READ_FRESH, flagstore.READ_CHECKED, flagstore.READ_WATCHED]:
            engine = Complete()
            store = self.remote(engine, read_mode=mode)
            batch, other, last = Batch(), Batch(), Batch()
            batch.set("a", 1)
            batch.set("b", {})
            batch.expect_json("a", None)
            store.commit(batch)
            self.assertEqual(engine.counts["commit"], 1)
            other.set("b", 2)
            other.expect_json("a", "1.0")
            with self.fails(flagstore.CONFLICT, "a is another"):
                store.commit(other)
            last.clear()
            last.set("c", [])
            last.expect_json("b", " { } ")
            store.commit(last)
            self.assertEqual((dict(store), engine.counts["set"]), ({"c": []}, 0))

    def test_the_batch_is_gone_after_the_commit(self):
        class Keeping(Complete):
            def commit(self, batch):
                self.kept = batch
                return super().commit(batch)
        engine = Keeping()
        store = self.closed_later(open_backend(engine))
        store.update(a=1)
        with self.fails(flagstore.INVALID_ARGUMENT, "closed"):
            engine.kept.changes()
        engine.kept.close()
        self.assertEqual(dict(store), {"a": 1})

    def test_a_change_by_others_reaches_wait_and_watch(self):
        engine = Complete()
        store, told = self.watched(engine), []
        with store.watch(lambda *change: told.append(change)):
            revision = store.revision()
            engine.put("key", "1")
            self.assertIsNotNone(store.wait(revision, PATIENCE))
            self.wait_until(lambda: told == [("key", None, "1")], "the watch is told", PATIENCE)
        self.assertEqual(store["key"], 1)
        self.wait_until(lambda: store.status().refreshes > 0, "it is counted", PATIENCE)
        self.assertEqual(store.status().push, flagstore.PUSH_ANNOUNCED)

    def test_a_lost_one_is_stale_and_then_live_again(self):
        engine = Complete(key="1")
        store, strict = self.watched(engine), self.watched(engine, when_lost=flagstore.LOST_FAIL)
        self.assertEqual(store.status().state, flagstore.STATE_LIVE)
        engine.tell(failure=Unavailable("is away"))
        self.wait_for_state(store, flagstore.STATE_STALE)
        self.assertEqual(store["key"], 1)
        with self.fails(flagstore.UNAVAILABLE, "is away"):
            store["key"] = 2
        self.wait_until(lambda: strict.status().state != flagstore.STATE_LIVE, "it is lost", PATIENCE)
        with self.fails(flagstore.UNAVAILABLE, "is away"):
            strict["key"]
        self.wait_until(lambda: store.status().age > 0, "it ages")
        engine.put("key", "3")
        engine.tell(failure=None)
        self.wait_for_state(store, flagstore.STATE_LIVE)
        self.wait_until(lambda: store["key"] == 3, "the change is seen", PATIENCE)
        self.assertEqual((store.status().reconnects, store.status().revision), (1, store.revision()))

    def test_what_it_raises_keeps_its_code(self):
        for failure, code in [(Unavailable("is away"), flagstore.UNAVAILABLE),
                              (Conflict("is away"), flagstore.CONFLICT), (Uncertain("is away"), flagstore.UNCERTAIN),
                              (KeyError("is away"), flagstore.BACKEND), (SystemExit("is away"), flagstore.BACKEND)]:
            engine = Complete()
            engine.failure = failure
            store = self.remote(engine)
            for call in [lambda: store.get("key"), lambda: store.set("key", 1), lambda: store.update(key=1)]:
                with self.fails(code, "is away"):
                    call()

    def test_a_call_ends_at_its_deadline(self):
        for code, call in [(flagstore.UNAVAILABLE, lambda store: store.get("key")),
                           (flagstore.UNCERTAIN, lambda store: store.set("key", 1))]:
            engine = Complete()
            engine.blocked = True
            store = self.remote(engine, call_timeout=0.3)
            with self.fails(code):
                call(store)
            self.assertEqual(engine.inside, 1)
            engine.tell(blocked=False)
            store.close()
            self.wait_until(lambda: engine.counts["close"] == 1, "it is closed", PATIENCE)

    def test_calls_overlap_if_it_says_so(self):
        engine = Complete()
        engine.blocked = True
        store = self.remote(engine)
        threads = [threading.Thread(target=store.get, args="a") for _ in range(2)]
        for thread in threads:
            thread.start()
        self.wait_until(lambda: engine.inside == 2, "two calls are inside", PATIENCE)
        engine.tell(blocked=False)
        for thread in threads:
            thread.join()

    def test_it_is_closed_after_a_failed_open(self):
        engine = Complete()
        for wrong in [{"when_lost": 7}, {"verify": -1}, {"spread": float("nan")}, {"fallback_path": "a\0b"}]:
            with self.fails(flagstore.INVALID_ARGUMENT):
                self.watched(engine, **wrong)
        self.assertEqual(engine.counts["close"], 0)  # it was asked nothing
        engine.failure = flagstore.InvalidArgument("its own")
        with self.fails(flagstore.INVALID_ARGUMENT, "its own"):
            self.watched(engine)
        self.assertEqual(engine.counts["close"], 1)
        lazy = self.watched(engine, flags=flagstore.OPEN_LAZY | flagstore.OPEN_READ_ONLY)
        with self.fails(flagstore.UNAVAILABLE):
            lazy.get("key")
        with self.fails(flagstore.READ_ONLY):
            lazy.set("key", 1)

    def test_the_basic_methods_will_do(self):
        engine = Engine(key="1")
        store = self.watched(engine, verify=0.02)
        self.assertEqual(dict(store), {"key": 1})
        store.update(key=2, other=3)
        self.assertEqual((dict(store), engine.counts["set"]), ({"key": 2, "other": 3}, 2))
        engine.put("key", "4")
        self.wait_until(lambda: store["key"] == 4, "it looks", PATIENCE)
        self.assertEqual(store.status().push, flagstore.PUSH_NONE)

    def test_what_has_vanished_is_not_believed_to_be_empty(self):
        class Vanishing(Complete):
            gone = False

            def load(self, seen):
                return Loaded.GONE if self.gone else super().load(seen)
        engine = Vanishing(key="1")
        store = self.watched(engine)
        engine.tell(gone=True, revision=2)
        self.wait_for_state(store, flagstore.STATE_LOST)
        self.assertEqual(store["key"], 1)

    def test_the_fallback_file_serves_until_it_is_reached(self):
        engine = Complete(key="1")
        self.watched(engine, fallback_path=self.path)
        self.wait_until(lambda: os.path.exists(self.path) and b'"key": 1' in self.read(), "the file", PATIENCE)
        engine.tell(failure=Unavailable("is away"))
        store = self.watched(engine, fallback_path=self.path, open_timeout=0.001)
        self.assertEqual((store.status().state, store["key"]), (flagstore.STATE_FALLBACK, 1))
        engine.tell(failure=None)
        self.wait_for_state(store, flagstore.STATE_LIVE)


class Syncs(RemoteCase):
    def test_reads_see_what_was_done_before(self):
        engine = Complete()
        store = self.watched(engine, spread=PATIENCE)  # by itself it would be late
        for number in range(20):
            engine.put("key", str(number))
            store.sync(PATIENCE)
            self.assertEqual(store["key"], number)
        engine.tell(failure=Unavailable("is away"))
        with self.fails(flagstore.UNAVAILABLE):  # it is tried until then
            store.sync(0.5)
        with self.fails(flagstore.INVALID_ARGUMENT):
            store.sync(-1)

    def test_of_a_file(self):
        store = self.open(read_mode=flagstore.READ_WATCHED)
        self.open().set("key", 1)
        store.sync()
        self.assertEqual((store["key"], store.status().state), (1, flagstore.STATE_LIVE))


class Layers(RemoteCase):
    def test_they_are_read_from_the_top_and_one_is_written(self):
        top = self.closed_later(Store.file(os.path.join(self.folder, "top.json")))
        bottom = self.open(lock_timeout=0.7)
        bottom.update(a=1, b=1)
        top["b"] = None
        store = self.closed_later(Store.layered([top, bottom], write_to=1))
        top.close()  # it is held
        self.assertEqual(store.list_all_json(), '{"a":1,"b":null}')
        store["b"] = 2
        self.assertEqual((store["b"], bottom["b"]), (None, 2))
        self.assertTrue(store.delete("a"))
        self.assertNotIn("a", bottom)
        store.sync()
        self.assertEqual((store.status().state, store._tries), (flagstore.STATE_LIVE, bottom._tries))
        for wrong in [[], [bottom], [top, bottom]]:
            with self.fails(flagstore.INVALID_ARGUMENT):
                Store.layered(wrong, write_to=1)
        with self.assertRaises(TypeError):
            Store.layered([bottom, {}])

    def test_over_a_backend(self):
        engine = Complete(key="1")
        memory = self.closed_later(Store.memory())
        for below in [self.closed_later(open_backend(Engine(key="1"))), self.watched(engine)]:
            store = self.closed_later(Store.layered([memory, below]))
            self.assertEqual(store["key"], 1)
            self.assertEqual(isinstance(store, type(below)), True)
        engine.put("key", "2")
        self.wait_until(lambda: store["key"] == 2, "the change is seen", PATIENCE)


CHILD = """
    import os, sys, time
    sys.path.insert(0, {here!r})
    import flagstore
    from test_remote import Complete
    for mode in [flagstore.READ_FRESH, flagstore.READ_WATCHED]:
        store = flagstore.open_remote(Complete(process='"parent"'), read_mode=mode, spread=0, call_timeout=60)
        child = os.fork()
        if child == 0:
            deadline = time.monotonic() + 60
            while store["process"] != "child" and time.monotonic() < deadline:
                time.sleep(0.001)
            store["new"] = 1
            sys.exit(0 if dict(store) == {{"process": "child", "new": 1}} else 3)
        assert os.waitpid(child, 0)[1] == 0
        assert dict(store) == {{"process": "parent"}}
"""
END = """
    import sys
    sys.path.insert(0, {here!r})
    import flagstore
    from test_remote import Complete, Engine
    stores = [flagstore.open_remote(Complete(), read_mode=flagstore.READ_WATCHED, retry_max=0.01) for _ in range(3)]
    stores.append(flagstore.open_remote(Engine(), read_mode=flagstore.READ_WATCHED, verify=0.001, spread=0))
    stores.append(flagstore.Store.layered([flagstore.Store.memory(), stores[0]]))
    plain = flagstore.open_backend(Complete())
    plain.revision()
    watch = stores[1].watch(print)
    stores[2].set("a", 1)
    {more}
"""


class Processes(RemoteCase):
    def test_a_child_of_fork_uses_its_own(self):
        self.assertEqual(scripts.run(CHILD.format(here=scripts.HERE)), (0, "", ""))

    def test_an_interpreter_ends_with_open_stores(self):
        for more in ["", "sys.exit()", "stores[2].watch(lambda *change: None)"]:
            self.assertEqual(scripts.run(END.format(here=scripts.HERE, more=more)), (0, "", ""))

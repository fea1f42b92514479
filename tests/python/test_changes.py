"""revision, wait and watch: whoever asks for changes is told, of each one, however it was made."""
import ctypes
import os
import sys
import threading

import flagstore
import forks
from flagstore import INVALID_ARGUMENT, Batch
from flagstore._native import WatchFunction, lib
from stores import on_every_kind
from test_batches import batch_of
from test_processes import WorkerCase

FOREVER = None


class Waiter:
    """A thread that waits for the revision to differ from what it is now."""

    def __init__(self, store, timeout=FOREVER):
        self.before, self.after = store.revision(), None
        self.thread = threading.Thread(target=self.run, args=[store, timeout], daemon=True)
        self.thread.start()

    def run(self, store, timeout):
        self.after = store.wait(self.before, timeout)


class Calls(list):
    """What a watch told: (key, old, new)."""

    def __call__(self, *change):
        self.append(change)


class Told:
    """What these tests share: who waits is woken, who watches is called."""

    def check_wakes(self, store, change):
        """`change` wakes those who wait, with or without a limit, and nothing else does."""
        waiters = [Waiter(store), Waiter(store, 3600)]
        waiters[0].thread.join(0.1)
        self.assertEqual([waiter.thread.is_alive() for waiter in waiters], [True, True], "woken without a change")
        change()
        for waiter in waiters:
            waiter.thread.join(20)
            self.assertFalse(waiter.thread.is_alive(), "not woken")
            self.assertNotIn(waiter.after, [None, 0, waiter.before])

    def watch(self, store, *arguments):
        calls = Calls()
        return calls, self.closed_later(store.watch(calls, *arguments))

    def expect_calls(self, calls, *expected):
        """Exactly these calls, in any order, since the last time."""
        self.wait_until(lambda: len(calls) >= len(expected), f"the calls {expected}, have {calls}")
        self.assertEqual(sorted(calls, key=str), sorted(expected, key=str))
        calls.clear()


@on_every_kind
class Changes(Told):
    def changes(self):
        return [lambda: self.store.set("a", 1), lambda: self.store.set("a", 2), lambda: self.store.set_bool("b", True),
                lambda: self.store.delete("a"), lambda: self.store.commit(batch_of(("clear",), ("set", "c", 3)))]

    def test_every_change_makes_a_new_revision(self):
        seen = [self.store.revision()]
        for change in self.changes():
            change()
            seen.append(self.store.revision())
        self.assertEqual(len(set(seen) - {0}), len(seen), seen)

    def test_every_change_wakes_those_who_wait(self):
        for change in self.changes():
            self.check_wakes(self.store, change)

    def test_a_wait_ends_when_its_time_is_over(self):
        for timeout in [0, 0.001, 0.05]:
            self.assertIsNone(self.store.wait(self.store.revision(), timeout))

    def test_a_change_that_was_missed_is_told_at_once(self):
        revision = self.store.revision()
        self.store.set("a", 1)
        for timeout in [0, 1, FOREVER]:
            self.assertNotIn(self.store.wait(revision, timeout), [None, revision])
        self.assertEqual(self.store.wait(0, FOREVER), self.store.revision())

    def test_reading_is_no_change(self):
        self.store.set("a", 1)
        waiter = Waiter(self.store)
        for _ in range(50):
            self.store.get("a")
            self.store.list_all()
        self.assertEqual((waiter.thread.is_alive(), self.store.revision()), (True, waiter.before))
        self.store.set("a", 2)
        waiter.thread.join(20)
        self.assertFalse(waiter.thread.is_alive())

    def test_null_and_other_handles_are_refused(self):
        revision, callback = ctypes.c_uint64(1), WatchFunction(lambda *_change: None)
        with Batch() as batch:
            for name, failure, *arguments in [
                    ("revision", 0, None), ("revision", 0, batch._pointer[0]), ("wait", False, None, revision, 0),
                    ("wait", False, batch._pointer[0], revision, 0), ("wait", False, self.store._pointer[0], None, 0),
                    ("watch", None, None, None, callback, None),
                    ("watch", None, batch._pointer[0], None, callback, None),
                    ("watch", None, self.store._pointer[0], None, WatchFunction(), None),
                    ("watch", None, self.store._pointer[0], b"\xff", callback, None)]:
                self.assertEqual(self.raw(name, *arguments), (failure, INVALID_ARGUMENT), (name, arguments))
                self.assertEqual(getattr(lib, "flagstore_" + name)(*arguments, None), failure)


@on_every_kind
class Watches(Told):
    def test_each_key_that_changed_is_told_once_with_old_and_new(self):
        self.store.commit(batch_of(("set", "kept", 0), ("set", "changed", 1), ("set", "gone", "é")))
        calls, _watch = self.watch(self.store)
        self.store.commit(batch_of(("set", "kept", 0), ("set_json", "changed", "[ 1.10 ]"), ("delete", "gone"),
                                   ("set", "", None)))
        self.expect_calls(calls, ("changed", "1", "[1.10]"), ("gone", '"é"', None), ("", None, "null"))
        self.store.delete("")
        self.expect_calls(calls, ("", "null", None))

    def test_changes_in_quick_succession_are_told_without_a_gap(self):
        calls, _watch = self.watch(self.store)
        for number in range(200):
            self.store.set("a", number)
        self.wait_until(lambda: calls and calls[-1][2] == "199", "the last value")
        self.assertEqual([old for _, old, _ in calls], [None] + [new for _, _, new in calls[:-1]])

    def test_a_watch_of_one_key_tells_of_no_other(self):
        calls, _watch = self.watch(self.store, "b")
        everything, _other = self.watch(self.store)
        self.store.commit(batch_of(("set", "a", 1), ("set", "b", 2), ("set", "bb", 3)))
        self.expect_calls(everything, ("a", None, "1"), ("b", None, "2"), ("bb", None, "3"))
        self.expect_calls(calls, ("b", None, "2"))
        self.store.set("a", 9)
        self.expect_calls(everything, ("a", "1", "9"))
        self.store.delete("b")
        self.expect_calls(calls, ("b", "2", None))

    def test_no_call_comes_after_close(self):
        for turn in range(20):
            calls, watch = self.watch(self.store)
            other, other_watch = self.watch(self.store)
            self.store.set("a", [turn, "before"])
            watch.close()
            told = len(calls)
            self.store.set("a", [turn, "after"])
            self.wait_until(lambda: other and other[-1][2] == f'[{turn},"after"]', "the open watch is told")
            self.assertEqual(len(calls), told)
            other_watch.close()

    def test_a_watch_may_be_closed_in_its_own_call(self):
        def close(*change):
            watch.close()
            calls(*change)
        calls, watch = Calls(), None
        watch = self.closed_later(self.store.watch(close))
        others, _watch = self.watch(self.store)
        self.store.set("a", 1)
        self.expect_calls(calls, ("a", None, "1"))
        self.expect_calls(others, ("a", None, "1"))
        self.store.set("a", 2)
        self.expect_calls(others, ("a", "1", "2"))
        self.assertEqual(calls, [])

    def test_a_call_may_use_the_store_and_raise(self):
        def answer(key, _old, new):
            if key == "question":
                self.store.set("answer", self.store.get_int64(key) + len(self.store))
            raise ValueError(key)
        failures = []
        self.addCleanup(setattr, sys, "unraisablehook", sys.unraisablehook)
        sys.unraisablehook = lambda failure: failures.append(str(failure.exc_value))
        with self.store.watch(answer):
            self.store.set("question", 41)
            self.wait_until(lambda: self.store.get("answer") == 42, "the answer")
            self.wait_until(lambda: len(failures) == 2, "two calls")
        self.assertEqual(failures, ["question", "answer"])

    def test_a_store_may_be_closed_before_its_watches(self):
        calls, watch = self.watch(self.store)
        self.store.set("a", 1)
        self.store.close()
        self.expect_calls(calls, ("a", None, "1"))
        watch.close()

    def test_a_child_is_neither_called_nor_hung_by_its_parents_watch(self):
        def child():
            told = list(calls)
            self.store.set("child", number)
            own, own_watch = self.watch(self.store, "own")
            self.store.set("own", number)
            self.expect_calls(own, ("own", None, str(number)))
            for handle in [own_watch, watch, self.store]:
                handle.close()
            assert calls == told, f"called in the child: {calls}"
        calls, watch = self.watch(self.store)
        for number in range(20):
            self.store.delete("own")
            self.assertEqual(forks.exit_code(forks.in_child(child)), 0, number)
            self.store.set("parent", number)
            self.wait_until(lambda: calls and ("parent", str(number)) in [(key, new) for key, _, new in calls],
                            "the parent is still told")


class FileChanges(Told, WorkerCase):
    def setUp(self):
        super().setUp()
        self.write(b'{"a": 0}')

    def replace(self, data):
        with open(self.path + ".new", "wb") as file:
            file.write(data)
        os.rename(self.path + ".new", self.path)

    def edit(self, data):
        """In place, byte for byte, as cp does."""
        with open(self.path, "r+b") as file:
            file.write(data)
            file.truncate()

    def of_another_process(self, text):
        self.assertEqual(self.start("change", self.path, "a", text).wait(20), 0)

    def test_whatever_changes_the_file_wakes_those_who_wait(self):
        store = self.open()
        for change, after in [
                (lambda: self.of_another_process("1"), 1), (lambda: self.replace(b'{"a": 2}'), 2),
                (lambda: self.edit(b'{"a": 3}'), 3), (lambda: self.edit(b'{"a":  4 }'), 4),
                (lambda: self.edit(b'{"a": 5'), None), (lambda: self.replace(b'{"a": 6}'), 6),
                (lambda: os.unlink(self.path), None), (lambda: self.write(b'{"a": 7}'), 7),
                (lambda: os.rename(self.path, self.path + ".gone"), None),
                (lambda: os.rename(self.path + ".gone", self.path), 7),
                (lambda: self.of_another_process("8"), 8)]:
            with self.subTest(after=after):
                self.check_wakes(store, change)
                if after is not None:
                    self.assertEqual(store.get("a"), after)

    def config_map(self):
        """flags.json -> ..data/flags.json, ..data -> ..0: (publish the next version, its path)"""
        def publish(data):
            version = f"..{len(versions)}"
            versions.append(version)
            os.mkdir(os.path.join(folder, version))
            with open(os.path.join(folder, version, "flags.json"), "wb") as file:
                file.write(data)
            os.symlink(version, os.path.join(folder, "..tmp"))
            os.rename(os.path.join(folder, "..tmp"), os.path.join(folder, "..data"))
        folder, versions = os.path.join(self.folder, "map"), []
        os.mkdir(folder)
        os.symlink("..data/flags.json", os.path.join(folder, "flags.json"))
        publish(b'{"a": 0}')
        self.path = os.path.join(folder, "flags.json")
        return publish

    def test_a_config_map_that_is_swapped_wakes_and_is_told(self):
        publish = self.config_map()
        store = self.open(flags=flagstore.OPEN_READ_ONLY)
        calls, _watch = self.watch(store)
        for number in range(1, 4):
            self.check_wakes(store, lambda: publish(b'{"a": %d}' % number))
            self.assertEqual(store.get("a"), number)
            self.expect_calls(calls, ("a", str(number - 1), str(number)))

    def test_a_watch_tells_of_another_processs_changes(self):
        calls, _watch = self.watch(self.open())
        for number in range(1, 4):
            self.of_another_process(str(number))
            self.expect_calls(calls, ("a", str(number - 1), str(number)))

    def test_a_file_that_is_corrupt_for_a_while_is_not_told_of(self):
        lines = []
        flagstore.set_log(lambda _level, message: lines.append(message))
        self.addCleanup(flagstore.set_log, None)
        calls, _watch = self.watch(self.open())
        for number, broken in enumerate([b"{", b"[]", b'{"a": 0', b"\xff", b'{"a": 9} x', b""]):
            lines.clear()
            self.edit(broken)
            self.wait_until(lambda: any(self.path in line for line in lines), f"{broken} is logged")
            self.replace(b'{"a": 0, "b%d": 1}' % number)
            gone = [] if number == 0 else [(f"b{number - 1}", "1", None)]
            self.expect_calls(calls, (f"b{number}", None, "1"), *gone)

    def test_an_interpreter_may_end_while_a_watch_is_open(self):
        store = self.open(durability=flagstore.SYNC_NONE, lock_timeout=None)
        for turn in range(5):
            process, number = self.start("end_watching", self.path), 0
            self.assertEqual(process.stdout.readline(), b"watching\n")
            while process.poll() is None:
                number += 1
                store.set("a", [turn, number])
            self.assertEqual(process.returncode, 0)

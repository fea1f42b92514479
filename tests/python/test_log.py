"""Logging: silent until asked, every error reported before it is returned, no lock held meanwhile."""
import ctypes
import threading

import flagstore
from flagstore import LOG_DEBUG, LOG_ERROR, LOG_WARN
from flagstore._native import LogFunction, lib
from stores import StoreCase, on_every_kind


@on_every_kind
class Log:
    def setUp(self):
        super().setUp()
        self.addCleanup(flagstore.set_log, None)
        self.lines = []

    def record(self, level, message):
        self.lines.append((level, message))

    def provoke(self):
        with self.fails(flagstore.INVALID_JSON) as caught:
            self.store.set_json("dark-mode", "{")
        return caught.exception.message

    def test_an_error_is_logged_with_its_message(self):
        flagstore.set_log(self.record)
        message = self.provoke()
        self.assertTrue(any(level <= LOG_WARN and message in line for level, line in self.lines), self.lines)

    def test_nothing_is_logged_when_off(self):
        flagstore.set_log(self.record, LOG_DEBUG)
        flagstore.set_log(None)
        self.provoke()
        self.assertEqual(self.lines, [])

    def test_the_level_is_the_most_that_is_told(self):
        for level in range(LOG_ERROR, LOG_DEBUG + 1):
            flagstore.set_log(self.record, level)
            self.provoke()
            self.store.set("key", level)
            self.assertTrue(all(LOG_ERROR <= line_level <= level for line_level, _ in self.lines), self.lines)

    def test_userdata_comes_first_and_unchanged(self):
        seen = []
        callback = LogFunction(lambda userdata, _level, _message: seen.append(userdata))
        lib.flagstore_set_log(callback, ctypes.c_void_p(0x1234), LOG_WARN)
        self.provoke()
        flagstore.set_log(None)
        self.assertEqual(set(seen), {0x1234})

    def test_a_callback_may_use_the_store_and_the_log(self):
        def callback(_level, _message):
            self.store.set("from-callback", len(self.store))
            flagstore.set_log(None)
        flagstore.set_log(callback)
        thread = threading.Thread(target=self.provoke, daemon=True)
        thread.start()
        thread.join(20)
        self.assertFalse(thread.is_alive(), "a callback that calls the library hangs")
        self.assertEqual(self.store.list_all(), {"from-callback": 0})

    def test_threads_log_while_the_callback_changes(self):
        def work():
            while not stop.is_set():
                with self.fails(flagstore.INVALID_JSON):
                    self.store.set_json("key", "?")
                done.append(1)

        def change():
            flagstore.set_log(None)
            flagstore.set_log(self.record, LOG_ERROR)
            flagstore.set_log(self.record)
            return min(len(done), len(self.lines)) > 500
        stop, done = threading.Event(), []
        threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        self.wait_until(change, "the threads log")
        stop.set()
        for thread in threads:
            thread.join(20)
        self.assertEqual([thread for thread in threads if thread.is_alive()], [])

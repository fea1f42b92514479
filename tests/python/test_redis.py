"""Stores on Redis: the errors of a library without it, options, a server that is not there, and what others change."""
import os
import re
import socket
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

import flagstore
import forks
import redis_server
import scripts
from flagstore import Batch, Store, _native
from stores import FolderCase

PATIENCE = 60
SECRET = "s3cret-word"
OLDER = """
    import flagstore
    try:
        flagstore.Store.redis("redis://:{secret}@localhost", password="{secret}")
    except flagstore.NotImplementedByBackend as error:
        print(error.name, "flagstore_redis_open" in str(error), "{secret}" in repr(error))
    with flagstore.Store.memory() as store:
        store["a"] = 1
        print(dict(store))
"""


def closed_port():
    """A port that nobody listens at: it stays taken."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    return taken, f"redis://127.0.0.1:{taken.getsockname()[1]}"


class RedisCase(FolderCase):
    def redis(self, name=None, **options):
        return self.closed_later(redis_server.open_hash(name, **options))

    def watched(self, name=None, **options):
        return self.redis(name, read_mode=flagstore.READ_WATCHED, **options)


class WithoutRedis(RedisCase):
    if not redis_server.IS_BUILT:
        def test_opening_says_so_and_all_else_works(self):
            with self.fails(flagstore.NOT_IMPLEMENTED, "redis") as caught:
                Store.redis(f"redis://:{SECRET}@localhost", password=SECRET)
            self.assertIsInstance(caught.exception, NotImplementedError)
            self.assertNotIn(SECRET, repr(caught.exception))
            with Store.memory() as store:
                store["a"] = 1
                self.assertEqual(dict(store), {"a": 1})

    def test_an_older_library_says_so_too(self):
        older = os.path.join(os.path.dirname(scripts.HERE), "common", "older.sh")
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([older, folder], check=True)
            done = scripts.run(OLDER.format(secret=SECRET), env={**os.environ, "FLAGSTORE_LIB_DIR": folder})
        self.assertEqual(done, (0, "FLAGSTORE_NOT_IMPLEMENTED True False\n{'a': 1}\n", ""))

    def test_the_options_are_laid_out_as_in_the_header(self):
        folder = os.environ.get("FLAGSTORE_INCLUDE_DIR") or os.path.join(scripts.HERE, "..", "..", "include")
        header = Path(folder, "flagstore.h").read_text(encoding="utf-8")
        fields = re.sub(r"/\*.*?\*/", "", header[:header.index("} flagstore_redis_options_t;")], flags=re.DOTALL)
        declared = re.findall(r"([a-z_0-9 ]+?[ *]+)([a-z_]+);", fields[fields.rindex("typedef struct {") + 16:])
        kinds = {"size_t ": _native.c_size_t, "const char *": _native.c_char_p, "int32_t ": _native.c_int32,
                 "const flagstore_remote_options_t *": _native.POINTER(_native.RemoteOptions)}
        self.assertEqual([(name, kinds[kind.lstrip()]) for kind, name in declared], _native.RedisOptions._fields_)


@unittest.skipUnless(redis_server.IS_BUILT, "of a library with Redis")
class RedisOptions(RedisCase):
    def test_what_cannot_be_is_refused(self):
        for wrong in ["", "localhost", "http://localhost", "redis://", "redis://localhost:99999", "redis://localhost/x",
                      f"redis://:{SECRET}@localhost:x", "redis://local\0host", "redis://\udc80", b"redis://\xff"]:
            with self.subTest(url=wrong), self.fails(flagstore.INVALID_ARGUMENT) as caught:
                Store.redis(wrong)
            self.assertNotIn(SECRET, repr(caught.exception))
        for wrong in [{"connections": -1}, {"wait_replicas": -1}, {"wait": -1}, {"wait": float("nan")}, {"hash": "{"},
                      {"password": SECRET + "\0"}, {"password": SECRET + "\udc80"}, {"username": b"\xff"},
                      {"read_mode": 7}, {"when_lost": 7}, {"verify": -1}, {"flags": 2**31}, {"fallback_path": "a\0"},
                      {"connections": 2**40}]:
            with self.subTest(options=wrong), self.fails(flagstore.INVALID_ARGUMENT) as caught:
                Store.redis("redis://localhost", **wrong)
            self.assertNotIn(SECRET, repr(caught.exception))
        for wrong in [{"connections": 1.5}, {"hash": 1}, {"password": 1}, {"wait_replicas": True}, {"patience": 1}]:
            with self.subTest(options=wrong), self.assertRaises(TypeError):
                Store.redis("redis://localhost", **wrong)
        with self.assertRaises(TypeError):
            Store.redis(None)

    def test_files_that_are_not_there_are_an_error(self):
        missing = os.path.join(self.folder, "missing.pem")
        for options in [{"tls_ca_file": missing}, {"tls_cert_file": missing, "tls_key_file": missing}]:
            with self.subTest(options=options), self.fails(flagstore.IO, missing):
                Store.redis("rediss://127.0.0.1:1", read_mode=flagstore.READ_WATCHED, **options).get("key")

    def test_nobody_listens(self):
        taken, url = closed_port()
        self.addCleanup(taken.close)
        store = self.closed_later(Store.redis(url))  # it does not connect
        for call in [lambda: store.get("key"), lambda: store.set("key", 1), lambda: len(store),
                     lambda: store.update(a=1)]:
            with self.fails(flagstore.UNAVAILABLE):
                call()
        with self.fails(flagstore.UNAVAILABLE):
            Store.redis(url, read_mode=flagstore.READ_WATCHED, open_timeout=0.1)
        lazy = self.closed_later(Store.redis(url, read_mode=flagstore.READ_WATCHED, flags=flagstore.OPEN_LAZY))
        self.assertEqual(lazy.status().state, flagstore.STATE_LOST)
        with self.fails(flagstore.UNAVAILABLE):
            lazy.get("key")
        self.write(b'{"key": 1}\n')
        fallback = self.closed_later(Store.redis(url, read_mode=flagstore.READ_WATCHED, open_timeout=0.1,
                                                 fallback_path=Path(self.path)))
        self.assertEqual((fallback["key"], fallback.status().state), (1, flagstore.STATE_FALLBACK))


@unittest.skipUnless(redis_server.IS_BUILT, "of a library with Redis")
class OnRedis(RedisCase):
    def setUp(self):
        redis_server.needed()
        super().setUp()
        self.name = redis_server.new_hash()

    def test_what_people_change_is_seen(self):
        fresh, store = self.redis(self.name), self.watched(self.name)
        told = []
        watch = store.watch(lambda *change: told.append(change))
        self.addCleanup(watch.close)
        revision = store.revision()
        redis_server.cli("HSET", self.name, "dark-mode", '{"on":  true}')
        self.assertEqual(fresh["dark-mode"], {"on": True})
        self.assertIsNotNone(store.wait(revision, PATIENCE))
        self.wait_until(lambda: told == [("dark-mode", None, '{"on":true}')], "the watch is told", PATIENCE)
        self.assertEqual(store["dark-mode"], {"on": True})
        status = store.status()
        self.assertEqual((status.state, status.push), (flagstore.STATE_LIVE, flagstore.PUSH_TRACKED))
        self.assertEqual(status.revision, store.revision())
        self.wait_until(lambda: store.status().refreshes > 0, "it is counted", PATIENCE)
        fresh["max-items"] = 12
        self.assertEqual(redis_server.cli("HGET", self.name, "max-items"), "12")

    def test_reads_see_what_was_done_before_a_sync(self):
        fresh, store = self.redis(self.name), self.watched(self.name, spread=PATIENCE)
        for number in range(10):
            fresh["key"] = number
            store.sync(PATIENCE)
            self.assertEqual(store["key"], number)

    def test_a_batch_is_for_what_was_expected(self):
        store = self.redis(self.name, connections=1)
        store.update(a=1, b={"c": 1.0})
        with Batch() as batch:
            batch.expect_json("b", '{ "c": 1.0 }')
            batch.set("a", 2)
            batch.delete("b")
            store.commit(batch)
            self.assertEqual(dict(store), {"a": 2})
            with self.fails(flagstore.CONFLICT):
                store.commit(batch)

    def test_layers_over_it(self):
        memory, below = self.closed_later(Store.memory()), self.watched(self.name)
        store = self.closed_later(Store.layered([memory, below], write_to=1))
        revision = store.revision()
        self.redis(self.name)["key"] = 1
        self.assertIsNotNone(store.wait(revision, PATIENCE))
        self.wait_until(lambda: store.get("key") == 1, "the change is seen", PATIENCE)
        store["key"] = 2
        memory["key"] = 3
        self.assertEqual((store["key"], below["key"], redis_server.cli("HGET", self.name, "key")), (3, 2, "2"))
        self.assertEqual(store.status().push, flagstore.PUSH_TRACKED)

    def test_what_has_vanished_is_not_believed_to_be_empty(self):
        store, fresh = self.watched(self.name), self.redis(self.name)
        store["key"] = 1
        self.assertEqual(fresh["key"], 1)
        redis_server.cli("DEL", self.name, "{" + self.name + "}:meta")
        self.wait_until(lambda: store.status().state == flagstore.STATE_LOST, "lost", PATIENCE)
        self.assertEqual(store["key"], 1)

    def test_an_absent_flag_is_absent_while_the_first_one_is_stored(self):
        for _ in range(40):  # the moment is short
            store, failures = self.redis(redis_server.new_hash()), []

            def read(store=store, failures=failures):
                try:
                    for _ in range(10):
                        if store.get("absent") is not None or "absent" in store.list_all():
                            failures.append("it is there")
                except flagstore.FlagstoreError as failure:
                    failures.append(failure)
            threads = [threading.Thread(target=read) for _ in range(3)]
            for thread in threads:
                thread.start()
            store["key"] = 1
            for thread in threads:
                thread.join()
            self.assertEqual(failures, [])

    def test_a_field_that_is_no_json_is_alone(self):
        store = self.redis(self.name)
        store["good"] = 1
        redis_server.cli("HSET", self.name, "bad", "{")
        with self.fails(flagstore.CORRUPT, "bad"):
            store.get("bad")
        self.assertEqual((store["good"], dict(store)), (1, {"good": 1}))
        redis_server.cli("SET", self.name + "text", "x")
        with self.fails(flagstore.CORRUPT):
            self.redis(self.name + "text").get("key")

    def test_a_user_his_password_and_a_file_with_it(self):
        user = "u" + self.name.partition(":")[2]
        redis_server.cli("ACL", "SETUSER", user, "on", ">" + SECRET, "~*", "&*", "+@all")
        self.addCleanup(redis_server.cli, "ACL", "DELUSER", user)
        path = Path(self.folder, "password")
        path.write_text(SECRET + "\n", encoding="ascii")
        for url, options in [(redis_server.URL, {"username": user, "password": SECRET}),
                             (redis_server.with_user("nobody", "wrong"), {"username": user, "password": SECRET}),
                             (redis_server.URL, {"username": user, "password_file": path}),
                             (redis_server.with_user(user, SECRET), {})]:
            store = self.closed_later(Store.redis(url, hash=self.name, **redis_server.PATIENT, **options))
            store["by"] = user
            self.assertEqual(store["by"], user)
        for url, options in [(redis_server.URL, {"username": user, "password": SECRET + "!"}),
                             (redis_server.with_user(user, SECRET + "!"), {})]:
            store = self.closed_later(Store.redis(url, hash=self.name, **options))
            with self.fails(flagstore.BACKEND, "WRONGPASS") as caught:
                store.get("by")
            self.assertNotIn(SECRET, repr(caught.exception) + repr(store))

    def test_tls_with_certificates_of_both_sides(self):
        ca, cert, key = (Path(redis_server.CERTIFICATES, name) for name in ["ca.pem", "client.pem", "client.key"])
        right = {"hash": self.name, "tls_ca_file": ca, "tls_cert_file": cert, "tls_key_file": key,
                 "tls_server_name": "flags.test", **redis_server.PATIENT}
        store = self.closed_later(Store.redis(redis_server.TLS_URL, **right))
        store["key"] = 1
        self.assertEqual(self.redis(self.name)["key"], 1)
        for wrong in [{"tls_server_name": "other.test"}, {"tls_server_name": None}, {"tls_ca_file": cert},
                      {"tls_cert_file": None, "tls_key_file": None}]:
            with self.subTest(wrong=wrong), self.fails(flagstore.BACKEND):
                self.closed_later(Store.redis(redis_server.TLS_URL, **{**right, **wrong})).get("key")

    def test_replicas_that_do_not_confirm(self):
        store = self.redis(self.name, wait_replicas=1, wait=0.02)
        with self.fails(flagstore.NOT_DURABLE):
            store["key"] = 1
        self.assertEqual(store["key"], 1)

    def test_other_options(self):
        with self.fails(flagstore.READ_ONLY):
            self.redis(self.name, flags=flagstore.OPEN_READ_ONLY).set("key", 1)
        other = redis_server.URL.rstrip("/") + "/3"
        store = self.closed_later(Store.redis(other, hash=self.name, **redis_server.PATIENT))
        store["key"] = 1
        self.assertEqual((dict(store), dict(self.redis(self.name))), ({"key": 1}, {}))
        store = self.closed_later(Store.redis(redis_server.URL, sentinel_master="flags"))
        with self.assertRaises((flagstore.BackendFailed, flagstore.Unavailable)):  # it is no Sentinel
            store.get("key")

    def test_a_child_of_fork_uses_what_it_inherits(self):
        for store in [self.redis(self.name), self.watched(self.name)]:
            store["parent"] = 1

            def child(store=store):
                assert store["parent"] == 1
                store["child"] = 2
                assert store["child"] == 2
                revision = store.revision()
                store["child"] = 3
                assert store.wait(revision, PATIENCE) is not None
                self.wait_until(lambda: store.status().state == flagstore.STATE_LIVE, "live", PATIENCE)
                store.close()
            for _ in range(5):
                self.assertEqual(forks.exit_code(forks.in_child(child)), 0)
                self.wait_until(lambda: store.get("child") == 3, "the child's change is seen", PATIENCE)
                self.assertTrue(store.delete("child"))

    def test_an_interpreter_ends_with_open_stores(self):
        program = """
            import flagstore, redis_server
            stores = [redis_server.open_hash(read_mode=mode) for mode in [0, 1, 2]]
            watch = stores[2].watch(print)
            layered = flagstore.Store.layered([flagstore.Store.memory(), stores[2]])
            stores[1]["key"] = 1
        """
        self.assertEqual(scripts.run(program), (0, "", ""))

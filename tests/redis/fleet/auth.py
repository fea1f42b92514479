"""Who may do what: passwords from everywhere they can come from, and the least rights that are enough."""
import contextlib
import os

import servers
from checks import check, equal, test, until
from servers import Server
from workers import (BACKEND, CHECKED, FRESH, LIVE, OK, OPEN_READ_ONLY, PUSH_TRACKED, READ_ONLY, UNAVAILABLE,
                     WATCHED, Error, Worker, binding, refused)

# What the README gives: the least rights of a user who reads, and of one who changes too. Beside them +role for a store
# that finds its server by Sentinel, +select for a database other than 0, +wait for options.wait_replicas.
READER = ("resetchannels &{flagstore}:meta %R~flagstore %R~{flagstore}:meta +ping +hget +hmget +hgetall +exists "
          "+multi +exec +client|tracking +subscribe").split()
WRITER = ("resetchannels &{flagstore}:meta ~flagstore ~{flagstore}:* +ping +hget +hmget +hgetall +exists "
          "+multi +exec +client|tracking +subscribe +evalsha +eval +get +set +type +hexists +hkeys +hlen +hset +hdel "
          "+publish").split()
SECRET = "s3cret-with-:-and-@"  # so that it has to be escaped in a URL
QUOTED = "s3cret-with-%3A-and-%40"


def user(server, name, password, *rules):
    server("ACL", "SETUSER", name, "reset", "on", ">" + password, *rules)


def everything(worker, url, key="flag", **options):
    """Each call once, FRESH and WATCHED, and a change by another that is heard of."""
    for read_mode in (FRESH, CHECKED, WATCHED):
        store = worker.open(url, read_mode=read_mode, spread_ms=-1, **options)
        store.set(key, "1")
        store.commit(key, "1", "2")
        store.get(key)
        store.list()
        store("revision")
        check(store.delete(key), "delete says that there was one")
        check(not store.delete(key), "and then that there was none")
        store.sync(5000)
        store.close()
    hears(worker, url, key, options, options).close()


def hears(worker, url, key, writer, reader):
    fresh = worker.open(url, **writer)
    watched = worker.open(url, read_mode=WATCHED, spread_ms=-1, **reader)
    fresh.set(key, "3")
    until(lambda: watched.get(key) == "3", "a watched store hears of a change")
    equal(LIVE, watched.state(), "its state")
    fresh.close()
    return watched


def nothing_was_refused(server):
    refused_ones = server("ACL", "LOG")
    equal([], [dict(zip(entry[::2], entry[1::2])) for entry in refused_ones], "ACL LOG")


@test
def passwords_come_from_options_url_and_file():
    path = os.path.join(servers.work(), "password")
    with Server("auth") as server, Worker(log_level="debug") as worker:
        user(server, "flags", SECRET, "~*", "&*", "+@all")
        with open(path, "w", encoding="ascii") as file:
            file.write(SECRET + "\n")
        server("ACL", "SETUSER", "default", "off")
        server.auth = ("flags", SECRET)
        bare = server.url
        everything(worker, bare, "by.options", username="flags", password=SECRET)
        everything(worker, bare.replace("//", f"//flags:{QUOTED}@"), "by.url")
        everything(worker, bare, "by.file", username="flags", password_file=path)
        everything(worker, bare.replace("//", "//flags@"), "by.url.and.file", password_file=path)
        everything(worker, bare.replace("//", "//wrong:wrong@"), "options.first", username="flags", password=SECRET)
        for options in ({}, {"username": "flags", "password": "wrong-one"}, {"password": SECRET}):
            for read_mode in (FRESH, WATCHED):
                error = refused(worker, bare, read_mode=read_mode, open_timeout_ms=500, **options)
                equal(BACKEND, error and error.code, f"with {options}: {error}")
                check("WRONGPASS" in error.message or "AUTH" in error.message, f"the server's words: {error}")
                check("wrong-one" not in error.message and SECRET not in error.message, f"no password: {error}")
        worker.keeps_secret(SECRET, QUOTED, "wrong-one")


@test
def a_password_of_the_default_user_needs_no_name():
    server = Server("auth", f"requirepass {SECRET}", auth=("default", SECRET))
    with server, Worker(log_level="debug") as worker:
        everything(worker, server.url, "by.options", password=SECRET)
        everything(worker, server.url.replace("//", f"//:{QUOTED}@"), "by.url")
        worker.keeps_secret(SECRET, QUOTED)


@test
def a_password_file_is_read_at_each_connect():
    path = os.path.join(servers.work(), "rotated")

    def write(password):
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write(password + "\n")
        os.replace(path + ".new", path)
    with Server("auth") as server, Worker() as worker:
        user(server, "flags", "first-one", "~*", "&*", "+@all")
        write("first-one")
        options = {"username": "flags", "password_file": path}
        fresh = worker.open(server.url, **options)
        watched = worker.open(server.url, read_mode=WATCHED, **options)
        fresh.set("flag", "1")
        # Both are valid for a while, then the file changes, then the old one goes and its connections with it.
        server("ACL", "SETUSER", "flags", ">second-one")
        write("second-one")
        server("ACL", "SETUSER", "flags", "<first-one")
        server("CLIENT", "KILL", "USER", "flags")
        equal(OK, fresh.code("set", "flag", "2"), "set after the password was changed")
        until(lambda: watched.state() == LIVE and watched.get("flag") == "2", "a watched store connects again")
        # Other way round: the server knows first, and for a moment nobody may connect.
        server("ACL", "SETUSER", "flags", "resetpass", ">third-one")
        server("CLIENT", "KILL", "USER", "flags")
        equal(BACKEND, fresh.code("get", "flag"), "get with the old password")
        write("third-one")
        until(lambda: fresh.code("get", "flag") == OK, "get with the new one")
        until(lambda: watched.state() == LIVE, "a watched store connects again")
        worker.keeps_secret("first-one", "second-one", "third-one")


@test
def the_least_rights_are_enough():
    with Server("auth") as server, Worker() as worker:
        user(server, "reader", SECRET, *READER)
        user(server, "writer", SECRET, *WRITER)
        reader, writer = ({"username": name, "password": SECRET} for name in ("reader", "writer"))
        everything(worker, server.url, **writer)
        for read_mode in (FRESH, CHECKED, WATCHED):
            store = worker.open(server.url, read_mode=read_mode, flags=OPEN_READ_ONLY, **reader)
            equal("3", store.get("flag"), "get by a reader")
            equal(None, store.get("other"), "get of what is not there")
            store.list()
            store.sync(5000)
            equal(READ_ONLY, store.code("set", "flag", "4"), "a change through a store that was opened to read")
            store.close()
        watched = hears(worker, server.url, "flag", writer, reader)
        until(lambda: watched.status().push == PUSH_TRACKED, "the server tracks what a reader reads")
        server("SCRIPT", "FLUSH")  # so that the script has to be sent again
        everything(worker, server.url, **writer)
        clear(server.url, **writer)
        nothing_was_refused(server)
        writer_store = worker.open(server.url, **writer)
        writer_store.set("flag", "3")
        store = worker.open(server.url, **reader)
        equal(BACKEND, store.code("set", "flag", "5"), "a change by a reader")
        check(server("ACL", "LOG") != [], "it is in the server's log")
        equal(b"3", server("HGET", "flagstore", "flag"), "what that has changed")


@test
def each_right_is_needed():
    """Without any of them the server's log has a refusal; but SUBSCRIBE and PING are for servers that do not track."""
    with Server("auth") as server, Worker() as worker:
        options = {"username": "less", "password": SECRET}
        for kind, rights in (("reader", READER), ("writer", WRITER)):
            for right in rights:
                if right in ("resetchannels", "+subscribe", "+ping") or kind == "reader" and right.startswith("&"):
                    continue
                server("ACL", "LOG", "RESET")
                server("FLUSHALL")
                server("SCRIPT", "FLUSH")
                server("HSET", "flagstore", "before", "1")
                user(server, "less", SECRET, *(other for other in rights if other != right))
                with_less(worker, server, kind, options, f"{kind}s need {right}")


def with_less(worker, server, kind, options, what):
    """What a store does, until the server has refused something. The script asks what it may do before it does it,
    which is not in the server's log."""
    url = server.url
    store = worker.open(url, **options)
    watched = None
    with contextlib.suppress(Error):
        watched = worker.open(url, read_mode=WATCHED, open_timeout_ms=300, **options)
    calls = [("get", "before"), ("get", "missing"), ("list",)]
    if kind == "writer":
        calls += [("set", "flag", "1"), ("commit", "flag", "1", "2"), ("delete", "flag")]
    codes = [store.code(*call) for call in calls]
    if kind == "writer":
        with contextlib.suppress(binding().FlagstoreError):
            clear(url, **options)
    until(lambda: BACKEND in codes or server("ACL", "LOG"), what, 10)
    store.close()
    if watched:
        watched.close()


def clear(url, **options):
    with binding().Store.redis(url, **options) as store:
        store.clear()


@test
def a_socket_and_a_database_are_found():
    with Server("auth", "databases 4") as server, Worker() as worker:
        for database in (0, 3):
            for url in (f"{server.url}/{database}", f"redis+unix://{server.socket_path}?db={database}"):
                everything(worker, url)
            with server.client() as client:
                client("SELECT", database)
                equal(b"3", client("HGET", "flagstore", "flag"), f"the flag in database {database}")
                client("HSET", "flagstore", "only.in", str(database))
        equal("0", worker.open(server.url).get("only.in"), "without a number it is database 0")
        error = refused(worker, server.url + "/9")
        equal(BACKEND, error and error.code, f"a database that is not there: {error}")
        equal(UNAVAILABLE, refused(worker, f"redis+unix://{server.socket_path}.missing").code, "no socket")
        # Changes in one database are not noticed in another as changes.
        watched = worker.open(server.url + "/3", read_mode=WATCHED, spread_ms=-1)
        server("HSET", "flagstore", "zero", "0")
        watched.sync(5000)
        equal(None, watched.get("zero"), "a flag of another database")
        user(server, "selects", SECRET, *WRITER, "+select")
        everything(worker, server.url + "/3", username="selects", password=SECRET)
        nothing_was_refused(server)

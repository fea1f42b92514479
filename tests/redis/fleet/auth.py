"""Who may do what: passwords from everywhere they can come from, and the least rights that are enough."""
import os

import servers
from checks import check, equal, test, until
from servers import Server
from workers import BACKEND, CHECKED, FRESH, LIVE, OK, READ_ONLY, WATCHED, Worker, refused

# What the README gives to a user for flags: NAME is the hash. Its other keys are {NAME}:meta and {NAME}:done:...
ALL = ("~{name}", "~{{{name}}}:*", "&{{{name}}}:meta")
WRITER = ("resetchannels", *ALL, "-@all")
READER = ("resetchannels", *ALL, "-@all")
SECRET = "s3cret-with-:-and-@"  # so that it has to be escaped in a URL
QUOTED = "s3cret-with-%3A-and-%40"


def user(server, name, password, *rules):
    server("ACL", "SETUSER", name, "reset", "on", ">" + password, *rules)


def everything(worker, url, key, **options):
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
    hears(worker, url, key, options, options)


def hears(worker, url, key, writer, reader):
    fresh = worker.open(url, **writer)
    watched = worker.open(url, read_mode=WATCHED, spread_ms=-1, **reader)
    fresh.set(key, "3")
    until(lambda: watched.get(key) == "3", "a watched store hears of a change")
    status = watched.status()
    equal(LIVE, status.state, "its state")
    fresh.close()
    watched.close()
    return status


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
                check("WRONGPASS" in error.message or "NOAUTH" in error.message, f"the server's words: {error}")
                check("wrong-one" not in error.message and SECRET not in error.message, f"no password: {error}")
        worker.keeps_secret(SECRET, QUOTED, "wrong-one")


@test
def a_password_of_the_default_user_needs_no_name():
    with Server("auth", f"requirepass {SECRET}", auth=("default", SECRET)) as server, Worker(log_level="debug") as worker:
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

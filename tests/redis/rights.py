"""Users of the server who may not do everything: what they may not do is said to have failed and is not done, also where
a script would have been refused half-way; what they may do works."""
from clients import BACKEND, FAR_MS, FRESH, LIVE, OK, WATCHED
from servers import Server, eventually

TRACKED, ANNOUNCED, NONE = 2, 1, 0
ALL = "~* &* +@all"
TIMES = {"call_timeout_ms": FAR_MS, "open_timeout_ms": FAR_MS}
# Every command that the library might use, alone taken away.
COMMANDS = ("client|tracking client|setname client|setinfo client|id client|no-evict hello ping role select info wait "
            "subscribe publish multi exec watch hget hmget hgetall hset hdel hlen hincrby hexists hstrlen hscan del unlink "
            "exists type set get expire pexpire eval evalsha eval_ro script|load time echo").split()

# What the rights are, whether reads and changes work (None: either), and the push, if it is certain.
USERS = [
    (ALL, True, True, TRACKED),
    ("~flagstore ~{flagstore}:* &{flagstore}:meta +@all", True, True, TRACKED),
    (ALL + " -client|tracking", True, True, ANNOUNCED),
    (ALL + " -client", True, True, None),
    (ALL + " -client|tracking resetchannels", True, True, NONE),
    (ALL + " -client|tracking -subscribe", True, True, NONE),
    (ALL + " -hello", None, None, None),
    (ALL + " -eval -evalsha", True, False, TRACKED),
    (ALL + " -@write", True, False, None),
    (ALL + " -@read", False, None, None),
    (ALL + " resetchannels", True, None, None),
    ("&* +@all %R~*", True, False, TRACKED),
    ("&* +@all ~other", False, False, None),
    ("&* +@all ~flagstore", None, False, None),
] + [(f"{ALL} -{command}", None, None, None) for command in COMMANDS]


def check(languages, lateness, note):
    server, failures, pushes = Server(), [], {}
    worker = languages.start(languages.names[0], lateness, "rights")
    try:
        for rights, reads, changes, push in USERS:
            try:
                seen = check_user(server, worker, rights, reads, changes, push)
                pushes.setdefault(seen, []).append(rights.replace(ALL, "").strip() or "all")
            except AssertionError as failure:
                failures.append(f"rights {rights}: {failure}")
        worker.end()
    finally:
        worker.process.kill()
        server.end()
    told = "; ".join(f"push {push} for {', '.join(users)}" for push, users in pushes.items() if push != TRACKED)
    note(f"rights: {len(USERS)} users; {len(pushes.get(TRACKED, ()))} of them tracked; {told.replace('push None', 'no store')}")
    return failures


def check_user(server, worker, rights, reads, changes, push):
    server.must("FLUSHALL")
    server.must("ACL", "SETUSER", "client", "reset", "on", ">word", *ALL.split())
    url = f"redis://client:word@127.0.0.1:{server.port}"
    worker.open("old", url, FRESH, **TIMES)
    worker.must("set", "old", "flag", "1")  # scripts are loaded; the second hash is there
    worker.must("close", "old")
    words = [word for word in rights.split() if word.replace("-", "", 1) not in missing(server, rights)]
    server.must("ACL", "SETUSER", "client", "reset", "on", ">word", *words)
    worker.open("fresh", url, FRESH, **TIMES)
    try:
        for call in (("get", "fresh", "flag"), ("list", "fresh")):
            answer = worker.call(*call)
            assert answer.code in {None: (OK, BACKEND), True: (OK,), False: (BACKEND,)}[reads], f"{call[0]}: {answer}"
        check_changes(server, worker, changes)
    finally:
        worker.must("close", "fresh")
    return check_watched(server, worker, url, reads, push)


def missing(server, rights):
    """Commands that this server does not have."""
    names = [word[1:] for word in rights.split() if word.startswith("-") and not word.startswith("-@")]
    return [name for name in names if "|" not in name and not server.must("COMMAND", "INFO", name)[0]
            or "|" in name and isinstance(server.command("ACL", "SETUSER", "probe", "-" + name), Exception)]


def check_changes(server, worker, changes):
    """What is said to be done is done, and nothing else is."""
    expected = {"flag": "1"}
    calls = [(("set", "fresh", "a", "1"), {"a": "1"}), (("commit", "fresh", "flag", "1", "2"), {"flag": "2"}),
             (("set", "fresh", "b", "[1]"), {"b": "[1]"}), (("delete", "fresh", "flag"), {"flag": None})]
    for call, change in calls:
        answer = worker.call(*call)
        assert answer.code in {None: (OK, BACKEND), True: (OK,), False: (BACKEND,)}[changes], f"{call}: {answer}"
        if answer.code == OK:
            expected.update(change)
        words = server.must("HGETALL", "flagstore")
        found = dict(zip(words[::2], words[1::2]))
        wanted = {key: value for key, value in expected.items() if value is not None}
        assert found == wanted, f"{call} answered {answer}; then there is {found}, not {wanted}"


def check_watched(server, worker, url, reads, push):
    answer = worker.open("watched", url, WATCHED, verify_ms=300, **TIMES)
    if reads is not None:
        assert answer.code == (OK if reads else BACKEND), f"open: {answer}"
    if answer.code != OK:
        assert answer.code == BACKEND, f"open: {answer}"
        return None
    if push is not None:
        eventually(f"its push is {push}", lambda: worker.status("watched")["push"] == push, 10)
    server.must("HSET", "flagstore", "flag", "3")
    eventually("a change is seen", lambda: worker.must("get", "watched", "flag") == "3", 10)
    seen = worker.status("watched")
    assert seen["state"] == LIVE, f"state {seen}"
    worker.must("close", "watched")
    return seen["push"]

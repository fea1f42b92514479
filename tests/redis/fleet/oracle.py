"""What others read and write: redis-cli sees what the library sees, and the library what redis-cli writes."""
import json
import random
import subprocess

from checks import check, equal, test, until
from servers import Server
from workers import WATCHED, Worker

VALUES = ["true", "null", "0", "-0.0", "1e400", "123456789012345678901234567890", '""', '"\\u0000"', '"é\\n"', "[]",
          '{"b":[1,2.50],"a":{}}', '"' + "x" * 5000 + '"']


def redis_cli(server, *words, stdin=None):
    done = subprocess.run(["redis-cli", "-s", server.socket_path, *words], input=stdin, capture_output=True, check=True)
    return done.stdout


def hash_of(server, name="flagstore"):
    """As redis-cli has it, in JSON, which keeps every byte."""
    return json.loads(redis_cli(server, "-3", "--json", "HGETALL", name))


def same(store, server, watched):
    listed = json.loads(store.list(), parse_float=str, parse_int=str)
    stored = {key: json.loads(value, parse_float=str, parse_int=str) for key, value in hash_of(server).items()}
    equal(stored, listed, "HGETALL and the list")
    until(lambda: watched.list() == store.list(), "a WATCHED store has the same")
    count, revision = server("HMGET", "{flagstore}:meta", "count", "revision")
    return int(count), int(revision)


@test
def redis_cli_and_the_library_see_the_same():
    random.seed(13)
    with Server("oracle") as server, Worker() as worker:
        fresh = worker.open(server.url)
        watched = worker.open(server.url, read_mode=WATCHED, spread_ms=-1)
        changes, revision = 0, 0
        for turn in range(300):
            key, value = f"key.{random.randrange(40)}", random.choice(VALUES)
            kind = random.randrange(4)
            before = server("HGET", "flagstore", key)
            if kind == 0:
                equal(before is not None, fresh.delete(key), f"delete {key}")
                equal(None, server("HGET", "flagstore", key), "HGET of a deleted flag")
                is_change = before is not None
            elif kind == 3:
                text = json.dumps(turn)
                redis_cli(server, "HSET", "flagstore", key, text)
                equal(text, fresh.get(key), "get of what redis-cli has set")
                is_change = False
            else:
                if kind == 1:
                    fresh.set(key, value)
                else:
                    fresh.commit(key, before and before.decode(), value)
                stored = server("HGET", "flagstore", key).decode()
                equal(json.loads(value, parse_float=str), json.loads(stored, parse_float=str), f"HGET of {key}")
                equal(stored, fresh.get(key), f"get of {key}")
                is_change = before is None or before.decode() != stored
            now = int(server("HGET", "{flagstore}:meta", "revision") or 0)
            check(now == revision + is_change, f"turn {turn}: the revision was {revision}, is {now}; kind {kind}, "
                  f"before {before!r}, value {value[:50]}")
            revision, changes = now, changes + is_change
            if turn % 20 == 19:
                same(fresh, server, watched)
        count, revision = same(fresh, server, watched)
        print(f"    {changes} changes, {count} flags at the end, revision {revision}")


@test
def it_leaves_nothing_but_its_own_keys():
    with Server("oracle") as server, Worker() as worker:
        store = worker.open(server.url)
        for turn in range(20):
            store.set("flag", turn)
        for key in server("KEYS", "*"):
            if key in (b"flagstore", b"{flagstore}:meta"):
                continue
            check(key.startswith(b"{flagstore}:done:") and len(key) == len("{flagstore}:done:") + 32, f"a key {key}")
            check(0 < server("PTTL", key) <= 60000, f"{key} goes by itself")
        own = worker.open(server.url, hash="a{tag}b")
        own.set("flag", "1")
        keys = {key.decode() for key in server("KEYS", "a*")}
        check({"a{tag}b", "a{tag}b:meta"} <= keys, f"a name with a tag: {keys}")
        check(all(key.startswith("a{tag}b") for key in keys), f"a name with a tag: {keys}")

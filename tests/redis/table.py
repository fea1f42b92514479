"""The faults of one server, one row each: see matrix.py."""
import os
import shutil

from clients import BACKEND, CORRUPT, LIVE, LOST, OK, READ_ONLY, UNAVAILABLE, UNCERTAIN
from matrix import Fault
from servers import Client, eventually

LATE = {UNAVAILABLE, UNCERTAIN}
SCRIPTS = "EVAL,EVALSHA"
NOT_READ = {CORRUPT, UNAVAILABLE}
META = "{flagstore}:meta"
PERSISTENT = {"appendonly": "yes", "appendfsync": "always"}


def configured(**settings):
    """What sets them, and what sets them back."""
    before = {name: after for name, (_, after) in settings.items()}
    return {"begin": lambda place: place.server.config(**{name: value for name, (value, _) in settings.items()}),
            "end": lambda place: place.server.config(**before)}


def commanded(begin, end):
    """The words of two commands by hand."""
    return {"begin": lambda place: place.server.must(*begin), "end": lambda place: place.server.must(*end)}


def proxied(mode, **settings):
    return {"begin": lambda place: place.proxy.set(mode, **settings), "end": lambda place: place.proxy.set("pass"),
            "by_proxy": True}


def swapped(key, command, *words):
    """The key becomes something of another type, and itself again."""
    script = "redis.call('RENAME', KEYS[1], 'aside') redis.call(unpack(ARGV))"
    return commanded(("EVAL", script, 1, key, command, key, *words), ("RENAME", "aside", key))


def refuse_bgsave(place):
    """Its directory is gone, so that it cannot be saved."""
    place.server.config(save="3600 1", stop_writes_on_bgsave_error="yes")
    shutil.rmtree(place.server.path("data"))
    place.server.must("BGSAVE")
    eventually("the BGSAVE fails", lambda: "rdb_last_bgsave_status:err" in place.server.must("INFO", "persistence"))


def load_slowly(place):
    place.server.must("DEBUG", "POPULATE", 3000, "key", 1024)
    place.server.must("SAVE")
    place.server.kill()
    place.server.start(waits=False, **{"key-load-delay": 10000, "loading-process-events-interval-bytes": 1024})


def end_loading(place):
    place.server.config(key_load_delay=0)
    eventually("it is loaded", lambda: place.server.command("PING") == "PONG")


def run_for_ever(place):
    place.other = Client(place.server.port)
    place.other.send("EVAL", "while true do end", 0)
    eventually("the server is busy", lambda: "BUSY" in str(place.server.command("PING")))


def follow_nobody(place):
    place.server.config(replica_serve_stale_data="no")
    place.server.must("REPLICAOF", "127.0.0.1", 1)


def follow_nobody_no_more(place):
    place.server.must("REPLICAOF", "NO", "ONE")
    place.server.config(replica_serve_stale_data="yes")


def ask_for_a_password(place):
    place.server.config(requirepass="word")
    for kind in ("normal", "pubsub"):
        place.server.must("CLIENT", "KILL", "TYPE", kind)


def write_password(place, password):
    with open(place.server.path("password"), "w", encoding="utf-8") as file:
        file.write(password + "\n")


def create_user(place):
    place.server.must("ACL", "SETUSER", "client", "on", ">first", "~*", "&*", "+@all")
    write_password(place, "first")


def rotate_password(place):
    place.server.must("ACL", "SETUSER", "client", "resetpass", ">second")
    place.server.must("CLIENT", "KILL", "USER", "client")


def evict_everything(place):
    place.server.config(maxmemory=1)
    eventually("everything is evicted", lambda: place.server.must("DBSIZE") == 0)
    place.server.config(maxmemory=0)


def restart_empty(place):
    place.server.kill()
    place.server.start()


def kill(place):
    place.server.kill()


def start(place):
    place.server.start()


def nothing(_):
    pass


# What works as if nothing were the matter; and what has vanished, which only a client that has seen it knows.
WORKS = {"reads": {OK}, "changes": {OK}, "opens": {OK}, "state": LIVE}
REFUSES = {"reads": {OK}, "changes": {BACKEND}, "opens": {OK}, "state": LIVE}
VANISHED = {"reads": {OK, UNAVAILABLE}, "changes": set(), "opens": {OK}, "state": LOST, "after": ""}

FAULTS = [
    Fault("killed", kill, start, settings=PERSISTENT),
    Fault("killed in mid-call", kill, start, changes=LATE, settings=PERSISTENT, in_call=True),
    Fault("stopped", lambda place: place.server.stop(), lambda place: place.server.go_on(), changes=LATE),
    Fault("drip", **proxied("drip", ms=100), changes=LATE, state=0, is_edited=True),
    Fault("black hole", **proxied("hold"), changes=LATE, is_edited=True),
    Fault("black hole after the greeting", **proxied("hold", of="data"), changes=LATE, state=0, is_edited=True),
    Fault("half-open", **proxied("stall"), changes=LATE, is_edited=True),
    Fault("cut in mid-reply", **proxied("cut", bytes=1, of="data"), changes=LATE, state=0, is_edited=True),
    Fault("change cut in mid-reply", **proxied("cut", bytes=5, of=SCRIPTS), **WORKS),
    Fault("answer to a change lost", **proxied("lose", of=SCRIPTS), **WORKS),
    Fault("change lost", **proxied("drop", of=SCRIPTS), **{**WORKS, "changes": {UNAVAILABLE}}),
    Fault("answers to all that would settle it lost", **proxied("lose", of=SCRIPTS + ",SET"),
          **{**WORKS, "reads": {OK, UNAVAILABLE}, "changes": {UNCERTAIN, UNAVAILABLE}, "state": 0}),
    Fault("connections reset", **proxied("reset"), **{**WORKS, "changes": {OK, UNAVAILABLE}, "state": 0}),
    Fault("slow network", **proxied("delay", ms=20), **WORKS, is_edited=True),
    Fault("OOM", **configured(maxmemory=(1, 0)), **REFUSES, said="OOM"),
    Fault("MISCONF", refuse_bgsave, configured(stop_writes_on_bgsave_error=("no", "no"))["begin"], **REFUSES,
          said="MISCONF"),
    # A server that says so is asked again until the deadline, at which an answer may be due.
    Fault("LOADING", load_slowly, end_loading, changes=LATE, settings={"rdbcompression": "no"}),
    Fault("BUSY", run_for_ever, lambda place: place.server.must("SCRIPT", "KILL"), changes=LATE,
          settings={"busy-reply-threshold": 50}),
    Fault("READONLY", **commanded(("REPLICAOF", "127.0.0.1", 1), ("REPLICAOF", "NO", "ONE")),
          **{**REFUSES, "changes": {READ_ONLY}}),
    Fault("NOREPLICAS", **configured(min_replicas_to_write=(1, 0)), **REFUSES, said="NOREPLICAS"),
    Fault("MASTERDOWN", follow_nobody, follow_nobody_no_more, changes=LATE | {READ_ONLY}),
    Fault("WRONGTYPE of the hash", **swapped("flagstore", "SET", "text"), reads={CORRUPT}, changes={CORRUPT},
          opens=NOT_READ),
    Fault("WRONGTYPE of the second hash", **swapped(META, "RPUSH", "text"), reads={OK, CORRUPT}, changes={CORRUPT},
          opens=NOT_READ, state=0),
    Fault("field that is not JSON", **commanded(("HSET", "flagstore", "broken", "tru"), ("HDEL", "flagstore", "broken")),
          **WORKS),
    Fault("NOAUTH", ask_for_a_password, **{"end": configured(requirepass=("", ""))["begin"]}, reads={BACKEND},
          changes={BACKEND}, opens={BACKEND}, said="NOAUTH"),
    Fault("password rotated", rotate_password, lambda place: write_password(place, "second"), reads={BACKEND},
          changes={BACKEND}, opens={BACKEND}, said="WRONGPASS", set_up=create_user,
          options={"username": "client", "password_file": os.path.join("{directory}", "password")}),
    Fault("FLUSHALL", **commanded(("FLUSHALL",), ("PING",)), **VANISHED),
    Fault("eviction", evict_everything, nothing, **VANISHED, settings={"maxmemory-policy": "allkeys-lru"}),
    Fault("hash deleted", **commanded(("DEL", "flagstore"), ("PING",)), **{**VANISHED, "reads": {UNAVAILABLE}, "opens": {UNAVAILABLE}}),
    Fault("restart without data", restart_empty, nothing, **VANISHED),
]

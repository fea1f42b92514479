"""One process of rows 9 and 20 in Python; what it does is said in worker.c."""
import errno
import os
import sys
import threading
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "include", "python"))
from flagstore import CONFLICT, Batch, FlagstoreError, Store  # noqa: E402

OWN_KEYS = 3
COUNTERS = ["c", "go", "python", "ruby"]


def die(*words):
    os.write(2, f"VIOLATION in Python process {os.getpid()}: {' '.join(map(str, words))}\n".encode())
    os._exit(1)


def open_store(path, durability):
    return Store.file(path, read_mode=int(os.environ["READ_MODE"]), durability=int(durability), lock_timeout=60)


def thread(work, *arguments):
    def guarded():
        try:
            work(*arguments)
        except BaseException:
            die(traceback.format_exc())
    started = threading.Thread(target=guarded)
    started.start()
    return started


def count(store, name, number, turns):
    for turn in range(1, turns + 1):
        key, last = f"{name}.{number}.{turn % OWN_KEYS}", max(turn - OWN_KEYS, 0)
        found = store.get_int64(key)
        if found != last:
            die(f"lost update: {key} is {found}, was set to {last}")
        store.set_int64(key, turn)


def next_document(store, last):
    """Reads everything; it must be a whole document, in which no counter has gone back since `last` but by an edit."""
    now = store.list_all()
    edition = now.get("edition", 0)
    if now.keys() != {*COUNTERS, "edition", "payload"} or now["payload"] != f"{edition}." * (edition % 50 + 1):
        die("not a whole document:", now)
    if last and last["edition"] == edition and any(now[key] < last[key] for key in COUNTERS):
        die("a counter went back:", last, "to", now)
    return now


def read_all_the_time(path, durability):
    store, last = open_store(path, durability), None
    while True:
        last = next_document(store, last)


def soak(path, name, durability):
    thread(read_all_the_time, path, durability)
    store = open_store(path, durability)
    last = next_document(store, None)
    while True:
        try:
            with Batch() as batch:  # only in the edition that was read, as worker.c has it
                batch.expect("edition", last["edition"])
                batch.set(name, last[name] + 1)
                store.commit(batch)
            last[name] += 1
            os.write(1, b".")
        except FlagstoreError as error:
            if error.os_code != errno.ENOSPC and error.code != CONFLICT:
                raise
        last = next_document(store, last)


if __name__ == "__main__":
    role, path, name, *rest = sys.argv[1:]
    if role == "count":
        threads, turns, durability = rest
        with open_store(path, durability) as shared:
            for started in [thread(count, shared, name, i, int(turns)) for i in range(int(threads))]:
                started.join()
    else:
        thread(soak, path, name, *rest).join()

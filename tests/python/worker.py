"""The other processes of test_processes.py: python3 worker.py ROLE PATH ARGUMENTS..."""
import fcntl
import itertools
import json
import os
import sys
import threading
import time

import flagstore
import forks
from flagstore import Batch, Store


def update(path, name, threads, turns):
    """Each thread sets and deletes keys of its own and checks that they stay so: prints what all have set."""
    def work(thread):
        own = written[thread]
        for turn in range(int(turns)):
            key = f"{name}.{thread}.{turn % 7}"
            if turn % 11 == 10:
                assert store.delete(key), f"{key} was lost"
                del own[key]
            else:
                own[key] = {"turn": turn, "text": "é\n" * (turn % 50)}
                store.set(key, own[key])
            seen = {key: value for key, value in store.list_all().items() if key.startswith(f"{name}.{thread}.")}
            assert seen == own, f"{name}.{thread}, turn {turn}: set {own}, read {seen}"
    written = [{} for _ in range(int(threads))]
    with Store.file(path, durability=flagstore.SYNC_NONE) as store:
        failures = run(work, range(int(threads)))
    print(json.dumps({key: value for own in written for key, value in own.items()}))
    return failures


def run(work, arguments):
    """Calls `work` in one thread for each argument; how many failed."""
    failures = []

    def guarded(argument):
        try:
            work(argument)
        except BaseException as failure:
            failures.append(failure)
            raise
    threads = [threading.Thread(target=guarded, args=[argument]) for argument in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(failures)


def churn(path, durability, first):
    """Sets one key to first, first + 1, ... until killed, and acknowledges each on stdout."""
    with Store.file(path, durability=int(durability)) as store:
        for number in itertools.count(int(first)):
            store.set("churned", [number] * (number % 1000))
            store.set("number", number)
            os.write(1, b"%d\n" % number)


def hold(lock_path):
    """Holds the lock until killed."""
    descriptor = os.open(lock_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.write(1, b"held\n")
    while True:
        time.sleep(60)


def increment(path, key, turns):
    """Adds one that many times, each on top of what was read before; prints how often it had to read again."""
    conflicts = 0
    with Store.file(path, durability=flagstore.SYNC_NONE, lock_timeout=None) as store:
        for _ in range(int(turns)):
            while not increment_once(store, key):
                conflicts += 1
    print(conflicts)


def increment_once(store, key):
    """False: another was faster."""
    text = store.get_json(key)
    with Batch() as batch:
        batch.expect_json(key, text)
        batch.set(key, int(text or 0) + 1)
        try:
            store.commit(batch)
        except flagstore.FlagstoreError as failure:
            if failure.code != flagstore.CONFLICT:
                raise
            return False
    return True


def change(path, key, text):
    """Sets one flag."""
    with Store.file(path, durability=flagstore.SYNC_NONE) as store:
        store.set_json(key, text)


class LongFarewell:
    """While an interpreter that ends destroys this, the changes go on."""

    def __del__(self, sleep=time.sleep):
        sleep(0.3)


kept = []


def end_watching(path):
    """Ends, without closing anything, after the first of many calls of a watch."""
    called, store = threading.Event(), Store.file(path)
    kept.extend([LongFarewell(), store.watch(lambda *_change: called.set())])
    os.write(1, b"watching\n")
    assert called.wait(20)


def fork_early(path, first_use, trials):
    """Forks while another thread is at any point of the process's first use: fails if a child cannot do the same."""
    def trial():
        store = None if first_use == "open" else Store.file(path, durability=flagstore.SYNC_NONE)

        def use():
            store.set("key", delay) if store is not None else Store.file(path).close()
        thread = threading.Thread(target=use)
        thread.start()
        end = time.perf_counter_ns() + delay
        while time.perf_counter_ns() < end:
            pass
        ended = forks.exit_code(forks.in_child(use), seconds=8)
        thread.join()
        if ended != 0:
            print(f"forked {delay} ns into the first {first_use}: the child's end is {ended}", flush=True)
            return 1
    for number in range(int(trials)):
        delay = number % 100 * 300
        if forks.exit_code(forks.in_child(trial)) != 0:
            return 1


if __name__ == "__main__":
    role, *arguments = sys.argv[1:]
    roles = [update, churn, hold, increment, change, end_watching, fork_early]
    sys.exit({function.__name__: function for function in roles}[role](*arguments))

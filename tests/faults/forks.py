"""Row 15 in Python; what it does is said in forks.c.

    forks.py serve PATH CHILDREN
    forks.py orphan PATH           a server whose child, once it is there, says so and lives on until the input ends
"""
import os
import signal
import sys
import threading
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "include", "python"))
import flagstore  # noqa: E402
from flagstore import Store  # noqa: E402

THREADS, AT_ONCE, DEADLINE = 3, 3, 60


def die(*words):
    os.write(2, f"VIOLATION in Python process {os.getpid()}: {' '.join(map(str, words))}\n".encode())
    os._exit(1)


class Users:
    """Threads that use the stores, in the server and in its workers."""

    def __init__(self, stores, name, turns=None):
        self.stores, self.stop = stores, threading.Event()
        self.keys = [f"{name}.thread{i}" for i in range(THREADS)]
        self.threads = [threading.Thread(target=self.use, args=(key, turns)) for key in self.keys]
        for thread in self.threads:
            thread.start()

    def use(self, key, turns):
        try:
            turn = 0
            while turn != turns and not self.stop.is_set():
                turn += 1
                for store in self.stores:
                    store.set_int64(key, turn)
                    assert store.get_int64(key) == turn, key
        except BaseException:
            die(traceback.format_exc())

    def end(self):
        for thread in self.threads:
            thread.join(DEADLINE)
            if thread.is_alive():
                die("a thread hangs")
        for store in self.stores:
            for key in self.keys:
                assert store.delete(key), key


def call_everything(stores, key):
    for store in stores:
        assert store.get("before") == 1
        store.set(key, [1])
        assert store.list_all()[key] == [1]
        assert store.delete(key)
        assert store.get_json(key) is None
        assert len(store) >= 1


def in_child(work, *arguments):
    pid = os.fork()
    if pid:
        return pid
    try:
        work(*arguments)
        os._exit(0)
    except BaseException:
        die(traceback.format_exc())


def wait_for_child(pid):
    deadline = time.monotonic() + DEADLINE
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return None if status == 0 else die("a child ended with", status)
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGABRT)
            die("child", pid, "hangs")
        time.sleep(0.001)


def worker(stores, name, depth):
    call_everything(stores, name)
    users = Users(stores, name, turns=3)
    if depth:
        wait_for_child(in_child(worker, stores, name + ".child", depth - 1))
    call_everything(stores, name)
    users.end()
    for store in stores:
        store.close()


def open_stores(path):
    file = Store.file(path, read_mode=int(os.environ["READ_MODE"]), durability=flagstore.SYNC_NONE,
                      lock_timeout=DEADLINE)
    stores = [Store.memory(), file]
    for store in stores:
        store.set("before", 1)
    return stores


def serve(path, children):
    stores = open_stores(path)
    users, alive, count = Users(stores, "server"), [], 0
    for number in range(int(children)):
        depth = max(2 - number % 5, 0)
        if len(alive) == AT_ONCE:
            wait_for_child(alive.pop(0))
        alive.append(in_child(worker, stores, f"child{number}", depth))
        count += 1 + depth
    for pid in alive:
        wait_for_child(pid)
    users.stop.set()
    users.end()
    left = stores[1].list_all()
    if left != {"before": 1}:
        die("left over:", left)
    print(count)


def orphan(path):
    stores = open_stores(path)
    Users(stores, "server")
    wait_for_child(in_child(live_on, stores))


def live_on(stores):
    os.write(1, b"lives\n")
    os.read(0, 1)
    call_everything(stores, "orphan")
    os.write(1, b"done\n")


if __name__ == "__main__":
    {"serve": serve, "orphan": orphan}[sys.argv[1]](*sys.argv[2:])

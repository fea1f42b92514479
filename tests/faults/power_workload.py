"""Sets through the library on a disk that may fail, what was acknowledged of them, and the verdict on what is left.

    python3 power_workload.py DIRECTORY SEED      noise: syncs files of its own in the directory until it is killed
"""
import bisect
import contextlib
import os
import random
import sys
import threading

import common  # noqa: F401  (its search path has the binding)
import flagstore

WRITERS = 3


def value(writer, number):
    """What a writer's set of this number stores: small, or larger than a block, so that documents grow and shrink."""
    size = (20, 1500, 6000)[(writer + number * number) % 3]
    return {"number": number, "filling": f"{writer}:{number} " * (size // 6)}


def key(writer):
    return f"writer-{writer}"


class Workload:
    """Threads that each set a key of their own to value after value."""

    def __init__(self, path, durability, position=lambda: 0):
        self.path, self._position = path, position
        self._store = flagstore.Store.file(path, durability=durability)
        self.started = [0] * WRITERS
        self.acknowledged = [[0] for _ in range(WRITERS)]  # numbers,
        self.positions = [[0] for _ in range(WRITERS)]     # and where the log was when their sets had returned
        self.errors = []
        for writer in range(WRITERS):
            self._store.set(key(writer), value(writer, 0))

    def set(self, writer):
        """One set; an error is kept, and returned."""
        self.started[writer] += 1
        number = self.started[writer]
        try:
            self._store.set(key(writer), value(writer, number))
        except flagstore.FlagstoreError as error:
            self.errors.append(error)
            return error
        self.positions[writer].append(self._position())
        self.acknowledged[writer].append(number)
        return None

    @contextlib.contextmanager
    def writing(self):
        """All writers at once, each until its first error or the end of the block."""
        ended = threading.Event()

        def work(writer):
            while not ended.is_set() and not self.set(writer):
                pass
        threads = [threading.Thread(target=work, args=(writer,)) for writer in range(WRITERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            for thread in threads:
                thread.join()

    def acknowledged_at(self, position):
        """Per writer the last number whose set had returned when the log was there."""
        return [numbers[bisect.bisect_right(positions, position) - 1]
                for numbers, positions in zip(self.acknowledged, self.positions)]

    def last_acknowledged(self):
        return [numbers[-1] for numbers in self.acknowledged]


def verdict(path, acknowledged, started):
    """"kept", or what became of the file: "empty", "torn", "lost"; and the details."""
    try:
        with flagstore.Store.file(path, flags=flagstore.OPEN_EXISTING | flagstore.OPEN_READ_ONLY) as store:
            flags = store.list_all()
    except flagstore.FlagstoreError as error:
        gone = not os.path.exists(path) or os.path.getsize(path) == 0
        return "empty" if gone else "torn", str(error)
    numbers = []
    for writer in range(WRITERS):
        found = flags.pop(key(writer), None)
        number = found.get("number") if isinstance(found, dict) else None
        if not isinstance(number, int) or not 0 <= number <= started[writer] or found != value(writer, number):
            return "torn", f"{key(writer)} is {str(found)[:80]}"
        numbers.append(number)
    if flags:
        return "torn", f"foreign keys {list(flags)[:3]}"
    if any(number < wanted for number, wanted in zip(numbers, acknowledged)):
        return "lost", f"has {numbers}, acknowledged were {acknowledged}"
    return "kept", f"has {numbers}, acknowledged were {acknowledged}"


def set_again(path):
    """What a file that was left says to the next set: an error, or nothing."""
    try:
        with flagstore.Store.file(path) as store:
            store.set(key(0), "again")
            return None if store.get(key(0)) == "again" else "it is not there"
    except flagstore.FlagstoreError as error:
        return str(error)


def noise_name(directory, seed):
    return os.path.join(directory, f"noise-{seed}")


def noise(directory, seed):
    """One of two programs that make the file system commit what it has, whosever it is."""
    order = random.Random(seed)
    mine = noise_name(directory, seed)
    os.makedirs(mine)
    folder = os.open(mine, os.O_RDONLY)
    while True:
        name = os.path.join(mine, str(order.randrange(8)))
        with open(name + ".new", "wb") as file:
            file.write(order.randbytes(order.choice((100, 5000, 20000))))
            file.flush()
            os.fsync(file.fileno())
        os.rename(name + ".new", name)
        if order.randrange(2):
            os.fsync(folder)


if __name__ == "__main__":
    noise(sys.argv[1], int(sys.argv[2]))

#!/usr/bin/env python3
"""Row 12: a ConfigMap as kubelet swaps it (..data becomes a link to another folder, the old one is removed): each swap
is seen by a wait; a watch tells a chain of values without gaps that ends with the last; no read finds less than a whole
edition. Then swaps that follow one another at once: the last one is always told."""
import os
import statistics
import threading
import time

import common
import flagstore
from edits import ConfigMap, document, ended, readers, summed

SWAPS = common.size(40, 1000)  # one after the other, each waited for
BURSTS, IN_BURST = common.size(10, 100), 10  # without a pause
THREADS = 2
MODES = [flagstore.READ_FRESH, flagstore.READ_CHECKED, flagstore.READ_WATCHED]


class Seen:
    """The editions that somebody was told of, and when."""

    def __init__(self):
        self.told, self.changed = [], threading.Condition()

    def tell(self, edition):
        with self.changed:
            self.told.append((edition, time.monotonic()))
            self.changed.notify_all()

    def time_of(self, edition, what):
        """When the edition was told, which must be the last that was."""
        with self.changed:
            found = self.changed.wait_for(lambda: self.told and self.told[-1][0] == edition, common.DEADLINE)
            common.promise(found, f"{what}: edition {edition} is not told; the last were {self.told[-3:]}")
            return self.told[-1][1]


class Waiter(Seen):
    """A thread in flagstore_wait."""

    def __init__(self, path, read_mode):
        super().__init__()
        self.store = flagstore.Store.file(path, read_mode=read_mode)
        self.end, self.failed = threading.Event(), None
        self.revision = self.store.revision()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            while not self.end.is_set():
                revision = self.store.wait(self.revision, 0.1)
                if revision is not None:
                    self.revision = revision
                    self.tell(self.store.get_int64("edition", -1))
        except flagstore.FlagstoreError as error:
            self.failed = error
            self.tell(-2)

    def close(self):
        self.end.set()
        self.thread.join()
        self.store.close()
        common.promise(self.failed is None, "a wait or read failed:", self.failed)


class Watcher(Seen):
    """A flagstore_watch of the edition."""

    def __init__(self, path, edition, read_mode):
        super().__init__()
        self.last, self.gaps = edition, []
        self.store = flagstore.Store.file(path, read_mode=read_mode)
        self.watch = self.store.watch(self.change, "edition")

    def change(self, _key, old, new):
        if old != str(self.last):
            self.gaps.append((self.last, old, new))
        self.last = new
        self.tell(int(new or -1))

    def close(self):
        self.watch.close()
        self.store.close()
        common.promise(not self.gaps, "the watch told of changes from what it had not told (was, from, to):", self.gaps)


def figures(what, latencies):
    ordered = sorted(1000 * latency for latency in latencies)
    return (f"{what} after median {statistics.median(ordered):.1f} ms, 99 % {ordered[len(ordered) * 99 // 100]:.1f}, "
            f"longest {ordered[-1]:.1f}")


def swap_and_wait(config, waiters, watchers):
    """The latencies of the waits, and of the watches."""
    waits, watches = [], []
    for edition in range(2, SWAPS + 2):
        swapped = config.swap(document(edition))
        waits += [waiter.time_of(edition, "the wait") - swapped for waiter in waiters]
        watches += [watcher.time_of(edition, "the watch") - swapped for watcher in watchers]
    return waits, watches


def swap_in_bursts(config, waiters, watchers):
    edition = SWAPS + 1
    for _ in range(BURSTS):
        for _ in range(IN_BURST):
            edition += 1
            config.swap(document(edition))
        for seen in waiters + watchers:
            seen.time_of(edition, f"{type(seen).__name__} after a burst")


def test(folder):
    program = common.compile_c(folder, "edits_worker")
    config = ConfigMap(os.path.join(folder, "config"), "flags.json", document(1))
    waiters = [Waiter(config.path, mode) for mode in MODES]
    watchers = [Watcher(config.path, 1, mode) for mode in MODES]
    try:
        with ended(*readers(program, config.path, THREADS)) as numbers:
            waits, watches = swap_and_wait(config, waiters, watchers)
            swap_in_bursts(config, waiters, watchers)
    finally:
        for seen in waiters + watchers:
            seen.close()
    reads, _changes, lowest, highest = summed(numbers)
    common.promise(lowest >= 1 and highest <= SWAPS + 1 + BURSTS * IN_BURST, "foreign editions:", lowest, highest)
    common.row(12, f"{SWAPS} ConfigMap swaps, then {BURSTS} bursts of {IN_BURST}, {reads} reads in the {common.MODES}",
               "all seen by wait and watch", "no gap", "0 false-empty",
               figures("wait", waits), figures("watch", watches))


if __name__ == "__main__":
    common.needs(12, "cc", "setpriv")
    common.run(test)

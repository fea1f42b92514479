"""Counters through a connection that loses commands and answers: what is said not to have been made was not made, what
is said to have been made was, and what is UNCERTAIN is found out by reading.

Each client raises a counter of its own by commits that expect its value. So a change that was made though it was said
not to be makes the next commit a conflict, and one that was not made though it was said to be does too."""
import random
import threading
import time

from clients import CONFLICT, FAR_MS, FRESH, MODES, OK, UNAVAILABLE, UNCERTAIN
from proxy import Proxy
from servers import Server

SCRIPTS = "EVAL,EVALSHA"
TROUBLES = [
    ("pass", {}), ("lose", {"of": SCRIPTS, "percent": "40"}), ("drop", {"of": SCRIPTS, "percent": "40"}),
    ("lose", {"of": SCRIPTS + ",SET,GET", "percent": "60"}), ("cut", {"of": SCRIPTS, "bytes": "2", "percent": "40"}),
    ("drop", {"of": "SET,GET," + SCRIPTS, "percent": "60"}), ("hold", {}), ("hold", {"of": SCRIPTS}), ("reset", {}),
    ("delay", {"ms": "5"}), ("stop", {}),
]


class Counter:
    def __init__(self, worker, key):
        self.worker, self.key, self.value, self.may_come = worker, key, 0, False
        self.made, self.refused, self.uncertain, self.late, self.failures = 0, 0, 0, 0, []

    def run(self, is_over):
        try:
            while not is_over.is_set():
                self.raise_once()
        except (AssertionError, OSError) as failure:
            self.failures.append(str(failure))
            is_over.set()

    def raise_once(self):
        answer = self.worker.call("commit", "h", self.key, self.value, self.value + 1)
        if answer.code == OK:
            self.value, self.made, self.may_come = self.value + 1, self.made + 1, False
        elif answer.code == UNCERTAIN:
            self.uncertain += 1
            # What is under way may still arrive after it was not found: until the next commit is made.
            self.may_come = True
            self.read()
        elif answer.code == CONFLICT:
            assert self.may_come, f"{self.key}: a change was made though it was said not to be, or the reverse: {answer}"
            before, self.late = self.value, self.late + 1
            self.read()
            assert self.value == before + 1, f"{self.key}: {self.value} after {before}: {answer}"
            self.may_come = False
        else:
            assert answer.code == UNAVAILABLE, f"{self.key}: {answer}"
            self.refused += 1
            time.sleep(0.002)

    def read(self):
        while True:
            answer = self.worker.call("get", "reader", self.key)
            if answer.code == OK:
                break
            assert answer.code == UNAVAILABLE, f"{self.key}: {answer}"
            time.sleep(0.002)
        assert int(answer.value) in (self.value, self.value + 1), f"{self.key}: {answer} after {self.value}"
        self.made += int(answer.value) - self.value
        self.value = int(answer.value)


def trouble(server, proxy, is_over, end):
    while time.monotonic() < end and not is_over.is_set():
        mode, settings = random.choice(TROUBLES)
        if mode == "stop":
            server.stop()
        else:
            proxy.set(mode, **settings)
        time.sleep(random.uniform(0.01, 0.45 if mode in ("stop", "hold") else 0.15))
        server.go_on()
        proxy.set("pass")
        time.sleep(random.uniform(0, 0.03))
    is_over.set()


def check(languages, lateness, seconds, note):
    server = Server()
    proxy = Proxy("127.0.0.1", server.port)
    url, is_over, counters = f"redis://127.0.0.1:{proxy.port}", threading.Event(), []
    workers = [languages.start(name, lateness, "lost answers") for name in languages.names for _ in MODES]
    try:
        for number, worker in enumerate(workers):
            counters.append(Counter(worker, f"counter-{number}"))
            server.must("HSET", "flagstore", counters[-1].key, "0")
            mode = list(MODES.values())[number % len(MODES)]
            for handle, read_mode in (("h", mode), ("reader", FRESH)):
                assert worker.open(handle, url, read_mode, open_timeout_ms=FAR_MS).code == OK
        threads = [threading.Thread(target=counter.run, args=[is_over]) for counter in counters]
        for thread in threads:
            thread.start()
        trouble(server, proxy, is_over, time.monotonic() + seconds)
        for thread in threads:
            thread.join()
        failures = [failure for counter in counters for failure in counter.failures]
        for counter in counters if not failures else ():
            found = int(server.must("HGET", "flagstore", counter.key))
            if found not in (counter.value, counter.value + counter.may_come):
                failures.append(f"{counter.key} is {found}, known is {counter.value}")
        for worker in workers if not failures else ():
            worker.end()
    finally:
        is_over.set()
        for worker in workers:
            worker.process.kill()
        server.end()
    note(f"lost answers: {sum(it.made for it in counters)} changes made, {sum(it.refused for it in counters)} not, "
         f"{sum(it.uncertain for it in counters)} uncertain, of which {sum(it.late for it in counters)} came after they "
         f"were not found; made though said not to be, or the reverse: {len(failures)}")
    return failures

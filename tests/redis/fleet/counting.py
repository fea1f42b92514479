"""Counters that clients in several languages add to by guarded commits, and the books of who has added what.

The value of a counter is {"by":WHO,"key":KEY,"own":{WHO:TIMES,...}}: whoever adds raises his own number. So each client
knows exactly what has become of his own changes, whatever others do:
 - one that was acknowledged is there;
 - one that failed, other than with UNCERTAIN, is not and never will be;
 - one that is UNCERTAIN was made or not; it still may be made as long as the value is what it expects."""
import collections
import json
import random
import threading
import time

from checks import Failed
from workers import CONFLICT, FRESH, OK, UNAVAILABLE, UNCERTAIN, WATCHED, Error, Worker

KEYS = ["counter.a", "counter.b", "counter.c"]
DEADLINE_MS = 500
NAMES = {OK: "acknowledged", CONFLICT: "conflict", UNAVAILABLE: "unavailable", UNCERTAIN: "uncertain"}


def decoded(key, text):
    """The numbers in a value; anything but a value of this key is an answer to another question."""
    if text is None:
        return {}
    value = json.loads(text)
    if value["key"] != key:
        raise Failed(f"asked for {key}, got {text}")
    return value["own"]


class Client(threading.Thread):
    """One worker with a FRESH and a WATCHED store. `url` is that of its own proxy."""

    DEADLINE_MS = DEADLINE_MS

    def __init__(self, who, command, url):
        super().__init__(daemon=True)
        self.who, self.worker, self.random = who, Worker(command, log_level="warn"), random.Random(who)
        options = {"call_timeout_ms": DEADLINE_MS, "open_timeout_ms": 30000}
        self.stores = {mode: self.worker.open(url, read_mode=mode, **options) for mode in (FRESH, WATCHED)}
        self.mine = {key: 0 for key in KEYS}  # what is there for certain
        self.pending = {}  # by key: the text that an uncertain change expects
        self.watched = {key: {} for key in KEYS}  # what the WATCHED store has shown last
        self.told, self.heard, self.messages = {key: {} for key in KEYS}, 0, 0  # and what its watch has told
        self.stores[WATCHED]("watch")
        self.results, self.calls, self.longest_ms, self.late, self.resolved = collections.Counter(), 0, 0.0, 0, [0, 0]
        self.stopping, self.failure = False, None

    def run(self):
        try:
            while not self.stopping:
                self.turn()
        except Exception as failure:  # it is the soak's
            self.failure = failure

    def turn(self):
        if time.monotonic() > self.heard + 0.25:
            self.hear()
        key = self.random.choice(KEYS)
        self.look(key)
        mode = self.random.choice((FRESH, FRESH, WATCHED))
        try:
            text = self.call(mode, "get", key)
        except Error as error:
            if error.code != UNAVAILABLE:
                raise
            time.sleep(0.01)  # a store that is lost answers at once
            return
        own = decoded(key, text)
        if mode == FRESH:
            self.settle(key, text, own)
        elif own.get(self.who, 0) != self.mine[key] or key in self.pending:
            return  # an old snapshot, or it is not known what that is
        if key not in self.pending:
            self.add(mode, key, text, own)

    def settle(self, key, text, own):
        """What the store holds must be what was acknowledged; or one more if that was not certain."""
        there = own.get(self.who, 0)
        is_open = key in self.pending
        if is_open and there == self.mine[key] + 1:
            self.mine[key] += 1
            del self.pending[key]
            self.resolved[True] += 1
        elif there != self.mine[key]:
            raise Failed(f"{self.who}: {key} has {there} of its changes, acknowledged were {self.mine[key]}, "
                         f"{'one more is' if is_open else 'none is'} uncertain: {text}")
        elif is_open and text != self.pending[key]:
            del self.pending[key]  # it can never be made any more
            self.resolved[False] += 1
        elif is_open:
            self.fence(key, text, own)

    def fence(self, key, text, own):
        """Makes it certain: a change of nothing but who was last; whichever comes first, the other then has another
        expectation."""
        value = {"by": f"{self.who}.{time.monotonic_ns()}", "key": key, "own": own}
        try:
            self.call(FRESH, "commit", key, text or "absent", encoded(value))
        except Error as error:
            if error.code not in NAMES:
                raise

    def add(self, mode, key, text, own):
        value = {"by": self.who, "key": key, "own": {**own, self.who: self.mine[key] + 1}}
        try:
            self.call(mode, "commit", key, text or "absent", encoded(value))
            code = OK
        except Error as error:
            code = error.code
            if code not in NAMES:
                raise
        self.results[code] += 1
        if code == OK:
            self.mine[key] += 1
            if mode == WATCHED:
                self.sees_own(key)
        elif code == UNCERTAIN:
            self.pending[key] = text

    def sees_own(self, key):
        """A WATCHED store sees its own changes at once, or fails because there is nothing to serve."""
        shown = self.look(key)
        if shown is not None and shown.get(self.who, 0) < self.mine[key]:
            raise Failed(f"{self.who}: a WATCHED store shows {shown} of {key} after its own change {self.mine[key]}")

    def look(self, key):
        """What the WATCHED store shows, which never goes backwards: the server loses nothing that it has shown."""
        try:
            shown = decoded(key, self.call(WATCHED, "get", key))
        except Error as error:
            if error.code != UNAVAILABLE:
                raise
            return None
        for who, times in self.watched[key].items():
            if shown.get(who, 0) < times:
                raise Failed(f"{self.who}: a WATCHED store showed {self.watched[key]} of {key}, and then {shown}")
        self.watched[key] = shown
        return shown

    def hear(self):
        """What the watch has told since the last time; it does not go backwards either."""
        self.heard = time.monotonic()
        for word in self.stores[WATCHED]("seen").split():
            key, _, text = word.partition("=")
            self.messages += 1
            if key not in KEYS:
                continue
            own = decoded(key, text)
            for who, times in self.told[key].items():
                if own.get(who, 0) < times:
                    raise Failed(f"{self.who}: a watch told of {self.told[key]} in {key}, and then {own}")
            self.told[key] = own

    def call(self, mode, *words):
        store = self.stores[mode]
        self.calls += 1
        try:
            value = store(words[0], *words[1:])
        except Error as error:
            self.took(error.ms, words)
            raise
        self.took(store.last_ms, words)
        return None if value == "absent" else value

    def took(self, ms, words):
        self.longest_ms = max(self.longest_ms, ms)
        self.late += ms > DEADLINE_MS * 1.1
        if ms > DEADLINE_MS * 20:
            raise Failed(f"{self.who}: {words} took {ms} ms of {DEADLINE_MS}")

    def stop(self):
        self.stopping = True
        self.join(120)
        if self.failure:
            raise self.failure
        if self.is_alive():
            raise Failed(f"{self.who} hangs")


def encoded(value):
    """As the library writes it: sorted, without spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))

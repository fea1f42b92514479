"""The faults of one server: each of them befalls every call in each read mode and language, and passes.

A row says what its fault is, and what the calls answer while it lasts. FRESH reads ask the server; WATCHED ones are
served from memory, whatever happens. A change is refused, made or left open (UNCERTAIN): never made though it was said
not to be, which each row checks when its fault is over."""
import concurrent.futures
import time
from dataclasses import dataclass, field
from typing import Callable

from clients import (CALL_MS, FAR_MS, FRESH, LIVE, MODES, OK, OPEN_MS, STALE, UNAVAILABLE, UNCERTAIN, WAIT_MS,
                     WATCHED)
from proxy import Proxy
from servers import Server, eventually

STALE_MS, STALE_ALLOWED_MS = 2000, 2000  # the promise, and what two busy cores need beyond that
LAZY = 4
# So many reads of a lost server would take ten times the deadline if each waited. The first does, and on a busy machine
# another, if a pause has ended meanwhile.
GETS, GETS_MS = 10, 3 * CALL_MS


@dataclass
class Fault:
    name: str
    begin: Callable  # both take the Place
    end: Callable
    by_proxy: bool = False
    reads: set = field(default_factory=lambda: {UNAVAILABLE})  # of FRESH: get, list
    changes: set = field(default_factory=lambda: {UNAVAILABLE})  # set and commit, in both modes; empty: there are none
    opens: set = field(default_factory=lambda: {UNAVAILABLE})  # of WATCHED
    state: int = STALE  # of WATCHED, within the promised time; 0: any
    said: str = ""  # is in the message of a change
    in_call: bool = False  # begins anew in the middle of each call
    is_edited: bool = False  # somebody edits the flags meanwhile, on another way to the server
    settings: dict = field(default_factory=dict)
    after: str = "1"  # what the flag is when it is over, unless it is edited; "": gone
    options: dict = field(default_factory=dict)
    set_up: Callable = lambda place: None


class Place:
    """A server, a proxy before it, and what a fault needs to know of them."""

    def __init__(self, fault):
        self.fault, self.server = fault, Server(**fault.settings)
        self.proxy = Proxy("127.0.0.1", self.server.port) if fault.by_proxy else None
        self.url = f"redis://127.0.0.1:{self.proxy.port if self.proxy else self.server.port}"
        self.options = {name: value.format(directory=self.server.directory) for name, value in fault.options.items()}
        self.other = None  # a connection that a fault needs

    def end(self):
        if self.other:
            self.other.close()
        self.server.end()


class Case:
    """One client in one read mode."""

    def __init__(self, place, fault, worker, mode, note):
        self.place, self.fault, self.worker, self.mode, self.mode_name = place, fault, worker, MODES[mode], mode
        self.note = note
        self.key = f"own-{worker.name.split()[-1]}-{mode}"
        # What is certain to succeed, or to be refused at once, has time to.
        is_certain = UNAVAILABLE not in fault.reads and UNCERTAIN not in fault.changes
        self.call_ms = FAR_MS if is_certain else CALL_MS
        self.options = {"call_timeout_ms": self.call_ms, "open_timeout_ms": FAR_MS if is_certain else OPEN_MS,
                        **place.options}
        self.made = {}  # what is known of a key: {value} or {old, new}
        self.begun, self.waited_before = 0.0, 0.0

    def expect(self, what, answer, codes, value=None):
        said = f"{self.worker.name}: {what}: {answer}"
        assert answer.code in codes, f"{said}, expected {codes}"
        assert value is None or answer.code != OK or answer.value == value, f"{said}, expected {value}"
        return answer

    def prepare(self):
        worker, place = self.worker, self.place
        options = {**self.options, "open_timeout_ms": FAR_MS}
        self.expect("open", worker.open("h", place.url, self.mode, **options), {OK})
        eventually("it reads", lambda: self.reads_as("h", "1"))
        self.change(self.key, "0")
        self.made[self.key] = {"0"}
        eventually("it watches", lambda: worker.call("watch", "h").code == OK)
        if self.mode == WATCHED:
            eventually("it is live", lambda: worker.status("h")["state"] == LIVE and worker.status("h")["push"] == 2)
        eventually("it has a revision", lambda: worker.call("revision", "h").code == OK)

    def change(self, key, value):
        """Until it is made."""
        eventually(f"{key} is set", lambda: self.worker.call("set", "h", key, value).code == OK)

    # ---- while it lasts ----

    def meanwhile(self):
        for call in (self.get, self.set, self.commit, self.list, self.wait, self.sync, self.open, self.gets):
            call()
        self.check_state()
        self.commit()
        self.get()

    def reads(self):
        return self.fault.reads if self.mode == FRESH else {OK}

    def value(self):
        """What may be read; None: a new client takes what has vanished for empty."""
        return "1" if self.fault.after or self.mode == WATCHED else None

    def get(self):
        answer = self.expect("get", self.worker.call("get", "h", "flag"), self.reads(), self.value())
        if self.mode == WATCHED:
            self.worker.lateness.note(f"{self.worker.name}: get from memory", answer.ms, 0, answer.waited)
        return answer

    def gets(self):
        """Who asks a server that does not answer again and again waits once, and now and then."""
        answers = [self.get() for _ in range(GETS)]
        elapsed, waited = (sum(getattr(answer, part) for answer in answers) for part in ("ms", "waited"))
        if UNAVAILABLE in self.reads():
            self.worker.lateness.note(f"{self.worker.name}: {GETS} reads of a lost server", elapsed, GETS_MS, waited)
        self.note(f"{GETS} reads by a {self.mode_name} store", elapsed, self.fault.name)

    def list(self):
        answer = self.expect("list", self.worker.call("list", "h"), self.reads())
        is_right = '"flag":1' in answer.value or not self.value()
        assert answer.code != OK or is_right, f"{self.worker.name}: list: {answer}"

    def changed(self, what, key, value, answer):
        """Notes what may be there now."""
        self.expect(what, answer, self.fault.changes)
        if answer.code == OK:
            self.made[key] = {value}
        elif answer.code == UNCERTAIN:
            self.made[key] = self.made.get(key, {"absent"}) | {value}
        else:
            assert self.fault.said in answer.value, f"{self.worker.name}: {what}: {answer}"

    def set(self):
        if not self.fault.changes:
            return
        key = f"{self.key}-{len(self.made)}"
        self.changed("set", key, "true", self.worker.call("set", "h", key, "true"))

    def commit(self):
        old = min(self.made[self.key])  # one that is still open fails for what it expects, if it comes after this one
        new = str(int(max(self.made[self.key])) + 1)
        if len(self.made[self.key]) == 1 and self.fault.changes:
            self.changed("commit", self.key, new, self.worker.call("commit", "h", self.key, old, new))

    def wait(self):
        self.expect("wait", self.worker.call("wait", "h", WAIT_MS), self.fault.reads | {OK})

    def sync(self):
        if self.mode == WATCHED:
            self.expect("sync", self.worker.call("sync", "h", self.call_ms), self.fault.reads)

    def open(self):
        """Somebody starts now, and does not want to wait: he is served once it is over."""
        worker, place = self.worker, self.place
        answer = worker.open("new", place.url, self.mode, **self.options)
        self.expect("open", answer, {OK} if self.mode == FRESH else self.fault.opens)
        if answer.code == OK:
            value = "1" if self.fault.after else None
            self.expect("get of a new one", worker.call("get", "new", "flag"), self.reads(), value)
            worker.must("close", "new")
        assert worker.open("lazy", place.url, self.mode, flags=LAZY, **self.options).code == OK

    def check_state(self):
        if self.mode == WATCHED and self.fault.state:
            eventually(f"the state is {self.fault.state}", lambda: self.worker.status("h")["state"] == self.fault.state)
            self.get()
            self.list()

    def time_until_stale(self):
        """In milliseconds since the fault began."""
        eventually("it is stale", lambda: self.worker.status("h")["state"] == STALE)
        elapsed, waited = (time.monotonic() - self.begun) * 1000, self.worker.waited_ms() - self.waited_before
        allowed = STALE_MS + STALE_ALLOWED_MS + waited
        assert elapsed <= allowed, f"{self.worker.name} was stale after {elapsed:.0f} ms, waited {waited:.0f} ms"
        return elapsed

    # ---- when it is over ----

    def recover(self, value):
        worker = self.worker
        for handle in ("h", "lazy"):
            eventually(f"{worker.name}: {handle} reads {value}", lambda handle=handle: self.reads_as(handle, value))
            if self.mode == WATCHED:
                eventually("it is live", lambda handle=handle: worker.status(handle)["state"] == LIVE)
        self.change(f"{self.key}-last", "1")
        for key, values in self.made.items():
            eventually(f"{worker.name}: {key} is listed", lambda key=key: self.is_listed(key))
            found = self.place.server.must("HGET", "flagstore", key) or "absent"
            assert found in values or not self.fault.after, f"{worker.name}: {key} is {found}, may be {values}"
        if self.fault.is_edited:
            eventually("the watch tells", lambda: f"flag={value}" in worker.must("seen", "h").split())
        for handle in ("h", "lazy"):
            worker.must("close", handle)

    def is_listed(self, key):
        """As it is on the server: what comes late may come just now."""
        found, answer = self.place.server.must("HGET", "flagstore", key), self.worker.call("list", "h").value
        return f'"{key}":{found}' in answer if found else f'"{key}":' not in answer

    def reads_as(self, handle, value):
        answer = self.worker.call("get", handle, "flag")
        return answer.code == OK and answer.value == value


def together(cases, call):
    """At once for all cases, in a thread each."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=len(cases)) as pool:
        return [future.result() for future in [pool.submit(call, case) for case in cases]]


def befall(fault, languages, lateness, note):
    """One row."""
    place = Place(fault)
    workers = [languages.start(name, lateness, fault.name) for name in languages.names for _ in MODES]
    try:
        cases = [Case(place, fault, worker, mode, note)
                 for worker, mode in zip(workers, list(MODES) * len(languages.names))]
        fault.set_up(place)
        place.server.must("HSET", "flagstore", "flag", "1")
        together(cases, Case.prepare)
        if fault.in_call:
            befall_each_call(place, cases)
        else:
            begin(place, cases)
            watched = [case for case in cases if case.mode == WATCHED and fault.state == STALE]
            if watched:
                note("until stale", max(together(watched, Case.time_until_stale)), fault.name)
            together(cases, Case.meanwhile)
        value = fault.after or "2"
        if fault.is_edited:
            value = "2"
            place.server.must("HSET", "flagstore", "flag", value)
        if not fault.in_call:
            fault.end(place)
        start = time.monotonic()
        if not fault.after:
            place.server.must("HSET", "flagstore", "flag", value)
        together(cases, lambda case: case.recover(value))
        note("until live", (time.monotonic() - start) * 1000, fault.name)
        for worker in workers:
            worker.end()
    except (AssertionError, OSError) as failure:
        return f"{fault.name}: {failure or repr(failure)}"
    finally:
        for worker in workers:
            worker.process.kill()
        place.end()
    return None


def begin(place, cases):
    for case in cases:
        case.begun, case.waited_before = time.monotonic(), case.worker.waited_ms()
    place.fault.begin(place)


def befall_each_call(place, cases):
    """Each call is under way when the fault begins; it ends before the next one."""
    calls = [lambda case: case.get(), lambda case: case.set(), lambda case: case.commit(), lambda case: case.list(),
             lambda case: case.wait(), lambda case: case.sync(), lambda case: case.open()]
    for call in calls:
        place.server.stop()
        with concurrent.futures.ThreadPoolExecutor(max_workers=len(cases)) as pool:
            futures = [pool.submit(call, case) for case in cases]
            time.sleep(0.05)  # they are under way; one that is not finds the server gone
            begin(place, cases)
            for future in futures:
                future.result()
        place.fault.end(place)
        together(cases, lambda case: eventually("it reads again", lambda: case.reads_as("h", "1")))
        for case in cases:
            if case.made[case.key] != {"0"}:
                case.made[case.key] = {place.server.must("HGET", "flagstore", case.key)}

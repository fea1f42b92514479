"""Fail-overs by Sentinel: the stores find the new primary by themselves, and say so if changes were lost with the old
one."""
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

from certificates import Authority
from checks import check, equal, one_of, test, until
from resp import Refused
from servers import Server
from workers import (BACKEND, CONFLICT, LIVE, NOT_DURABLE, OK, READ_ONLY, UNAVAILABLE, UNCERTAIN, WATCHED, Error,
                     Worker, binding, refused)

MASTER = "flags"
LOST_CHANGES = "revision runs backwards"
# Sentinels that were kept from running do nothing for 30 s, and need some more to agree.
AGREE_S = 120
# Long enough that the Sentinels of a busy machine do not take one for dead that is not.
DOWN_AFTER_MS = 2000
AT_ONCE = 4  # tests, for they wait for the Sentinels most of the time


class Group:
    """A primary, a replica of it, and Sentinels that watch over both."""

    def __init__(self, sentinels=3, down_after_ms=60000, password=None, tls=()):
        self.tls = tls
        replica_user = ["masteruser replicas", "masterauth replicas", "user replicas on >replicas ~* &* +@all"]
        self.servers = [Server(name, *replica_user, *tls, persist=True, tls=bool(tls))
                        for name in ("primary", "replica")]
        self.servers[1]("REPLICAOF", "127.0.0.1", self.servers[0].port)
        until(lambda: self.servers[1].info("master_link_status") == "up", "the replica has what the primary has")
        options = [f"sentinel monitor {MASTER} 127.0.0.1 {self.servers[0].port} {sentinels // 2 + 1}",
                   f"sentinel down-after-milliseconds {MASTER} {down_after_ms}",
                   f"sentinel failover-timeout {MASTER} 4000", *tls]
        if password:
            options.append(f"requirepass {password}")
        self.sentinels = [Server(f"sentinel{number}", *options, auth=password and (password,), sentinel=True,
                                 tls=bool(tls)) for number in range(sentinels)]
        until(lambda: all(map(self.knows, self.sentinels)), "the Sentinels know each other", AGREE_S)

    def knows(self, sentinel):
        state = sentinel("SENTINEL", "MASTER", MASTER)
        state = dict(zip(state[::2], state[1::2]))
        return (int(state[b"num-other-sentinels"]) == len(self.sentinels) - 1 and int(state[b"num-slaves"]) >= 1
                and state[b"flags"] == b"master")

    @property
    def url(self):
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"{'rediss' if self.tls else 'redis'}://{hosts}"

    def elected(self):
        """The server that all Sentinels call the primary."""
        ports = {int(sentinel("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)[1]) for sentinel in self.sentinels}
        return next((server for server in self.servers if ports == {server.port}), None)

    def primary(self):
        """That server, if it is one."""
        server = self.elected()
        return server if server and server.process and server("ROLE")[0] == b"master" else None

    def other(self, server):
        return self.servers[1 - self.servers.index(server)]

    def ready(self):
        """A primary that has a replica, as all Sentinels see it: a fail-over can begin."""
        primary = self.primary()
        return (primary and self.other(primary).process and self.other(primary).info("master_link_status") == "up"
                and int(primary.info("connected_slaves")) == 1
                and all(self.knows(sentinel) for sentinel in self.sentinels) and primary)

    def fail_over(self):
        """As an operator asks for it."""
        old = until(self.ready, "a fail-over can begin", AGREE_S)

        def accepted():
            with contextlib.suppress(Refused):  # one is still under way, or the replica does not look good yet
                return self.sentinels[0]("SENTINEL", "FAILOVER", MASTER) == b"OK"
        until(accepted, "the Sentinel begins a fail-over", AGREE_S, 0.1)
        return until(lambda: self.primary() is self.other(old) and self.other(old), "there is a new primary", AGREE_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self.sentinels + self.servers:
            server.kill()


class Counter:
    """Adds one by guarded commits; knows what was acknowledged and what may be."""

    def __init__(self, store, key="counter"):
        self.store, self.key, self.acknowledged, self.maybe, self.codes = store, key, 0, 0, {}

    def add(self):
        try:
            now = self.store.get(self.key)
            value = int(now or 0)
            self.store.commit(self.key, now, value + 1)
            self.acknowledged = value + 1
        except Error as error:
            self.codes[error.code] = self.codes.get(error.code, 0) + 1
            one_of((CONFLICT, UNAVAILABLE, UNCERTAIN, READ_ONLY), error.code, f"a guarded commit: {error}")
            if error.code == UNCERTAIN:
                self.maybe = max(self.maybe, value + 1)
            return False
        return True


def opened(group, worker, **more):
    options = {"sentinel_master": MASTER, "spread_ms": -1, **more}
    return worker.open(group.url, **options), worker.open(group.url, read_mode=WATCHED, **options)


def follows(fresh, watched, key):
    """Both stores work on the same server by themselves, within a time that no promise is about."""
    until(lambda: fresh.code("set", key, '"new"') == OK, "a change is made after the fail-over", AGREE_S)
    equal('"new"', fresh.get(key), "a FRESH read after the fail-over")
    until(lambda: watched.state() == LIVE and watched.get(key) == '"new"', "the WATCHED store follows", AGREE_S)


def becomes_a_replica(group, old, counter):
    """False: the Sentinels have chosen the old primary again, as they may when the other seems to be dead."""
    until(lambda: counter.add() and old("ROLE")[0] == b"slave" or group.primary() is old,
          lambda: f"the old primary becomes a replica, {counter.codes}: {group.sentinels[0].log()}", AGREE_S)
    return old("ROLE")[0] == b"slave"


def keeps_or_says(counter, fresh, worker):
    """What was acknowledged is there, or its loss is in the log."""
    found = int(fresh.get(counter.key) or 0)
    check(found >= counter.acknowledged or LOST_CHANGES in worker.log(),
          f"acknowledged {counter.acknowledged}, found {found}, and the log says nothing: {worker.log()[-3000:]}")
    check(found <= max(counter.acknowledged, counter.maybe), f"found {found} of {counter.acknowledged} changes")
    return counter.acknowledged - found


@test
def stores_follow_a_fail_over_that_is_asked_for():
    with Group() as group, Worker() as worker:
        fresh, watched = opened(group, worker)
        counter = Counter(fresh)
        for _ in range(20):
            until(counter.add, "a change")
        group.fail_over()
        until(counter.add, "a change on the new primary", AGREE_S)
        lost = keeps_or_says(counter, fresh, worker)
        follows(fresh, watched, "asked.for")
        print(f"    asked for: {lost} changes lost")


@test
def stores_follow_when_the_primary_is_killed():
    with Group(down_after_ms=DOWN_AFTER_MS) as group, Worker() as worker:
        fresh, watched = opened(group, worker)
        counter = Counter(fresh)
        old = until(group.ready, "a fail-over can begin", AGREE_S)
        for _ in range(20):
            until(counter.add, "a change")
        began = time.monotonic()
        old.kill()
        until(lambda: counter.add() or group.primary() is group.other(old), "a new primary", AGREE_S)
        elected = time.monotonic()
        until(counter.add, "a change on the new primary", AGREE_S)
        lost = keeps_or_says(counter, fresh, worker)
        follows(fresh, watched, "killed")
        print(f"    killed: another primary after {elected - began:.1f} s, a change is made "
              f"{time.monotonic() - elected:.2f} s later, {lost} lost")
        # Until the Sentinels find it the old one believes that it is the primary, and takes changes of whoever asks it.
        old.start()
        if not becomes_a_replica(group, old, counter):
            return
        newcomer = worker.open(group.url, sentinel_master=MASTER)
        newcomer.set("newcomer", "1")
        equal("1", fresh.get("newcomer"), "a change of a store that is opened now")
        equal(0, old.calls("evalsha") + old.calls("eval"), "changes that were made on the old primary")
        equal(counter.acknowledged, int(fresh.get("counter")), "nothing more is lost")


@test
def lost_changes_are_said():
    """The replica is kept from following, the primary acknowledges, the replica becomes the primary."""
    with Group(sentinels=1) as group, Worker() as worker:
        fresh, watched = opened(group, worker)
        counter = Counter(fresh)
        until(counter.add, "a change")
        old = until(group.ready, "a fail-over can begin", AGREE_S)
        new = group.other(old)
        until(lambda: new("HGET", "flagstore", "counter") == b"1", "the replica has the first change")
        old("ACL", "SETUSER", "replicas", "off")
        old("CLIENT", "KILL", "TYPE", "replica")
        for _ in range(20):
            until(counter.add, "a change that only the primary has")
        until(lambda: watched.get("counter") == "21", "the WATCHED store has it too")

        def accepted():
            with contextlib.suppress(Refused):
                return group.sentinels[0]("SENTINEL", "FAILOVER", MASTER) == b"OK"
        until(accepted, "the Sentinel begins a fail-over", AGREE_S, 0.1)
        until(lambda: group.primary() is new, "there is a new primary", AGREE_S)
        until(lambda: fresh.code("get", "counter") == OK and fresh.get("counter") == "1", "a FRESH read of it", AGREE_S)
        until(lambda: watched.state() == LIVE and watched.get("counter") == "1", "the WATCHED store follows", AGREE_S)
        until(lambda: LOST_CHANGES in worker.log(), "the log says that changes were lost", 10)
        # The revision of the new primary is behind: what is announced there counts all the same.
        new("HSET", "flagstore", "by.hand", "1")
        until(lambda: watched.get("by.hand") == "1", "the WATCHED store hears of an edit on the new primary", AGREE_S)
        follows(fresh, watched, "after.loss")


@test
def a_replica_gets_no_changes():
    """A Sentinel that is mistaken names a replica: ROLE is asked, and the replica is not used until it is a primary."""
    with Group(sentinels=1) as group, Worker() as worker:
        primary, replica = group.servers
        mistaken = Server("mistaken", f"sentinel monitor {MASTER} 127.0.0.1 {replica.port} 1",
                          f"sentinel down-after-milliseconds {MASTER} 60000", sentinel=True)
        url = f"redis://127.0.0.1:{mistaken.port}"
        fresh, _ = opened(group, worker)
        fresh.set("flag", "1")
        until(lambda: replica("HGET", "flagstore", "flag") == b"1", "the replica has the change")
        misled = worker.open(url, sentinel_master=MASTER)
        one_of((UNAVAILABLE, READ_ONLY), misled.code("set", "flag", "2"), "a change of a store that is misled")
        one_of((UNAVAILABLE,), misled.code("get", "flag"), "a read of one: nobody knows how old that replica is")
        error = refused(worker, url, sentinel_master=MASTER, read_mode=WATCHED, open_timeout_ms=500)
        equal(UNAVAILABLE, error and error.code, f"an open of one that is WATCHED: {error}")
        replica("REPLICAOF", "NO", "ONE")
        primary("REPLICAOF", "127.0.0.1", replica.port)
        until(lambda: misled.code("set", "flag", "3") == OK, "the replica has become a primary", AGREE_S)
        equal(b"3", replica("HGET", "flagstore", "flag"), "the change there")
        mistaken.kill()


@test
def a_primary_that_becomes_a_replica_is_left():
    """Without Sentinel's doing, which ends all connections: it says READONLY on a connection that was good."""
    with Group(sentinels=1) as group, Worker() as worker:
        fresh, watched = opened(group, worker)
        fresh.set("flag", "1")
        old, new = group.servers
        until(lambda: new("HGET", "flagstore", "flag") == b"1", "the replica has the change")
        new("REPLICAOF", "NO", "ONE")
        old("REPLICAOF", "127.0.0.1", new.port)
        until(lambda: old("ROLE")[0] == b"slave", "the primary is a replica")
        group.sentinels[0]("SENTINEL", "REMOVE", MASTER)
        group.sentinels[0]("SENTINEL", "MONITOR", MASTER, "127.0.0.1", new.port, 1)
        equal(OK, fresh.code("set", "flag", "2"), "a change on the old connection")
        equal(b"2", new("HGET", "flagstore", "flag"), "what the new primary has")
        until(lambda: watched.get("flag") == "2", "the WATCHED store hears of it", AGREE_S)
        follows(fresh, watched, "moved")


@test
def sentinels_may_be_missing_and_may_have_a_password():
    with Group(password="for-sentinels") as group, Worker() as worker:
        hosts = group.url.removeprefix("redis://")
        url = "redis://:for-sentinels@" + hosts
        for server in group.servers:
            server("ACL", "SETUSER", "flags", "on", ">for-servers", "~*", "&*", "+@all")
        options = {"sentinel_master": MASTER, "username": "flags", "password": "for-servers"}
        fresh, watched = worker.open(url, **options), worker.open(url, read_mode=WATCHED, **options)
        follows(fresh, watched, "with.passwords")
        error = refused(worker, "redis://:wrong-one@" + hosts, **options)
        check(error and "wrong-one" not in error.message, f"a wrong password for the Sentinels: {error}")
        one_of((BACKEND, UNAVAILABLE), error.code, f"a wrong password for the Sentinels: {error}")
        error = refused(worker, url, sentinel_master="no-such-name")
        one_of((BACKEND, UNAVAILABLE), error and error.code, f"a name that the Sentinels do not know: {error}")
        for sentinel in group.sentinels[:2]:  # the last one of the URL is left
            sentinel.kill()
        follows(worker.open(url, **options), watched, "one.sentinel")
        group.sentinels[2].kill()
        follows(fresh, watched, "no.sentinel")  # for both know where the primary is
        error = refused(worker, url, **options)
        equal(UNAVAILABLE, error and error.code, f"no Sentinel at all: {error}")
        worker.keeps_secret("for-sentinels", "for-servers", "wrong-one")


@test
def a_primary_that_was_away_comes_back():
    """It is stopped, and goes on when another has its place: it believes for some seconds that it is the primary."""
    with Group(down_after_ms=DOWN_AFTER_MS) as group, Worker() as worker:
        fresh, watched = opened(group, worker)
        counter = Counter(fresh)
        old = until(group.ready, "a fail-over can begin", AGREE_S)
        for _ in range(20):
            until(counter.add, "a change")
        old.pause()
        # Whoever asks meanwhile gives up his connections to it.
        until(lambda: counter.add() or group.elected() is group.other(old), "a new primary", AGREE_S)
        until(counter.add, "a change on the new primary", AGREE_S)
        old.resume()
        becomes_a_replica(group, old, counter)
        lost = keeps_or_says(counter, fresh, worker)
        follows(fresh, watched, "back")
        print(f"    stopped: {lost} changes lost, {counter.codes} failed")


@test
def no_connection_to_a_primary_that_was_away_is_used():
    """A store with several connections gets no answer on one of them. The others are to the same server, which goes on
    before the Sentinels tell it that another has its place: a change made there would be lost."""
    with Group(sentinels=1, down_after_ms=DOWN_AFTER_MS) as group:
        old = until(group.ready, "a fail-over can begin", AGREE_S)
        with binding().Store.redis(group.url, sentinel_master=MASTER) as store:
            with ThreadPoolExecutor(8) as pool:
                until(lambda: list(pool.map(store.get, ["flag"] * 100)) and int(old.info("connected_clients")) > 5,
                      "there are several connections")
            old.pause()
            until(lambda: group.elected() is group.other(old), "a new primary", AGREE_S)
            with contextlib.suppress(binding().Unavailable):
                store.get("flag")
            old.resume()

            def sets():
                with contextlib.suppress(binding().Unavailable):
                    store.set("after", 1)
                    return True
            until(sets, "a change after that", AGREE_S, 0.001)
            equal(b"1", group.other(old)("HGET", "flagstore", "after"), "the change on the new primary")


@test
def all_of_it_may_speak_tls():
    own = Authority("sentinel")
    cert, key = own.certificate("all", "IP:127.0.0.1")
    tls = (f"tls-cert-file {cert}", f"tls-key-file {key}", f"tls-ca-cert-file {own.ca}", "tls-auth-clients no",
           "tls-replication yes")
    with Group(sentinels=1, tls=tls) as group, Worker() as worker:
        fresh, watched = opened(group, worker, tls_ca_file=own.ca)
        follows(fresh, watched, "before")
        group.fail_over()
        follows(fresh, watched, "after")
        error = refused(worker, group.url, sentinel_master=MASTER, tls_ca_file=Authority("strange").ca)
        one_of((BACKEND, UNAVAILABLE), error and error.code, f"Sentinels of another authority: {error}")


@test
def a_change_may_wait_for_a_replica():
    with Group(sentinels=1) as group, Worker() as worker:
        _, watched = opened(group, worker)
        patient = worker.open(group.url, sentinel_master=MASTER, wait_replicas=1, wait_ms=300, call_timeout_ms=2000)
        patient.set("flag", "1")
        equal(b"1", group.servers[1]("HGET", "flagstore", "flag"), "what the replica has when the change is reported")
        group.servers[1].pause()
        equal(NOT_DURABLE, patient.code("set", "flag", "2"), "a change that no replica confirms")
        equal("2", patient.get("flag"), "it is made")
        until(lambda: watched.get("flag") == "2", "the WATCHED store hears of it")
        group.servers[1].resume()
        until(lambda: patient.code("set", "flag", "3") == OK, "the replica goes on", AGREE_S)

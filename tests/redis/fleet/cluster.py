"""A cluster: the flags are found on whatever node they are, also while they move."""
import threading
import time

from checks import check, equal, one_of, test, until
from servers import Server, free_port
from workers import CONFLICT, LIVE, OK, STALE, UNAVAILABLE, UNCERTAIN, WATCHED, Error, Worker

SLOTS = 16384
AT_ONCE = 3  # tests


class Cluster:
    """Three primaries, the slots in three parts; with `replica` one more, which follows the owner of the flags."""

    def __init__(self, replica=False):
        names = ["node0", "node1", "node2"] + ["replica"] * replica
        self.nodes = [Server(name, "cluster-enabled yes", f"cluster-port {free_port()}", "cluster-node-timeout 1000",
                             "cluster-replica-validity-factor 0", "cluster-allow-reads-when-down no", persist=True)
                      for name in names]
        self.slot = self.nodes[0]("CLUSTER", "KEYSLOT", "flagstore")
        for number, node in enumerate(self.nodes):
            node("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            node.id = node("CLUSTER", "MYID")
            if number < 3:
                first, end = number * SLOTS // 3, (number + 1) * SLOTS // 3
                node("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
                if first <= self.slot < end:
                    self.owner = node
            bus = self.nodes[0]("CONFIG", "GET", "cluster-port")[1]
            node("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port, bus)
        until(lambda: all(self.is_whole(node) for node in self.nodes), "the nodes know each other", 60)
        if replica:
            self.replica = self.nodes[3]
            until(lambda: self.replica("CLUSTER", "REPLICATE", self.owner.id) == b"OK", "the replica has a primary")
            until(lambda: self.replica.info("master_link_status") == "up", "the replica has what the owner has", 60)
            until(lambda: all(node("CLUSTER", "REPLICAS", self.owner.id) for node in self.nodes), "all know it", 60)

    def is_whole(self, node):
        known = node("CLUSTER", "NODES").decode().splitlines()
        return (b"cluster_state:ok" in node("CLUSTER", "INFO") and len(known) == len(self.nodes)
                and not any("handshake" in line or "fail" in line for line in known))

    def strangers(self):
        """The primaries that do not have the flags."""
        return [node for node in self.nodes[:3] if node is not self.owner]

    def each(self, *words):
        for node in self.nodes[:3]:
            node(*words)

    def begin_to_move(self, target):
        target("CLUSTER", "SETSLOT", self.slot, "IMPORTING", self.owner.id)
        self.owner("CLUSTER", "SETSLOT", self.slot, "MIGRATING", target.id)

    def move_key(self, target, key):
        self.owner("MIGRATE", "127.0.0.1", target.port, key, 0, 10000)

    def end_move(self, target):
        """As redis-cli does: what is left, and then everybody is told, the target first."""
        while keys := self.owner("CLUSTER", "GETKEYSINSLOT", self.slot, 100):
            self.owner("MIGRATE", "127.0.0.1", target.port, "", 0, 10000, "KEYS", *keys)
        for node in [target, self.owner] + [node for node in self.strangers() if node is not target]:
            node("CLUSTER", "SETSLOT", self.slot, "NODE", target.id)
        self.owner = target

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            node.kill()


def hears(writer, watched, key, seconds=30):
    """A change is made and the WATCHED store hears of it."""
    value = str(time.monotonic_ns())
    until(lambda: writer.code("set", key, value) == OK, lambda: f"a change of {key} is made", seconds)
    until(lambda: watched.code("get", key) == OK and watched.get(key) == value and watched.state() == LIVE,
          lambda: f"the WATCHED store hears of {key}: {watched.status()}", seconds)


@test
def any_node_will_do():
    with Cluster() as cluster, Worker() as worker:
        for number, node in enumerate(cluster.nodes):
            fresh = worker.open(node.url)
            watched = worker.open(node.url, read_mode=WATCHED, spread_ms=-1)
            key = f"node{number}"
            equal(None, fresh.get(key), "get of what is not there")
            fresh.set(key, "1")
            fresh.commit(key, "1", "2")
            equal(CONFLICT, fresh.code("commit", key, "1", "3"), "commit of what is not so")
            equal("2", fresh.get(key), "get")
            check(f'"{key}":2' in fresh.list(), f"list: {fresh.list()}")
            check(int(fresh("revision")) > 0, "revision")
            hears(fresh, watched, key)
            node("CLUSTER", "COUNTKEYSINSLOT", cluster.slot)
            equal(fresh.list(), watched.list(), "both lists")
            check(watched.status().push > 0, f"changes are announced: {watched.status()}")
            check(fresh.delete(key) and not fresh.delete(key), "delete tells whether it was there")
            print(f"    {'owner' if node is cluster.owner else 'another node'}: push {watched.status().push}")
        for node in cluster.nodes:
            check("errorstat_CROSSSLOT" not in node("INFO", "everything").decode(), "no CROSSSLOT anywhere")
        for name in ("other", "a{b}c"):  # another slot; and a tag of its own
            fresh = worker.open(cluster.nodes[0].url, hash=name)
            fresh.set("flag", "1")
            equal("1", fresh.get("flag"), f"get from {name}")
            fresh.commit("flag", "1", "2")
            equal('{"flag":2}', fresh.list(), f"list of {name}")


class Writer(threading.Thread):
    """Adds one by guarded commits until it is stopped; `codes` counts what they ended with."""

    def __init__(self, url, **options):
        super().__init__(daemon=True)
        self.url, self.options, self.codes, self.acknowledged, self.maybe = url, options, {}, 0, 0
        self.stopping, self.failure = False, None
        self.start()

    def run(self):
        try:
            with Worker() as worker:
                store = worker.open(self.url, **self.options)
                while not self.stopping:
                    self.add(store)
        except Exception as failure:  # it is the test's
            self.failure = failure

    def add(self, store):
        value = 0
        try:
            now = store.get("counter")
            value = int(now or 0) + 1
            store.commit("counter", now, value)
            self.acknowledged = value
            code = OK
        except Error as error:
            code = error.code
            if code not in (UNAVAILABLE, UNCERTAIN, CONFLICT):
                raise
            if code == UNCERTAIN:
                self.maybe = value
        self.codes[code] = self.codes.get(code, 0) + 1

    def stop(self):
        self.stopping = True
        self.join()
        if self.failure:
            raise self.failure

    def end(self, store):
        """What was acknowledged is there, and nothing that was not tried."""
        self.stop()
        found = int(store.get("counter"))
        check(self.acknowledged <= found <= max(self.acknowledged, self.maybe),
              f"acknowledged {self.acknowledged}, at most {self.maybe}, found {found}; {self.codes}")


@test
def flags_may_move_while_they_are_used():
    with Cluster() as cluster, Worker() as worker:
        url = cluster.owner.url
        fresh, watched = worker.open(url), worker.open(url, read_mode=WATCHED, spread_ms=-1)
        writer, refused_ones = Writer(url), 0
        until(lambda: writer.acknowledged > 20, "there are changes")
        for target in cluster.strangers() + [cluster.owner]:  # once around
            cluster.begin_to_move(target)
            # A script that is to write a new key, the token, has to wait: nobody knows yet where that key will be.
            until(lambda: writer.codes.get(UNAVAILABLE, 0) > refused_ones, "a change has waited as long as it may", 60)
            refused_ones = writer.codes[UNAVAILABLE]
            check(fresh.get("counter") and fresh.list(), "reads are answered meanwhile")
            cluster.end_move(target)
            before = writer.acknowledged
            until(lambda: writer.acknowledged > before + 20, lambda: f"changes go on elsewhere: {writer.codes}")
            hears(fresh, watched, "moved")
        writer.end(fresh)
        until(lambda: watched.get("counter") == fresh.get("counter"), "the WATCHED store has the last change")
        print(f"    moved three times under {writer.acknowledged} changes; results {writer.codes}")


@test
def half_a_move_is_waited_for():
    """The hash is at the target already, what counts the changes is not: TRYAGAIN, then ASK, then MOVED."""
    with Cluster() as cluster, Worker() as worker:
        fresh = worker.open(cluster.owner.url, call_timeout_ms=3000)
        watched = worker.open(cluster.owner.url, read_mode=WATCHED, spread_ms=-1)
        fresh.set("flag", "1")
        target = cluster.strangers()[0]
        cluster.begin_to_move(target)
        cluster.move_key(target, "flagstore")
        equal("1", fresh.get("flag"), "get of what has moved: ASK is followed")
        one_of((UNAVAILABLE, UNCERTAIN), fresh.code("set", "flag", "2"), "a change while the keys are on two nodes")
        check(fresh.last_ms < 10000, f"it took {fresh.last_ms} ms of 3000; the machine may be busy")
        # A change that took all its time is followed by a pause.
        until(lambda: fresh.code("get", "flag") == OK, "reads go on", 60)
        equal("1", fresh.get("flag"), "what that has changed")
        equal(UNAVAILABLE, fresh.code("list"), "a list while what counts the changes is elsewhere")
        ended = threading.Timer(0.3, cluster.end_move, [target])
        ended.start()
        until(lambda: fresh.code("set", "flag", "3") == OK, "a change that began in the middle of the move", 60)
        ended.join()
        equal("3", fresh.get("flag"), "get after the move")
        hears(fresh, watched, "flag")
        equal(b"1", str(target("HEXISTS", "flagstore", "flag")).encode(), "the flags are on the target")


@test
def all_keys_moved_but_nobody_told():
    """ASK for all of it: reads are made on the target, by those who ask there, and changes have to wait."""
    with Cluster() as cluster, Worker() as worker:
        fresh = worker.open(cluster.owner.url, call_timeout_ms=3000)
        watched = worker.open(cluster.owner.url, read_mode=WATCHED, spread_ms=-1)
        fresh.set("flag", "1")
        target = cluster.strangers()[0]
        cluster.begin_to_move(target)
        while keys := cluster.owner("CLUSTER", "GETKEYSINSLOT", cluster.slot, 100):
            for key in keys:
                cluster.move_key(target, key)
        equal("1", fresh.get("flag"), "get")
        equal(None, fresh.get("other"), "get of what is not there")
        check('"flag":1' in fresh.list(), "list")
        one_of((UNAVAILABLE, UNCERTAIN), fresh.code("commit", "flag", "1", "2"), "a guarded commit")
        # A change that took all its time is followed by a pause.
        until(lambda: fresh.code("get", "flag") == OK, "reads go on", 60)
        equal("1", fresh.get("flag"), "what that has changed")
        cluster.end_move(target)
        hears(fresh, watched, "flag")


@test
def a_node_goes_down_and_comes_back():
    with Cluster() as cluster, Worker() as worker:
        owner, (entry, third) = cluster.owner, cluster.strangers()
        fresh, watched = worker.open(entry.url), worker.open(entry.url, read_mode=WATCHED, spread_ms=-1)
        hears(fresh, watched, "flag")
        kept = watched.get("flag")
        owner.kill()
        one_of((UNAVAILABLE, UNCERTAIN), fresh.code("set", "flag", "0"), "a change without the node of the flags")
        equal(UNAVAILABLE, fresh.code("get", "flag"), "a read")
        until(lambda: watched.state() == STALE, "the WATCHED store knows", 60)
        equal(kept, watched.get("flag"), "it serves what it has")
        owner.start()
        until(lambda: all(cluster.is_whole(node) for node in cluster.nodes), "the cluster is whole again", 60)
        hears(fresh, watched, "flag", 60)
        # The node in the URL goes: who knows where the flags are goes on.
        entry.kill()
        hears(fresh, watched, "entry.is.down", 60)
        equal(LIVE, watched.state(), "the WATCHED store")
        third("PING")


@test
def a_replica_takes_over():
    with Cluster(replica=True) as cluster, Worker() as worker:
        entry = cluster.strangers()[0]
        options = {"spread_ms": -1}
        fresh, watched = worker.open(entry.url, **options), worker.open(entry.url, read_mode=WATCHED, **options)
        hears(fresh, watched, "flag")
        old, new = cluster.owner, cluster.replica
        new("CLUSTER", "FAILOVER")
        until(lambda: new("ROLE")[0] == b"master" and old("ROLE")[0] == b"slave", "the replica has taken over", 60)
        until(lambda: old.info("master_link_status") == "up", "the old primary follows it", 60)
        hears(fresh, watched, "asked.for", 60)
        new.kill()
        until(lambda: old("ROLE")[0] == b"master", "it is elected again when the other is killed", 60)
        hears(fresh, watched, "killed", 60)
        check(old("HLEN", "flagstore") == 3, "all changes are there")

#!/usr/bin/env python3
"""Counters in four languages under all faults at once: every change that was acknowledged is there, no other is, every
one that was not certain is settled by reading; no answer to another question; no call that hangs; and at the end all
stores are live and equal.

    tests/redis/soak.py [--minutes N] [--seed N]      half a minute without an option

It needs FLAGSTORE_LIB_DIR and FLAGSTORE_INCLUDE_DIR, and what the workers need: cc; go, ruby and python with what their
bindings need are used if they are there."""
import argparse
import json
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "fleet"))
sys.dont_write_bytecode = True

from chaos import Chaos, Proxy
from checks import check, equal, until
from counting import KEYS, NAMES, Client, decoded
from forking import Forker
from servers import Server
from workers import FRESH, LIVE, OK, WATCHED, languages

SECONDS = 30


def watch(everybody, end):
    """Until it is time, or something is wrong."""
    while time.monotonic() < end and not any(one.failure for one in everybody):
        time.sleep(0.2)


def ends_well(server, clients, forker):
    """Whatever happened, all is as if it had not."""
    began = time.monotonic()
    for client in clients:
        until(lambda: all(store.state() == LIVE for store in client.stores.values()), f"{client.who} is live", 60)
        until(lambda: client.stores[FRESH].code("get", KEYS[0]) == OK, f"{client.who} reads", 60)
    live = time.monotonic() - began
    for client in clients:  # what was not certain becomes so, by reading
        for key in KEYS:
            def settled():
                text = client.call(FRESH, "get", key)
                client.settle(key, text, decoded(key, text))
                return key not in client.pending
            until(settled, f"{client.who}: the last change of {key} is settled", 60)
    lists = {client.stores[FRESH].list() for client in clients}
    equal(1, len(lists), "how many different lists there are")
    for client in clients:
        until(lambda: json.loads(client.stores[WATCHED].list()) == json.loads(lists.copy().pop()),
              f"{client.who}: the WATCHED store has what there is", 60)
    for key in KEYS:
        own = decoded(key, server("HGET", "flagstore", key).decode())
        for client in clients:
            equal(client.mine[key], own.get(client.who, 0), f"{key}: changes of {client.who}")
            until(lambda: client.hear() or client.told[key] == own, f"{client.who}: the watch has told of {key}", 60)
        equal(sum(client.mine[key] for client in clients), sum(own.values()), f"changes of {key}")
    forker.check(server)
    return live


def report(clients, chaos, forker, live, seconds):
    print(f"soak: {seconds:.0f} s; faults: " + ", ".join(f"{count} {kind}" for kind, count in chaos.done.items()))
    for client in clients:
        results = ", ".join(f"{client.results[code]} {name}" for code, name in NAMES.items())
        status = client.stores[WATCHED].status()
        print(f"  {client.who}: {client.calls} calls, {client.late} past {client.DEADLINE_MS * 1.1:.0f} ms, the "
              f"longest {client.longest_ms:.0f} ms; changes: {results} ({client.resolved[True]} were made, "
              f"{client.resolved[False]} not); {client.messages} changes told by its watch; reached again "
              f"{status.reconnects} times")
    print(f"  {forker.report()}")
    total = sum(client.results[OK] for client in clients)
    print(f"soak: {total} acknowledged changes, all there; 0 made though reported as not made, 0 answers to another "
          f"question, 0 hangs; all live {live:.2f} s after the last fault", flush=True)
    check(total > 0 and chaos.done, "something was done")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=SECONDS / 60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    print(f"soak: --seed {arguments.seed}", flush=True)
    commands = languages()
    # Written before a reply goes out, which is enough where the machine itself is not killed.
    server = Server("soak", "appendfsync no", "enable-debug-command yes", persist=True)
    proxies = [Proxy(server.port) for _ in range(len(commands) + 1)]
    clients = [Client(who, command, proxy.url) for (who, command), proxy in zip(commands.items(), proxies)]
    forker = Forker(proxies[-1].url)
    chaos = Chaos(server, proxies, arguments.seed)
    began = time.monotonic()
    everybody = [*clients, chaos, forker]
    for one in everybody:
        one.start()
    watch(everybody, began + arguments.minutes * 60)
    chaos.stop()
    for one in [*clients, forker]:
        one.stop()
    live = ends_well(server, clients, forker)
    report(clients, chaos, forker, live, time.monotonic() - began)
    for client in clients:
        client.worker.close()
    for proxy in proxies:
        proxy.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())

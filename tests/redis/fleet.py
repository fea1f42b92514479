#!/usr/bin/env python3
"""Flags on more than one plain Redis server, and more than one client: TLS, rights, Sentinels, clusters, a herd of
clients, a soak under all faults at once. Servers of the tests' own on loopback.

    tests/redis/fleet.py [PART [NAME...]]    all parts; or one, of which only the tests with NAME in their name

It needs FLAGSTORE_LIB_DIR and FLAGSTORE_INCLUDE_DIR, of a library built with the feature redis; redis-server,
redis-sentinel, redis-cli, openssl and cc. The soak is soak.py, which can be run for longer."""
import importlib
import os
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "fleet"))
sys.dont_write_bytecode = True

# Those of a row run at the same time, for they wait most of it; the herd is about time, and runs alone.
ROWS = [["sentinel", "cluster", "tls", "auth", "oracle", "pids"], ["herd"]]
PARTS = [part for row in ROWS for part in row]
NEEDED = ["redis-server", "redis-sentinel", "redis-cli", "openssl", os.environ.get("CC", "cc")]


def run_part(name, tests):
    import checks
    begin = time.monotonic()
    print(f"{name}:", flush=True)
    module = importlib.import_module(name)
    failed = checks.run(tests, getattr(module, "AT_ONCE", 1))
    print(f"{name}: {checks.count} checks, {failed} tests failed, {time.monotonic() - begin:.0f} s", flush=True)
    return 1 if failed else 0


def run_row(parts):
    """Each in a process of its own; what they say is printed when it is complete."""
    running = [subprocess.Popen([sys.executable, __file__, part], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
               for part in parts]
    for process in running:
        sys.stdout.buffer.write(process.communicate()[0])
        sys.stdout.flush()
    return sum(process.returncode != 0 for process in running)


def main(part=None, *tests):
    for name in ("FLAGSTORE_LIB_DIR", "FLAGSTORE_INCLUDE_DIR"):
        if name not in os.environ:
            sys.exit(f"fleet.py: {name} is not set")
    missing = [program for program in NEEDED if not shutil.which(program)]
    if missing:
        print(f"SKIPPED tests/redis/fleet.py: not installed: {', '.join(missing)}")
        return 1 if os.environ.get("FLAGSTORE_TESTS") == "all" else 0
    if part in PARTS:
        return run_part(part, tests)
    if part:
        sys.exit(f"fleet.py: there is no part {part}; there are {', '.join(PARTS)}")
    failed = sum(run_row(row) for row in ROWS)
    failed += subprocess.call([sys.executable, os.path.join(HERE, "soak.py")]) != 0
    print(f"fleet: {failed} parts failed, {time.monotonic() - BEGIN:.0f} s")
    return 1 if failed else 0


BEGIN = time.monotonic()
if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Everything that can happen to a server and the way to it, at random, one thing after the other."""
import collections
import os
import random
import subprocess
import sys
import threading

import resp
from checks import Failed

HERE = os.path.dirname(os.path.abspath(__file__))


class Proxy:
    """../proxy.py in a process of its own; its first comment says what the modes do."""

    def __init__(self, port):
        command = [sys.executable, os.path.join(HERE, "..", "proxy.py"), f"127.0.0.1:{port}"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        self.port = int(self.process.stdout.readline())

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def set(self, mode):
        self.process.stdin.write(mode + "\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != "ok\n":
            raise Failed(f"the proxy has ended: {self.process.stderr.read()}")

    def end(self):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()


# Of a way: what happens there for a while.
MODES = ["lose of=data percent=30", "drop of=data percent=30", "cut of=data bytes=1 percent=30",
         "cut of=data bytes=7 percent=30", "lose of=EVALSHA,EVAL percent=60", "lose of=SET percent=80",
         "hold of=EVALSHA,EVAL", "hold", "stall", "drip ms=5", "drip ms=60", "delay ms=20", "delay ms=300", "reset"]


class Chaos(threading.Thread):
    def __init__(self, server, proxies, seed):
        super().__init__(daemon=True)
        self.server, self.proxies, self.random = server, proxies, random.Random(seed)
        self.done, self.failure, self.stopping = collections.Counter(), None, threading.Event()

    def run(self):
        try:
            while not self.stopping.wait(self.random.uniform(0, 0.4)):
                self.random.choices([self.way, self.stop_server, self.kill_server, self.disturb], [6, 1, 1, 2])[0]()
        except Exception as failure:  # it is the soak's
            self.failure = failure

    def way(self):
        """For one client, or for all."""
        mode = self.random.choice(MODES)
        concerned = self.proxies if self.random.random() < 0.2 else [self.random.choice(self.proxies)]
        self.done[mode.split()[0]] += 1
        for proxy in concerned:
            proxy.set(mode)
        self.stopping.wait(self.random.uniform(0.1, 1.5))
        for proxy in concerned:
            proxy.set("pass")
            if mode == "hold" and self.random.random() < 0.5:
                proxy.set("reset")

    def stop_server(self):
        self.done["SIGSTOP"] += 1
        self.server.pause()
        self.stopping.wait(self.random.uniform(0.05, 2))
        self.server.resume()

    def kill_server(self):
        self.done["SIGKILL"] += 1
        self.server.kill()
        self.stopping.wait(self.random.choice([0, 0.3, 2]))
        self.server.start()

    def disturb(self):
        """What an operator may do to a server that is well."""
        words = self.random.choice([("SCRIPT", "FLUSH"), ("CLIENT", "KILL", "TYPE", "normal"),
                                    ("CLIENT", "KILL", "TYPE", "pubsub"), ("CLIENT", "PAUSE", "300", "WRITE"),
                                    ("DEBUG", "SLEEP", "0.7"), ("BGREWRITEAOF",)])
        self.done[words[0] if words[0] != "CLIENT" else " ".join(words[:2])] += 1
        try:
            self.server(*words)
        except resp.Refused as refusal:
            if "already in progress" not in str(refusal):
                raise

    def stop(self):
        """All is well again."""
        self.stopping.set()
        self.join(120)
        if self.failure:
            raise self.failure
        for proxy in self.proxies:
            proxy.set("pass")

"""Real servers: each in a directory of its own, on a free port of loopback, ended by its process number."""
import atexit
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import resp

_running, _held = [], []
_work, _making = None, threading.Lock()


def work():
    """A directory that goes when the tests end."""
    global _work
    with _making:
        if _work is None:
            _work = tempfile.mkdtemp(prefix="flagstore-redis.")
            atexit.register(_end)
    return _work


def _end():
    for server in list(_running):
        server.kill()
    shutil.rmtree(_work, ignore_errors=True)


# Without this a signal would leave the servers behind.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def free_port():
    """Nobody else who looks for one finds this port free, also while its server is down: a socket is bound to it, which
    does not listen, and lets those bind who say SO_REUSEADDR, as servers do. It is below those that clients are given."""
    while True:
        port, holder = random.SystemRandom().randrange(10000, 32000), socket.socket()
        try:
            holder.bind(("127.0.0.1", port))
        except OSError:
            holder.close()
            continue
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _held.append(holder)
        return port


class Server:
    """A redis-server, or with `sentinel` a redis-sentinel. `options` are lines of its configuration."""

    def __init__(self, name, *options, sentinel=False, persist=False, tls=False, auth=None):
        self.name, self.auth, self.process = name, auth, None
        self.directory = tempfile.mkdtemp(prefix=f"{name}.", dir=work())
        self.port = free_port()
        self.socket_path = os.path.join(self.directory, "socket")
        lines = ["bind 127.0.0.1", f"dir {self.directory}", f"port {0 if tls else self.port}", "daemonize no",
                 f"unixsocket {self.socket_path}", f"logfile {self.directory}/log"]
        if tls:
            lines.append(f"tls-port {self.port}")
        if not sentinel:
            lines += ['save ""', f"appendonly {'yes' if persist else 'no'}", "repl-diskless-sync-delay 0",
                      "hz 50"]
        # What is not set here may not come from the machine's own configuration: there is no other file.
        self.config = os.path.join(self.directory, "conf")
        with open(self.config, "w", encoding="utf-8") as config:
            config.write("\n".join(lines + list(options)) + "\n")
        self.program = "redis-sentinel" if sentinel else "redis-server"
        self.start()

    def start(self, wait=True):
        self.process = subprocess.Popen([self.program, self.config], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _running.append(self)
        if not wait:
            return self
        deadline = time.monotonic() + 30
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not start: {self.log()}")
            time.sleep(0.01)
        return self

    def answers(self):
        try:
            with self.client() as client:
                return client("PING") == b"PONG"
        except (OSError, resp.Refused):
            return False

    def client(self, timeout=10):
        """A connection of the tests; over its unix socket, so that TLS is no matter."""
        client = resp.Client(self.socket_path, timeout)
        if self.auth:
            client("AUTH", *self.auth)
        return client

    def __call__(self, *words):
        """One command on a connection of its own."""
        with self.client() as client:
            return client(*words)

    def info(self, name):
        """What a line of INFO says; "" if there is no such line."""
        for line in self("INFO", "everything").decode().splitlines():
            if line.startswith(name + ":"):
                return line.partition(":")[2]
        return ""

    def calls(self, command):
        """How often it has run a command since it was started."""
        return int(self.info("cmdstat_" + command).partition("calls=")[2].partition(",")[0] or 0)

    def kill(self):
        """SIGKILL: nothing is said to anybody."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
            _running.remove(self)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.socket_path)

    def restart(self):
        self.kill()
        return self.start()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def log(self, lines=20):
        try:
            with open(os.path.join(self.directory, "log"), encoding="utf-8", errors="replace") as log:
                return "".join(log.readlines()[-lines:])
        except FileNotFoundError:
            return "(no log)"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

"""Redis servers for tests, each on a port of its own in a directory of its own, and the client that edits by hand."""
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

EVENTUALLY = 60  # seconds until something is certain not to happen any more, however busy the machine


def eventually(what, condition, seconds=EVENTUALLY):
    """Looks until the condition holds, and returns what it was then."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.005)
    return value


def free_port():
    """Below those that clients get: a client of a server that is down must not be given the server's own port."""
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Client:
    """One connection that speaks RESP2. An error is returned as an exception, not raised."""

    def __init__(self, port, timeout=EVENTUALLY):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.file = self.socket.makefile("rb")

    def send(self, *words):
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))

    def receive(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server ended the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return RuntimeError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"*":
            return [self.receive() for _ in range(int(rest))]
        return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2].decode("utf-8", "backslashreplace")

    def command(self, *words):
        self.send(*words)
        return self.receive()

    def close(self):
        self.file.close()
        self.socket.close()


class Server:
    """A redis-server; `settings` are its options."""

    def __init__(self, **settings):
        self.directory = tempfile.mkdtemp(prefix="flagstore-redis.")
        os.mkdir(self.path("data"))
        self.settings = {"save": "", "appendonly": "no", "bind": "127.0.0.1", "enable-debug-command": "yes",
                         "dir": self.path("data"), "pidfile": os.path.join(self.directory, "pid"),
                         "unixsocket": os.path.join(self.directory, "socket"), "logfile": self.path("log"),
                         "daemonize": "no", "protected-mode": "no", **settings}
        self.port, self.process, self.hand, self.lock = 0, None, None, threading.Lock()
        self.start()

    def path(self, name):
        return os.path.join(self.directory, name)

    def start(self, waits=True, **settings):
        """On the port that it had. `waits`: until it has loaded its data."""
        assert not self.process or self.process.poll() is not None, "the server runs already"
        self.settings.update(settings)
        for _ in range(20):
            port = self.port or free_port()
            words = [word for name, value in self.settings.items() for word in (f"--{name}", str(value))]
            self.process = subprocess.Popen(["redis-server", "--port", str(port), *words], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if eventually("the server answers", lambda: self.is_up(port, waits)) != "ended":
                self.port = port
                return self
        with open(self.path("log"), encoding="utf-8", errors="replace") as log:
            raise AssertionError(f"redis-server does not start: {log.read()[-2000:]}")

    def is_up(self, port, waits):
        if self.process.poll() is not None:
            return "ended"  # somebody else has the port
        try:
            client = Client(port)
            answer, who = client.command("PING"), client.command("INFO", "server")
            client.close()
        except OSError:
            return False
        is_own = f"process_id:{self.process.pid}\r" in str(who)
        return is_own and (answer == "PONG" or not waits and "LOADING" in str(answer))

    def command(self, *words):
        """By hand, on a connection that is kept. An error of the server is returned."""
        for is_last in (False, True):
            with self.lock:
                try:
                    self.hand = self.hand or Client(self.port)
                    return self.hand.command(*words)
                except OSError:
                    self.hand = None
                    if is_last:
                        raise

    def must(self, *words):
        answer = self.command(*words)
        if isinstance(answer, Exception):
            raise AssertionError(f"{' '.join(map(str, words))}: {answer}")
        return answer

    def config(self, **settings):
        for name, value in settings.items():
            self.must("CONFIG", "SET", name.replace("_", "-"), value)

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.hand = None

    def end(self):
        if self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

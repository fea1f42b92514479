"""Clients of the library in other processes: ../worker.c, and the same in other languages. Its first comment says how
they are talked to."""
import collections
import importlib
import os
import select
import shutil
import subprocess
import sys
import threading
import time

import servers
from checks import Failed, check

HERE = os.path.dirname(os.path.abspath(__file__))
OK, CORRUPT, IO, READ_ONLY, CONFLICT, BACKEND, NOT_DURABLE, UNAVAILABLE, UNCERTAIN = 0, 3, 4, 6, 9, 10, 11, 12, 13
FRESH, CHECKED, WATCHED = 0, 1, 2
LIVE, STALE, FALLBACK, LOST = 1, 2, 3, 4
PUSH_NONE, PUSH_ANNOUNCED, PUSH_TRACKED = 0, 1, 2
OPEN_READ_ONLY, OPEN_LAZY = 2, 4
PATIENT_S = 60  # a call that takes longer hangs, whatever its deadline is

Answer = collections.namedtuple("Answer", "code ms value")
Status = collections.namedtuple("Status", "state push age_ms reconnects refreshes")
_built, _building = {}, threading.Lock()


class Error(Exception):
    def __init__(self, command, answer):
        super().__init__(f"{command}: error {answer.code} after {answer.ms:.1f} ms: {answer.value}")
        self.code, self.ms, self.message = answer.code, answer.ms, answer.value


def build(source):
    """A program of C in ../ or here, compiled once."""
    with _building:
        return _build(source)


def _build(source):
    if source not in _built:
        path = next(p for p in (os.path.join(HERE, source), os.path.join(HERE, "..", source)) if os.path.exists(p))
        program = os.path.join(servers.work(), source.removesuffix(".c"))
        libraries = os.environ["FLAGSTORE_LIB_DIR"]
        subprocess.run([os.environ.get("CC", "cc"), "-std=c99", "-D_GNU_SOURCE", "-g", "-O1", "-Wall", "-Wextra",
                        "-Werror", f"-I{os.environ['FLAGSTORE_INCLUDE_DIR']}", path, "-o", program, f"-L{libraries}",
                        "-lflagstore", "-lpthread", f"-Wl,-rpath,{libraries}"], check=True)
        _built[source] = program
    return _built[source]


def languages():
    """The commands that start a worker, by language; of those whose programs are installed."""
    found = {"c": [build("worker.c")]}
    if shutil.which("go"):
        found["go"] = [build_go()]
    has_ffi = ["ruby", "-e", 'require "ffi"']
    if shutil.which("ruby") and subprocess.run(has_ffi, stderr=subprocess.DEVNULL, check=False).returncode == 0:
        found["ruby"] = ["ruby", os.path.join(HERE, "..", "worker.rb")]
    found["python"] = [sys.executable, os.path.join(HERE, "..", "worker.py")]
    return found


def build_go():
    module = os.path.join(servers.work(), "go")
    os.makedirs(module)
    shutil.copy(os.path.join(HERE, "..", "worker.go"), module)
    binding = os.path.join(HERE, "..", "..", "..", "include", "go")
    with open(os.path.join(module, "go.mod"), "w", encoding="ascii") as file:
        file.write("module worker\n\ngo 1.19\n\nrequire flagstore v0.0.0\n\n"
                   f'replace flagstore => "{os.path.realpath(binding)}"\n')
    program = os.path.join(servers.work(), "worker.go.out")
    subprocess.run(["go", "build", "-o", program, "."], cwd=module, check=True, env=dict(
        {} if os.environ.get("HOME") else {"GOCACHE": os.path.join(module, "cache")}, **os.environ, CGO_ENABLED="1",
        GOPROXY="off", GOTOOLCHAIN="local", GOFLAGS="", CGO_CFLAGS=f"'-I{os.environ['FLAGSTORE_INCLUDE_DIR']}'",
        CGO_LDFLAGS=f"'-L{os.environ['FLAGSTORE_LIB_DIR']}'"))
    return program


def binding():
    """That of Python, here and now, for what the workers have no word for."""
    sys.path.insert(0, os.path.join(HERE, "..", "..", "..", "include", "python"))
    return importlib.import_module("flagstore")


class Worker:
    """A process with up to 16 stores. What its library logs, at level info and graver, is in log()."""

    def __init__(self, command=None, log_level="info"):
        self.command = command or [build("worker.c")]
        self.log_path = os.path.join(servers.work(), f"worker.{time.monotonic_ns()}.log")
        libraries = os.environ["FLAGSTORE_LIB_DIR"]
        environment = dict(os.environ, FLAGSTORE_LOG=log_level, LD_LIBRARY_PATH=libraries, PYTHONDONTWRITEBYTECODE="1")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                            env=environment)
        self.rest = b""
        self.handles = 0

    def send(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words).encode() + b"\n")
        self.process.stdin.flush()

    def receive(self, seconds=PATIENT_S):
        deadline = time.monotonic() + seconds
        while b"\n" not in self.rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise Failed(f"{self.command} has not answered after {seconds} s")
            data = os.read(self.process.stdout.fileno(), 1 << 20)
            if not data:
                raise Failed(f"{self.command} has ended with {self.process.wait()}: {self.log()[-2000:]}")
            self.rest += data
        line, _, self.rest = self.rest.partition(b"\n")
        code, ms, value = line.decode().split(" ", 2)
        return Answer(int(code), float(ms), value)

    def ask(self, *words):
        self.send(*words)
        return self.receive()

    def open(self, url, **options):
        """A Store; raises Error."""
        self.handles += 1
        name = f"h{self.handles}"
        words = ["open", name, url, *(f"{key}={value}" for key, value in options.items())]
        answer = self.ask(*words)
        if answer.code:
            raise Error(words, answer)
        return Store(self, name)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def keeps_secret(self, *secrets):
        for secret in secrets:
            check(secret not in self.log(), lambda: f"the log has a password: {self.log()}")

    def close(self):
        """Ends it as a program ends; an error of its own is a failure."""
        self.process.stdin.close()
        status = self.process.wait(PATIENT_S)
        self.process.stdout.close()
        check(status == 0, f"{self.command} ended with {status}: {self.log()[-2000:]}")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
        else:
            self.process.kill()
            self.process.wait()


class Store:
    """A store of a worker. Calls raise Error; `last_ms` is how long the last one took."""

    def __init__(self, worker, name):
        self.worker, self.name, self.last_ms = worker, name, 0.0

    def __call__(self, verb, *words):
        answer = self.worker.ask(verb, self.name, *words)
        self.last_ms = answer.ms
        if answer.code:
            raise Error((verb, self.name, *words), answer)
        return answer.value

    def get(self, key):
        value = self("get", key)
        return None if value == "absent" else value

    def set(self, key, json):
        self("set", key, json)

    def delete(self, key):
        return self("delete", key) == "true"

    def list(self):
        return self("list")

    def commit(self, key, expected, json):
        self("commit", key, "absent" if expected is None else expected, json)

    def sync(self, timeout_ms):
        self("sync", timeout_ms)

    def status(self):
        return Status(*map(int, self("status").split()))

    def state(self):
        return self.status().state

    def close(self):
        self("close")

    def code(self, verb, *words):
        """The number of the error that the call ends with; 0 for none."""
        try:
            self(verb, *words)
        except Error as error:
            return error.code
        return OK


def refused(worker, url, **options):
    """The Error of an open, or of the first read of a store that does not connect before."""
    try:
        store = worker.open(url, **options)
    except Error as error:
        return error
    try:
        store.get("flag")
    except Error as error:
        return error
    finally:
        store.close()
    return None

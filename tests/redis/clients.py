"""The programs that the faults befall: worker.c and its siblings, what they are told and how late they answer."""
import glob
import hashlib
import os
import queue
import subprocess
import threading
import time

OK, CORRUPT, IO, READ_ONLY, CONFLICT, BACKEND, NOT_DURABLE, UNAVAILABLE, UNCERTAIN = 0, 3, 4, 6, 9, 10, 11, 12, 13
FRESH, WATCHED = 0, 2
LIVE, STALE, FALLBACK, LOST = 1, 2, 3, 4
MODES = {"fresh": FRESH, "watched": WATCHED}

# The deadlines that the clients have. Where a call should succeed it has all the time that a busy machine may need.
CALL_MS, OPEN_MS, WAIT_MS, FAR_MS = 300, 600, 200, 30000
# What a call may take beyond its deadline: the promise, and what two busy cores need beyond that.
PROMISED_MS, ALLOWED_MS = 10, 400

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


class Lateness:
    """By how much calls were past their deadline; 0: never."""

    def __init__(self):
        self.lock, self.worst, self.calls, self.broken = threading.Lock(), (0.0, "none"), 0, 0
        self.stalls = []  # when each ended, and its milliseconds
        threading.Thread(target=self.look_for_stalls, daemon=True).start()

    def look_for_stalls(self):
        """The whole machine stands still now and then, for which no process can do anything."""
        before = time.monotonic()
        while True:
            time.sleep(0.005)
            now = time.monotonic()
            if now - before > 0.05:
                self.stalls.append((now, (now - before) * 1000))
            before = now

    def note(self, what, elapsed_ms, deadline_ms, waited_ms=0.0):
        """`waited_ms`: how long its process had no processor meanwhile, though it wanted one."""
        late = elapsed_ms - deadline_ms
        promised = max(deadline_ms * 0.1, PROMISED_MS)
        with self.lock:
            self.calls += 1
            self.broken += late > promised
            self.worst = max(self.worst, (late, what))
        if late > promised + ALLOWED_MS:
            time.sleep(0.02)  # one that is not over yet
            begin = time.monotonic() - elapsed_ms / 1000 - 0.1
            stood = sum(length for end, length in list(self.stalls) if end > begin)
            assert late <= promised + ALLOWED_MS + waited_ms + stood, (
                f"{what} took {elapsed_ms:.0f} ms, though its deadline is {deadline_ms} ms; its process had to wait for "
                f"the processor for {waited_ms:.0f} ms, everybody for {stood:.0f} ms")

    def __str__(self):
        return (f"{self.calls} calls, the latest {self.worst[0]:.1f} ms past its deadline ({self.worst[1]}), "
                f"{self.broken} by more than promised")


class Answer:
    def __init__(self, line):
        code, ms, self.value = (line.rstrip("\n").split(" ", 2) + [""])[:3]
        self.code, self.ms, self.waited = int(code), float(ms), 0.0

    def __str__(self):
        return f"{self.code} after {self.ms:.0f} ms: {self.value}"


class Worker:
    """One process in one language, which speaks the lines that are said in worker.c."""

    def __init__(self, command, environment, name, lateness):
        self.name, self.lateness, self.deadlines = name, lateness, {}
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, encoding="utf-8", errors="replace", bufsize=1)
        self.answers, self.sent, self.lock = queue.Queue(), [], threading.Lock()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.answers.put(line)
        self.answers.put(None)

    def waited_ms(self):
        """How long its threads have wanted a processor and had none."""
        total = 0
        for path in glob.glob(f"/proc/{self.process.pid}/task/*/schedstat"):
            try:
                with open(path, encoding="ascii") as file:
                    total += int(file.read().split()[1])
            except OSError:
                pass  # the thread has ended
        return total / 1e6

    def send(self, *words):
        self.sent.append((words, self.waited_ms()))
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def receive(self):
        words, waited = self.sent.pop(0)
        what = f"{self.name}: {' '.join(map(str, words[:3]))}"
        try:
            line = self.answers.get(timeout=60)
        except queue.Empty:
            raise AssertionError(f"{what} has not returned after a minute") from None
        if line is None:
            raise AssertionError(f"{what}: the client ended with status {self.process.wait()}")
        answer = Answer(line)
        answer.waited = max(0, self.waited_ms() - waited)
        self.lateness.note(what, answer.ms, self.deadline(words), answer.waited)
        return answer

    def deadline(self, words):
        """Of the call, in milliseconds. That of a new store is in its options."""
        settings = dict(word.split("=", 1) for word in map(str, words[3:]) if words[0] == "open")
        if settings:
            self.deadlines[words[1]] = int(settings["call_timeout_ms"])
            return int(settings["open_timeout_ms"])
        call = self.deadlines[words[1]]
        if words[0] in ("wait", "sync"):
            return int(words[2]) + call * (words[0] == "wait")
        return {"status": 0, "seen": 0, "close": 3000}.get(words[0], call)

    def call(self, *words):
        self.send(*words)
        return self.receive()

    def must(self, *words):
        answer = self.call(*words)
        assert answer.code == OK, f"{self.name}: {' '.join(map(str, words))}: {answer}"
        return answer.value

    def open(self, handle, url, mode, **options):
        """For tests: nothing is spread, what is lost is soon asked again."""
        settings = {"read_mode": mode, "call_timeout_ms": CALL_MS, "open_timeout_ms": OPEN_MS, "spread_ms": -1,
                    "retry_max_ms": 200, **options}
        return self.call("open", handle, url, *(f"{name}={value}" for name, value in settings.items()))

    def status(self, handle):
        state, push, age, reconnects, refreshes = map(int, self.must("status", handle).split())
        return {"state": state, "push": push, "age": age, "reconnects": reconnects, "refreshes": refreshes}

    def end(self):
        """It ends by itself, with everything freed."""
        self.process.stdin.close()
        try:
            status = self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"{self.name} does not end") from None
        assert status == 0, f"{self.name} ended with status {status}"


class Languages:
    """How a client is started in each language."""

    def __init__(self, names, worker, directory):
        libraries, headers = os.environ["FLAGSTORE_LIB_DIR"], os.environ["FLAGSTORE_INCLUDE_DIR"]
        self.environment = {**os.environ, "LD_LIBRARY_PATH": libraries, "PYTHONDONTWRITEBYTECODE": "1",
                            "PYTHONPATH": os.path.join(ROOT, "include", "python")}
        self.names, self.commands = names, {
            "c": [worker], "python": ["python3", os.path.join(HERE, "worker.py")],
            "ruby": ["ruby", f"-I{ROOT}/include/ruby/lib", os.path.join(HERE, "worker.rb")],
            "go": [os.path.join(directory, "worker-go")]}
        if "go" in names:
            header = hashlib.md5(open(os.path.join(headers, "flagstore.h"), "rb").read()).hexdigest()
            environment = {**self.environment, "CGO_ENABLED": "1", "CGO_LDFLAGS": f"'-L{libraries}'", "GOPROXY": "off",
                           "CGO_CFLAGS": f"'-I{headers}' -DFLAGSTORE_HEADER_SUM={header}", "GOTOOLCHAIN": "local"}
            folder = os.path.join(ROOT, "tests", "go")  # whose go.mod knows the package
            subprocess.run(["go", "build", "-o", self.commands["go"][0], *glob.glob(os.path.join(HERE, "worker.go"))],
                           cwd=folder, env=environment, check=True)

    def start(self, name, lateness, label=""):
        return Worker(self.commands[name], self.environment, f"{label} in {name}" if label else name, lateness)

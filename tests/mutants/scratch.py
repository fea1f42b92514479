"""A copy of the checkout in which one file at a time is mutated, its builds, and the commands that are run on them."""
import ctypes
import filecmp
import glob
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time

LARGEST = 8 << 30  # bytes of address space of a command: a mutant may ask for memory in a loop
LARGEST_FILE = 2 << 30
BUILD_LIMIT = 900  # seconds
RAM_DISK = "/dev/shm"  # where there is one, the suites keep their files in it: a sync costs nothing there


class Command:
    """One command of a suite. Those that are `alone` measure times or need both processors."""

    def __init__(self, suite, name, arguments, folder=".", alone=False, build="checked", limited=True):
        self.suite, self.name, self.arguments, self.folder = suite, name, arguments, folder
        self.alone, self.build, self.limited = alone, build, limited


class Scratch:
    def __init__(self, root, work):
        self.root, self.work = root, work
        self.tree = os.path.join(work, "tree")
        self.programs = os.path.join(work, "programs")
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: what a suite leaves behind becomes our child
        with open(os.path.join(root, "Cargo.toml"), encoding="utf-8") as file:
            major, minor = re.search(r'^version = "(\d+)\.(\d+)', file.read(), re.M).groups()
        self.soname = "libflagstore.so." + (f"0.{minor}" if major == "0" else major)

    def copy(self):
        """Brings the copy up to date; what is the same keeps its times, so that cargo builds no more than it must."""
        listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=self.root, check=True,
                                capture_output=True, text=True).stdout.split("\0")
        wanted = {name for name in listed if name and os.path.isfile(os.path.join(self.root, name))}
        for folder, _, names in os.walk(self.tree):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.relpath(path, self.tree) not in wanted:
                    os.remove(path)
        for name in wanted:
            source, target = os.path.join(self.root, name), os.path.join(self.tree, name)
            with open(source, "rb") as file:
                content = file.read()
            if name == "Cargo.toml":
                content = content.replace(b'"staticlib", ', b"")  # large, and no suite here links it
            if os.path.exists(target):
                with open(target, "rb") as file:
                    if file.read() == content:
                        continue
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as file:
                file.write(content)
            shutil.copymode(source, target)

    def write(self, name, text):
        with open(os.path.join(self.tree, name), "w", encoding="utf-8", newline="") as file:
            file.write(text)

    def header_is_changed(self):
        name = "include/flagstore.h"
        return not filecmp.cmp(os.path.join(self.root, name), os.path.join(self.tree, name), shallow=False)

    def restore_header(self):
        if self.header_is_changed():
            shutil.copyfile(os.path.join(self.root, "include/flagstore.h"),
                            os.path.join(self.tree, "include/flagstore.h"))

    # ---- builds ----

    def libraries(self, build):
        return os.path.join(self.work, "lib-" + build)

    def build(self, build, again=True):
        """`checked`: the library and Rust's tests of it; `unit`: the tests inside it; `plain`: the library without
        assertions, as it is released. The test programs by name, or what cargo said."""
        target = os.path.join(self.work, "target-plain" if build == "plain" else "target-checked")
        # Neither debugging information nor optimization across units: a build takes a fifth of the time.
        environment = {**os.environ, "CARGO_TARGET_DIR": target, "CARGO_INCREMENTAL": "1",
                       "CARGO_PROFILE_DEV_DEBUG": "0", "CARGO_PROFILE_DEV_LTO": "off"}
        what = {"checked": ["test", "--no-run", "--test", "contract", "--test", "fuzz_corpus", "--test", "artifact"],
                "unit": ["test", "--no-run", "--lib"], "plain": ["build", "--lib"]}[build]
        if build == "plain":
            environment |= {"CARGO_PROFILE_DEV_DEBUG_ASSERTIONS": "false", "CARGO_PROFILE_DEV_OVERFLOW_CHECKS": "false"}
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(["cargo", *what, "--locked", "--quiet", "--message-format", "json"],
                                       cwd=self.tree, env=environment, stdout=output, stderr=output,
                                       start_new_session=True)
            try:
                status = process.wait(BUILD_LIMIT)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return "cargo takes too long"
            output.seek(0)
            lines = output.read().split("\n")
        messages = [json.loads(line) for line in lines if line.startswith("{")]
        if status != 0:
            errors = [one["message"]["message"] for one in messages if one.get("reason") == "compiler-message"
                      and one["message"]["level"] == "error"]
            if not errors and again:
                return self.build(build, again=False)  # not the compiler's verdict
            errors += [line for line in lines if line.strip() and not line.startswith("{")]
            return errors[0].split("\n")[0] if errors else f"cargo ended with {status}"
        tests = {one["target"]["name"]: one["executable"] for one in messages if one.get("executable")}
        if build == "unit":
            return tests
        folder = os.path.dirname(next(iter(tests.values()))) if tests else os.path.join(target, "debug")
        os.makedirs(self.libraries(build), exist_ok=True)
        for name, leads in [("libflagstore.so", os.path.join(folder, "libflagstore.so")),
                            (self.soname, "libflagstore.so")]:
            link = os.path.join(self.libraries(build), name)
            if not os.path.islink(link) or os.readlink(link) != leads:
                if os.path.islink(link):
                    os.remove(link)
                os.symlink(leads, link)
        return tests

    def c_programs(self, way, flags):
        """Compiles those of tests/c that ask to be run that way, once for all mutants."""
        os.makedirs(self.programs, exist_ok=True)
        found = []
        for source in sorted(glob.glob(os.path.join(self.tree, "tests/c/*.c"))):
            with open(source, encoding="utf-8") as file:
                first = file.readline()
            if first.startswith("/* run:") and way in first.split():
                name = os.path.basename(source)[:-2]
                program = os.path.join(self.programs, f"{name}-{way}")
                subprocess.run(["cc", "-std=c99", "-D_GNU_SOURCE", "-g", *flags, "-I", self.tree + "/include", source,
                                "-o", program, "-L", self.libraries("checked"), "-Wl,-rpath," + self.libraries("checked"),
                                "-lflagstore", "-lpthread", "-lm"], check=True)
                found.append((name, program))
        return found

    # ---- commands ----

    def start(self, command, tests):
        folder = tempfile.mkdtemp(prefix="flagstore-mutants-", dir=RAM_DISK if os.path.isdir(RAM_DISK) else None)
        os.chmod(folder, 0o1777)  # as /tmp: some programs run as another user
        libraries = self.libraries(command.build)
        environment = {**os.environ, "TMPDIR": folder, "PYTHONPATH": os.path.join(self.tree, "include", "python"),
                       "LD_LIBRARY_PATH": libraries, "FLAGSTORE_LIB_DIR": libraries,
                       "FLAGSTORE_INCLUDE_DIR": os.path.join(self.tree, "include"), "PYTHONDONTWRITEBYTECODE": "1"}
        for name in ("FLAGSTORE_LOG", "FLAGSTORE_FILE"):
            environment.pop(name, None)
        arguments = [tests.get(word[1:], word) if word.startswith("@") else word for word in command.arguments]

        def limits():
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if command.limited:
                resource.setrlimit(resource.RLIMIT_AS, (LARGEST, LARGEST))
                resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
        output = tempfile.TemporaryFile()
        process = subprocess.Popen(arguments, cwd=os.path.join(self.tree, command.folder), env=environment,
                                   stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                                   preexec_fn=limits)
        process.folder, process.output, process.started = folder, output, time.monotonic()
        return process

    def run(self, command, tests, limit, cancelled=None):
        """How it ended (`passed`, `failed`, `timeout`, `cancelled`), after how many seconds, and its last words."""
        process = self.start(command, tests)
        ended = None
        while ended is None:
            try:
                ended = "passed" if process.wait(0.05) == 0 else "failed"
            except subprocess.TimeoutExpired:
                if time.monotonic() - process.started > limit:
                    ended = "timeout"
                elif cancelled and cancelled.is_set():
                    ended = "cancelled"
        seconds = time.monotonic() - process.started
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        process.output.seek(0, os.SEEK_END)
        process.output.seek(max(0, process.output.tell() - 2000))
        words = process.output.read().decode("utf-8", "replace")
        process.output.close()
        shutil.rmtree(process.folder, ignore_errors=True)
        return ended, seconds, words

    def run_all(self, commands, tests, limit_of, jobs):
        """Runs them in this order, up to `jobs` at a time, until one does not pass; yields what came of each."""
        waiting, results, cancelled, lock = list(commands), [], threading.Event(), threading.Lock()

        def worker():
            while not cancelled.is_set():
                with lock:
                    if not waiting:
                        return
                    command = waiting.pop(0)
                outcome = (command, *self.run(command, tests, limit_of(command), cancelled))
                results.append(outcome)
                if outcome[1] in ("failed", "timeout"):
                    cancelled.set()
        workers = [threading.Thread(target=worker) for _ in range(jobs)]
        for one in workers:
            one.start()
        for one in workers:
            one.join()
        self.reap()
        return [one for one in results if one[1] != "cancelled"]

    def reap(self):
        """Ends the processes that the suites have left behind: by now they are our children, and we have no others."""
        while True:
            with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
                children = file.read().split()
            if not children:
                return
            for child in map(int, children):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)

"""Whether the workers in C, Go, Ruby and Python say the same of the same. Needs the variables of bindings.sh."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
URL, LIB_DIR, INCLUDE_DIR = (os.environ[name] for name in
                             ["FLAGSTORE_REDIS", "FLAGSTORE_LIB_DIR", "FLAGSTORE_INCLUDE_DIR"])
PATIENT = "call_timeout_ms=60000 open_timeout_ms=60000 spread_ms=-1"
checks = 0


def compile_c(folder):
    program = os.path.join(folder, "worker")
    subprocess.run(["cc", "-std=c99", "-D_GNU_SOURCE", "-I" + INCLUDE_DIR, os.path.join(HERE, "worker.c"),
                    "-o", program, "-L" + LIB_DIR, "-lflagstore", "-lpthread", "-Wl,-rpath," + LIB_DIR], check=True)
    return program


def compile_go(folder):
    module, program = os.path.join(folder, "go"), os.path.join(folder, "worker.go.out")
    os.mkdir(module)
    shutil.copy(os.path.join(HERE, "worker.go"), module)
    with open(os.path.join(module, "go.mod"), "w", encoding="ascii") as file:
        file.write("module worker\n\ngo 1.19\n\nrequire flagstore v0.2.0\n\n"
                   f'replace flagstore => "{os.path.join(ROOT, "include", "go")}"\n')
    subprocess.run(["go", "build", "-o", program, "."], cwd=module, check=True, env={
        **os.environ, "CGO_ENABLED": "1", "GOPROXY": "off", "GOTOOLCHAIN": "local", "CGO_CFLAGS": "-I" + INCLUDE_DIR,
        "CGO_LDFLAGS": f"-L{LIB_DIR} -Wl,-rpath,{LIB_DIR}"})
    return program


class Worker:
    def __init__(self, language, command, complaints=None):
        self.language = language
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints,
                                        text=True)

    def ask(self, line):
        """(code, value)"""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        code, milliseconds, value = self.process.stdout.readline().rstrip("\n").split(" ", 2)
        if not 0 <= float(milliseconds) < 60000:
            sys.exit(f"{self.language}: {line} took {milliseconds} ms")
        return int(code), value

    def says(self, line, expected, value=None):
        """That the answer is this code, and the value if that is given."""
        global checks
        checks += 1
        answer = self.ask(line)
        if answer[0] != expected or value is not None and answer[1] != value:
            sys.exit(f"{self.language}: {line}: expected {expected} {value}, got {answer[0]} {answer[1]}")

    def comes_to_say(self, line, value):
        """That the answer is this in the end, and nothing but empty before."""
        global checks
        checks += 1
        deadline, answer = time.monotonic() + 60, ""
        while not answer and time.monotonic() < deadline:
            answer = self.ask(line)[1]
            time.sleep(0.002)
        if answer != value:
            sys.exit(f"{self.language}: {line}: expected {value}, got {answer}")

    def end(self, status):
        self.process.stdin.close()
        if self.process.wait(60) != status:
            sys.exit(f"{self.language}: ended with {self.process.returncode}")


def check(worker):
    name = f"workers:{os.getpid()}:{worker.language}"
    says = worker.says
    says(f"open a {URL} hash={name} connections=1 {PATIENT}", 0, "")
    says(f"open b {URL} hash={name} read_mode=2 when_lost=1 flags=2 wait_ms=10 max_bytes=1000000 {PATIENT}", 0, "")
    says("get a key", 0, "absent")
    says("watch b", 0, "")
    says('set a key {"b":1.0}', 0, "")
    worker.comes_to_say("seen b", 'key={"b":1.0}')
    says("sync b 60000", 0, "")
    says("get b key", 0, '{"b":1.0}')
    says("revision b", 0)
    says("wait b 10", 0, "false")
    says("set a other true", 0, "")
    says("wait b 60000", 0, "true")
    worker.comes_to_say("seen b", "other=true")
    says("delete a other", 0, "true")
    worker.comes_to_say("seen b", "other=absent")
    says("commit a key {\"b\":1.0} 2", 0, "")
    says("commit a key {\"b\":1.0} 3", 9)
    says("commit a new absent 4", 0, "")
    says("commit a new absent 5", 9)
    says("list a", 0, '{"key":2,"new":4}')
    says("delete a key", 0, "true")
    says("delete a key", 0, "false")
    says("set a key tru", 2)
    says("set b key 1", 6)
    says("sync b 60000", 0, "")
    state, push, age, reconnects, refreshes = worker.ask("status b")[1].split()
    if (state, push, reconnects) != ("1", "2", "0") or not 0 <= int(age) < 60000 or int(refreshes) < 1:
        sys.exit(f"{worker.language}: status {state} {push} {age} {reconnects} {refreshes}")
    says("close b", 0, "")
    says("open c redis://127.0.0.1:1 open_timeout_ms=50 read_mode=2 password=secret", 12)
    says(f"open d {URL} connections=-1", 1)
    worker.end(0)


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LD_LIBRARY_PATH"] = LIB_DIR
        workers = {"C": [compile_c(folder)], "Go": [compile_go(folder)],
                   "Ruby": ["ruby", "-w", os.path.join(HERE, "worker.rb")],
                   "Python": [sys.executable, os.path.join(HERE, "worker.py")]}
        for language, command in workers.items():
            check(Worker(language, command))
            confused = Worker(language, command, subprocess.DEVNULL)
            confused.process.stdin.write("get nothing key\n")
            confused.end(2)
    print(f"workers: {checks} checks in {len(workers)} languages")


if __name__ == "__main__":
    main()

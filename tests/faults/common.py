"""What the rows of the scorecard share: their size, folder, programs and deadlines, and the one line each prints.

    python3 rowNN_name.py [--full]

FLAGSTORE_LIB_DIR has libflagstore.so and its link libflagstore.so.0.2, FLAGSTORE_INCLUDE_DIR has flagstore.h;
FLAGSTORE_TESTS=all makes a missing tool a failure.
"""
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(ROOT, "include", "python"), os.path.join(ROOT, "tests", "python")]

FULL = "--full" in sys.argv[1:]
LIBRARIES = os.environ["FLAGSTORE_LIB_DIR"]
HEADERS = os.environ["FLAGSTORE_INCLUDE_DIR"]
DEADLINE = 60  # seconds: what has not happened by then hangs; a slow machine is far from it


class Violated(Exception):
    """A promise was not kept; the message says how to see it again."""


def promise(kept, *message):
    if not kept:
        raise Violated(" ".join(map(str, message)))


def size(quick, full):
    return full if FULL else quick


def row(number, what, *figures):
    print(f"row {number} | {what} | {', '.join(map(str, figures))}", flush=True)


def note(*words):
    print(*words, file=sys.stderr, flush=True)


def needs(rows, *programs):
    """Ends the script if a program is missing: loudly, and as a failure where all tests are asked for."""
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        skip(rows, "needs " + ", ".join(missing))


def skip(rows, why):
    for number in rows if isinstance(rows, (list, tuple)) else [rows]:
        print(f"SKIPPED row {number}: {why}", flush=True)
    sys.exit(1 if os.environ.get("FLAGSTORE_TESTS") == "all" else 0)


def in_own_namespace(rows):
    """Starts the script anew where it may mount, and where what it mounts goes away with it."""
    if os.environ.get("FLAGSTORE_OWN_NAMESPACE"):
        return
    command = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
    if subprocess.run([*command, "true"], check=False).returncode != 0:
        skip(rows, "needs a mount namespace of its own: root, or user namespaces")
    os.environ["FLAGSTORE_OWN_NAMESPACE"] = "yes"
    os.execvp(command[0], [*command, sys.executable, *sys.argv])


def run(test):
    """Calls `test(folder)` with a fresh folder, which is kept if a promise is not; ends the script."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = tempfile.mkdtemp(prefix="flagstore-faults-")
    status = 1
    try:
        test(folder)
        status = 0
    except Violated as violated:
        note(f"{os.path.basename(sys.argv[0])}: VIOLATED: {violated}\nkept: {folder}")
        folder = None
    except Exception:  # a call of the library that should not have failed, as well
        traceback.print_exc()
        note(f"kept: {folder}")
        folder = None
    finally:
        end_all()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status)


# ---- programs ----

_started = []


def start(*command, **options):
    """A process that does not outlive this script."""
    environment = {**os.environ, "LD_LIBRARY_PATH": LIBRARIES, **options.pop("env", {})}
    process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)], env=environment, **options)
    _started.append(process)
    return process


MODES = "read modes FRESH, CHECKED and WATCHED"
_modes = itertools.cycle(range(3))


def next_mode():
    """For the environment of a process whose stores read in one mode: FRESH, CHECKED and WATCHED take turns."""
    return {"READ_MODE": str(next(_modes))}


def forget(process):
    """It has ended and was waited for."""
    _started.remove(process)


def end_all():
    """Kills what was started and still runs."""
    for process in _started:
        if process.poll() is None:
            process.kill()
        process.wait()
    _started.clear()


def end_of(process, what, seconds=DEADLINE):
    """Waits until the process has ended well."""
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise Violated(f"{what} has not ended within {seconds} s") from None
    promise(status == 0, what, "ended with", status)


def call(*command, **options):
    subprocess.run(list(map(str, command)), check=True, stdout=sys.stderr, **options)


def compile_c(folder, name, *flags, linked=True):
    """The program of tests/faults/NAME.c, linked to the library or left to load it."""
    program = os.path.join(folder, name)
    library = [f"-L{LIBRARIES}", "-lflagstore", f"-Wl,-rpath,{LIBRARIES}"] if linked else []
    call("cc", "-std=c99", "-D_GNU_SOURCE", "-O2", "-g", "-Wall", "-Wextra", "-pthread", f"-I{HEADERS}",
         os.path.join(HERE, name + ".c"), "-o", program, *library, "-ldl", *flags)
    return program


def compile_go(folder, name):
    """The program of tests/faults/NAME.go with the Go binding."""
    module = os.path.join(folder, "go-" + name)
    os.makedirs(module)
    shutil.copy(os.path.join(HERE, name + ".go"), module)
    with open(os.path.join(module, "go.mod"), "w", encoding="ascii") as file:
        file.write("module faults\n\ngo 1.19\n\nrequire flagstore v0.2.0\n\n"
                   f'replace flagstore => "{os.path.join(ROOT, "include", "go")}"\n')
    program = os.path.join(folder, name + ".go.out")
    environment = {"GOCACHE": os.path.join(folder, "go-cache")} if not os.environ.get("HOME") else {}
    call("go", "build", "-o", program, ".", cwd=module,
         env={**environment, **os.environ, "CGO_ENABLED": "1", "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOFLAGS": "",
              "CGO_CFLAGS": f"'-I{HEADERS}'", "CGO_LDFLAGS": f"'-L{LIBRARIES}'"})
    return program


# ---- time ----

def wait_until(condition, what, seconds=DEADLINE):
    """The first true answer of `condition`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        promise(time.monotonic() < deadline, f"not within {seconds} s:", what)
        time.sleep(0.001)

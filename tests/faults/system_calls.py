"""System calls of one call of the library: finds them by strace, and has strace fail or kill at one of them."""
import itertools
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from common import DEADLINE, LIBRARIES, Violated, note, promise

ENVIRONMENT = {**os.environ, "LD_LIBRARY_PATH": LIBRARIES}
LINE = re.compile(r"^\d+ +(\w+)\((.*)$")
WORKERS, SHOWN = 2, 50
_numbers = itertools.count()


@dataclass
class Site:
    """The `ordinal`-th call of this name since the program began, with its arguments and result."""
    name: str
    ordinal: int
    text: str

    def __str__(self):
        return f"{self.name} #{self.ordinal} ({self.text[:80]})"


@dataclass
class Outcome:
    """What one_call said, or the signal that ended it."""
    code: int
    os_code: int
    result: str
    signal: int = 0
    injected: bool = True
    grew: int = 0  # bytes, with -r

    def __str__(self):
        return f"signal {self.signal}" if self.signal else f"code {self.code} errno {self.os_code} {self.result}"


def outcome_of(command, env=None, seconds=DEADLINE, **options):
    """Runs one_call or a tool around it; also what it wrote to standard error."""
    env = {**ENVIRONMENT, **(env or {})}
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds, env=env, **options)
    except subprocess.TimeoutExpired:
        raise Violated(f"not done within {seconds} s: {' '.join(command)}") from None
    if done.returncode < 0:
        return Outcome(0, 0, "", -done.returncode), done.stderr.decode()
    promise(done.returncode == 0, "ended with", done.returncode, command, done.stderr.decode())
    code, os_code, grew, result = done.stdout.decode(errors="replace").rstrip("\n").split(" ", 3)
    return Outcome(int(code), int(os_code), result, grew=int(grew) * 1024), done.stderr.decode()


def fresh_folder(root):
    return os.path.join(root, f"case-{next(_numbers)}")


def sites(program, scenario, root):
    """Every system call of the scenario's call, in order, and what the call answers without a fault."""
    folder = fresh_folder(root)
    trace = folder + ".trace"
    command = scenario.command(program, scenario.prepare(folder))
    outcome, _ = outcome_of(["strace", "-f", "-qq", "-o", trace, *command])
    found, counts, inside = [], {}, 0
    with open(trace, encoding="utf-8") as lines:
        for name, text in (match.groups() for match in map(LINE.match, lines) if match):
            counts[name] = counts.get(name, 0) + 1
            inside += name == "getppid"
            if inside == 1 and name != "getppid":
                found.append(Site(name, counts[name], text.strip()))
    promise(inside == 2, "the trace has", inside, "marks instead of two:", trace)
    return found, outcome


def inject(command, site, what, folder):
    """Runs the command with strace doing `what` (such as "error=EIO:when=3") to the site's system call."""
    trace = folder + ".trace"
    outcome, _ = outcome_of(["strace", "-f", "-qq", "-o", trace, "-e", f"trace={site.name}", "-e",
                             f"inject={site.name}:{what}", *command])
    with open(trace, encoding="utf-8") as lines:
        text = lines.read()
    outcome.injected = "INJECTED" in text or bool(outcome.signal)
    os.remove(trace)
    return outcome


def for_each(cases, judge):
    """Calls `judge(*case)` for all of them, two at a time, and tells of every violation at the end."""
    violations = []

    def judged(case):
        try:
            return judge(*case)
        except Violated as violated:
            violations.append(str(violated))
            return None

    with ThreadPoolExecutor(WORKERS) as pool:
        answers = list(pool.map(judged, cases))
    for violation in violations[:SHOWN]:
        note("VIOLATED:", violation)
    promise(not violations, len(violations), "of", len(answers), "cases; the first:", *violations[:1])
    return answers

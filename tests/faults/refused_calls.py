#!/usr/bin/env python3
"""The refused calls: each system call that the library makes is refused with EPERM, ENOSYS and EACCES, in each read
mode, as sandboxes and containers do. What the data file itself needs may fail, with an error that has the errno;
everything else goes on without it. Nothing aborts, hangs, spins, is stale, reports a change that is not there, or gives
the file to somebody else without a line in the log.

Quick: one error and one moment for each call and mode. The calls are those that strace sees in a run of everything, so
that the list cannot grow old."""
import errno
import itertools
import os
import re
import shutil
import subprocess
from collections import Counter

import common
from system_calls import fresh_folder, for_each

ROW = "refused"
ERRORS = ["EPERM", "ENOSYS", "EACCES"]
MODES = {"FRESH": 0, "CHECKED": 1, "WATCHED": 2}
MOMENTS = ["before", "after"]  # the open
LINE = re.compile(r"^(\d+) +(\w+)\(")

# Not refused: without these a process of the C library does not run at all, whatever it does.
OF_THE_PROCESS = {
    "exit", "exit_group",  # ends the thread or the process; libc loops over it with a trap instruction
    "rt_sigreturn", "restart_syscall",  # the kernel's own way back from a signal
    "brk", "mmap",  # malloc; that memory may be missing is row 8
    "arch_prctl", "set_tid_address", "set_robust_list", "rseq",  # of the start of every thread
    "execve", "wait4",
}
# Of the test: the two processes talk by these, and measure.
OF_THE_TEST = {"sendto", "recvfrom", "select", "pselect6", "getrusage", "getppid", "prctl", "seccomp"}

# What reading or replacing the data file, or the lock before it, cannot do without. An error must have the errno.
NEEDED = {"openat", "open", "read", "write", "fstat", "newfstatat", "statx", "stat", "lstat", "fsync", "rename",
          "renameat", "renameat2", "flock", "unlink", "unlinkat", "lseek", "readlink", "fcntl"}
# glibc and std end or stop a program whose futexes are refused; nothing that uses a mutex works there.
OF_LIBC = {"futex"}

# What nobody can do without a thread, which is said: call somebody back.
SAYS_NO = {"watch": {"clone", "clone3", "mprotect", "eventfd2"}}  # mprotect: the guard page of a thread's stack
# A WATCHED store that reads as CHECKED from the start tells so, once.
TOLD = {"any thread", "any event", "eventfd2", "inotify_init1", "inotify_add_watch"}
FLOOD = 60  # lines in the log; a step that fails has one, and there are twenty

# Names of one thing, refused together: a library may try one after the other.
TOGETHER = {
    "any thread": ["clone", "clone3"],
    "any look": ["stat", "lstat", "fstat", "newfstatat", "statx"],
    "any listing": ["getdents", "getdents64"],
    "any mode": ["chmod", "fchmod", "fchmodat", "fchmodat2"],
    "any owner": ["chown", "fchown", "lchown", "fchownat"],
    "any attribute": ["fgetxattr", "flistxattr", "fsetxattr", "fremovexattr", "getxattr", "listxattr", "setxattr"],
    "any event": ["inotify_init", "inotify_init1", "inotify_add_watch", "eventfd", "eventfd2"],
    "any poll": ["poll", "ppoll", "epoll_wait", "epoll_pwait"],
    "any sleep": ["nanosleep", "clock_nanosleep"],
    "any clock": ["clock_gettime", "clock_getres", "gettimeofday", "time"],
    "any kind of file system": ["statfs", "fstatfs", "uname"],
    # Of libraries to come, or made on other kernels: refused although strace does not see them.
    "mincore": ["mincore"], "getrandom": ["getrandom"], "sched_yield": ["sched_yield"], "gettid": ["gettid"],
    "madvise": ["madvise"], "rt_sigtimedwait": ["rt_sigtimedwait"],
}


def numbers():
    """System call numbers by name, as the C compiler knows them."""
    text = subprocess.run(["cc", "-E", "-dM", "-include", "sys/syscall.h", "-xc", "/dev/null"], check=True,
                          capture_output=True, text=True).stdout
    return {name: int(number) for name, number in re.findall(r"^#define __NR_(\w+) (\d+)$", text, re.MULTILINE)}


def made_calls(program, root):
    """The names of all system calls of the library's process and its threads, in all read modes."""
    seen = set()
    for mode in MODES.values():
        folder = fresh_folder(root)
        os.mkdir(folder)
        trace = folder + ".trace"
        subprocess.run(["strace", "-f", "-qq", "-o", trace, program, str(mode), "before", "0", folder], check=True,
                       stdout=subprocess.DEVNULL, timeout=common.DEADLINE * 5)
        with open(trace, encoding="utf-8", errors="replace") as lines:
            found = [match.groups() for match in map(LINE.match, lines) if match]
        watcher, marks = found[0][0], 0
        for process, name in found:
            marks += name == "getppid"
            if process != watcher and marks == 1:
                seen.add(name)
        common.promise(marks == 2, "the trace has", marks, "marks:", trace)
    return seen - OF_THE_PROCESS - OF_THE_TEST


def is_allowed(names, step, outcome, details):
    if outcome == "error":
        code, os_code, _message = details.split(" ", 2)
        return bool(names & (NEEDED | SAYS_NO.get(step, set()))) and code in ("4", "11") and os_code != "0"
    # What cannot be read is not known to be corrupt.
    return outcome in ("ok", "changed") or step == "get_torn" and outcome == "STALE" and bool(names & NEEDED)


def failings(calls, must_tell, outcome_lines):
    """What may not be, among what refused_calls.c had to say."""
    names = set(calls)
    for line in outcome_lines:
        step, outcome, details = line.rstrip("\n").split(" ", 2)
        if step == "end":
            lines = int(details.split()[0])
            if must_tell and lines == 0:
                yield "open UNTOLD: no line in the log says that it reads as CHECKED"
            if lines > FLOOD:
                yield f"all FLOOD: {lines} lines in the log"
        if is_allowed(names, step, outcome, details):
            continue
        if outcome == "error":
            outcome = "UNCLEAR" if names & NEEDED else "FAILED"
        yield f"{step} {outcome}: {details}"


def check(program, root, name, calls, mode, error, moment, table):
    folder = fresh_folder(root)
    os.mkdir(folder)
    known = numbers_of[0]
    wanted = [str(known[call]) for call in calls if call in known]
    command = [program, str(MODES[mode]), moment, str(getattr(errno, error)), folder, *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=common.DEADLINE * 5,
                          env={**os.environ, "LD_LIBRARY_PATH": common.LIBRARIES})
    lines = done.stdout.splitlines()
    common.promise(done.returncode == 0 and lines, name, "the watcher ended with", done.returncode, done.stderr)
    found = list(failings(calls, name in TOLD and mode == "WATCHED" and moment == "before", lines))
    told = [line for line in lines if " error " in line]
    table[name, mode, error, moment] = worst(found) or ("error" if told else "goes on")
    shutil.rmtree(folder)
    common.promise(not found, f"{name} refused with {error} {moment} the open, {mode}:", "; ".join(found))


SEVERITY = ["SILENT_LOSS", "ABORT", "HANG", "WIDENED", "SILENT_CHANGE", "SPIN", "STALE", "UNCLEAR", "FAILED", "UNTOLD", "FLOOD"]


def worst(found):
    return next((outcome for outcome in SEVERITY if any(f" {outcome}:" in each for each in found)), "")


numbers_of = []


def print_table(table):
    """A line for each call: every outcome, with the modes, errors and moments in which it came."""
    names = sorted({key[0] for key in table})
    width = max(map(len, names), default=0)
    for name in names:
        cells = []
        for outcome in sorted({outcome for key, outcome in table.items() if key[0] == name}):
            keys = [key[1:] for key, other in table.items() if key[0] == name and other == outcome]
            cells.append(f"{outcome} ({'; '.join(' '.join(sorted(set(part))) for part in zip(*keys))})")
        common.note(f"{name:{width}} | " + ", ".join(cells))


def cases(names):
    """Quick: every call in every mode once, errors and moments taking turns; an error and a moment of each call."""
    turns = itertools.cycle(itertools.product(ERRORS, MOMENTS))
    for name, calls in names.items():
        for mode in MODES:
            if common.FULL:
                yield from ((name, calls, mode, *turn) for turn in itertools.product(ERRORS, MOMENTS))
            else:
                yield (name, calls, mode, *next(turns))
        next(turns)


def test(root):
    program = common.compile_c(root, "refused_calls")
    numbers_of.append(numbers())
    names = {name: [name] for name in made_calls(program, root) - OF_LIBC}
    names.update(TOGETHER)
    only = [word.removeprefix("--only=") for word in os.sys.argv[1:] if word.startswith("--only=")]
    names = {name: calls for name, calls in sorted(names.items()) if not only or name in only}
    table = {}
    try:
        for_each([(program, root, name, calls, mode, error, moment, table)
                  for name, calls, mode, error, moment in cases(names)], check)
    finally:
        print_table(table)
    outcomes = Counter(table.values())
    common.row(ROW, f"{len(names)} system calls refused, each in {len(MODES)} read modes, {len(table)} cases",
               *(f"{count} {outcome}" for outcome, count in outcomes.items()),
               "0 aborts, hangs, spins, lost or stale values")


if __name__ == "__main__":
    common.needs(ROW, "strace", "cc")
    common.run(test)

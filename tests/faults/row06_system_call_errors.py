#!/usr/bin/env python3
"""Row 6: any system call of open, get, list_all, len, set and delete fails with any of ten errors, once or from now on:
the caller learns the error, the file is the old one byte for byte, no temporary file is left, the next call works. Then
writes that take few bytes, and real limits: a full file system, RLIMIT_FSIZE. Quick: one error at each call."""
import errno
import itertools
import json
import os
import random
import re
import shutil
import signal

from common import FULL, compile_c, needs, note, promise, row, run, size, skip
from real_limits import full_disks, process_limits, short_writes
from scenarios import ACL, HALF, OWNER, SCENARIOS, canonical, content
from system_calls import fresh_folder, for_each, inject, sites

from flagstore import IO, NOT_DURABLE, SYNC_NONE, Store

SEED = 6
ERRORS = ["ENOSPC", "EDQUOT", "EIO", "EROFS", "EACCES", "EPERM", "EMFILE", "ENFILE", "ENOMEM", "EINTR"]
INTERRUPTIONS = 100  # EINTR for ever would be retried for ever

CANNOT_FAIL = {"getpid", "geteuid"}
ONLY_INTERRUPTED = {"clock_nanosleep"}
RETRIED = {"openat", "read", "write", "flock", "fsync"}  # when interrupted
# What the flags do not need is done without: owners, modes, lists, the kind of file system, a rename that replaces
# nothing, a dead writer's file that cannot be removed.
BEST_EFFORT = {"fchown", "fchmod", "flistxattr", "fgetxattr", "fsetxattr", "fremovexattr", "getxattr", "fstatfs",
               "renameat2", "unlink"}
REFUSALS = ("EACCES", "EPERM")
# The overflow owner, and the directory that is opened to ask for its file system, or for its sync.
ADVICE = re.compile(r'"/proc/|case-\d+", O_RDONLY\|O_CLOEXEC|^\d+, ("65534\\n"|""), \d+')
HARMLESS = {"close", "rt_sigprocmask", "rt_sigpending", "futex", "clock_nanosleep", "getrandom"}
MEMORY = {"brk", "mmap", "mremap", "munmap", "madvise"}


def may_succeed(site, error, forever):
    """Whether the call may do its work all the same."""
    if site.name in BEST_EFFORT | HARMLESS | MEMORY or error == "EINTR":
        return True
    unlock = site.name == "flock" and "LOCK_UN" in site.text
    # The lock file's creator may be about to share it, so a refusal is tried again.
    lock = error in REFUSALS and not forever and (site.name == "flock" or ".lock" in site.text)
    # Whom the lock file is for, how old a directory is; a statx that always fails is taken for a kernel without it.
    return unlock or lock or site.name == "statx" or bool(ADVICE.search(site.text))


def check_file(scenario, folder, site, outcome, inode, where):
    before = None if "-u" in scenario.arguments else scenario.before
    after, inode_after = content(folder)
    done = (outcome.code, outcome.os_code) == scenario.code or outcome.code == NOT_DURABLE
    if outcome.signal:
        promise(after in (before, scenario.after), where, "aborted, and the file holds", after)
    elif done:
        promise(after == scenario.after, where, "the file holds", after)
    else:
        promise(after == before, where, "the file was changed:", after)
        promise(before is None or inode_after == inode, where, "the file was replaced")
    left = [name for name in os.listdir(folder) if name.endswith(".tmp")]
    theirs = left and scenario.extra == "dead_writer" and os.path.getsize(scenario.temporary(folder)) == len(HALF)
    promise(not left or theirs or site.name == "unlink" or outcome.signal, where, "leaves", left)


def check_readers(scenario, folder, where):
    """Nobody may read the file who might not before: the group's bits are the mask of an access list while it lasts."""
    if scenario.extra != "attributes":
        return
    path = os.path.join(folder, "flags.json")
    mode = os.stat(path).st_mode
    promise(mode & 0o077 == 0 or ACL in os.listxattr(path), where, "its group may read the file now, mode", oct(mode))
    promise(os.stat(path).st_uid in (OWNER, 0), where, "the file has another owner")


def check_answer(scenario, site, error, forever, outcome, where):
    number = getattr(errno, error)
    if site.name in MEMORY:
        promise(outcome.code in (0, IO) or outcome.signal == signal.SIGABRT, where)
        return
    promise(not outcome.signal, where)
    if outcome.code == NOT_DURABLE:
        # Or the look at the directory behind its sync, by which a file system that has shut down is told.
        promise(site.name in ("fsync", "statx", "fstat", "newfstatat") and outcome.os_code == number, where)
    elif (outcome.code, outcome.os_code) == scenario.code:
        allowed = may_succeed(site, error, forever)
        promise(allowed and outcome.result == scenario.result or outcome.code, where)
    else:
        promise((outcome.code, outcome.os_code) == (IO, number), where)
        promise(error != "EINTR" or site.name not in RETRIED, where, "should have been tried again")


def check_failed(program, scenario, site, error, forever, root):
    folder = fresh_folder(root)
    path = scenario.prepare(folder)
    inode = content(folder)[1]
    to = f"..{site.ordinal + INTERRUPTIONS}" if error == "EINTR" else "+"
    what = f"error={error}:when={site.ordinal}{to if forever else ''}"
    outcome = inject(scenario.command(program, path), site, what, folder)
    where = f"{scenario.name}: {site} with {what}, see {folder}: {outcome};"
    promise(outcome.injected, where, "was not injected")
    check_answer(scenario, site, error, forever, outcome, where)
    check_file(scenario, folder, site, outcome, inode, where)
    check_readers(scenario, folder, where)
    check_next(scenario, folder, path, where)
    shutil.rmtree(folder)
    if outcome.signal:
        return "aborted"
    return {0: "succeeded all the same", NOT_DURABLE: "NOT_DURABLE"}.get(outcome.code, "IO")


def check_next(scenario, folder, path, where):
    if scenario.code != (0, 0):
        return
    before = json.loads(content(folder)[0] or b"{}")
    with Store.file(path, durability=SYNC_NONE) as store:
        store.set("next", 1)
    promise(content(folder)[0] == canonical({**before, "next": 1}), where, "the next set fails")
    names = [name for name in os.listdir(folder) if name.startswith(".")]
    promise(names == [".flags.json.lock"], where, "the next set leaves", names)


def cases_of(program, root):
    for scenario in SCENARIOS:
        found, outcome = sites(program, scenario, root)
        promise((outcome.code, outcome.os_code) == scenario.code, scenario.name, "without a fault:", outcome)
        for site in found:
            errors = ["EINTR"] if site.name in ONLY_INTERRUPTED else ERRORS
            if site.name not in CANNOT_FAIL:
                yield [(program, scenario, site, *fault, root) for fault in itertools.product(errors, [False, True])]


def chosen(cases):
    """Quick: one fault at each system call."""
    rng = random.Random(SEED)
    return [case for of_site in cases for case in (of_site if FULL else [rng.choice(of_site)])]


def test(root):
    program = compile_c(root, "one_call")
    every = list(cases_of(program, root))
    cases = chosen(every)
    note(f"{len(cases)} faults at {len(every)} system calls, seed {SEED}")
    seen = for_each(cases, check_failed)
    kinds = [f"{seen.count(kind)} {kind}" for kind in ["IO", "NOT_DURABLE", "succeeded all the same", "aborted"]]
    promise(len(seen) >= size(400, 4000), "only", len(seen), "faults")
    short, full = short_writes(program, root), full_disks(program, root) + process_limits(program, root)
    row(6, f"{len(seen)} faults at {len(every)} system calls ({len(ERRORS)} errors, once or from then on), {short} calls "
        f"with short writes, {full} at a full disk or a limit", *kinds, "0 violations, 0 temporary files left")


if __name__ == "__main__":
    if os.geteuid() != 0:
        skip(6, "needs root to mount small file systems")
    needs(6, "strace", "cc", "mount", "mkfs.ext4")
    run(test)

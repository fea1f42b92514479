#!/usr/bin/env python3
"""Row 5: a process killed at the entry of any system call of open, set or delete leaves the old or the new whole file,
at most one temporary file and no lock, and the next set works. Full: reading calls too, and all of them with a file of
1 MB."""
import json
import os
import shutil
import signal
from dataclasses import replace

from common import FULL, compile_c, needs, note, promise, row, run
from scenarios import SCENARIOS, canonical, content
from system_calls import fresh_folder, for_each, inject, sites

from flagstore import SYNC_NONE, Store



def large(scenario):
    """The scenario with a file of 1 MB around its flags."""
    def grown(data):
        return data and canonical({**json.loads(data), "padding": "x" * 2**20})
    missing = "-u" in scenario.arguments or scenario.before is None
    after = scenario.after if missing else grown(scenario.after)
    result = {"list_all": None, "len": "4"}.get(scenario.name, scenario.result)
    return replace(scenario, name=scenario.name + ", 1 MB", before=grown(scenario.before), after=after, result=result)


def temporaries(folder):
    return [name for name in os.listdir(folder) if name.endswith(".tmp")]


def check_killed(program, scenario, site, root):
    folder = fresh_folder(root)
    path = scenario.prepare(folder)
    where = f"{scenario.name}, killed at {site}, see {folder}:"
    outcome = inject(scenario.command(program, path), site, f"signal=KILL:when={site.ordinal}", folder)
    if not outcome.signal:  # the waits for a missing file are as many as fit into 100 ms
        promise("missing" in scenario.name, where, "was not killed but answered", outcome)
        return "not reached"
    promise(outcome.signal == signal.SIGKILL, where, "ended otherwise:", outcome)
    after, _ = content(folder)
    before = None if "-u" in scenario.arguments else scenario.before
    promise(after in (before, scenario.after), where, "the file is neither old nor new:", after and after[:200])
    promise(len(temporaries(folder)) <= 1, where, "leaves", temporaries(folder))
    if scenario.code == (0, 0):
        with Store.file(path, durability=SYNC_NONE) as store:
            store.set("next", 1)
        expected = canonical({**json.loads(after or b"{}"), "next": 1})
        promise(content(folder)[0] == expected, where, "the next set does not make", expected[:200])
        promise(temporaries(folder) == [], where, "the next set leaves", temporaries(folder))
    shutil.rmtree(folder)
    return "new" if after != before else "old"


def test(root):
    program = compile_c(root, "one_call")
    chosen = [s for s in SCENARIOS if FULL or s.before != s.after]
    chosen += map(large, [s for s in SCENARIOS if s.code == (0, 0)]) if FULL else []
    cases = []
    for scenario in chosen:
        found, outcome = sites(program, scenario, root)
        promise((outcome.code, outcome.os_code) == scenario.code, scenario.name, "without a fault:", outcome)
        promise(scenario.result in (None, outcome.result) or outcome.code, scenario.name, "answers", outcome)
        note(f"{scenario.name}: {len(found)} system calls")
        cases += [(program, scenario, site, root) for site in found]
    seen = for_each(cases, check_killed)
    old, new = seen.count("old"), seen.count("new")
    promise(old > 100 and new > 20, "too few kills before or after the change:", old, new)
    row(5, f"{old + new} kills, one at each system call of {len(chosen)} kinds of call",
        f"{old} old, {new} new, 0 else", "every next set worked", "at most 1 temporary file")


needs(5, "strace", "cc")
run(test)

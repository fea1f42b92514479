#!/usr/bin/env python3
"""Row 8: when an allocation fails, the call answers FLAGSTORE_IO with ENOMEM, or the process aborts, as Rust does where
an allocation of a fixed, small size fails. What grows with the file or the value never aborts. The file is the old or
the new one, the next call works. Full: each once and from then on, large files in more shapes."""
import errno
import functools
import json
import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from dataclasses import replace

from common import FULL, LIBRARIES, compile_c, needs, note, promise, row, run, size
from real_limits import preloaded
from scenarios import SCENARIOS, Scenario, canonical, content
from system_calls import fresh_folder, for_each, outcome_of

from flagstore import IO

LARGE = 1 << 16  # allocations beyond this are those that grow with what is stored or given
AMOUNT = 20_000

SHAPES = {
    "one long string": {"flag": "x" * AMOUNT * 10},
    "one long escaped string": {"flag": "é\n" * AMOUNT * 4},
    "a long escaped key": {"flag": 1, "ключ" * AMOUNT: 2},
    "many flags": {"flag": 1, **{f"flag-{number}": number for number in range(AMOUNT)}},
    "one object of many members": {"flag": {f"member-{number}": number for number in range(AMOUNT)}},
    "one long array": {"flag": list(range(AMOUNT))},
}
CALLS = ["get flag", "get_string flag", "get_bool flag", "list_all", "len", "set new 1", "delete flag",
         f"set flag @string:{AMOUNT * 10}", f"set flag @members:{AMOUNT}"]


def large_scenarios():
    for shape, document in SHAPES.items():
        plain = json.dumps(document).encode()  # every change also rewrites the layout
        backwards = json.dumps(dict(reversed(document.items())), ensure_ascii=False).encode()
        for call in CALLS:
            yield Scenario(f"{call}, {shape}", "-n {} " + call, before=plain, after=None)
            if FULL:
                yield Scenario(f"{call}, {shape} backwards", "-n {} " + call, before=backwards, after=None)
    set_string = f"-n {{}} set_string flag {'é' * 40000}"  # an argument is at most 128 KiB
    yield Scenario("set_string", set_string, before=canonical({"flag": "ü\t" * AMOUNT}), after=None)


def small_scenarios():
    for scenario in SCENARIOS:
        if scenario.code == (0, 0):
            yield replace(scenario, arguments="-n " + scenario.arguments)
    yield Scenario("get of an escaped key", "-n {} get é", before=canonical({"é": "ü"}), after=None)
    yield Scenario("get of a corrupt file", "{} get flag", before=b"{", after=b"{", code=(3, 0))


@functools.cache
def place_of(address):
    """The place in the library's own source, as far as its symbols tell; None for those of other crates."""
    lines = subprocess.run(["addr2line", "-fCie", os.path.join(LIBRARIES, "libflagstore.so"), address],
                           capture_output=True, text=True, check=False).stdout.splitlines()
    for function, place in zip(lines[::2], lines[1::2]):
        ours = re.search(r"(?:^|/)(src/[\w/]+\.rs:\d+)", place)
        if "flagstore::" in function and (ours or place.startswith("?")) and "/rustc/" not in place:
            return f"{ours[1] if ours else address} {function}"
    return None


def where_from(stack):
    """The innermost place in the library that wanted the memory."""
    addresses = re.findall(r"libflagstore\.so[^(]*\(\+(0x[0-9a-f]+)\)\[", stack)
    return next(filter(None, map(place_of, addresses)), "outside of the library")


def after_next(document):
    return canonical({**document, "next": 1})


def check_file(scenario, folder, outcome, where):
    """`scenario.after` None: the file of a success is the business of other tests; here it must be whole."""
    after, _ = content(folder)
    before = None if "-u" in scenario.arguments else scenario.before
    if scenario.code != (0, 0):
        whole = after == before
    elif outcome.signal:
        whole = after in (before, scenario.after) or (scenario.after is None and json.loads(after) is not None)
    elif outcome.code == IO:
        whole = after == after_next(json.loads(before or b"{}"))
    else:
        whole = after == after_next(json.loads(scenario.after or after))
    promise(whole, where, "the file holds", after and after[:200])
    left = [name for name in os.listdir(folder) if name.endswith(".tmp")]
    promise(not left or outcome.signal, where, "leaves", left)


def check_one(program, scenario, minimum, number, forever, root):
    folder = fresh_folder(root)
    path = scenario.prepare(folder)
    faults = {"FAIL_AT": str(number), "FAIL_FROM": str(int(forever)), "FAIL_SIZE": str(minimum)}
    outcome, said = outcome_of(scenario.command(program, path), {**preloaded(root), **faults})
    # Rust says of which allocation it dies; one that failed before may have been handled.
    until_death, _, _ = said.partition("memory allocation of ")
    _, *failures = re.split(r"^failed ", until_death, flags=re.M)
    where = f"{scenario.name}: {faults}, see {folder}: {outcome};"
    promise(failures, where, "was not reached")
    wanted = int(failures[-1].split()[0])
    if outcome.signal:
        promise(outcome.signal == signal.SIGABRT, where)
        promise(wanted <= LARGE, where, "aborts for want of", wanted, "bytes in", where_from(failures[-1]))
    else:
        out_of_memory = (outcome.code, outcome.os_code) == (IO, errno.ENOMEM)
        promise(out_of_memory or (outcome.code, outcome.os_code) == scenario.code, where)
    check_file(scenario, folder, outcome, where)
    shutil.rmtree(folder)
    if outcome.signal:
        return "aborted", where_from(failures[-1])
    return "ENOMEM" if outcome.code == IO else "succeeded", None


def cases_of(program, scenarios, minimum, root):
    for scenario in scenarios:
        folder = fresh_folder(root)
        _, said = outcome_of(scenario.command(program, scenario.prepare(folder)),
                             {**preloaded(root), "FAIL_SIZE": str(minimum)})
        shutil.rmtree(folder)
        count = int(re.search(r"^allocations (\d+)$", said, re.M)[1])
        for number in range(1, count + 1):
            for forever in size([number % 2 == 0], [False, True]):
                yield program, scenario, minimum, number, forever, root


def figures(seen):
    counts = Counter(kind for kind, _ in seen)
    return " / ".join(f"{counts[kind]} {kind}" for kind in ["ENOMEM", "succeeded", "aborted"])


def test(root):
    program = compile_c(root, "one_call")
    preloaded(root)
    small = for_each(cases_of(program, small_scenarios(), 0, root), check_one)
    for place, count in sorted(Counter(place for _, place in small if place).items()):
        note(f"aborts {count} times: {place}")
    large = for_each(cases_of(program, large_scenarios(), LARGE + 1, root), check_one)
    row(8, f"{len(small)} allocations of any size fail in every kind of call, {len(large)} beyond {LARGE >> 10} KiB in "
        "large files and values", figures(small), figures(large), "0 changed or torn files")


needs(8, "cc", "addr2line")
run(test)

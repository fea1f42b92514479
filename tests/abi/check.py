#!/usr/bin/env python3
"""The binary interface, as abi.txt lists it: functions, constants, sizes and offsets.

    tests/abi/check.py             compares header and library with abi.txt
    tests/abi/check.py --update    writes abi.txt

What goes or changes breaks programs that are compiled already, so both refuse it while FLAGSTORE_ABI_VERSION is the
same. What is added, at the end of a struct too, breaks nothing: --update lists it.
Needs FLAGSTORE_LIB_DIR, FLAGSTORE_INCLUDE_DIR, cc and nm. Where abidiff is installed, that judges too: it compares the
interface as a compiler sees it with flagstore.abi, which abidw wrote. (The library's own debug information would do
only for one compiler: it shows every type of every crate.)
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIST = HERE / "abi.txt"
DUMP = HERE / "flagstore.abi"
CC = shlex.split(os.environ.get("CC", "cc"))
HEADER = Path(os.environ["FLAGSTORE_INCLUDE_DIR"]) / "flagstore.h"
LIBRARY = Path(os.environ["FLAGSTORE_LIB_DIR"]) / "libflagstore.so"
# What each release changes.
NOT_THE_INTERFACE = re.compile(r"FLAGSTORE_(H|ABI_VERSION|VERSION.*)$")


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def declarations():
    """The header's declarations, each on one line, without the names of parameters."""
    text = output(*CC, "-E", "-P", str(HEADER))
    text = text[re.search(r"\bconst char \*flagstore_version", text).start():]
    for line in re.findall(r"(?:[^;{]|\{[^}]*\})+;", text):
        line = re.sub(r"\s+", " ", line).strip()
        yield re.sub(r"(?<=[ *])(?!void\b)[a-z_0-9]+(?=[,)])(?!\)\()", "", line).replace(" ,", ",").replace(" )", ")")


def structs(lines):
    """Name and fields of each struct whose fields the caller sees."""
    for line in lines:
        match = re.match(r"typedef struct \{(.*)\} (\w+);", line)
        if match:
            yield match[2], re.findall(r"(?:\(\*(\w+)\)\([^;]*|(\w+));", match[1])


def measured(lines):
    """What only a compiler knows: the values of constants, sizes and offsets."""
    macros = re.findall(r"^#define (FLAGSTORE_\w+) \S", output(*CC, "-E", "-dM", str(HEADER)), re.M)
    program = ["#include <stdio.h>", f'#include "{HEADER}"', "int main(void) {"]
    for name in sorted(macros):
        if not NOT_THE_INTERFACE.match(name):
            program.append(f'printf("constant {name} %lld\\n", (long long){name});')
    for name, fields in structs(lines):
        for field in (pointer or value for pointer, value in fields):
            if field == "reserved":  # may become something
                continue
            program.append(f'printf("field {name}.{field} at %zu, %zu bytes\\n", offsetof({name}, {field}), '
                           f"sizeof((({name} *)0)->{field}));")
        program.append(f'printf("struct {name} %zu bytes\\n", sizeof({name}));')
    program.append("}")
    with tempfile.TemporaryDirectory() as work:
        source, binary = Path(work, "measure.c"), str(Path(work, "measure"))
        source.write_text("\n".join(program))
        output(*CC, str(source), "-o", binary)
        return output(binary).splitlines()


def interface():
    lines = list(declarations())
    exports = re.findall(r" T (\w+)", output("nm", "-D", "--defined-only", "--without-symbol-versions", str(LIBRARY)))
    found = [f"symbol {name}" for name in exports]
    for line in lines:
        if line.startswith("typedef struct {"):
            match = re.match(r"typedef struct \{(.*)\} (\w+);", line)
            members = [member.strip() for member in match[1].split(";")[:-1]]
            found += [f"member {match[2]}: {member}" for member in members if not member.endswith(" reserved")]
        elif line.startswith("typedef"):
            found.append(line.rstrip(";"))
        elif line != "}":
            found.append("function " + line.rstrip(";"))
    abi = re.search(r"^#define FLAGSTORE_ABI_VERSION (\d+)", HEADER.read_text(), re.M)[1]
    return [f"abi {abi}", *sorted(found), *sorted(measured(lines))]


def is_growth(line, now):
    """A versioned struct, which begins with its size, may grow at its end."""
    match = re.match(r"struct (\w+) (\d+) bytes", line)
    sizes = [int(size) for size in re.findall(rf"^struct {match[1]} (\d+) bytes$", "\n".join(now), re.M)] if match else []
    return bool(sizes) and sizes[0] > int(match[2]) and f"field {match[1]}.size at 0, 8 bytes" in now


def compare(now):
    before = LIST.read_text().splitlines() if LIST.exists() else now[:1]
    gone = [line for line in before if line not in now and not is_growth(line, now)]
    if gone and before[0] == now[0]:
        sys.exit("\n".join(["check.py: this breaks programs that are compiled already; raise FLAGSTORE_ABI_VERSION "
                            "(and the minor version), or leave as they were:", *gone]))
    if "--update" in sys.argv[1:]:
        LIST.write_text("\n".join(now) + "\n")
    elif before != now:
        added = [line for line in now if line not in before]
        sys.exit("\n".join(["check.py: abi.txt does not list this yet; run tests/abi/check.py --update:", *added]))
    return len(now)


def abidiff():
    """Judges a library of empty functions that has the header's interface."""
    functions = [line for line in declarations() if line.endswith(");") and not line.startswith("typedef")]
    with tempfile.TemporaryDirectory() as work:
        source, library = Path(work, "interface.c"), str(Path(work, "libinterface.so"))
        source.write_text(f'#include "{HEADER}"\n' + "".join(line[:-1] + " { __builtin_trap(); }\n" for line in functions))
        output(*CC, "-g", "-std=c2x", "-shared", "-fPIC", str(source), "-o", library)
        if "--update" in sys.argv[1:]:
            output("abidw", "--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--drop-undefined-syms",
                   "--out-file", str(DUMP), library)
        diff = subprocess.run(["abidiff", str(DUMP), library], stdout=subprocess.PIPE, text=True)
        if diff.returncode & ~4:  # 4: it differs, but what was compiled before still works
            sys.exit(diff.stdout)


if __name__ == "__main__":
    print(f"abi: {compare(interface())} lines")
    if shutil.which("abidiff"):
        abidiff()
    else:
        print("SKIPPED abidiff: it is not installed")

"""What the tests of odd machines share: a folder, and calls of the library in it by whoever is asked to make them."""
import os
import shutil
import stat

import common
from common import promise
from scenarios import DOCUMENT, canonical
from system_calls import fresh_folder, outcome_of

ALICE, BOB, STAFF = 12345, 12346, 12400
IO = 4
MODES = {"FRESH": 0, "CHECKED": 1, "WATCHED": 2}


def as_user(uid, gid, *groups, umask=-1):
    return {"user": uid, "group": gid, "extra_groups": list(groups), "umask": umask}


def need_root(number):
    if os.geteuid() != 0:
        common.skip(number, "needs root, to act for several users")
    common.needs(number, "cc")


def tools(root, *names):
    """The programs, where every user can run them with the library; the first one's path."""
    os.chmod(root, 0o755)
    shutil.copy(os.path.join(common.LIBRARIES, "libflagstore.so.0.2"), root)
    return [common.compile_c(root, name) for name in names]


class House:
    """A folder with a file of flags, of whose owner and mode the test decides."""

    def __init__(self, root, mode=0o755, owner=(0, 0)):
        self.root, self.folder = root, fresh_folder(root)
        os.mkdir(self.folder)
        os.chmod(self.folder, mode)
        os.chown(self.folder, *owner)
        self.path = self.name("flags.json")
        self.lock, self.temporary = self.name(".flags.json.lock"), self.name(".flags.json.tmp")

    def name(self, name):
        return os.path.join(self.folder, name)

    def file(self, mode=0o644, owner=(0, 0), document=None):
        with open(self.path, "wb") as file:
            file.write(canonical(DOCUMENT if document is None else document))
        os.chown(self.path, *owner)
        os.chmod(self.path, mode)
        return self

    def call(self, program, *words, wrapper=(), log="warn", **who):
        """What one_call says of `words` for the file, and the library's lines in the log."""
        options, call = [word for word in words if word.startswith("-")], [word for word in words if word[0] != "-"]
        environment = {"LD_LIBRARY_PATH": self.root, "FLAGSTORE_LOG": log}
        command = [*wrapper, program, *options, self.path, *call]
        outcome, text = outcome_of(list(map(str, command)), env=environment, **who)
        return outcome, [line for line in text.splitlines() if line.startswith("flagstore: ")]

    def set(self, program, value, *options, **how):
        """A set that must work; its lines in the log."""
        outcome, lines = self.call(program, *options, "set", "flag", str(value), **how)
        promise(outcome.code == 0, self, f"set flag {value}", how, "says", outcome)
        self.holds({**DOCUMENT, "flag": value})
        return lines

    def holds(self, document):
        promise(self.bytes() == canonical(document), self, "expected", document, "found", self.bytes())

    def bytes(self):
        with open(self.path, "rb") as file:
            return file.read()

    def rights(self, path=None):
        """Mode, owner and group."""
        status = os.stat(path or self.path, follow_symlinks=False)
        return stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid

    def __str__(self):
        return f"see {self.folder}:"


def each(number, what, cases):
    """Runs (name, function) cases, tells of all violations, and prints the row."""
    violations = []
    for name, case in cases:
        try:
            case()
        except common.Violated as violated:
            violations.append(f"{name}: {violated}")
            common.note("VIOLATED:", violations[-1])
    promise(not violations, f"{len(violations)} of {len(cases)} cases:", "; ".join(violations)[:2000])
    common.row(number, what, f"{len(cases)} cases", "0 violations")

"""The calls into which faults are injected: what is there before, which call is made, what is there after it."""
import errno
import json
import os
import struct
from dataclasses import dataclass

FILE = "flags.json"
DOCUMENT = {"flag": 1, "name": "déjà vu", "object": {"b": [1, 2], "a": None}}
OWNER = 12345  # nobody's, so that only root's chown can keep it


def canonical(document):
    return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()


COMPACT = json.dumps(DOCUMENT, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
OLD = canonical(DOCUMENT)
NEW = canonical({**DOCUMENT, "flag": 2})
WITHOUT = canonical({key: value for key, value in DOCUMENT.items() if key != "flag"})

HALF = b'{"half":'  # what a dead writer has left

ACL = "system.posix_acl_access"
USER_OBJ, USER, GROUP_OBJ, MASK, OTHER = 1, 2, 4, 0x10, 0x20
ANYONE = 0xFFFFFFFF


def access_list(*entries):
    """(tag, permissions, id) as the kernel keeps them."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


# Of the group nobody may read, though the mode's middle bits, which are the mask, say so.
ONE_MORE_READER = access_list((USER_OBJ, 6, ANYONE), (USER, 4, OWNER + 1), (GROUP_OBJ, 0, ANYONE), (MASK, 4, ANYONE),
                              (OTHER, 0, ANYONE))


@dataclass
class Scenario:
    """`arguments` of one_call with {} for the path; `before` and `after` are the file's bytes, None for no file.

    Without a fault the call answers `result`, or fails with the (code, errno) of `code`.
    """
    name: str
    arguments: str
    before: bytes | None = OLD
    after: bytes | None = OLD
    result: str = "1"
    code: tuple = (0, 0)
    first: bool = False  # there is no lock file yet
    extra: str = ""

    def prepare(self, folder):
        """Everything in a new `folder`; the store's path."""
        os.mkdir(folder)
        path = os.path.join(folder, FILE)
        if self.before is not None:
            with open(path, "wb") as file:
                file.write(self.before)
        if not self.first:
            os.close(os.open(self.lock(folder), os.O_CREAT, 0o444))
        return getattr(self, "prepare_" + self.extra)(folder, path) if self.extra else path

    @staticmethod
    def lock(folder):
        return os.path.join(folder, f".{FILE}.lock")

    @staticmethod
    def temporary(folder):
        return os.path.join(folder, f".{FILE}.tmp")

    def prepare_dead_writer(self, folder, path):
        with open(self.temporary(folder), "wb") as file:
            file.write(HALF)
        return path

    @staticmethod
    def prepare_attributes(_folder, path):
        os.chown(path, OWNER, OWNER)
        os.chmod(path, 0o600)
        os.setxattr(path, ACL, ONE_MORE_READER)
        os.setxattr(path, "user.note", b"kept")
        return path

    @staticmethod
    def prepare_links(folder, _path):
        os.mkdir(os.path.join(folder, "etc"))
        os.symlink("..", os.path.join(folder, "etc", "up"))
        os.symlink(os.path.join("up", FILE), os.path.join(folder, "etc", "chain"))
        os.symlink("chain", os.path.join(folder, "etc", "link.json"))
        return os.path.join(folder, "etc", "link.json")

    @staticmethod
    def prepare_dangling(folder, path):
        os.symlink(os.path.join(folder, "unmounted.json"), path)
        return path

    def command(self, program, path):
        return [program, "-b", *(path if word == "{}" else word for word in self.arguments.split())]


SCENARIOS = [
    Scenario("open", "{} open", result="0"),
    Scenario("open a missing file", "{} open", before=None, after=b"{}\n", result="0", first=True),
    Scenario("open a dangling link", "{} open", before=None, after=None, code=(4, errno.ENOENT), extra="dangling"),
    Scenario("get", "{} get flag"),
    Scenario("get_string", "{} get_string name", result="déjà vu"),
    Scenario("get from a missing file", "-u {} get flag", after=None, result="0"),
    Scenario("list_all", "{} list_all", result=COMPACT),
    Scenario("len", "{} len", result="3"),
    Scenario("set", "{} set flag 2", after=NEW),
    Scenario("first set", "{} set flag 2", after=NEW, first=True),
    Scenario("set in a missing file", "-u {} set flag 2", after=canonical({"flag": 2})),
    Scenario("set after a dead writer", "{} set flag 2", after=NEW, extra="dead_writer"),
    Scenario("set with owner, access list and attribute", "{} set flag 2", after=NEW, extra="attributes"),
    Scenario("set through links", "{} set flag 2", after=NEW, extra="links"),
    Scenario("set the same", "{} set flag 1"),
    Scenario("set in SYNC_ORDERED", "-d 2 {} set flag 2", after=NEW),
    Scenario("set in SYNC_NONE", "-d 1 {} set flag 2", after=NEW),
    Scenario("delete", "{} delete flag", after=WITHOUT),
    Scenario("delete what is absent", "{} delete absent", result="0"),
]


def content(folder):
    """The bytes of the file and the number of its inode; None if there is none."""
    path = os.path.join(folder, FILE)
    try:
        with open(path, "rb") as file:
            return file.read(), os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return None, None

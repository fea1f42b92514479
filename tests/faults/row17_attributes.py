#!/usr/bin/env python3
"""Row 17: a set keeps the file's mode, owner, group, access list, extended attributes and the links that lead to it; an
unprivileged writer keeps what it may and opens the file to nobody new; a new file gets its mode from the options or the
umask, the lock file the file's readers. Full: every mode, more attributes, tmpfs too."""
import errno
import itertools
import os
import shutil
import stat

from common import FULL, LIBRARIES, Violated, compile_c, needs, promise, row, run, skip
from scenarios import (ACL, ANYONE, DOCUMENT, GROUP_OBJ, MASK, NEW, OLD, OTHER, USER, USER_OBJ, access_list,
                       canonical)
from system_calls import outcome_of

GROUP = 8
DEFAULT_ACL = "system.posix_acl_default"
ALICE, BOB, STAFF = 12345, 12346, 12400
MODES = [0o600, 0o640, 0o644, 0o660, 0o664, 0o666, 0o400, 0o440, 0o444, 0o755, 0o1644, 0o2660, 0o4755, 0o6711, 0o007]


class Attributes:
    """What a file has besides its bytes."""

    def __init__(self, path):
        status = os.stat(path)
        self.mode, self.uid, self.gid = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
        self.extended = {name: os.getxattr(path, name) for name in os.listxattr(path)}

    def __eq__(self, other):
        return vars(self) == vars(other)

    def __str__(self):
        return f"{self.mode:o} {self.uid}:{self.gid} {self.extended}"


class House:
    """A folder with a file, and the program that changes it."""

    def __init__(self, program, folder, cases=itertools.count()):
        self.program, self.folder = program, os.path.join(folder, f"case-{next(cases)}")
        os.mkdir(self.folder)
        os.chmod(self.folder, 0o755)
        self.path = os.path.join(self.folder, "flags.json")

    def file(self, mode=0o644, uid=0, gid=0, **extended):
        with open(self.path, "wb") as file:
            file.write(OLD)
        os.chown(self.path, uid, gid)
        os.chmod(self.path, mode)
        for name, value in extended.items():
            os.setxattr(self.path, name.replace("_", ".", 1), value)
        return self

    def name(self, name):
        return os.path.join(self.folder, name)

    def set(self, path=None, call="set flag 2", expected=(0, 0), options=(), **who):
        # Beside the program is a library that everybody can read.
        library = {"LD_LIBRARY_PATH": os.path.dirname(self.program)}
        outcome, _ = outcome_of([self.program, *options, path or self.path, *call.split()], library, **who)
        promise((outcome.code, outcome.os_code) == expected, self, who, outcome)
        return self

    def holds(self, data, path=None):
        with open(path or self.path, "rb") as file:
            promise(file.read() == data, self, "holds something else")

    def kept(self, before, what):
        after = Attributes(self.path)
        promise(after == before, self, what, f"before {before}, after {after}")
        self.holds(NEW)

    def __str__(self):
        return f"see {self.folder}:"


def as_user(uid, gid, *groups, umask=-1):
    return {"user": uid, "group": gid, "extra_groups": groups, "umask": umask}


# ---- as root: everything is kept ----

def modes_and_owners(program, folder):
    owners = [(0, 0), (ALICE, STAFF), (0, STAFF), (ALICE, 0)]
    for mode, (uid, gid) in itertools.product(range(0o1000) if FULL else MODES, owners):
        house = House(program, folder).file(mode, uid, gid)
        before = Attributes(house.path)
        house.set(umask=0o077).kept(before, "mode and owner")
        yield "modes and owners"


ACCESS_LISTS = [
    access_list((USER_OBJ, 6, ANYONE), (USER, 4, BOB), (GROUP_OBJ, 0, ANYONE), (MASK, 4, ANYONE), (OTHER, 0, ANYONE)),
    access_list((USER_OBJ, 6, ANYONE), (USER, 6, BOB), (GROUP_OBJ, 4, ANYONE), (GROUP, 6, STAFF), (MASK, 6, ANYONE),
                (OTHER, 4, ANYONE)),
    access_list((USER_OBJ, 7, ANYONE), (GROUP_OBJ, 7, ANYONE), (GROUP, 0, STAFF), (MASK, 0, ANYONE),
                (OTHER, 0, ANYONE)),
    access_list((USER_OBJ, 6, ANYONE), *((USER, number % 8, 20000 + number) for number in range(25)),
                (GROUP_OBJ, 4, ANYONE), (MASK, 5, ANYONE), (OTHER, 1, ANYONE)),
]
EXTENDED = [
    {"user_note": b"kept"}, {"user_empty": b""}, {"user_" + "n" * 200: b"\0\xff" * 100}, {"user_large": b"x" * 3000},
    {"trusted_note": b"of root"}, {"security_note": b"of a module"},
    {f"user_n{number}": b"%d" % number for number in range(50)},
]


def lists_and_attributes(program, folder):
    for extended in EXTENDED + [{"system_posix_acl_access": acl} for acl in ACCESS_LISTS]:
        house = House(program, folder).file(0o640, ALICE, STAFF)
        for name, value in extended.items():
            os.setxattr(house.path, name.replace("_", ".", 1) if not name.startswith("system") else ACL, value)
        before = Attributes(house.path)
        promise(before.extended, house, "has no attribute to keep")
        for call, data in [("set flag 2", NEW), ("set flag 1", OLD), ("set flag 2", NEW)]:
            house.set(call=call).holds(data)
        house.kept(before, "access list and attributes")
        yield "access lists and attributes"


def default_lists(program, folder):
    """A folder's default access list is for new files: it lets nobody into an old one."""
    house = House(program, folder)
    house.file(0o640, ALICE, STAFF)
    os.setxattr(house.folder, DEFAULT_ACL, ACCESS_LISTS[1])
    before = Attributes(house.path)
    house.set().kept(before, "no access list where there was none")
    yield "access lists and attributes"
    house = House(program, folder)
    os.setxattr(house.folder, DEFAULT_ACL, ACCESS_LISTS[1])
    house.set()
    promise(ACL in Attributes(house.path).extended, house, "a new file has no access list of its folder's")
    yield "new files"


def links(program, folder):
    """(the path a caller uses, what it leads through): all stay links and the real file is replaced."""
    for relative in [True, False]:
        house = House(program, folder).file(0o640, ALICE, STAFF)
        for name in ["etc", "srv", "srv/deep"]:
            os.mkdir(house.name(name))
        base = ".." if relative else house.folder
        made = {"etc/link": os.path.join(base, "flags.json"), "etc/chain": "link", "etc/chain2": "./chain",
                "srv/etc": os.path.join(base, "etc"), "srv/deep/flags.json": os.path.join("..", "etc", "chain2")}
        for name, target in made.items():
            os.symlink(target, house.name(name))
        before = Attributes(house.path)
        for name, value in zip([*made, "srv/etc/chain"], itertools.cycle("23")):
            if name != "srv/etc":
                house.set(house.name(name), f"set flag {value}").holds(canonical({**DOCUMENT, "flag": int(value)}))
                promise(Attributes(house.path) == before, house, "the file behind", name, "was not kept")
        house.set().kept(before, "the file behind links")
        for name, target in made.items():
            promise(os.readlink(house.name(name)) == target, house, name, "is no longer that link")
        promise(set(os.listdir(house.folder)) == {"etc", "srv", "flags.json", ".flags.json.lock"}, house, "litter")
        promise(not any(name.startswith(".") for name in os.listdir(house.name("etc"))), house, "litter beside a link")
        yield "links"
    house = House(program, folder).file()
    os.symlink("nowhere.json", house.name("dangling"))
    house.set(house.name("dangling"), expected=(4, errno.ENOENT))
    promise(not os.path.exists(house.name("nowhere.json")), house, "made a file behind a dangling link")
    yield "links"


def new_files(program, folder):
    """A new file has 0666 less the umask, or the mode that was asked for whatever the umask."""
    for umask, mode in itertools.product([0o000, 0o002, 0o022, 0o027, 0o077], [0, 0o600, 0o640, 0o664, 0o666]):
        for call in ["open", "set flag 2"]:
            house = House(program, folder).set(call=call, options=["-p", f"{mode:o}"], umask=umask)
            wanted = mode or 0o666 & ~umask
            made = Attributes(house.path).mode
            promise(made == wanted, house, f"umask {umask:o}, mode {mode:o}: made with {made:o}")
            yield "new files"


# ---- as somebody else: what may be kept is kept, and nobody new may read ----

def unprivileged(program, folder):
    """(file's mode, owner, group; the writer; what must come out). All have the folder to write in."""
    cases = [
        (0o640, ALICE, STAFF, as_user(ALICE, BOB, STAFF), (0o640, ALICE, STAFF)),  # owner and member of the group
        (0o664, BOB, STAFF, as_user(ALICE, ALICE, STAFF), (0o664, ALICE, STAFF)),  # a colleague's: the group is kept
        (0o666, 0, 0, as_user(65534, 65534), (0o666, 65534, 65534)),
        (0o644, 0, 0, as_user(65534, 65534), (0o644, 65534, 65534)),
    ]
    for mode, uid, gid, who, wanted in cases:
        house = House(program, folder).file(mode, uid, gid)
        os.chmod(house.folder, 0o777)
        house.set(**who).holds(NEW)
        after = Attributes(house.path)
        promise((after.mode, after.uid, after.gid) == wanted, house, f"{after}, not {wanted[0]:o} {wanted[1:]}")
        yield "unprivileged writers"
    # The owner is no member of the file's group: another group must not get that group's rights.
    house = House(program, folder).file(0o640, ALICE, STAFF)
    os.chmod(house.folder, 0o777)
    house.set(**as_user(ALICE, BOB)).holds(NEW)
    after = Attributes(house.path)
    promise(after.gid == STAFF or after.mode & 0o070 == 0, house,
            f"group {after.gid} may read what was group {STAFF}'s: {after}")
    yield "unprivileged writers"


def unprivileged_attributes(program, folder):
    house = House(program, folder).file(0o640, ALICE, STAFF, user_note=b"kept", trusted_note=b"root's")
    os.setxattr(house.path, ACL, ACCESS_LISTS[0])
    os.chmod(house.folder, 0o777)
    before = Attributes(house.path)
    del before.extended["trusted.note"]  # seen and written by root alone
    house.set(**as_user(ALICE, STAFF)).kept(before, "what its owner may keep")
    yield "unprivileged writers"
    house = House(program, folder).file(0o644, 0, 0)
    house.set(expected=(4, errno.EACCES), **as_user(ALICE, ALICE)).holds(OLD)  # neither the folder nor a lock file
    house.set()
    house.set(call="set flag 1", expected=(4, errno.EACCES), **as_user(ALICE, ALICE)).holds(NEW)  # no temporary file
    yield "unprivileged writers"


def lock_files(program, folder):
    """The lock file that root made lets in those who may write the directory, and nobody else."""
    for mode, umask, (shared, wanted) in itertools.product(
            [0o600, 0o640, 0o660, 0o644], [0o022, 0o077], [(0o755, 0o400), (0o775, 0o440), (0o777, 0o444)]):
        house = House(program, folder).file(mode, ALICE, STAFF)
        os.chown(house.folder, ALICE, STAFF)
        os.chmod(house.folder, shared)
        house.set(umask=umask)
        lock = Attributes(house.name(".flags.json.lock"))
        promise((lock.mode, lock.uid, lock.gid) == (wanted, ALICE, STAFF), house, f"folder {shared:o}: lock file {lock}")
        house.set(call="set flag 3", **as_user(ALICE, ALICE, STAFF)).holds(canonical({**DOCUMENT, "flag": 3}))
        yield "lock files"


PARTS = [modes_and_owners, lists_and_attributes, default_lists, links, new_files, unprivileged, unprivileged_attributes,
         lock_files]

def test(root):
    os.chmod(root, 0o755)
    program = compile_c(root, "one_call")
    shutil.copy(os.path.join(LIBRARIES, "libflagstore.so.0.2"), root)
    places = [root] + (["/dev/shm/" + os.path.basename(root)] if FULL and os.path.isdir("/dev/shm") else [])
    counts, violations = {}, []
    for place, part in itertools.product(places, PARTS):
        os.makedirs(place, exist_ok=True)
        try:
            for kind in part(program, place):
                counts[kind] = counts.get(kind, 0) + 1
        except Violated as violated:
            violations.append(f"{part.__name__}: {violated}")
    for place in places[1:]:
        shutil.rmtree(place)
    promise(not violations, "\n".join(violations))
    row(17, f"{sum(counts.values())} files replaced", *(f"{count} {kind} kept" for kind, count in counts.items()))


if os.geteuid() != 0:
    skip(17, "needs root to give files to others")
needs(17, "cc")
run(test)

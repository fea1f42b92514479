"""The faults of row 6 that need no injection: writes that take few bytes, full file systems, limits of the process."""
import errno
import os
import resource
import shutil
import subprocess

from common import HERE, call, promise, size
from scenarios import DOCUMENT, SCENARIOS, canonical, content
from system_calls import fresh_folder, outcome_of

from flagstore import IO, Store

WRITERS = [scenario for scenario in SCENARIOS if scenario.after not in (scenario.before, None)]
PAGE = 4096


def preloaded(root):
    """The environment that puts faulty_libc.c between one_call and the C library."""
    library = os.path.join(root, "faulty_libc.so")
    if not os.path.exists(library):
        call("cc", "-O2", "-Wall", "-Wextra", "-fPIC", "-shared", os.path.join(HERE, "faulty_libc.c"), "-o", library)
    return {"LD_PRELOAD": library, "RUST_BACKTRACE": "0"}


def short_writes(program, root):
    """Every write takes at most so many bytes, every second one is interrupted: the whole content arrives."""
    cases = 0
    for limit in size([1, 7], [1, 2, 3, 5, 7, 11, 50, 100]):
        for scenario in WRITERS:
            folder = fresh_folder(root)
            path = scenario.prepare(folder)
            outcome, _ = outcome_of(scenario.command(program, path), {**preloaded(root), "SHORT_WRITE": str(limit)})
            where = f"{scenario.name}, writes of {limit} bytes, see {folder}: {outcome};"
            promise((outcome.code, outcome.os_code) == scenario.code, where)
            promise(content(folder)[0] == scenario.after, where, "the file holds", content(folder)[0])
            shutil.rmtree(folder)
            cases += 1
    return cases


def check_refused(program, folder, path, value, expected, where, **options):
    """A set that must fail so and change nothing, unless `expected` is 0."""
    before = content(folder)
    outcome, _ = outcome_of([program, path, "set", "grown", value], **options)
    where = f"{where}, see {folder}: {outcome};"
    if expected == 0:
        promise(outcome.code == 0, where)
        return
    promise((outcome.code, outcome.os_code) == (IO, expected), where, "expected", os.strerror(expected))
    promise(content(folder) == before, where, "the file was changed")
    promise(not os.path.exists(os.path.join(folder, ".flags.json.tmp")), where, "leaves a temporary file")


def process_limits(program, root):
    """RLIMIT_FSIZE is an error and no signal; RLIMIT_NOFILE is never taken for a missing file."""
    cases = 0
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == "set")
    needed = len(canonical({**DOCUMENT, "grown": 1}))
    for limit in [0, 1, needed // 2, needed - 1, needed]:
        folder = fresh_folder(root)
        path = scenario.prepare(folder)
        check_refused(program, folder, path, "1", errno.EFBIG if limit < needed else 0, f"RLIMIT_FSIZE {limit}",
                      preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        cases += 1
    for files in range(3, 7):  # 0, 1, 2 are open; lock, file, directory and temporary file need four more
        folder = fresh_folder(root)
        path = scenario.prepare(folder)
        # The loader needs a descriptor too, so the limit is set once the program runs.
        check_refused(program, folder, path, "1", errno.EMFILE, f"{files} descriptors",
                      env={**preloaded(root), "FILES": str(files)})
        cases += 1
    return cases


class FileSystem:
    """A small file system of its own, mounted in a new folder."""

    def __init__(self, root, kind):
        self.kind, self.folder, self.image = kind, fresh_folder(root), None
        os.mkdir(self.folder)

    def __enter__(self):
        if self.kind == "tmpfs":
            call("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", self.folder)
        else:
            self.image = self.folder + ".image"
            with open(self.image, "wb") as file:
                file.truncate(2 << 20)
            call("mkfs.ext4", "-q", "-O", "^has_journal", "-m", "0", self.image)
            call("mount", "-o", "loop", self.image, self.folder)
        return self.folder

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.folder], check=True)
        if self.image:
            os.remove(self.image)


def fill(folder, leave):
    """Leaves about so many free bytes."""
    with open(os.path.join(folder, "filler"), "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(PAGE))
        except OSError as error:
            promise(error.errno == errno.ENOSPC, error)
        os.fsync(file.fileno())
        file.truncate(max(0, file.tell() - leave))
        os.fsync(file.fileno())


def check_full(program, kind, mount, leave, pages):
    """A set of so many pages with room for `leave` bytes is refused or done as a whole, and the next one works."""
    folder = os.path.join(mount, "store")
    os.mkdir(folder)
    path = os.path.join(folder, "flags.json")
    with Store.file(path) as store:
        store.set("first", 1)
    fill(mount, leave)
    enough = leave > (pages + 3) * PAGE
    check_refused(program, folder, path, f"@string:{pages * PAGE}", 0 if enough else errno.ENOSPC,
                  f"{kind} with {leave} bytes left for {pages} pages")
    os.remove(os.path.join(mount, "filler"))
    with Store.file(path) as store:
        store.set("next", 2)
        promise(store.get("first") == 1 and store.get("next") == 2, f"the next set on {kind} loses something")
    shutil.rmtree(folder)


def full_disks(program, root):
    """File systems of 1 and 2 MB that are really full, so that a set finds room for all, some or none of it."""
    cases = 0
    for kind in ["tmpfs", "ext4"]:
        with FileSystem(root, kind) as mount:
            for leave in size([0, 2, 30], list(range(0, 20)) + [40, 60]):
                for pages in size([5], [4, 5, 16]):
                    if abs(pages - leave) > 3:  # what a file of so many pages takes besides is the file system's to say
                        check_full(program, kind, mount, leave * PAGE, pages)
                        cases += 1
    return cases

"""Those who change the file without the library: editors, git, install, deploys; and how the library is used meanwhile
(edits_worker.c)."""
import contextlib
import json
import mmap
import os
import select
import shutil
import struct
import subprocess
import tempfile
import time

import common

KEYS = ["counter", "edition", "payload", "times"]


def document(edition, counter=0, times=None):
    """What edits_worker.c takes for whole: parts of two editions do not fit together."""
    times = 1 + edition * 37 % 400 if times is None else times
    return {"counter": counter, "edition": edition, "payload": f"{edition}." * times, "times": times}


def write(path, content, indent=2):
    with open(path, "w", encoding="ascii") as file:
        json.dump(content, file, indent=indent, sort_keys=True)
        file.write("\n")


def read(path):
    """What is there, as the editor sees it."""
    with open(path, encoding="ascii") as file:
        return json.load(file)


def at_once():
    """The words before a command that keep the moment in which the file is missing or short to what its system calls
    take: with a usual priority a busy machine may stop it right there for as long as it likes."""
    words = ["chrt", "--fifo", "1"]
    allowed = subprocess.run([*words, "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0
    return words if allowed else []


@contextlib.contextmanager
def undisturbed():
    """The same for what this process itself does to the file."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


class Editor:
    """Makes edits of one file in many ways; each gets the finished file of the new edition and what it changed."""

    def __init__(self, folder, path):
        self.path, self.now = path, at_once()
        self.made = os.path.join(folder, "made.json")
        self.git = Git(folder, os.path.dirname(path))
        self.ways = [self.in_place, self.renamed, self.backup, self.sed, self.checkout, self.install, self.moved_away]
        if shutil.which("vim"):
            self.ways.append(self.vim)

    def edit(self, way, edition):
        """False: the tool has failed, and has said so."""
        before = read(self.path)
        after = document(edition, before["counter"])
        if way == self.sed:  # changes digits, not lengths
            after |= {"payload": f"{edition}." * before["times"], "times": before["times"]}
        write(self.made, after, indent=[None, 2, 4][edition % 3])
        try:
            way(before["edition"], edition)
        except subprocess.CalledProcessError as refused:
            common.note(refused)
            return False
        return True

    def call(self, *command):
        common.call(*self.now, *command)

    def in_place(self, *_editions):
        """As nano, and whoever opens a file for writing."""
        self.call("cp", self.made, self.path)

    def renamed(self, *_editions):
        """As most editors and tools."""
        shutil.copy(self.made, self.path + "~")
        os.replace(self.path + "~", self.path)

    def backup(self, *_editions):
        """As vim where it may not know better: the old file becomes the backup, a new one is written."""
        self.call("sh", "-c", 'mv "$1" "$1~" && cp "$2" "$1" && rm "$1~"', "sh", self.path, self.made)

    def vim(self, *_editions):
        commands = ["set noswapfile writebackup backupskip= backupcopy=no", "%d _", f"r {self.made}", "wq!"]
        self.call("vim", "-es", "-N", "-u", "NONE", "-i", "NONE", *(f"-c{command}" for command in commands), self.path)

    def sed(self, before, edition):
        digits = rf's/("edition": *){before}\b/\1{edition}/; s/\b{before}\./{edition}./g'
        self.call("sed", "-i", "-E", digits, self.path)

    def checkout(self, *_editions):
        self.git.check_out(self.now, self.made, os.path.basename(self.path))

    def install(self, *_editions):
        self.call("install", "-m", "644", self.made, self.path)

    def moved_away(self, *_editions):
        """Gone and back, with other content, within a few milliseconds."""
        away = 'mv "$1" "$1~" && cp "$2" "$1.new" && mv "$1.new" "$1" && rm "$1~"'
        self.call("sh", "-c", away, "sh", self.path, self.made)


class Git:
    """A repository of its own, whose work tree is the folder of the flags."""

    def __init__(self, folder, tree):
        environment = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        self.environment = {**os.environ, **environment}
        self.tree = tree
        self.git = ["git", "--git-dir", os.path.join(folder, "repository"), "--work-tree", tree,
                    "-c", "user.name=deploy", "-c", "user.email=deploy@localhost", "-c", "gc.auto=0"]
        self.run("init", "-q")

    def run(self, *command, now=()):
        return subprocess.check_output([*now, *self.git, *command], env=self.environment, text=True).strip()

    def check_out(self, now, made, name):
        """Writes the one file from the index."""
        blob = self.run("hash-object", "-w", made)
        self.run("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
        self.run("checkout-index", "-f", name, now=now)

    def branches(self, name, contents):
        """One branch with one commit for each content of the file; their names."""
        names = []
        for number, content in enumerate(contents):
            self.run("checkout", "-q", "--orphan", f"branch{number}")
            write(os.path.join(self.tree, name), content)
            self.run("add", name)
            self.run("commit", "-q", "-m", f"edition {content['edition']}")
            names.append(f"branch{number}")
        return names


class ConfigMap:
    """A folder as kubelet fills it: name -> ..data/name, ..data -> a folder of the time of its making."""

    def __init__(self, folder, name, content):
        self.folder, self.name, self.path = folder, name, os.path.join(folder, name)
        os.makedirs(folder, exist_ok=True)
        self.current = None
        self.swap(content)
        os.symlink(os.path.join("..data", name), self.path)

    def swap(self, content):
        """Returns the time at which the new content was in place."""
        made = tempfile.mkdtemp(prefix=time.strftime("..%Y_%m_%d_%H_%M_%S."), dir=self.folder)
        write(os.path.join(made, self.name), content)
        link = os.path.join(self.folder, "..data_tmp")
        os.symlink(os.path.basename(made), link)
        os.rename(link, os.path.join(self.folder, "..data"))
        swapped, old, self.current = time.monotonic(), self.current, made
        if old:
            self.remove(old)
        return swapped

    @staticmethod
    def remove(folder):
        """A set that is under way may just make its lock file in there."""
        def removed():
            shutil.rmtree(folder, ignore_errors=True)
            return not os.path.exists(folder)
        common.wait_until(removed, f"{folder} is removed")


# ---- the library meanwhile ----

class Worker:
    """A process of edits_worker.c that goes on until it is told to end; then `numbers` has what it says."""

    def __init__(self, *command):
        self.what = " ".join(map(str, command[1:]))
        self.process = common.start(*command, env=common.next_mode(), stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE, text=True)

    def check(self):
        common.promise(self.process.poll() is None, self.what, "ended with", self.process.returncode)

    def end(self):
        self.process.stdin.close()
        common.end_of(self.process, self.what)
        common.forget(self.process)
        return list(map(int, self.process.stdout.read().split()))


def readers(program, path, threads):
    """One in each read mode. They have begun to read."""
    return [reader(program, path, threads) for _ in range(3)]


def reader(program, path, threads):
    worker = Worker("nice", program, "read", path, threads)
    ready, _, _ = select.select([worker.process.stdout], [], [], common.DEADLINE)
    common.promise(ready and worker.process.stdout.readline() == "reading\n", worker.what, "reads nothing")
    return worker


class Sets(Worker):
    """Sets "counter" again and again; `done()` is how many sets have ended."""

    def __init__(self, program, path, folder, durability, pause_us):
        self.file = os.path.join(folder, "progress")
        with open(self.file, "wb") as file:
            file.write(bytes(mmap.PAGESIZE))
        with open(self.file, "r+b") as file:
            self.shared = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        super().__init__(program, "set", path, durability, pause_us, self.file)

    def done(self):
        return struct.unpack("l", self.shared[:struct.calcsize("l")])[0]

    def wait_for_next(self):
        """Until the set that may be under way has ended."""
        before = self.done()
        common.wait_until(lambda: self.done() > before or self.check(), "the sets go on")


def summed(numbers):
    """What several readers have to say, as if they were one."""
    reads, changes, lowest, highest = zip(*numbers)
    return sum(reads), sum(changes), min(lowest), max(highest)


@contextlib.contextmanager
def ended(*workers):
    """Their numbers, once the block is left."""
    numbers = []
    yield numbers
    numbers += [worker.end() for worker in workers]

#!/usr/bin/env python3
"""Point 5: other people edit the file in every way they have while it is read and set through the library.

Every read is a whole old or new document; what is torn and stays so is CORRUPT; an edit that falls between the read and
the rename of a set is not undone by it. What may be undone is an edit between the set's last look and its rename: of
edits at any moment of sets that follow one another without a pause it is counted how many those are, not promised."""
import errno
import os
import signal
import time
from collections import Counter

import common
import flagstore
from edits import ConfigMap, Editor, Sets, document, ended, read, readers, summed, write
from file_systems import tmpfs

EDITS = common.size(6, 150)  # in each way
RACES = common.size(300, 5000)
THREADS = 2
PAUSE_US = 500  # between the sets
MODES = [flagstore.READ_FRESH, flagstore.READ_CHECKED, flagstore.READ_WATCHED]
YOUNG = 0.2  # seconds, and more: what has changed since is looked at again


def fresh(folder, name):
    """A folder for the flags, and one beside it."""
    os.makedirs(os.path.join(folder, name, "flags"))
    return os.path.join(folder, name), os.path.join(folder, name, "flags", "flags.json")


# ---- while reads and sets go on ----

def edits_under_load(program, folder):
    """How many edits were made, the reads and sets meanwhile, how many edits a set undid, and how many failed: git and
    install create a file that they have just unlinked, and a set may have put one there."""
    place, path = fresh(folder, "load")
    write(path, document(1))
    editor, edition, undone = Editor(place, path), 1, Counter()
    reading, sets = readers(program, path, THREADS), Sets(program, path, place, flagstore.SYNC_FULL, PAUSE_US)
    with ended(sets, *reading) as numbers:
        for way in editor.ways * EDITS:
            edition += 1
            done = editor.edit(way, edition)
            sets.wait_for_next()
            for process in reading:
                process.check()
            found = read(path)["edition"]
            common.promise(found <= edition, way.__name__, "left edition", found)
            if found != edition:
                undone["undone" if done else "failed"] += 1
                common.note(way.__name__, "was undone by a set" if done else "has failed")
    (made, refused), *of_readers = numbers
    reads, _changes, lowest, highest = summed(of_readers)
    common.promise(1 <= lowest and highest <= edition, "foreign editions:", lowest, highest)
    common.promise(refused == 0, refused, "sets were refused")
    names = ", ".join(way.__name__.replace("_", " ") for way in editor.ways)
    return len(editor.ways) * EDITS, names, reads, made, undone


def swaps_under_load(program, folder):
    """ConfigMap swaps: sets land in the folder that is current, or are told that it is gone."""
    place, _ = fresh(folder, "config")
    config = ConfigMap(os.path.join(place, "config"), "flags.json", document(1))
    reading = readers(program, config.path, THREADS)
    sets = Sets(program, config.path, place, flagstore.SYNC_FULL, PAUSE_US)
    with ended(sets, *reading) as numbers:
        for edition in range(2, EDITS + 2):
            config.swap(document(edition))
            sets.wait_for_next()
            for process in reading:
                process.check()
            found = read(config.path)["edition"]
            common.promise(found == edition, "after the swap to", edition, "there is", found)
    (_, refused), *of_readers = numbers
    _reads, _changes, lowest, highest = summed(of_readers)
    common.promise(1 <= lowest and highest <= EDITS + 1, "foreign editions:", lowest, highest)
    return refused


# ---- between the read and the rename of a set ----

def edits_within_a_set(program, folder):
    """The set is stopped there; it must find the edit and change what it finds."""
    place, path = fresh(folder, "within")
    write(path, document(1))
    editor, edition = Editor(place, path), 1
    for way in editor.ways:
        edition += 1
        within_a_set(program, path, lambda: common.promise(editor.edit(way, edition), "failed"), edition, way.__name__)
    config = ConfigMap(os.path.join(place, "config"), "flags.json", document(1))
    within_a_set(program, config.path, lambda: config.swap(document(2)), 2, "a ConfigMap swap")
    return len(editor.ways) + 1


def wait_for_stop(process, what):
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    common.promise(os.WIFSTOPPED(status), what, "ended with", status)


def within_a_set(program, path, edit, edition, what):
    process = common.start(program, "stopped", path)
    wait_for_stop(process, what)
    edit()
    process.send_signal(signal.SIGCONT)
    common.end_of(process, f"a set during {what}")
    common.forget(process)
    found = read(path)
    common.promise((found["edition"], found["counter"]) == (edition, 1000), what, "and the set left", found)


def edit_within_a_read(program, folder):
    """A read that opens the file, and is then kept waiting while the file is torn for longer than it would wait for it,
    looks again before it calls it CORRUPT."""
    _, path = fresh(folder, "look")
    write(path, document(1))
    time.sleep(YOUNG)  # when it is opened, it has not changed lately
    process = common.start(program, "looks", path, stdout=-1, text=True)
    wait_for_stop(process, "the first look")
    os.truncate(path, 10)
    time.sleep(YOUNG)  # nor has it when it is read
    process.send_signal(signal.SIGCONT)
    wait_for_stop(process, "the second look")
    write(path, document(2))
    process.send_signal(signal.SIGCONT)
    common.end_of(process, "a read during an edit")
    common.forget(process)
    common.promise(process.stdout.read() == "2\n", "the read does not find what was there in the end")


# ---- what stays ----

def code_of(call, *arguments):
    try:
        call(*arguments)
        return flagstore.OK
    except flagstore.FlagstoreError as error:
        return error.code


def promise_seen(read_mode, condition, *what):
    """What others have changed: a WATCHED store sees it when its thread has run, the others at once."""
    if read_mode == flagstore.READ_WATCHED:
        common.wait_until(condition, " ".join(map(str, what)))
    common.promise(condition(), "read mode", read_mode, *what)


def torn(folder, read_mode):
    """Half a file is CORRUPT for as long as it is there, and left alone; then all goes on."""
    _, path = fresh(folder, f"torn{read_mode}")
    write(path, document(1))
    with open(path, "rb") as file:
        whole = file.read()
    with flagstore.Store.file(path, read_mode=read_mode) as store:
        for left in [0, 1, len(whole) // 2, len(whole) - 3]:
            with open(path, "wb") as file:
                file.write(whole[:left])
            code = code_of(store.set, "counter", 1)
            common.promise(code == flagstore.CORRUPT, left, "bytes are for set", code)
            promise_seen(read_mode, lambda: code_of(store.get_json, "edition") == flagstore.CORRUPT,
                         left, "bytes are CORRUPT for get")
            with open(path, "rb") as file:
                common.promise(file.read() == whole[:left], left, "bytes were touched")
            with open(path, "wb") as file:
                file.write(whole)
            promise_seen(read_mode, lambda: code_of(store.list_all) == flagstore.OK and store.list_all() == document(1),
                         "the whole file is read")


def removed(folder, read_mode):
    """A file that stays away is an empty store, its return is seen, and a set makes it anew."""
    _, path = fresh(folder, f"removed{read_mode}")
    write(path, document(1))
    with flagstore.Store.file(path, read_mode=read_mode) as store:
        for edition in [2, 3]:
            os.remove(path)
            promise_seen(read_mode, lambda: store.list_all() == {}, "a removed file is empty")
            write(path + "~", document(edition))
            os.rename(path + "~", path)
            promise_seen(read_mode, lambda: store.list_all() == document(edition), "its return is seen")
        os.remove(path)
        store.set("counter", 7)
        common.promise(read(path) == {"counter": 7}, "the set left", read(path))


def mounted_file(program, folder):
    """A single file that is mounted can be read and edited in place, but not replaced: the set says so."""
    place, source = fresh(folder, "source")
    path = os.path.join(place, "mounted", "flags.json")
    os.mkdir(os.path.dirname(path))
    write(source, document(1))
    write(path, {})
    common.call("mount", "--bind", source, path)
    try:
        refused_there(path)
        editor = Editor(place, path)
        with ended(*readers(program, path, THREADS)) as numbers:
            for edition in range(2, EDITS + 2):
                editor.edit(editor.in_place, edition)
                refused_there(path)
                common.promise(read(source) == document(edition), "the mounted file was changed")
        _reads, _changes, lowest, highest = summed(numbers)
        common.promise(1 <= lowest and highest <= EDITS + 1, "foreign editions:", lowest, highest)
    finally:
        common.call("umount", path)


def refused_there(path):
    before = os.stat(path)
    with flagstore.Store.file(path) as store:
        try:
            store.set("counter", 1)
            raise common.Violated("a set replaced a mounted file")
        except flagstore.FlagstoreError as error:
            busy = (error.code, error.os_code) == (flagstore.IO, errno.EBUSY)
            common.promise(busy and "mount its directory" in error.message, "a set of a mounted file says", error)
        common.promise(store.get("edition") == read(path)["edition"], "a mounted file is not read")
    after, left = os.stat(path), os.listdir(os.path.dirname(path))
    same = (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    common.promise(same, "the mounted file was touched")
    common.promise(".flags.json.tmp" not in left, "a temporary file is left")


# ---- the window that remains ----

def race(program, folder, durability):
    """Replaces at any moment of sets without a pause: how many of them the sets undid."""
    place, path = fresh(folder, f"race{durability}")
    write(path, document(1))
    sets = Sets(program, path, place, durability, 0)
    with ended(sets) as numbers:
        common.wait_until(lambda: sets.done() > 0, "the first set")
        started = time.monotonic()
        replacer = common.start(program, "replace", path, RACES, sets.file, stdout=-1, text=True)
        common.end_of(replacer, "the replaces", common.DEADLINE + RACES / 20)
        common.forget(replacer)
        seconds = time.monotonic() - started
    [(made, refused)] = numbers
    undone = int(replacer.stdout.read())
    common.note(f"durability {durability}: {RACES} replaces in {seconds:.1f} s against {made} sets, {refused} refused")
    return undone


def test(folder):
    program = common.compile_c(folder, "edits_worker")
    # A busy disk may keep a tool waiting in the middle of its edit, which is torn then for as long as one that stays so.
    with tmpfs(os.path.join(folder, "memory")) as memory:
        edits, ways, reads, sets, undone = edits_under_load(program, memory)
        gone = swaps_under_load(program, memory)
        mounted_file(program, memory)
    within = edits_within_a_set(program, folder)
    edit_within_a_read(program, folder)
    for mode in MODES:
        torn(folder, mode)
        removed(folder, mode)
    synced, unsynced = race(program, folder, flagstore.SYNC_FULL), race(program, folder, flagstore.SYNC_NONE)
    common.row("p5", f"{edits} edits ({ways}) under {reads} reads in the {common.MODES} and {sets} sets, "
                     f"{EDITS} ConfigMap swaps, a mounted file, torn and removed files",
               "0 reads of less than a whole document",
               f"0 of {within} edits before a set's last look undone", f"of all edits {undone['undone']}",
               f"{undone['failed']} git or install told that the file exists",
               f"of {RACES} at any moment of a set {synced} (SYNC_FULL), {unsynced} (SYNC_NONE)",
               f"{gone} sets told that their folder was swapped away")


if __name__ == "__main__":
    common.needs("p5", "cc", "git", "install", "sed", "mount", "unshare", "chrt", "setpriv")
    common.in_own_namespace("p5")
    common.run(test)

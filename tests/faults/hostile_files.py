"""Files that no well-meaning program writes: the shapes that cost most memory, and what is no file at all."""
import os
import string
from itertools import islice, product

CHUNK = 1 << 20
DIGITS = string.digits + string.ascii_letters


def short_keys():
    """Every key of one character, of two, of three ..., so that as many as possible fit."""
    for length in range(1, 9):
        yield from map("".join, product(DIGITS, repeat=length))


def filled(before, parts, after, size):
    """Chunks of text: as many of the parts, with commas between them, as fit into `size` bytes."""
    room, chunk = size - len(before) - len(after), [before]
    pending, comma = 0, ""
    for part in parts:
        part = comma + part
        if len(part) > room:
            break
        room, comma = room - len(part), ","
        chunk.append(part)
        pending += len(part)
        if pending > CHUNK:
            yield "".join(chunk)
            chunk, pending = [], 0
    yield "".join(chunk) + after


def repeated(part):
    while True:
        yield part


def padded(before, unit, after, size):
    """Chunks of text: `unit` again and again."""
    count = (size - len(before) - len(after)) // len(unit)
    yield before
    while count > 0:
        yield unit * min(count, CHUNK)
        count -= CHUNK
    yield after


def members():
    return (f'"{key}":0' for key in short_keys())


def unsorted(parts, distance=1000):
    """Neighbours change places, far enough apart that the file has to be sorted."""
    parts = iter(parts)
    while block := list(islice(parts, distance)):
        yield from reversed(block)


UNSORTED, ENDS = '{"b":0,"a":' * 125, "}" * 125

VALID = {
    "one string": lambda size: padded('{"flag":"', "x", '"}', size),
    "one string of escapes": lambda size: padded('{"flag":"', r"\u0041", '"}', size),
    "one string of short escapes": lambda size: padded('{"flag":"', r"\n", '"}', size),
    "one key of escapes": lambda size: padded('{"flag":1,"', r"\u0041", '":2}', size),
    "white space": lambda size: padded('{"flag":1', " ", "}", size),
    "one long number": lambda size: padded('{"flag":1', "0", "}", size),
    "many flags": lambda size: filled('{"flag":1,', members(), "}", size),
    "many flags, unsorted": lambda size: filled('{"flag":1,', unsorted(members()), "}", size),
    "one flag repeated": lambda size: filled("{", repeated('"":0'), ',"flag":1}', size),
    "one object": lambda size: filled('{"flag":{', members(), "}}", size),
    "one object, unsorted": lambda size: filled('{"flag":{', unsorted(members()), "}}", size),
    "one member repeated": lambda size: filled('{"flag":{', repeated('"":0'), "}}", size),
    "one array": lambda size: filled('{"flag":[', repeated("0"), "]}", size),
    "empty arrays": lambda size: filled('{"flag":[', repeated("[]"), "]}", size),
    "nested objects": lambda size: filled('{"flag":[', repeated('{"":' * 100 + "0" + "}" * 100), "]}", size),
    "nested objects, unsorted": lambda size: filled('{"flag":[', repeated(UNSORTED + "0" + ENDS), "]}", size),
    "nested objects in a file that seems canonical": lambda size: filled(
        '{\n  "flag": [', repeated('{"":' * 100 + "0" + "}" * 100), "]\n}\n", size),
    "small objects, unsorted": lambda size: filled('{"flag":[', repeated('{"b":0,"a":0}'), "]}", size),
    "small objects in nested ones, unsorted": lambda size: filled(
        '{"flag":' + UNSORTED + "[", repeated('{"b":0,"a":0}'), "]" + ENDS + "}", size),
    "one string in nested objects, unsorted": lambda size: padded(
        '{"flag":' + UNSORTED + '"', "x", '"' + ENDS + "}", size),
    "one long key, unsorted": lambda size: padded('{"flag":{"b":0,"', "x", '":0,"c":0,"a":0}}', size),
    "long keys with one beginning, unsorted": lambda size: filled(
        '{"flag":{', (f'"{"x" * 5000}{key}":0' for key in short_keys()), "}}", size),
}
CORRUPT = {
    "a string without an end": lambda size: padded('{"flag":"', "x", "", size),
    "flags without an end": lambda size: filled("{", members(), ",", size),
    "nothing but NULs": lambda size: padded("", "\0", "", size),
    "nothing but line ends": lambda size: padded("", "\n", "", size),
    "nested without an end": lambda size: padded('{"flag":', "[", "", size),
}


def write(path, chunks):
    with open(path, "w", encoding="ascii") as file:
        file.writelines(chunks)


def special_files(folder):
    """(name, path) of what is not a regular file."""
    def made(name, make, *arguments):
        path = os.path.join(folder, name.replace(" ", "-"))
        make(*arguments, path) if make is os.symlink else make(path, *arguments)
        return name, path

    loop = os.path.join(folder, "loop")
    os.symlink(loop, loop)
    yield made("a FIFO", os.mkfifo)
    yield made("a directory", os.mkdir)
    yield made("a symlink loop", os.symlink, loop)
    yield made("a link to a directory", os.symlink, folder)
    for device in ["/dev/zero", "/dev/full", "/dev/null", "/dev/tty"]:
        yield made(f"a link to {os.path.basename(device)}", os.symlink, device)
    yield made("a file below a file", os.symlink, "/etc/passwd/flags.json")

"""Small file systems of many kinds, each mounted for as long as a block lasts."""
import contextlib
import os
import shutil
import tempfile

from common import HERE, call, forget, promise, start, wait_until
from power_disk import BTRFS, EXT4, XFS, FileSystem, format_device, loop_device, mounted, unmount

# Of inodes of 128 bytes: its times have no nanoseconds.
EXT4_SECONDS = FileSystem("ext4", 64, (*EXT4.mkfs, "-I", "128"), "")
# Other drivers, or the same one mounted by another name: with the magic number of ext4, and times by the clock's ticks.
EXT3 = FileSystem("ext3", 64, ("mkfs.ext3", *EXT4.mkfs[1:]), "")
EXT2 = FileSystem("ext2", 64, ("mkfs.ext2", *EXT4.mkfs[1:]), "")
ON_DISK = [EXT4, XFS, BTRFS]


@contextlib.contextmanager
def on_disk(folder, system):
    """The folder where an image of it is mounted."""
    image, place = os.path.join(folder, "image"), os.path.join(folder, "mounted")
    os.makedirs(folder)
    with open(image, "wb") as file:
        file.truncate(system.megabytes << 20)
    with loop_device(image) as device:
        format_device(system, device)
        with mounted(device, place, system):
            yield place
    os.remove(image)


@contextlib.contextmanager
def tmpfs(folder, kind="tmpfs"):
    """Or a ramfs, which takes its times from the clock's ticks, whatever the kernel."""
    os.makedirs(folder)
    call("mount", "-t", kind, "-o", "size=64m", "none", folder)
    try:
        yield folder
    finally:
        unmount(folder)


@contextlib.contextmanager
def devtmpfs(folder):
    """A folder of its own in the one devtmpfs that there is, which has the magic number of tmpfs."""
    os.makedirs(folder)
    call("mount", "-t", "devtmpfs", "none", folder)
    place = tempfile.mkdtemp(prefix="flagstore-", dir=folder)
    try:
        yield place
    finally:
        shutil.rmtree(place)
        unmount(folder)


@contextlib.contextmanager
def overlay(folder, fill):
    """What `fill` puts into the lower folder is copied up by its first change."""
    lower, upper, work, place = (os.path.join(folder, name) for name in ["lower", "upper", "work", "mounted"])
    with tmpfs(folder):
        for name in [lower, upper, work, place]:
            os.mkdir(name)
        fill(lower)
        call("mount", "-t", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={work}", "none", place)
        try:
            yield place
        finally:
            unmount(place)


@contextlib.contextmanager
def fuse(folder, shown, shift_ms=0, now=()):
    """Shows the folder `shown` as another machine would: what changes there is not told, and the clock may be another.
    `now` are words before the command, such as edits.at_once()."""
    os.makedirs(folder)
    program, place = os.path.join(folder, "row13_fuse"), os.path.join(folder, "mounted")
    os.mkdir(place)
    call("cc", "-std=c99", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64", "-O2", "-g", "-Wall", "-Wextra",
         "-I/usr/include/fuse3", os.path.join(HERE, "row13_fuse.c"), "-o", program, "-lfuse3")
    process = start(*now, program, shown, place, shift_ms)
    try:
        wait_until(lambda: os.path.ismount(place) or process.poll() is not None, "the FUSE file system")
        promise(process.poll() is None, "the FUSE file system ended with", process.poll())
        yield place
    finally:
        process.terminate()  # libfuse unmounts on SIGTERM
        process.wait()
        forget(process)

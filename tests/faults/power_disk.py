"""A disk that loses power or fails (power_disk.c), the loop device on it, and the file systems that are put there."""
import array
import contextlib
import ctypes
import errno
import os
import shutil
import subprocess
import time
from collections import namedtuple

from common import DEADLINE, HERE, call, in_own_namespace, needs, promise, skip, start, wait_until

FileSystem = namedtuple("FileSystem", "name megabytes mkfs options")
EXT4 = FileSystem("ext4", 64, ("mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0"), "")
XFS = FileSystem("xfs", 304, ("mkfs.xfs", "-q", "-f", "-K"), "")
BTRFS = FileSystem("btrfs", 256, ("mkfs.btrfs", "-q", "-f", "-K"), "nodiscard")

_libc = ctypes.CDLL(None, use_errno=True)


def needs_power_disk(rows, *systems):
    """Ends the script where there can be no such disk; else starts it anew in a mount namespace of its own."""
    needs(rows, "cc", "losetup", "fusermount3", "setpriv", *(system.mkfs[0] for system in systems))
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        skip(rows, "needs root and /dev/fuse")
    if not os.path.exists("/usr/include/fuse3/fuse.h"):
        skip(rows, "needs libfuse3-dev")
    for system in systems:
        if shutil.which("modprobe"):
            subprocess.run(["modprobe", "--quiet", system.name], check=False)
        with open("/proc/filesystems", encoding="ascii") as known:
            if system.name not in known.read().split():
                skip(rows, "the kernel has no " + system.name)
    in_own_namespace(rows)


def _system_call(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), what)


def mount(device, place, system):
    _system_call(_libc.mount(device.encode(), place.encode(), system.name.encode(), 0, system.options.encode()), device)


def unmount(place):
    deadline = time.monotonic() + DEADLINE
    while _libc.umount2(place.encode(), 0) != 0:
        # A process that was just killed or the kernel itself may have a file open for a moment.
        _system_call(ctypes.get_errno() != errno.EBUSY or time.monotonic() > deadline, place)
        time.sleep(0.001)


def sync(place):
    """Of this file system only: os.sync() would wait for all others."""
    directory = os.open(place, os.O_RDONLY)
    try:
        _system_call(_libc.syncfs(directory), place)
    finally:
        os.close(directory)


@contextlib.contextmanager
def mounted(device, place, system):
    os.makedirs(place, exist_ok=True)
    mount(device, place, system)
    try:
        yield place
    finally:
        unmount(place)


@contextlib.contextmanager
def loop_device(file):
    # Others attach devices too: the one that was free may be gone.
    find = ("losetup", "--find", "--show", file)
    device = wait_until(lambda: subprocess.run(find, stdout=subprocess.PIPE, text=True).stdout.strip(), "a loop device")
    try:
        yield device
    finally:
        call("losetup", "--detach", device)


def format_device(system, device):
    subprocess.run([*system.mkfs, device], check=True, stdout=subprocess.DEVNULL)


class PowerDisk:
    """The disk's log and its commands; `device` is the loop device."""

    def __init__(self, folder):
        self._log, self._control = os.path.join(folder, "log"), os.path.join(folder, "control")
        self.file, self.device = os.path.join(folder, "disk"), None

    def command(self, *lines):
        text = ""
        for line in lines:
            if len(text) > 30000:  # the kernel would cut a long write anywhere
                self._send(text)
                text = ""
            text += line + "\n"
        self._send(text)

    def _send(self, text):
        with open(self._control, "wb", buffering=0) as control:
            control.write(text.encode())

    def position(self):
        """How many entries the log has."""
        return os.stat(self._log).st_size // 16

    def log(self):
        """(offset, length) of every write; the length of a flush is 0."""
        with open(self._log, "rb") as log:
            numbers = array.array("Q", log.read())
        return list(zip(numbers[::2], numbers[1::2]))

    def refusals(self):
        with open(self._control, encoding="ascii", buffering=1) as control:
            return int(control.read())


@contextlib.contextmanager
def power_disk(folder, system):
    """A formatted disk of its own for one file system."""
    program = os.path.join(folder, "power_disk")
    if not os.path.exists(program):
        call("cc", "-std=c99", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64", "-O2", "-g", "-Wall", "-Wextra",
             "-I/usr/include/fuse3", os.path.join(HERE, "power_disk.c"), "-o", program, "-lfuse3")
    place = os.path.join(folder, "fuse-" + system.name)
    os.makedirs(place, exist_ok=True)
    disk = PowerDisk(place)
    process = start(program, place, system.megabytes)
    try:
        wait_until(lambda: os.path.exists(disk.file) or process.poll() is not None, "the FUSE disk")
        promise(process.poll() is None, "the FUSE disk ended with", process.poll())
        with loop_device(disk.file) as disk.device:
            format_device(system, disk.device)
            yield disk
    finally:
        process.terminate()  # libfuse unmounts on SIGTERM
        process.wait(DEADLINE)

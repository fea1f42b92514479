"""Forked children that run a piece of a test and cannot hang it."""
import os
import signal
import time
import traceback


def in_child(work):
    """The pid of a fork that runs `work` and exits with 0 if that returned nothing."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        status = work() or 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def exit_code(pid, seconds=20):
    """How the child ended; one that takes longer is killed, and "hangs"."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "hangs"

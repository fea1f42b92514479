"""The library's log, and what the interpreter's end takes back."""
from __future__ import annotations

import atexit
import threading
from typing import Callable, Optional

from ._constants import LOG_WARN
from ._native import LogFunction, keep_interrupt, lib

_target: Optional[Callable[[int, str], object]] = None
_quiet = threading.local()
_LOCKED = b": locked by another process or thread for more than "


def _tell(_userdata: object, level: int, message: bytes) -> None:
    target = _target
    if target is None or (_LOCKED in message and getattr(_quiet, "on", False)):
        return
    try:
        target(level, message.decode("utf-8"))
    except BaseException as exception:
        if not keep_interrupt(exception):
            raise


# One function for all callbacks, which is never freed: another thread may be inside one that has just been replaced.
_line, _off = LogFunction(_tell), LogFunction()


def set_log(callback: Optional[Callable[[int, str], object]], level: int = LOG_WARN) -> None:
    """Calls `callback(level, message)` for what the library has to say, up to LOG_ERROR, _WARN, _INFO or _DEBUG; None
    switches logging off. The call may come from any thread, several at once. What it raises goes to
    sys.unraisablehook."""
    global _target
    if callback is not None and not callable(callback):
        raise TypeError("the callback is not callable")
    _target = callback
    lib.flagstore_set_log(_off if callback is None else _line, None, level)


class WithoutLocked:
    """Inside, this thread's log does not tell that the lock was not free: it is asked for again."""

    def __enter__(self) -> None:
        _quiet.on = True

    def __exit__(self, *_failure: object) -> None:
        _quiet.on = False


@atexit.register
def _end() -> None:
    """No thread of the library may call into an interpreter that has ended."""
    if _target is not None:
        set_log(None)

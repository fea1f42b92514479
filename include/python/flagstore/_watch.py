"""Watches: a call for each change."""
from __future__ import annotations

import atexit
import itertools
import weakref
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional

from ._errors import InvalidArgument
from ._handle import Handle
from ._native import Text, WatchFunction, c_string, lib

if TYPE_CHECKING:
    from ._store import Store

Callback = Callable[[str, Optional[str], Optional[str]], object]

# What a watch's userdata, a number, stands for.
_callbacks: Dict[int, Callback] = {}
_open: Dict[int, "weakref.ref[Watch]"] = {}
_numbers = itertools.count(1)
_ending = False


def _tell(number: int, key: bytes, old: Optional[bytes], new: Optional[bytes]) -> None:
    callback = _callbacks.get(number)
    if callback is not None:
        callback(key.decode("utf-8"), *(None if text is None else text.decode("utf-8") for text in (old, new)))


# One function for all watches, which is never freed: a watch may be closed, and gone, inside its own call.
_told = WatchFunction(_tell)

class Watch(Handle):
    """Calls back until it is closed, or dropped: keep it. `close` waits for a call that is under way, unless it is
    called inside it, and no call comes afterwards. What the callback raises goes to sys.unraisablehook."""

    _number = 0

    def __init__(self) -> None:
        raise TypeError("Store.watch makes one")

    @classmethod
    def _on(cls, store: "Store", callback: Callback, key: Optional[Text]) -> "Watch":
        if not callable(callback):
            raise TypeError("the callback is not callable")
        if _ending:
            raise InvalidArgument("the interpreter is ending")
        number, name = next(_numbers), None if key is None else c_string(key)
        _callbacks[number] = callback
        try:
            watch = cls._of(store._call(lib.flagstore_watch, name, _told, number))
        except BaseException:
            del _callbacks[number]
            raise
        watch._number = number
        _open[number] = weakref.ref(watch)
        return watch

    def _free_if_unused(self) -> None:
        try:
            super()._free_if_unused()
        finally:
            _callbacks.pop(self._number, None)
            _open.pop(self._number, None)

    def close(self) -> None:
        """Stops it. May be called inside its own call, and twice."""
        super().close()


@atexit.register
def _close_all() -> None:
    """No thread of the library may call into an interpreter that has ended."""
    global _ending
    _ending = True
    for reference in list(_open.values()):
        watch: Any = reference()
        if watch is not None:
            watch.close()

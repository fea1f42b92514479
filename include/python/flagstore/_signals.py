"""Signals, and callbacks that must return: a handler that raises, as Ctrl-C's does, may only do so where it is caught.

Python runs the handlers of signals in the main thread, also at the very beginning of a callback, before any `try`.
What is raised there passes through ctypes, and C gets garbage as the callback's answer. So while the main thread is in
a call that calls back, handlers that come at such a moment are put off until the callback has begun or the call is
over.
"""
from __future__ import annotations

import signal
import threading
from typing import Any, Callable, Dict, List, Tuple, TypeVar

_T = TypeVar("_T")

_SIGNALS = [getattr(signal, name) for name in ["SIGINT", "SIGALRM", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"]
            if hasattr(signal, name)]

# Of the main thread: the handlers that were there, while they are replaced; those that were put off; and whether
# one may raise now.
_replaced: Dict[int, Any] = {}
_put_off: List[Tuple[int, Any]] = []
_exposed = False


def _handle(number: int, frame: Any) -> None:
    if _exposed:
        _replaced[number](number, frame)
    else:
        _put_off.append((number, frame))


def _catch_up(handlers: Dict[int, Any]) -> None:
    while _put_off:
        number, frame = _put_off.pop(0)
        handlers[number](number, frame)


def shielded(work: Callable[..., _T], *arguments: Any) -> _T:
    """What `work` returns, which calls C that calls back."""
    global _exposed
    if threading.current_thread() is not threading.main_thread():
        return work(*arguments)
    if _replaced:  # a backend's method that uses another such store
        exposed, _exposed = _exposed, False
        try:
            return work(*arguments)
        finally:
            _exposed = exposed
            if exposed:
                _catch_up(_replaced)
    _exposed = False
    for number in _SIGNALS:
        handler = signal.getsignal(number)
        if callable(handler):
            _replaced[number] = handler
            signal.signal(number, _handle)
    try:
        return work(*arguments)
    finally:
        handlers = dict(_replaced)
        _replaced.clear()
        for number, handler in handlers.items():
            if signal.getsignal(number) is _handle:  # no method has set another
                signal.signal(number, handler)
        _catch_up(handlers)


def cover() -> None:
    """No handler may raise from here on."""
    global _exposed
    if threading.current_thread() is threading.main_thread():
        _exposed = False


class Exposed:
    """Inside, what a handler raises is caught by whoever entered this."""

    def __enter__(self) -> None:
        global _exposed
        if _replaced and threading.current_thread() is threading.main_thread():
            _exposed = True
            _catch_up(_replaced)

    def __exit__(self, *_failure: object) -> None:
        cover()

"""Handles: what the library handed out, closed at any time by anybody without harm.

A handle is freed when it is closed and no call is inside it: `close` does not wait for running calls, the last of them
frees the handle. The lists below are only appended to, popped and copied, which is atomic: no lock is held that a
signal handler, a fork or a callback could meet.
"""
from __future__ import annotations

import os
from threading import get_ident
from typing import Any, List, NoReturn, Tuple, TypeVar

from ._errors import InvalidArgument
from ._native import interrupts, lib, new_slot, raise_outcome, slots

_Self = TypeVar("_Self", bound="Handle")

# Of the threads that were inside a call when the process forked, a child has only the one that forked.
_generation, _survivor = 0, 0


def _forked() -> None:
    global _generation, _survivor
    _generation, _survivor = _generation + 1, get_ident()


os.register_at_fork(after_in_child=_forked)


class Handle:
    """Something that the library handed out; close it, or use it as a context manager.

    It cannot be copied or pickled. Calls after `close` raise InvalidArgument; those that run in other threads end well.
    """

    _free = staticmethod(lib.flagstore_free)  # found here even while the interpreter ends
    _pointer: List[int]  # empty once it is closed
    _doomed: List[int]  # closed and not yet freed
    _users: List[Tuple[int, int]]  # the calls that are inside

    def __new__(cls, *_arguments: Any, **_options: Any) -> Any:
        self = super().__new__(cls)
        self._pointer, self._doomed, self._users = [], [], []
        return self

    @classmethod
    def _of(cls: type[_Self], pointer: int) -> _Self:
        self: _Self = cls.__new__(cls)
        self._pointer.append(pointer)
        return self

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return not self._pointer

    def close(self) -> None:
        """Gives it back; does nothing if that was done. Calls that run in other threads go on to their end, a `wait`
        fails within a moment, and the last of them frees it."""
        try:
            self._doomed.append(self._pointer.pop())
        except IndexError:
            return
        self._free_if_unused()

    def _free_if_unused(self) -> None:
        for generation, ident in list(self._users):
            if generation == _generation or ident == _survivor:
                return
        try:
            pointer = self._doomed.pop()
        except IndexError:
            return
        self._free(pointer)

    def _call(self, function: Any, *arguments: Any) -> Any:
        """The function's result for this handle and the arguments. Most of what Python adds to a call is here."""
        user = (_generation, get_ident())
        try:
            slot = slots.pop()
        except IndexError:
            slot = new_slot()
        # First say that it is in use, then look whether it is open; `close` does these in the other order.
        self._users.append(user)
        try:
            result = function(self._pointer[0], *arguments, slot[1])
            if slot[0] or interrupts:
                raise_outcome(slot[0])
        except IndexError:
            raise self._is_closed() from None
        finally:
            self._users.remove(user)
            if not self._pointer:
                self._free_if_unused()
        slots.append(slot)
        return result

    def _left(self, user: Tuple[int, int]) -> None:
        self._users.remove(user)
        if not self._pointer:
            self._free_if_unused()

    def _is_closed(self) -> InvalidArgument:
        return InvalidArgument(f"the {type(self).__name__} is closed")

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *_failure: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_users"):
            self.close()

    def __reduce_ex__(self, _protocol: Any) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} cannot be copied or pickled")


class Use:
    """`with Use(handle) as pointer`: the handle is not freed inside."""

    def __init__(self, handle: Handle) -> None:
        self._handle, self._user = handle, (_generation, get_ident())

    def __enter__(self) -> int:
        self._handle._users.append(self._user)
        try:
            return self._handle._pointer[0]
        except IndexError:
            self._handle._left(self._user)
            raise self._handle._is_closed() from None

    def __exit__(self, *_failure: object) -> None:
        self._handle._left(self._user)

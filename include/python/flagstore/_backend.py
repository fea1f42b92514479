"""Backends in Python: flags that live anywhere, with everything else of a store on top."""
from __future__ import annotations

import atexit
import ctypes
import itertools
import threading
import time
from ctypes import byref
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from ._constants import BACKEND
from ._errors import FlagstoreError, InvalidArgument, NotImplementedByBackend
from ._native import BackendTable, Text, call, keep_cause, keep_interrupt, lib, sized
from ._signals import Exposed, cover


class Backend:
    """What open_backend takes: any object with these methods, of this class or not. Those that it lacks make the calls
    that need them raise NotImplementedByBackend.

    The calls of one store never overlap. They come from whatever thread uses the store, and from threads of the
    library; they may use other stores, but not their own. What a method raises fails the call: a FlagstoreError with
    its code, anything else as BackendFailed, whose __cause__ it is.
    """

    def get(self, key: str) -> Optional[Text]:
        """The flag's JSON text; None: there is no such flag."""
        raise NotImplementedByBackend("get")

    def set(self, key: str, text: str) -> None:
        """Stores the compact JSON text."""
        raise NotImplementedByBackend("set")

    def remove(self, key: str) -> bool:
        """Removes the flag; whether there was one."""
        raise NotImplementedByBackend("remove")

    def list_all(self) -> Iterable[Tuple[Text, Text]]:
        """Pairs of key and JSON text, in any order."""
        raise NotImplementedByBackend("list_all")

    def close(self) -> None:
        """Called once, when the store and its last watch are closed."""


# What a store's context, a number, stands for; the C functions, which all stores share and which are never freed; and
# the threads that are inside one.
_opened: Dict[int, Any] = {}
_numbers = itertools.count(1)
_functions: Dict[str, Any] = {}
_inside: List[int] = []
_FIELDS = {name: kind for name, kind, *_ in BackendTable._fields_}
_PATIENCE = 5.0  # seconds


def open_table(methods: Any) -> int:
    """The handle of a new store over these methods."""
    if isinstance(methods, type):
        raise TypeError("expected an object with the methods of a Backend, got a class")
    if _ending:
        raise InvalidArgument("the interpreter is ending")
    number = next(_numbers)
    offered = {name: function for name, function in _functions.items() if _has(methods, name)}
    table = BackendTable(ctypes.sizeof(BackendTable), number, **offered, close=_close)
    _opened[number] = methods
    try:
        return int(call(lib.flagstore_backend_open, byref(table)))
    except FlagstoreError:
        del _opened[number]
        raise


def _has(methods: Any, name: str) -> bool:
    method = getattr(methods, name, None)
    return method is not None and getattr(method, "__func__", None) is not getattr(Backend, name)


def _offered(work: Callable[..., None]) -> Callable[..., None]:
    """work(methods, ...) as a C function whose exceptions become error objects. None may pass through ctypes, which
    would then return whatever the memory holds."""
    def function(context: int, *arguments: Any) -> bool:
        try:
            with Exposed():
                return answer(context, *arguments)
        except BaseException as exception:  # raised by a signal's handler, as on Ctrl-C
            cover()
            _refuse(exception, arguments[-1])
            return False

    def answer(context: int, *arguments: Any) -> bool:
        ident = threading.get_ident()
        _inside.append(ident)
        try:
            work(_opened[context], *arguments[:-1])
            return True
        finally:
            _inside.remove(ident)
    name = work.__name__.lstrip("_")
    _functions[name] = _FIELDS[name](function)
    return work


def _refuse(exception: BaseException, error: Any) -> None:
    try:
        if isinstance(exception, FlagstoreError):
            code, message = int(exception.code), str(exception.message)
        else:
            code, message = BACKEND, f"{type(exception).__name__}: {exception}"
    except Exception as worse:  # it cannot even be printed
        code, message = BACKEND, type(worse).__name__
    if not keep_interrupt(exception):
        keep_cause(message, exception)
    error[0] = lib.flagstore_error_new(code, message.encode("utf-8", "backslashreplace"))


def _text(pointer: int, length: int) -> str:
    return ctypes.string_at(pointer, length).decode("utf-8")


@_offered
def _get(methods: Any, key: int, key_len: int, reply: int) -> None:
    text = methods.get(_text(key, key_len))
    if text is not None:
        lib.flagstore_reply(reply, None, 0, *sized(text))


@_offered
def _set(methods: Any, key: int, key_len: int, text: int, text_len: int) -> None:
    methods.set(_text(key, key_len), _text(text, text_len))


@_offered
def _remove(methods: Any, key: int, key_len: int, existed: Any) -> None:
    existed[0] = bool(methods.remove(_text(key, key_len)))


@_offered
def _list_all(methods: Any, reply: int) -> None:
    for key, text in methods.list_all():
        lib.flagstore_reply(reply, *sized(key), *sized(text))


def _closed(context: int) -> None:
    methods = _opened.pop(context)
    close = getattr(methods, "close", None)
    if close is not None:
        try:
            close()
        except BaseException as exception:
            if not keep_interrupt(exception):
                raise


_close = _FIELDS["close"](_closed)
_ending = False


@atexit.register
def _wait_for_methods() -> None:
    """A daemon thread inside a method would be ended there together with the interpreter, which C cannot survive: let
    it finish, if it does."""
    global _ending
    _ending = True
    deadline = time.monotonic() + _PATIENCE
    while set(_inside) - {threading.get_ident()} and time.monotonic() < deadline:
        time.sleep(0.01)

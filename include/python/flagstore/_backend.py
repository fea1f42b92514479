"""Backends in Python: flags that live anywhere, with everything else of a store on top."""
from __future__ import annotations

import atexit
import ctypes
import enum
import itertools
import os
import threading
import time
import weakref
from ctypes import byref
from typing import Any, Callable, Dict, Iterable, List, Optional, Set, Tuple, Union

from ._batch import Batch
from ._constants import BACKEND, BACKEND_CONCURRENT
from ._errors import FlagstoreError, InvalidArgument, NotImplementedByBackend
from ._handle import Handle
from ._native import BackendTable, RemoteOptions, Text, call, keep_cause, keep_interrupt, lib, sized
from ._signals import Exposed, cover


class Loaded(enum.Enum):
    """What Backend.load may return instead of flags."""

    SAME = enum.auto()
    """The revision is still the one that was seen."""
    GONE = enum.auto()
    """What was stored has vanished, which is not the same as no flags."""


class Backend:
    """What open_backend and open_remote take: any object with these methods, of this class or not. Those that it lacks
    make the calls that need them raise NotImplementedByBackend, unless another will do. The first four make a store;
    `commit`, `load` and `wait` make it as good as those of the library.

    The calls of one store never overlap, unless `concurrent` is true; only `wait` overlaps all others. They come from
    whatever thread uses the store, and from threads of the library; they may use other stores, but not their own. What
    a method raises fails the call: a FlagstoreError with its code, anything else as BackendFailed, whose __cause__ it
    is if the method ran in the thread of the call. Unavailable says that the backend was not reached, so that nothing
    has changed; Uncertain that a change was sent and not answered.

    A revision is a number of the backend's own. It is never 0, and differs where the content does.
    """

    concurrent: bool = False
    """Whether calls may overlap. It is asked when the store is opened."""

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

    def commit(self, batch: Batch) -> Optional[int]:
        """Makes all changes of the batch and returns the revision after it, if that is known; or makes none and raises
        Conflict if what the batch expects is not so: json_equal compares. The batch may be used until this returns.
        Without it changes are made one by one."""
        raise NotImplementedByBackend("commit")

    def load(self, seen: int) -> Union[Loaded, Tuple[Iterable[Tuple[Text, Text]], int]]:
        """Every flag as of one moment, pairs of key and JSON text, and the revision then (0: not known). If it is still
        `seen`, Loaded.SAME will do. Without it list_all serves."""
        raise NotImplementedByBackend("load")

    def wait(self, seen: int, timeout: float) -> Optional[int]:
        """Blocks until the revision is no longer `seen` and returns it. None: the timeout came first, which is a few
        seconds at most, or `wake`. One wait at a time is under way. Without it the store looks in intervals."""
        raise NotImplementedByBackend("wait")

    def wake(self) -> None:
        """Makes a wait that is under way return. Without it closing a store may take as long as that."""

    def forked(self) -> None:
        """Comes first in a forked child: close the copies of the parent's connections, without a word to the server,
        and replace the locks, which threads may hold that the child does not have."""


# What a store's context, a number, stands for; the C functions, which all stores share and which are never freed; and
# the threads that are inside one.
_opened: Dict[int, Any] = {}
_taken: Set[int] = set()  # those that the library has called while they were opened: it closes them
_stores: "weakref.WeakSet[Handle]" = weakref.WeakSet()  # that may lead to a method
_numbers = itertools.count(1)
_functions: Dict[str, Any] = {}
_inside: List[int] = []
_FIELDS = {name: kind for name, kind, *_ in BackendTable._fields_}
_PATIENCE = 5.0  # seconds


def open_table(methods: Any, options: Optional[RemoteOptions] = None) -> int:
    """The handle of a new store over these methods. If opening fails once they were asked they are closed."""
    if isinstance(methods, type):
        raise TypeError("expected an object with the methods of a Backend, got a class")
    if _ending:
        raise InvalidArgument("the interpreter is ending")
    number = next(_numbers)
    offered = {name: function for name, function in _functions.items() if _has(methods, name)}
    table = BackendTable(ctypes.sizeof(BackendTable), number, **offered, close=_close,
                         flags=BACKEND_CONCURRENT if getattr(methods, "concurrent", False) else 0)
    _opened[number] = methods
    try:
        if options is None:
            return int(call(lib.flagstore_backend_open, byref(table)))
        return int(call(lib.flagstore_backend_open_with, byref(table), byref(options)))
    except FlagstoreError:
        if number not in _taken:
            _opened.pop(number, None)
        raise
    finally:
        _taken.discard(number)


def _has(methods: Any, name: str) -> bool:
    method = getattr(methods, name, None)
    return method is not None and getattr(method, "__func__", None) is not getattr(Backend, name)


def _offered(work: Callable[..., Optional[bool]]) -> Callable[..., Optional[bool]]:
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
            _taken.add(context)
            return work(_opened[context], *arguments[:-1]) is not False
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


@_offered
def _commit(methods: Any, batch: int, revision: Any) -> None:
    with Batch._lent(batch) as lent:
        revision[0] = methods.commit(lent) or 0


@_offered
def _load(methods: Any, revision: Any, same: Any, reply: int) -> None:
    loaded = methods.load(revision[0])
    if loaded is Loaded.SAME:
        same[0] = True
    elif loaded is Loaded.GONE:
        revision[0] = 0
    else:
        flags, revision[0] = loaded
        for key, text in flags:
            lib.flagstore_reply(reply, *sized(key), *sized(text))


@_offered
def _wait(methods: Any, revision: Any, timeout_ms: int) -> bool:
    now = methods.wait(revision[0], timeout_ms / 1000)
    if now is None:
        return False
    revision[0] = now
    return True


def _told(name: str) -> None:
    """Offers a method that cannot fail: what it raises goes to sys.unraisablehook."""
    def function(context: int) -> None:
        getattr(_opened[context], name)()
    _functions[name] = _FIELDS[name](function)


_told("wake")
_told("forked")


def _closed(context: int) -> None:
    _taken.add(context)
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


def follows(methods: Any) -> bool:
    """Whether threads of the library may call them although no call on the store is under way."""
    return _has(methods, "load") or _has(methods, "wait")


def close_at_exit(store: Handle, *layers: Handle) -> None:
    """No thread of the library may call into an interpreter that has ended. `layers`: only if one of them is so."""
    if not layers or any(layer in _stores for layer in layers):
        _stores.add(store)


def _forked() -> None:
    """In a child the parent's threads are inside of nothing."""
    _inside[:] = [ident for ident in _inside if ident == threading.get_ident()]


os.register_at_fork(after_in_child=_forked)


@atexit.register
def _wait_for_methods() -> None:
    """Ends the stores that may call methods. A daemon thread inside a method would be ended there together with the
    interpreter, which C cannot survive: let it finish, if it does."""
    global _ending
    _ending = True
    for store in list(_stores):
        store.close()
    deadline = time.monotonic() + _PATIENCE
    while set(_inside) - {threading.get_ident()} and time.monotonic() < deadline:
        time.sleep(0.01)

"""Stores: flag keys to JSON values, in memory, in a file, or over a backend in Python."""
from __future__ import annotations

import collections.abc
import contextlib
import ctypes
import json
import math
import os
import time
from ctypes import byref, c_size_t, c_uint64, c_void_p
from typing import (Any, Callable, ItemsView, Iterable, Iterator, NamedTuple, Optional, TypeVar, Union, ValuesView,
                    overload)

from . import _constants as constants
from ._backend import close_at_exit, follows, open_table
from ._batch import Batch
from ._errors import Conflict, InvalidArgument, Locked, NotImplementedByBackend, failure
from ._handle import Handle, Use
from ._library import version
from ._log import WithoutLocked
from ._native import FileOptions, StatusStruct, Text, c_string, call, data_of, lib, sized, take_text
from ._options import Path, integer, milliseconds, redis_options, remote_options, secret_string
from ._signals import shielded
from ._snapshot import Snapshot
from ._watch import Callback, Watch

_T = TypeVar("_T")
_MISSING: Any = object()
# Python runs signal handlers between calls of C, so what blocks there does so in slices: Ctrl-C takes no longer.
_SLICE_MS = 200
_KINDS = {"n": constants.NULL, "t": constants.BOOL, "f": constants.BOOL, '"': constants.STRING, "[": constants.ARRAY,
          "{": constants.OBJECT}
# What programs call most: looked up once.
_get_bool, _get_int64, _get_double = lib.flagstore_get_bool_n, lib.flagstore_get_int64_n, lib.flagstore_get_double_n


class Status(NamedTuple):
    """The state of a store at one moment."""

    state: int
    """STATE_LIVE: what is served is what the store holds, as always in memory and files. STATE_STALE: the last good
    flags are served. STATE_FALLBACK: those of the fallback file. STATE_LOST: there are none, or they have vanished."""
    push: int
    """How it hears of changes by others: PUSH_NONE, by looking; PUSH_ANNOUNCED; PUSH_TRACKED by the server."""
    age: float
    """Seconds since what is served was last known to be what the store holds; 0: it always is."""
    revision: int
    reconnects: int
    """How often the store was reached again after it had been lost."""
    refreshes: int
    """How often the flags were read again because of a change."""


class Store(Handle, collections.abc.MutableMapping[str, Any]):
    """Flag keys to JSON values: a mapping, whose every single call is atomic for all threads and processes.

    Open one with Store.memory, Store.file, Store.redis, Store.layered, open_backend or open_remote; close it, or use it
    as a context manager. Keys and JSON texts are str, or bytes that hold UTF-8; anything else is a TypeError. A call
    that fails raises a FlagstoreError. An empty store is true, and a store equals itself only.
    """

    _tries: Optional[int] = 1  # how often a change asks for the lock; None: for ever
    _timeout_ms = 0

    def __init__(self) -> None:
        raise TypeError("open a store with Store.memory, Store.file, Store.redis, Store.layered, open_backend or "
                        "open_remote")

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        return True

    @classmethod
    def memory(cls) -> Store:
        """An empty store in memory, which ends with it."""
        return cls._of(call(lib.flagstore_memory_open))

    @classmethod
    def file(cls, path: Path, *, read_mode: int = constants.READ_FRESH,
             durability: int = constants.SYNC_FULL, flags: int = 0, lock_timeout: Optional[float] = 5.0,
             mode: int = 0, max_bytes: int = 0) -> Store:
        """The store in the JSON file at `path`, which is created if it is missing.

        read_mode: READ_FRESH, READ_CHECKED or READ_WATCHED; durability: SYNC_FULL, SYNC_NONE or SYNC_ORDERED; flags:
        OPEN_EXISTING, OPEN_READ_ONLY, or both by |. lock_timeout: how many seconds a change waits for the lock before
        it raises Locked; None: for ever; 0: a moment. mode: permission bits of a created file, 0: 0o666 less the umask.
        max_bytes: a larger file is Io; 0: 256 MiB. Raises Io, Locked, InvalidArgument.
        """
        tries, slice_ms, timeout_ms = _slices(lock_timeout)
        options = FileOptions(
            ctypes.sizeof(FileOptions), integer(read_mode, "read_mode", -2**31, 2**31),
            integer(durability, "durability", -2**31, 2**31), integer(flags, "flags", 0, 2**32), slice_ms,
            integer(mode, "mode", 0, 2**32), 0, integer(max_bytes, "max_bytes", 0, 2**64))
        name = c_string(os.fsencode(path))
        self = cls._of(_locked(tries, timeout_ms, lambda: call(lib.flagstore_file_open_with, name, byref(options))))
        self._tries, self._timeout_ms = tries, timeout_ms
        return self

    @classmethod
    def redis(cls, url: Text, *, hash: Optional[Text] = None, username: Optional[Text] = None,
              password: Optional[Text] = None, password_file: Optional[Path] = None,
              tls_ca_file: Optional[Path] = None, tls_cert_file: Optional[Path] = None,
              tls_key_file: Optional[Path] = None, tls_server_name: Optional[Text] = None,
              sentinel_master: Optional[Text] = None, connections: int = 0, wait_replicas: int = 0,
              wait: Optional[float] = None, read_mode: int = constants.READ_FRESH,
              when_lost: int = constants.LOST_SERVE, flags: int = 0, open_timeout: Optional[float] = None,
              call_timeout: Optional[float] = None, max_stale: Optional[float] = None, verify: Optional[float] = None,
              spread: Optional[float] = None, retry_max: Optional[float] = None, max_bytes: int = 0,
              fallback_path: Optional[Path] = None) -> Store:
        """The flags in a hash of the Redis at `url`: redis://[USER[:PASSWORD]@]HOST[:6379][/DATABASE], rediss:// for
        TLS, or redis+unix:///PATH/OF/SOCKET[?db=DATABASE]. A field of the hash is a key, its value is JSON.

        hash: its name, "flagstore". username, password: stand before those in the URL. password_file: has the password,
        and is read at each connect. tls_ca_file: PEM, who is trusted (those whom the system trusts). tls_cert_file,
        tls_key_file: PEM, what the server wants to see. tls_server_name: of the server's certificate (the host).
        sentinel_master: the name of the primary that the Sentinels know whom the URL names, separated by commas; user
        and password in the URL are then theirs. connections: how many there are for reads and changes (4).
        wait_replicas: a change that so many replicas have not confirmed within `wait` seconds (0.1) is NotDurable,
        though it is made. The other options are those of open_remote.

        Only READ_WATCHED connects now: Unavailable if its first flags do not come in time. Raises InvalidArgument, Io,
        BackendFailed with the words of a server that refuses, and NotImplementedByBackend if the library was built
        without Redis: has_feature("redis") tells. No message has a password.
        """
        address = secret_string(url, "url")
        remote = remote_options(
            read_mode=read_mode, when_lost=when_lost, flags=flags, open_timeout=open_timeout, call_timeout=call_timeout,
            max_stale=max_stale, verify=verify, spread=spread, retry_max=retry_max, max_bytes=max_bytes,
            fallback_path=fallback_path)
        options = redis_options(
            remote, {"hash": hash, "username": username, "password": password, "tls_server_name": tls_server_name,
                     "sentinel_master": sentinel_master},
            {"password_file": password_file, "tls_ca_file": tls_ca_file, "tls_cert_file": tls_cert_file,
             "tls_key_file": tls_key_file},
            connections=connections, wait_replicas=wait_replicas, wait=wait)
        function = getattr(lib, "flagstore_redis_open", None)
        if function is None:
            raise NotImplementedByBackend(f"flagstore_redis_open: the library, {version()}, does not have it yet")
        return cls._of(call(function, address, byref(options)))

    @classmethod
    def layered(cls, layers: Iterable[Store], write_to: int = 0) -> Store:
        """A store over stores. A read asks the first layer, and the next where a flag is absent; a stored null is a
        value. Changes, and what a batch expects, are for layers[write_to] alone. It holds the layers, which may be
        closed. Raises InvalidArgument."""
        stores = list(layers)
        with contextlib.ExitStack() as used:
            for layer in stores:
                if not isinstance(layer, Store):
                    raise TypeError(f"expected a Store, got {type(layer).__name__}")
            handles = (c_void_p * max(len(stores), 1))(*[used.enter_context(Use(layer)) for layer in stores])
            pointer = call(lib.flagstore_layered_open, handles, len(stores), integer(write_to, "write_to", 0, 2**64))
        made = _BackendStore if any(isinstance(layer, _BackendStore) for layer in stores) else cls
        self = made._of(pointer)
        close_at_exit(self, *stores)
        self._tries, self._timeout_ms = stores[write_to]._tries, stores[write_to]._timeout_ms
        return self

    # ---- values as Python knows them ----

    def get(self, key: Text, default: Any = None) -> Any:
        """The value, as json.loads makes it; `default` if there is no such flag."""
        text = self.get_json(key)
        return default if text is None else json.loads(text)

    def set(self, key: Text, value: Any) -> None:
        """Stores the value; TypeError or ValueError if it is none that JSON has (NaN, say)."""
        self.set_json(key, json.dumps(value, allow_nan=False))

    def delete(self, key: Text) -> bool:
        """Removes the flag; whether there was one."""
        return bool(self._change(lib.flagstore_delete_n, *sized(key)))

    def list_all(self) -> dict[str, Any]:
        """Every flag as of one moment."""
        everything: dict[str, Any] = json.loads(self.list_all_json())
        return everything

    # ---- the mapping ----

    def __getitem__(self, key: Text) -> Any:
        text = self.get_json(key)
        if text is None:
            raise KeyError(key)
        return json.loads(text)

    def __setitem__(self, key: Text, value: Any) -> None:
        self.set(key, value)

    def __delitem__(self, key: Text) -> None:
        if not self.delete(key):
            raise KeyError(key)

    def __len__(self) -> int:
        return int(self._call(lib.flagstore_len))

    def __contains__(self, key: object) -> bool:
        return self.get_json(key) is not None  # type: ignore[arg-type]  # what is no text is a TypeError there

    def __iter__(self) -> Iterator[str]:
        """The keys as of one moment, in byte order."""
        return iter(self.snapshot())

    def items(self) -> ItemsView[str, Any]:
        """Pairs as of one moment: later changes do not reach them."""
        return self.snapshot().items()

    def values(self) -> ValuesView[Any]:
        """As items."""
        return self.snapshot().values()

    def update(self, other: Any = (), /, **flags: Any) -> None:
        """Sets all of them in one write, or none."""
        with Batch() as batch:
            for key, value in dict(other, **flags).items():
                batch.set(key, value)
            self.commit(batch)

    def clear(self) -> None:
        """Removes every flag in one write."""
        with Batch() as batch:
            batch.clear()
            self.commit(batch)

    def pop(self, key: Text, default: Any = _MISSING) -> Any:
        """Removes the flag and returns its value: of all who do so at once, one gets it."""
        while True:
            text = self.get_json(key)
            if text is None:
                if default is _MISSING:
                    raise KeyError(key)
                return default
            if self._commit_if(key, text, lambda batch: batch.delete(key)):
                return json.loads(text)

    def popitem(self) -> tuple[str, Any]:
        """Removes the first flag and returns it."""
        while True:
            for key in self:
                value = self.pop(key, _MISSING)
                if value is not _MISSING:
                    return key, value
                break
            else:
                raise KeyError("the store is empty")

    def setdefault(self, key: Text, default: Any = None) -> Any:
        """The flag's value; if there is none, stores `default` and returns it."""
        while True:
            text = self.get_json(key)
            if text is not None:
                return json.loads(text)
            if self._commit_if(key, None, lambda batch: batch.set(key, default)):
                return default

    def _commit_if(self, key: Text, text: Optional[str], change: Callable[[Batch], None]) -> bool:
        with Batch() as batch:
            batch.expect_json(key, text)
            change(batch)
            try:
                self.commit(batch)
            except Conflict:
                return False
        return True

    # ---- values as JSON text, numbers with the digits they were stored with ----

    def get_json(self, key: Text) -> Optional[str]:
        """The text; None if there is no such flag (a stored null is "null")."""
        return self._sized_text(lib.flagstore_get_n, *sized(key))

    def set_json(self, key: Text, text: Text) -> None:
        """Stores the value that the text spells; InvalidJson if it spells none."""
        self._change(lib.flagstore_set_n, *sized(key), *sized(text))

    def list_all_json(self) -> str:
        """Every flag as one JSON object with sorted keys."""
        return take_text(self._call(lib.flagstore_list_all))

    # ---- typed: the fallback if there is no such flag, TypeMismatch if it holds something else ----

    def get_bool(self, key: Text, fallback: bool = False) -> bool:
        data = key.encode() if type(key) is str else data_of(key)
        value: bool = self._call(_get_bool, data, len(data), _bool(fallback))
        return value

    def get_int64(self, key: Text, fallback: int = 0) -> int:
        """Any integral number in range, also 3.0. OverflowError if the fallback is no int64."""
        data = key.encode() if type(key) is str else data_of(key)
        value: int = self._call(_get_int64, data, len(data), _int64(fallback))
        return value

    def get_double(self, key: Text, fallback: float = 0.0) -> float:
        data = key.encode() if type(key) is str else data_of(key)
        value: float = self._call(_get_double, data, len(data), _double(fallback))
        return value

    @overload
    def get_string(self, key: Text, fallback: None = None) -> Optional[str]: ...

    @overload
    def get_string(self, key: Text, fallback: str) -> str: ...

    def get_string(self, key: Text, fallback: Optional[str] = None) -> Optional[str]:
        if fallback is not None:
            _str(fallback)
        text = self._sized_text(lib.flagstore_get_string_n, *sized(key))
        return fallback if text is None else text

    def get_type(self, key: Text) -> int:
        """ABSENT, NULL, BOOL, NUMBER, STRING, ARRAY or OBJECT."""
        data = data_of(key)
        if b"\0" not in data:
            return int(self._call(lib.flagstore_get_type, data))
        text = self.get_json(data)
        return constants.ABSENT if text is None else _KINDS.get(text[0], constants.NUMBER)

    def set_bool(self, key: Text, value: bool) -> None:
        self._set(lib.flagstore_set_bool, key, _bool(value))

    def set_int64(self, key: Text, value: int) -> None:
        """OverflowError if the value is no int64."""
        self._set(lib.flagstore_set_int64, key, _int64(value))

    def set_double(self, key: Text, value: float) -> None:
        """InvalidArgument for NaN and the infinities, which JSON lacks."""
        self._set(lib.flagstore_set_double, key, _double(value))

    def set_string(self, key: Text, value: str) -> None:
        self._set(lib.flagstore_set_string, key, _str(value))

    def _set(self, function: Any, key: Text, value: Union[bool, int, float, str]) -> None:
        data, argument = data_of(key), data_of(value) if isinstance(value, str) else value
        if b"\0" not in data and not (isinstance(argument, bytes) and b"\0" in argument):
            self._change(function, data, argument)
        elif isinstance(value, float) and not math.isfinite(value):
            raise InvalidArgument(f"{value} is not a JSON number")
        else:  # C strings cannot hold it
            self.set(key, value)

    # ---- many flags at once, and changes ----

    def snapshot(self) -> Snapshot:
        """Every flag as of now."""
        return Snapshot._of(self._call(lib.flagstore_snapshot))

    def commit(self, batch: Batch) -> None:
        """Makes all of the batch's changes in one write, or none: Conflict if what it expects is not so."""
        if not isinstance(batch, Batch):
            raise TypeError(f"expected a Batch, got {type(batch).__name__}")
        with batch._alone() as pointer:
            self._change(lib.flagstore_commit, pointer)

    def revision(self) -> int:
        """A number that differs from an earlier answer whenever the content may have changed since; never 0."""
        return int(self._call(lib.flagstore_revision))

    def wait(self, revision: int, timeout: Optional[float] = None) -> Optional[int]:
        """The store's revision once it is not `revision` any more; None if it still is after `timeout` seconds (None:
        for ever). Ctrl-C interrupts it; it raises InvalidArgument when the store is closed."""
        now = c_uint64(integer(revision, "revision", 0, 2**64))
        deadline = None if timeout is None else time.monotonic() + max(timeout, 0)
        while True:
            left = _SLICE_MS if deadline is None else max(0, math.ceil(min(deadline - time.monotonic(), 3600) * 1000))
            if self._call(lib.flagstore_wait, byref(now), min(left, _SLICE_MS)):
                return now.value
            if deadline is not None and time.monotonic() >= deadline:
                return None

    def status(self) -> Status:
        """How old the flags are that reads get. It asks nobody."""
        found = StatusStruct(ctypes.sizeof(StatusStruct))
        self._call(lib.flagstore_status, byref(found))
        return Status(found.state, found.push, found.age_ms / 1000, found.revision, found.reconnects, found.refreshes)

    def sync(self, timeout: float = 5.0) -> None:
        """Returns once reads see everything that was finished, by anybody, before the call; Unavailable if the store is
        not reached within so many seconds. Ctrl-C is heard when it has ended."""
        self._call(lib.flagstore_sync, milliseconds(timeout, "timeout"))

    def watch(self, callback: Callback, key: Optional[Text] = None) -> Watch:
        """Calls callback(key, old, new) from a thread of the library for each flag that changes (or only `key`) until
        the Watch is closed or dropped. Old and new are JSON texts, None for absent."""
        return Watch._on(self, callback, key)

    # ---- how the library is called ----

    def _change(self, function: Any, *arguments: Any) -> Any:
        return _locked(self._tries, self._timeout_ms, lambda: self._call(function, *arguments))

    def _sized_text(self, function: Any, *arguments: Any) -> Optional[str]:
        length = c_size_t()
        pointer = self._call(function, *arguments, byref(length))
        return None if pointer is None else take_text(pointer, length.value)


class _BackendStore(Store):
    """Whoever uses it calls methods in Python."""

    def _call(self, function: Any, *arguments: Any) -> Any:
        return shielded(super()._call, function, *arguments)


def open_backend(methods: Any) -> Store:
    """A store over the methods of a Backend: see there. Reads ask the backend, and a call takes as long as it does."""
    store = _BackendStore._of(open_table(methods))
    if follows(methods):
        close_at_exit(store)
    return store


def open_remote(methods: Any, *, read_mode: int = constants.READ_FRESH, when_lost: int = constants.LOST_SERVE,
                flags: int = 0, open_timeout: Optional[float] = None, call_timeout: Optional[float] = None,
                max_stale: Optional[float] = None, verify: Optional[float] = None, spread: Optional[float] = None,
                retry_max: Optional[float] = None, max_bytes: int = 0,
                fallback_path: Optional[Path] = None) -> Store:
    """A store over the methods of a Backend whose calls keep a deadline, whatever a method does: one that does not
    return in time is left to itself.

    read_mode: READ_FRESH asks at every read, READ_CHECKED whether the flags are still the same, READ_WATCHED keeps them
    in memory and follows. when_lost: what its reads get while the backend is lost, LOST_SERVE: the last good flags,
    LOST_FAIL: Unavailable. flags: OPEN_READ_ONLY, OPEN_LAZY (opening does not wait for the first flags), or both by |.

    Times are seconds, None for the default. open_timeout: how long opening with READ_WATCHED waits (2); call_timeout:
    the deadline of a call (0.5); max_stale: LOST_SERVE becomes LOST_FAIL after so long (never); verify: how often to
    look unasked (60 where changes are announced, 5 where not); spread: a re-read begins after a random part of it (0.1;
    0: at once); retry_max: the longest delay between attempts to reach a lost backend (1). max_bytes: a larger result
    is Io; 0: 256 MiB. fallback_path: a file that keeps the last good flags, and is read if the backend is not reached.

    Raises Unavailable if the first flags of READ_WATCHED do not come in time and there is no such file. After a failure
    the backend is closed if it was asked anything, once no call is inside it. The end of the interpreter closes the
    store.
    """
    options = remote_options(
        read_mode=read_mode, when_lost=when_lost, flags=flags, open_timeout=open_timeout, call_timeout=call_timeout,
        max_stale=max_stale, verify=verify, spread=spread, retry_max=retry_max, max_bytes=max_bytes,
        fallback_path=fallback_path)
    store = Store._of(open_table(methods, options))
    close_at_exit(store)
    return store


def _slices(timeout: Optional[float]) -> tuple[Optional[int], int, int]:
    """How often a lock is asked for, how many ms each time and in all."""
    if timeout is None or timeout == math.inf:
        return None, _SLICE_MS, 0
    if not 0 <= timeout <= 2**31:
        raise InvalidArgument(f"lock_timeout: {timeout} is not a number of seconds")
    whole = max(1, math.ceil(timeout * 1000))
    tries = -(-whole // _SLICE_MS)
    return tries, -(-whole // tries), whole


def _locked(tries: Optional[int], timeout_ms: int, work: Callable[[], _T]) -> _T:
    """What `work` returns. Where Locked says that it did nothing, it is done again: between slices Ctrl-C is heard."""
    while tries is None or tries > 1:
        try:
            with WithoutLocked():
                return work()
        except Locked:
            tries = tries and tries - 1
    try:
        return work()
    except Locked as locked:
        if not timeout_ms:
            raise
        message = locked.message.rpartition(" for more than ")[0]
        raise failure(locked.code, f"{message} for more than {timeout_ms} ms") from None


# ---- values take only their type: ctypes would make what it can of another ----

def _bool(value: bool) -> bool:
    if value is not True and value is not False:
        raise TypeError(f"expected bool, got {type(value).__name__}")
    return value


def _int64(value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"expected int, got {type(value).__name__}")
    if not -2**63 <= value < 2**63:
        raise OverflowError("not an int64")
    return value


def _double(value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (float, int)):
        raise TypeError(f"expected float, got {type(value).__name__}")
    return float(value)


def _str(value: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected str, got {type(value).__name__}")
    return value

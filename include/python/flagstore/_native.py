"""The C library: where it is, what its functions take, and how they are called. Nothing here is public."""
from __future__ import annotations

import ctypes
import os
import threading
from ctypes import CFUNCTYPE, POINTER, byref, c_bool, c_char_p, c_double, c_int32, c_int64, c_size_t
from ctypes import c_uint32, c_uint64, c_void_p
from typing import Any, Dict, List, Tuple, Union

from ._errors import InvalidArgument, failure

SONAME = "libflagstore.so.0.2"
ABI_VERSION = 2

Text = Union[str, bytes]


class FileOptions(ctypes.Structure):
    """flagstore_file_options_t; zero in any field but `size` means the default."""
    _fields_ = [("size", c_size_t), ("read_mode", c_int32), ("durability", c_int32),
                ("flags", c_uint32), ("lock_timeout_ms", c_int32), ("mode", c_uint32),
                ("reserved", c_uint32), ("max_bytes", c_uint64)]


# Every handle and every owned string is a c_void_p: a c_char_p result would be copied and its
# pointer lost, an undeclared one cut to 32 bits.
_error, _size = POINTER(c_void_p), POINTER(c_size_t)

LogFunction = CFUNCTYPE(None, c_void_p, c_int32, c_char_p)
WatchFunction = CFUNCTYPE(None, c_void_p, c_char_p, c_char_p, c_char_p)


class BackendTable(ctypes.Structure):
    """flagstore_backend_t"""
    _fields_ = [("size", c_size_t), ("context", c_void_p),
                ("get", CFUNCTYPE(c_bool, c_void_p, c_void_p, c_size_t, c_void_p, _error)),
                ("set", CFUNCTYPE(c_bool, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, _error)),
                ("remove", CFUNCTYPE(c_bool, c_void_p, c_void_p, c_size_t, POINTER(c_bool), _error)),
                ("list_all", CFUNCTYPE(c_bool, c_void_p, c_void_p, _error)),
                ("close", CFUNCTYPE(None, c_void_p)),
                ("flags", c_uint32), ("reserved", c_uint32),
                ("commit", CFUNCTYPE(c_bool, c_void_p, c_void_p, POINTER(c_uint64), _error)),
                ("load", CFUNCTYPE(c_bool, c_void_p, POINTER(c_uint64), POINTER(c_bool), c_void_p, _error)),
                ("wait", CFUNCTYPE(c_bool, c_void_p, POINTER(c_uint64), c_int32, _error)),
                ("wake", CFUNCTYPE(None, c_void_p)),
                ("forked", CFUNCTYPE(None, c_void_p))]


class RemoteOptions(ctypes.Structure):
    """flagstore_remote_options_t; zero in any field but `size` means the default."""
    _fields_ = [("size", c_size_t), ("read_mode", c_int32), ("when_lost", c_int32), ("flags", c_uint32),
                ("open_timeout_ms", c_int32), ("call_timeout_ms", c_int32), ("max_stale_ms", c_int32),
                ("verify_ms", c_int32), ("spread_ms", c_int32), ("retry_max_ms", c_int32), ("reserved", c_uint32),
                ("max_bytes", c_uint64), ("fallback_path", c_char_p)]


class RedisOptions(ctypes.Structure):
    """flagstore_redis_options_t; zero in any field but `size` means the default."""
    _fields_ = [("size", c_size_t), ("remote", POINTER(RemoteOptions)), ("hash", c_char_p), ("username", c_char_p),
                ("password", c_char_p), ("password_file", c_char_p), ("tls_ca_file", c_char_p),
                ("tls_cert_file", c_char_p), ("tls_key_file", c_char_p), ("tls_server_name", c_char_p),
                ("sentinel_master", c_char_p), ("connections", c_int32), ("wait_replicas", c_int32),
                ("wait_ms", c_int32), ("reserved", c_int32)]


class StatusStruct(ctypes.Structure):
    """flagstore_status_t"""
    _fields_ = [("size", c_size_t), ("state", c_int32), ("push", c_int32), ("age_ms", c_int64),
                ("revision", c_uint64), ("reconnects", c_uint64), ("refreshes", c_uint64)]


FUNCTIONS: Dict[str, Tuple[Any, ...]] = {
    "version": (c_char_p,),
    "abi_version": (c_uint32,),
    "has_feature": (c_bool, c_char_p),
    "free": (None, c_void_p),
    "set_log": (None, LogFunction, c_void_p, c_int32),
    "error_code": (c_int32, c_void_p),
    "error_message": (c_char_p, c_void_p),
    "error_os_code": (c_int32, c_void_p),
    "error_name": (c_char_p, c_int32),
    "error_new": (c_void_p, c_int32, c_char_p),
    "memory_open": (c_void_p, _error),
    "file_open": (c_void_p, c_char_p, _error),
    "file_open_with": (c_void_p, c_char_p, POINTER(FileOptions), _error),
    "get": (c_void_p, c_void_p, c_char_p, _error),
    **dict.fromkeys(["set", "set_string"], (c_bool, c_void_p, c_char_p, c_char_p, _error)),
    "delete": (c_bool, c_void_p, c_char_p, _error),
    **dict.fromkeys(["list_all", "snapshot"], (c_void_p, c_void_p, _error)),
    "len": (c_int64, c_void_p, _error),
    "get_bool": (c_bool, c_void_p, c_char_p, c_bool, _error),
    "get_int64": (c_int64, c_void_p, c_char_p, c_int64, _error),
    "get_double": (c_double, c_void_p, c_char_p, c_double, _error),
    "get_string": (c_void_p, c_void_p, c_char_p, c_char_p, _error),
    "get_type": (c_int32, c_void_p, c_char_p, _error),
    "set_bool": (c_bool, c_void_p, c_char_p, c_bool, _error),
    "set_int64": (c_bool, c_void_p, c_char_p, c_int64, _error),
    "set_double": (c_bool, c_void_p, c_char_p, c_double, _error),
    "get_n": (c_void_p, c_void_p, c_char_p, c_size_t, _size, _error),
    "set_n": (c_bool, c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, _error),
    "delete_n": (c_bool, c_void_p, c_char_p, c_size_t, _error),
    "get_bool_n": (c_bool, c_void_p, c_char_p, c_size_t, c_bool, _error),
    "get_int64_n": (c_int64, c_void_p, c_char_p, c_size_t, c_int64, _error),
    "get_double_n": (c_double, c_void_p, c_char_p, c_size_t, c_double, _error),
    "get_string_n": (c_void_p, c_void_p, c_char_p, c_size_t, _size, _error),
    "snapshot_count": (c_size_t, c_void_p),
    **dict.fromkeys(["snapshot_key", "snapshot_value"], (c_void_p, c_void_p, c_size_t, _size)),
    "snapshot_find": (c_void_p, c_void_p, c_char_p, _size),
    "snapshot_find_n": (c_void_p, c_void_p, c_char_p, c_size_t, _size),
    "snapshot_seek": (c_size_t, c_void_p, c_char_p, c_size_t),
    "batch_new": (c_void_p,),
    **dict.fromkeys(["batch_set", "batch_expect"], (c_bool, c_void_p, c_char_p, c_char_p, _error)),
    **dict.fromkeys(["batch_set_n", "batch_expect_n"],
                    (c_bool, c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, _error)),
    "batch_delete": (c_bool, c_void_p, c_char_p, _error),
    "batch_delete_n": (c_bool, c_void_p, c_char_p, c_size_t, _error),
    "batch_clear": (c_bool, c_void_p, _error),
    "batch_clears": (c_bool, c_void_p),
    **dict.fromkeys(["batch_count", "batch_expect_count"], (c_size_t, c_void_p)),
    **dict.fromkeys(["batch_key", "batch_value", "batch_expect_key", "batch_expect_value"],
                    (c_void_p, c_void_p, c_size_t, _size)),
    "json_equal": (c_bool, c_char_p, c_size_t, c_char_p, c_size_t),
    "commit": (c_bool, c_void_p, c_void_p, _error),
    "revision": (c_uint64, c_void_p, _error),
    "wait": (c_bool, c_void_p, POINTER(c_uint64), c_int32, _error),
    "watch": (c_void_p, c_void_p, c_char_p, WatchFunction, c_void_p, _error),
    "backend_open": (c_void_p, POINTER(BackendTable), _error),
    "backend_open_with": (c_void_p, POINTER(BackendTable), POINTER(RemoteOptions), _error),
    "layered_open": (c_void_p, POINTER(c_void_p), c_size_t, c_size_t, _error),
    "redis_open": (c_void_p, c_char_p, POINTER(RedisOptions), _error),
    "status": (c_bool, c_void_p, POINTER(StatusStruct), _error),
    "sync": (c_bool, c_void_p, c_int32, _error),
    "reply": (None, c_void_p, c_char_p, c_size_t, c_char_p, c_size_t),
}

# What the first libraries of this ABI version did not have.
_LATER = {"redis_open"}


def _load() -> ctypes.CDLL:
    """From $FLAGSTORE_LIB_DIR alone if that is set; else from beside this file, where a wheel carries it; else from
    wherever the loader looks."""
    folder = os.environ.get("FLAGSTORE_LIB_DIR")
    carried = os.path.join(os.path.dirname(os.path.abspath(__file__)), SONAME)
    path = os.path.join(folder, SONAME) if folder else carried if os.path.exists(carried) else SONAME
    try:
        library = ctypes.CDLL(path)
    except OSError as refusal:
        where = (f"FLAGSTORE_LIB_DIR is {folder!r}: it must be the directory that has {SONAME}" if folder else
                 f"Install the library, set FLAGSTORE_LIB_DIR to the directory that has {SONAME}, or install a wheel "
                 "that carries it")
        raise ImportError(f"flagstore cannot load its library: {refusal}. {where}.") from refusal
    library.flagstore_abi_version.restype = c_uint32
    found = library.flagstore_abi_version()
    if found != ABI_VERSION:
        raise ImportError(f"flagstore needs a library of ABI version {ABI_VERSION}; {path} has {found}. "
                          "Take the package and the library of one version.")
    for name, (result, *arguments) in FUNCTIONS.items():
        if name in _LATER and not hasattr(library, "flagstore_" + name):
            continue
        function = getattr(library, "flagstore_" + name)
        function.restype, function.argtypes = result, arguments
    return library


lib = _load()


# ---- calls ----

# What was raised in a callback for the main thread to hear of, such as Ctrl-C: C passes no exceptions on.
interrupts: List[BaseException] = []
_raised = threading.local()


def keep_interrupt(exception: BaseException) -> bool:
    """Whether the call of the main thread that led to a callback will raise this once it is over."""
    if isinstance(exception, Exception) or threading.current_thread() is not threading.main_thread():
        return False
    interrupts.append(exception)
    return True


def keep_cause(message: str, exception: BaseException) -> None:
    """The call of this thread that fails with the message does so because of the exception."""
    _raised.cause = (message, exception)


# Where calls have their error stored, kept for reuse: making one takes a quarter of the time of a call.
slots: List[Tuple[c_void_p, Any]] = []


def new_slot() -> Tuple[c_void_p, Any]:
    error = c_void_p()
    return error, byref(error)


def call(function: Any, *arguments: Any) -> Any:
    """The function's result; raises what it stores in its last argument, the error."""
    error, reference = new_slot()
    result = function(*arguments, reference)
    raise_outcome(error)
    return result


def raise_outcome(error: c_void_p) -> None:
    """Raises the error, or what a callback left for the main thread, if there is either."""
    if error:
        raise_failure(error)
    if interrupts and threading.current_thread() is threading.main_thread():
        raise interrupts.pop()


def raise_failure(error: c_void_p) -> None:
    try:
        code, os_code = lib.flagstore_error_code(error), lib.flagstore_error_os_code(error)
        message = lib.flagstore_error_message(error).decode("utf-8")
    finally:
        lib.flagstore_free(error)
    if interrupts and threading.current_thread() is threading.main_thread():
        raise interrupts.pop()
    text, cause = getattr(_raised, "cause", ("", None))
    if cause is not None:
        _raised.cause = ("", None)
    raise failure(code, message, os_code) from (cause if text in message else None)


# ---- text ----

def data_of(text: Text) -> bytes:
    """A str in UTF-8, or bytes as they are. Subclasses are not asked: they may lie about their length."""
    if type(text) is str:
        return text.encode()
    if isinstance(text, str):
        return str.encode(text, "utf-8")
    if isinstance(text, bytes):
        return bytes.__getitem__(text, slice(None))
    raise TypeError(f"expected str or bytes, got {type(text).__name__}")


def sized(text: Text) -> Tuple[bytes, int]:
    data = data_of(text)
    return data, len(data)


def c_string(text: Text) -> bytes:
    data = data_of(text)
    if b"\0" in data:  # ctypes would silently pass the part before it
        raise InvalidArgument("embedded U+0000")
    return data


def take_text(pointer: int, length: int = -1) -> str:
    """A string that the library handed over."""
    try:
        return ctypes.string_at(pointer, length).decode("utf-8")
    finally:
        lib.flagstore_free(pointer)

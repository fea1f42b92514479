"""flagstore for Python: one file, standard library only; copy it into your project.

    with Store.file("flags.json") as flags:
        flags.set("dark-mode", True)
        if flags.get_bool("dark-mode", False):
            ...

The library is taken from $FLAGSTORE_LIB_DIR, else from wherever the loader looks.
A store may be used from any number of threads; close it when no other thread is inside a call.
"""
import atexit
import collections.abc
import ctypes
import json
import math
import os
import weakref
from ctypes import CFUNCTYPE, POINTER, byref, c_bool, c_char_p, c_double, c_int32, c_int64, c_size_t
from ctypes import c_uint32, c_uint64, c_void_p

OK, INVALID_ARGUMENT, INVALID_JSON, CORRUPT, IO, LOCKED, READ_ONLY = range(7)
NOT_IMPLEMENTED, TYPE_MISMATCH, CONFLICT, BACKEND, NOT_DURABLE, INTERNAL = 7, 8, 9, 10, 11, 99
ABSENT, NULL, BOOL, NUMBER, STRING, ARRAY, OBJECT = range(7)
READ_FRESH, READ_CHECKED, READ_WATCHED = range(3)
SYNC_FULL, SYNC_NONE, SYNC_ORDERED = range(3)
OPEN_EXISTING, OPEN_READ_ONLY = 1, 2
LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG = range(1, 5)

_SONAME = "libflagstore.so.0.2"
_ABI_VERSION = 2


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

_FUNCTIONS = {
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
    "json_equal": (c_bool, c_char_p, c_size_t, c_char_p, c_size_t),
    "commit": (c_bool, c_void_p, c_void_p, _error),
    "revision": (c_uint64, c_void_p, _error),
    "wait": (c_bool, c_void_p, POINTER(c_uint64), c_int32, _error),
    "watch": (c_void_p, c_void_p, c_char_p, WatchFunction, c_void_p, _error),
}


def declare(library, functions):
    for name, (result, *arguments) in functions.items():
        function = getattr(library, "flagstore_" + name)
        function.restype, function.argtypes = result, arguments


def _load():
    folder = os.environ.get("FLAGSTORE_LIB_DIR")
    library = ctypes.CDLL(os.path.join(folder, _SONAME) if folder else _SONAME)
    declare(library, _FUNCTIONS)
    if library.flagstore_abi_version() != _ABI_VERSION:
        raise ImportError(f"{_SONAME} has another ABI version than flagstore.py")
    return library


lib = _load()


class FlagstoreError(Exception):
    """A call failed: `code` (one of the constants above), its `name`, `message`, `os_code` (errno or 0)."""

    def __init__(self, code, name, message, os_code):
        super().__init__(f"{name}: {message}")
        self.code, self.name, self.message, self.os_code = code, name, message, os_code

    @classmethod
    def _take(cls, error):
        code = lib.flagstore_error_code(error)
        message = lib.flagstore_error_message(error).decode("utf-8")
        os_code = lib.flagstore_error_os_code(error)
        lib.flagstore_free(error)
        return cls(code, error_name(code), message, os_code)


def version():
    return lib.flagstore_version().decode("ascii")


def has_feature(name):
    return lib.flagstore_has_feature(_c_string(name))


def error_name(code):
    return lib.flagstore_error_name(code).decode("ascii")


def json_equal(one, other):
    """Whether both texts spell the same JSON value, by the rule of Batch.expect; False if one of them is no JSON."""
    return lib.flagstore_json_equal(*sized(one), *sized(other))


# Never emptied: another thread may still be inside a callback that has just been replaced.
_log_callbacks = [LogFunction()]


def set_log(callback, level=LOG_WARN):
    """Calls `callback(level, message)` for what the library has to say; None switches logging off."""
    if callback is None:
        function = _log_callbacks[0]
    else:
        def function(_userdata, line_level, message):
            callback(line_level, message.decode("utf-8"))
        function = LogFunction(function)
        _log_callbacks.append(function)
    lib.flagstore_set_log(function, None, level)


class Handle:
    """Something that the library handed out; close it, or use it as a context manager."""

    def __init__(self, handle):
        self.handle = handle

    def close(self):
        handle, self.handle = self.handle, None
        lib.flagstore_free(handle)

    def __del__(self):
        self.close()

    def __enter__(self):
        return self

    def __exit__(self, *_failure):
        self.close()


class Store(Handle):
    """Flag keys to JSON values. Keys and JSON texts are str, or bytes holding UTF-8."""

    @classmethod
    def memory(cls):
        return cls(call(lib.flagstore_memory_open))

    @classmethod
    def file(cls, path, *, read_mode=READ_FRESH, durability=SYNC_FULL, flags=0, lock_timeout_ms=0,
             mode=0, max_bytes=0):
        options = FileOptions(ctypes.sizeof(FileOptions), read_mode, durability, flags,
                              lock_timeout_ms, mode, 0, max_bytes)
        return cls(call(lib.flagstore_file_open_with, _c_string(os.fsencode(path)), byref(options)))

    # ---- values as Python knows them ----

    def get(self, key, default=None):
        text = self.get_json(key)
        return default if text is None else json.loads(text)

    def set(self, key, value):
        self.set_json(key, json.dumps(value, allow_nan=False))

    def delete(self, key):
        """True if the key existed."""
        return call(lib.flagstore_delete_n, self.handle, *sized(key))

    def list_all(self):
        return json.loads(self.list_all_json())

    def __len__(self):
        return call(lib.flagstore_len, self.handle)

    def __contains__(self, key):
        return self.get_json(key) is not None

    # ---- values as JSON text, numbers with the digits they were stored with ----

    def get_json(self, key):
        """The text, or None if the key is absent (a stored null is "null")."""
        return _sized_text(lib.flagstore_get_n, self.handle, *sized(key))

    def set_json(self, key, text):
        call(lib.flagstore_set_n, self.handle, *sized(key), *sized(text))

    def list_all_json(self):
        return _take_text(call(lib.flagstore_list_all, self.handle))

    # ---- typed: the fallback if the key is absent, TYPE_MISMATCH if it holds something else ----

    def get_bool(self, key, fallback=False):
        return call(lib.flagstore_get_bool_n, self.handle, *sized(key), fallback)

    def get_int64(self, key, fallback=0):
        return call(lib.flagstore_get_int64_n, self.handle, *sized(key), _int64(fallback))

    def get_double(self, key, fallback=0.0):
        return call(lib.flagstore_get_double_n, self.handle, *sized(key), fallback)

    def get_string(self, key, fallback=None):
        text = _sized_text(lib.flagstore_get_string_n, self.handle, *sized(key))
        return fallback if text is None else text

    # ---- typed, with keys and strings that hold no U+0000 ----

    def get_type(self, key):
        return call(lib.flagstore_get_type, self.handle, _c_string(key))

    def set_bool(self, key, value):
        call(lib.flagstore_set_bool, self.handle, _c_string(key), value)

    def set_int64(self, key, value):
        call(lib.flagstore_set_int64, self.handle, _c_string(key), _int64(value))

    def set_double(self, key, value):
        call(lib.flagstore_set_double, self.handle, _c_string(key), value)

    def set_string(self, key, value):
        call(lib.flagstore_set_string, self.handle, _c_string(key), _c_string(value))

    # ---- many flags at once, and changes ----

    def snapshot(self):
        return Snapshot(call(lib.flagstore_snapshot, self.handle))

    def commit(self, batch):
        """All of the Batch (see flagstore_batch.py) or nothing: CONFLICT if what it expects is not so."""
        call(lib.flagstore_commit, self.handle, batch.handle)

    def revision(self):
        return call(lib.flagstore_revision, self.handle)

    def wait(self, revision, timeout=None):
        """The revision once it is another one; None if it is not within `timeout` seconds. Ctrl-C waits too."""
        now = c_uint64(revision)
        milliseconds = -1 if timeout is None else min(math.ceil(max(timeout, 0) * 1000), 2**31 - 1)
        return now.value if call(lib.flagstore_wait, self.handle, byref(now), milliseconds) else None

    def watch(self, callback, key=None):
        """Calls callback(key, old, new) from a thread of the library for each flag that changes (or only `key`) until
        the Watch is closed. Old and new are JSON texts, None for absent."""
        return Watch(self, callback, key)


class Snapshot(Handle, collections.abc.Mapping):
    """Every flag as of one moment, keys in order; a mapping of keys to values. May outlive the store."""

    def __len__(self):
        return lib.flagstore_snapshot_count(self.handle)

    def __iter__(self):
        return (self._key(index) for index in range(len(self)))

    def __getitem__(self, key):
        text = self.get_json(key)
        if text is not None:
            return json.loads(text)
        raise KeyError(key)

    def get_json(self, key):
        return borrowed_text(lib.flagstore_snapshot_find_n, self.handle, *sized(key))

    def seek(self, key):
        """The index of the first key that is not less than this one in byte order; the length if there is none."""
        return lib.flagstore_snapshot_seek(self.handle, *sized(key))

    def items_json(self, prefix=""):
        """Pairs of key and JSON text, of the keys that start with `prefix`."""
        prefix = _bytes(prefix).decode("utf-8")
        for index in range(self.seek(prefix), len(self)):
            key = self._key(index)
            if not key.startswith(prefix):
                break
            yield key, borrowed_text(lib.flagstore_snapshot_value, self.handle, index)

    def _key(self, index):
        return borrowed_text(lib.flagstore_snapshot_key, self.handle, index)


class Watch(Handle):
    def __init__(self, store, callback, key):
        def function(_userdata, *texts):
            callback(*(None if text is None else text.decode("utf-8") for text in texts))
        self.handle = None
        self._function = WatchFunction(function)  # must live as long as the watch
        key = None if key is None else _c_string(key)
        super().__init__(call(lib.flagstore_watch, store.handle, key, self._function, None))
        _watches.add(self)


_watches = weakref.WeakSet()


@atexit.register
def _close_watches():
    """No thread of the library may call into an interpreter that has ended."""
    for watch in list(_watches):
        watch.close()


def call(function, *arguments):
    error = c_void_p()
    result = function(*arguments, byref(error))
    if error:
        raise FlagstoreError._take(error)
    return result


def _sized_text(function, *arguments):
    length = c_size_t()
    pointer = call(function, *arguments, byref(length))
    return None if pointer is None else _take_text(pointer, length.value)


def borrowed_text(function, *arguments):
    """A copy of a text that stays the library's; None for NULL."""
    pointer = function(*arguments, byref(length := c_size_t()))
    return None if pointer is None else ctypes.string_at(pointer, length.value).decode("utf-8")


def _take_text(pointer, length=-1):
    try:
        return ctypes.string_at(pointer, length).decode("utf-8")
    finally:
        lib.flagstore_free(pointer)


def _bytes(text):
    return text if isinstance(text, bytes) else text.encode("utf-8")


def sized(text):
    data = _bytes(text)
    return data, len(data)


def _c_string(text):
    data = _bytes(text)
    if b"\0" in data:  # ctypes would silently pass the part before it
        raise ValueError("embedded U+0000")
    return data


def _int64(value):
    if not -2**63 <= value < 2**63:  # ctypes would silently wrap it
        raise OverflowError("not an int64")
    return value

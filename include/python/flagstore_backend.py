"""A backend of your own for flagstore, in Python; beside flagstore.py, for those who need it.

    class Shouting:                             # any of the methods may be missing
        def get(self, key): ...                 # JSON text, or None: there is no such flag
        def set(self, key, text): ...
        def remove(self, key): ...              # whether it existed
        def list_all(self): ...                 # pairs of key and JSON text
        def close(self): ...                    # once, when the store and its last watch are closed

    store = open_backend(Shouting())

What a method raises fails the call: a FlagstoreError with its code, anything else with BACKEND.
"""
import ctypes
import itertools
from ctypes import CFUNCTYPE, POINTER, byref, c_bool, c_char_p, c_size_t, c_void_p

import flagstore
from flagstore import BACKEND, FlagstoreError, Store, lib

_error = POINTER(c_void_p)


class Backend(ctypes.Structure):
    """flagstore_backend_t"""
    _fields_ = [("size", c_size_t), ("context", c_void_p),
                ("get", CFUNCTYPE(c_bool, c_void_p, c_void_p, c_size_t, c_void_p, _error)),
                ("set", CFUNCTYPE(c_bool, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, _error)),
                ("remove", CFUNCTYPE(c_bool, c_void_p, c_void_p, c_size_t, POINTER(c_bool), _error)),
                ("list_all", CFUNCTYPE(c_bool, c_void_p, c_void_p, _error)),
                ("close", CFUNCTYPE(None, c_void_p))]


lib.flagstore_backend_open.restype = c_void_p
lib.flagstore_backend_open.argtypes = [POINTER(Backend), _error]
lib.flagstore_reply.restype = None
lib.flagstore_reply.argtypes = [c_void_p, c_char_p, c_size_t, c_char_p, c_size_t]

# What a store's context, a number, stands for; and the C functions, which all stores share and which are never freed.
_opened, _numbers, _functions = {}, itertools.count(1), {}


def open_backend(methods):
    number = next(_numbers)
    offered = {name: function for name, function in _functions.items() if hasattr(methods, name)}
    table = Backend(ctypes.sizeof(Backend), number, **offered, close=_close)
    _opened[number] = methods
    try:
        return Store(flagstore.call(lib.flagstore_backend_open, byref(table)))
    except FlagstoreError:
        del _opened[number]
        raise


def _offered(work):
    """work(methods, ...) as a C function whose exceptions become error objects."""
    def function(context, *arguments):
        try:
            work(_opened[context], *arguments[:-1])
            return True
        except FlagstoreError as failure:
            code, message = failure.code, failure.message
        except BaseException as failure:
            code, message = BACKEND, f"{type(failure).__name__}: {failure}"
        arguments[-1][0] = lib.flagstore_error_new(code, message.encode("utf-8", "backslashreplace"))
        return False
    name = work.__name__.lstrip("_")
    _functions[name] = dict(Backend._fields_)[name](function)
    return work


def _text(pointer, length):
    return ctypes.string_at(pointer, length).decode("utf-8")


@_offered
def _get(methods, key, key_len, reply):
    text = methods.get(_text(key, key_len))
    if text is not None:
        lib.flagstore_reply(reply, None, 0, *flagstore.sized(text))


@_offered
def _set(methods, key, key_len, text, text_len):
    methods.set(_text(key, key_len), _text(text, text_len))


@_offered
def _remove(methods, key, key_len, existed):
    existed[0] = bool(methods.remove(_text(key, key_len)))


@_offered
def _list_all(methods, reply):
    for key, text in methods.list_all():
        lib.flagstore_reply(reply, *flagstore.sized(key), *flagstore.sized(text))


@dict(Backend._fields_)["close"]
def _close(context):
    methods = _opened.pop(context)
    if hasattr(methods, "close"):
        methods.close()

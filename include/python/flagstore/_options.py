"""Options of stores that are elsewhere, as C takes them."""
from __future__ import annotations

import ctypes
import math
import os
from typing import Dict, Optional, Union

from ._errors import InvalidArgument
from ._native import RedisOptions, RemoteOptions, Text, c_string

Path = Union[Text, os.PathLike[str], os.PathLike[bytes]]


def remote_options(*, read_mode: int, when_lost: int, flags: int, open_timeout: Optional[float],
                   call_timeout: Optional[float], max_stale: Optional[float], verify: Optional[float],
                   spread: Optional[float], retry_max: Optional[float], max_bytes: int,
                   fallback_path: Optional[Path]) -> RemoteOptions:
    """flagstore_remote_options_t; open_remote says what each is."""
    times = {}
    for what, seconds in [("open_timeout", open_timeout), ("call_timeout", call_timeout), ("max_stale", max_stale),
                          ("verify", verify), ("spread", spread), ("retry_max", retry_max)]:
        if seconds is not None:
            times[what + "_ms"] = -1 if what == "spread" and seconds == 0 else _time(seconds, what)
    return RemoteOptions(
        ctypes.sizeof(RemoteOptions), integer(read_mode, "read_mode", -2**31, 2**31),
        integer(when_lost, "when_lost", -2**31, 2**31), integer(flags, "flags", 0, 2**32),
        max_bytes=integer(max_bytes, "max_bytes", 0, 2**64), **times, fallback_path=_path(fallback_path))


def redis_options(remote: RemoteOptions, texts: Dict[str, Optional[Text]], files: Dict[str, Optional[Path]], *,
                  connections: int, wait_replicas: int, wait: Optional[float]) -> RedisOptions:
    """flagstore_redis_options_t; Store.redis says what each is."""
    return RedisOptions(
        ctypes.sizeof(RedisOptions), ctypes.pointer(remote),
        **{name: secret_string(text, name) for name, text in texts.items() if text is not None},
        **{name: _path(path) for name, path in files.items()},
        connections=integer(connections, "connections", -2**31, 2**31),
        wait_replicas=integer(wait_replicas, "wait_replicas", -2**31, 2**31),
        wait_ms=0 if wait is None else _time(wait, "wait"))


def secret_string(text: Text, what: str) -> bytes:
    """As c_string, but what is raised does not have the text, which may be or contain a password."""
    try:
        return c_string(text)
    except UnicodeEncodeError:
        pass
    raise InvalidArgument(f"{what} is not UTF-8")


def _path(path: Optional[Path]) -> Optional[bytes]:
    return None if path is None else c_string(os.fsencode(path))


def _time(seconds: float, what: str) -> int:
    """To the library 0 is the default."""
    return max(milliseconds(seconds, what), 1)


def milliseconds(seconds: float, what: str) -> int:
    if not 0 <= seconds <= 2**31 // 1000:
        raise InvalidArgument(f"{what}: {seconds} is not a number of seconds")
    return math.ceil(seconds * 1000)


def integer(value: int, what: str, least: int, past: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{what}: expected int, got {type(value).__name__}")
    if not least <= value < past:
        raise InvalidArgument(f"{what}: {value} is out of range")
    return value

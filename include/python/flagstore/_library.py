"""Questions to the library itself."""
from __future__ import annotations

from ._native import Text, c_string, lib, sized


def version() -> str:
    """Of the library that is loaded, "MAJOR.MINOR.PATCH"."""
    text: bytes = lib.flagstore_version()
    return text.decode("ascii")


def has_feature(name: Text) -> bool:
    """Whether the library that is loaded has it: "file", "watch", ..."""
    return bool(lib.flagstore_has_feature(c_string(name)))


def error_name(code: int) -> str:
    """As in "FLAGSTORE_CORRUPT"."""
    name: bytes = lib.flagstore_error_name(code)
    return name.decode("ascii")


def json_equal(one: Text, other: Text) -> bool:
    """Whether both texts spell the same JSON value, by the rule of Batch.expect; False if one of them is no JSON."""
    return bool(lib.flagstore_json_equal(*sized(one), *sized(other)))

"""Snapshots: every flag as of one moment."""
from __future__ import annotations

import collections.abc
import ctypes
import json
from ctypes import byref, c_size_t
from typing import Any, Iterator, Optional, Tuple

from ._handle import Handle, Use
from ._native import Text, data_of, lib, sized


def borrowed_text(function: Any, *arguments: Any) -> Optional[str]:
    """A copy of a text that stays the library's, whose owner must be in use meanwhile; None for NULL."""
    length = c_size_t()
    pointer = function(*arguments, byref(length))
    return None if pointer is None else ctypes.string_at(pointer, length.value).decode("utf-8")


class Snapshot(Handle, collections.abc.Mapping[str, Any]):
    """Every flag as of one moment, keys in byte order; a mapping of keys to values. May outlive the store."""

    def __init__(self) -> None:
        raise TypeError("Store.snapshot takes one")

    def __len__(self) -> int:
        with Use(self) as pointer:
            return int(lib.flagstore_snapshot_count(pointer))

    def __iter__(self) -> Iterator[str]:
        return (key for key, _ in self._from(0, values=False))

    def __getitem__(self, key: Text) -> Any:
        text = self.get_json(key)
        if text is None:
            raise KeyError(key)
        return json.loads(text)

    def __contains__(self, key: object) -> bool:
        return self.get_json(key) is not None  # type: ignore[arg-type]  # what is no text is a TypeError there

    def get_json(self, key: Text) -> Optional[str]:
        """The value as JSON text, with the digits that were stored; None if there is no such flag."""
        data = sized(key)
        with Use(self) as pointer:
            return borrowed_text(lib.flagstore_snapshot_find_n, pointer, *data)

    def seek(self, key: Text) -> int:
        """The index of the first key that is not less than this one in byte order; the length if there is none."""
        data = sized(key)
        with Use(self) as pointer:
            return int(lib.flagstore_snapshot_seek(pointer, *data))

    def items_json(self, prefix: Text = "") -> Iterator[Tuple[str, str]]:
        """Pairs of key and JSON text, of the keys that start with `prefix`."""
        prefix = data_of(prefix).decode("utf-8")
        for key, text in self._from(self.seek(prefix), values=True):
            if not key.startswith(prefix):
                break
            yield key, text

    def _from(self, index: int, values: bool) -> Iterator[Tuple[str, str]]:
        while True:
            with Use(self) as pointer:
                key = borrowed_text(lib.flagstore_snapshot_key, pointer, index)
                text = borrowed_text(lib.flagstore_snapshot_value, pointer, index) if values else ""
            if key is None or text is None:
                return
            yield key, text
            index += 1

"""Batches: changes made in one write or not at all."""
from __future__ import annotations

import contextlib
import json
import threading
from typing import Any, Callable, Dict, Iterator, Optional

from ._errors import InvalidArgument
from ._handle import Handle, Use
from ._native import Text, call, lib, sized
from ._snapshot import borrowed_text


class Batch(Handle):
    """Changes that Store.commit makes together, and what must be so before. The last word on a key counts.

        batch = Batch()
        batch.expect("count", 1)
        batch.set("count", 2)
        store.commit(batch)

    Threads may share one: while it is in use by one, as in a commit, the others wait.
    """

    def __new__(cls) -> Any:
        self = super().__new__(cls)
        pointer = lib.flagstore_batch_new()
        if pointer is None:
            raise MemoryError
        self._pointer.append(pointer)
        self._lock, self._owner = threading.Lock(), None
        return self

    _lock: threading.Lock
    _owner: Optional[int]

    @classmethod
    @contextlib.contextmanager
    def _lent(cls, pointer: int) -> Iterator["Batch"]:
        """A batch that stays the library's, and is closed when the block ends."""
        self: Batch = Handle.__new__(cls)
        self._free = lambda pointer: None  # type: ignore[misc]
        self._pointer.append(pointer)
        self._lock, self._owner = threading.Lock(), None
        try:
            yield self
        finally:
            with self._lock:
                self.close()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[int]:
        """Nobody else reads or writes it: the library does not guard a batch. Not even this thread, in a callback or a
        signal handler that came meanwhile."""
        if self._owner == threading.get_ident():
            raise InvalidArgument("the batch is in use by this very thread")
        with self._lock:
            self._owner = threading.get_ident()
            try:
                with Use(self) as pointer:
                    yield pointer
            finally:
                self._owner = None

    def _note(self, function: Any, *arguments: Any) -> None:
        with self._alone() as pointer:
            call(function, pointer, *arguments)

    def set(self, key: Text, value: Any) -> None:
        """Will store the value; TypeError or ValueError if it is none that JSON has."""
        self.set_json(key, json.dumps(value, allow_nan=False))

    def set_json(self, key: Text, text: Text) -> None:
        """Will store the value that the text spells; InvalidJson if it spells none."""
        self._note(lib.flagstore_batch_set_n, *sized(key), *sized(text))

    def delete(self, key: Text) -> None:
        """Will remove the flag, if there is one."""
        self._note(lib.flagstore_batch_delete_n, *sized(key))

    def clear(self) -> None:
        """Will remove every flag before the other changes are made."""
        self._note(lib.flagstore_batch_clear)

    def expect(self, key: Text, value: Any) -> None:
        """The flag must equal this value (1 and 1.0 differ), else the commit raises Conflict."""
        self.expect_json(key, json.dumps(value, allow_nan=False))

    def expect_json(self, key: Text, text: Optional[Text]) -> None:
        """The flag must equal this JSON value; None: there must be no such flag."""
        self._note(lib.flagstore_batch_expect_n, *sized(key), *((None, 0) if text is None else sized(text)))

    # ---- what the batch says ----

    def clears(self) -> bool:
        """Whether everything is removed first."""
        with self._alone() as pointer:
            return bool(lib.flagstore_batch_clears(pointer))

    def changes(self) -> Dict[str, Optional[str]]:
        """Each changed key, in byte order, with its JSON text; None: it is deleted."""
        return self._items(lib.flagstore_batch_count, lib.flagstore_batch_key, lib.flagstore_batch_value)

    def expectations(self) -> Dict[str, Optional[str]]:
        """Each key of which something is expected, in byte order, with its JSON text; None: it must be absent."""
        return self._items(lib.flagstore_batch_expect_count, lib.flagstore_batch_expect_key,
                           lib.flagstore_batch_expect_value)

    def _items(self, count: Callable[[int], int], key: Any, value: Any) -> Dict[str, Optional[str]]:
        with self._alone() as pointer:
            return {borrowed_text(key, pointer, index) or "": borrowed_text(value, pointer, index)
                    for index in range(count(pointer))}

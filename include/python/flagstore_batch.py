"""Batches for flagstore: changes made in one write or not at all; beside flagstore.py, for those who need them.

    batch = Batch()
    batch.expect("count", 1)
    batch.set("count", 2)
    store.commit(batch)
"""
import json
from ctypes import POINTER, c_bool, c_char_p, c_size_t, c_void_p

from flagstore import Handle, borrowed_text, call, declare, lib, sized

_error, _size = POINTER(c_void_p), POINTER(c_size_t)

declare(lib, {
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
})


class Batch(Handle):
    """Changes that Store.commit makes together, and what must be so before. The last word on a key counts."""

    def __init__(self):
        super().__init__(lib.flagstore_batch_new())

    def set(self, key, value):
        self.set_json(key, json.dumps(value, allow_nan=False))

    def set_json(self, key, text):
        call(lib.flagstore_batch_set_n, self.handle, *sized(key), *sized(text))

    def delete(self, key):
        call(lib.flagstore_batch_delete_n, self.handle, *sized(key))

    def clear(self):
        """First remove everything."""
        call(lib.flagstore_batch_clear, self.handle)

    def expect(self, key, value):
        self.expect_json(key, json.dumps(value, allow_nan=False))

    def expect_json(self, key, text):
        """The flag must equal this JSON value; None: must be absent."""
        text = (None, 0) if text is None else sized(text)
        call(lib.flagstore_batch_expect_n, self.handle, *sized(key), *text)

    # ---- what the batch says ----

    def clears(self):
        """Whether everything is removed first."""
        return lib.flagstore_batch_clears(self.handle)

    def changes(self):
        """Each changed key, in byte order, with its JSON text; None: it is deleted."""
        return self._items(lib.flagstore_batch_count, lib.flagstore_batch_key, lib.flagstore_batch_value)

    def expectations(self):
        """Each key of which something is expected, in byte order, with its JSON text; None: it must be absent."""
        return self._items(lib.flagstore_batch_expect_count, lib.flagstore_batch_expect_key,
                           lib.flagstore_batch_expect_value)

    def _items(self, count, key, value):
        return {borrowed_text(key, self.handle, index): borrowed_text(value, self.handle, index)
                for index in range(count(self.handle))}

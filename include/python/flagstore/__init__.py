"""flagstore: feature flags in one JSON file that people can read.

    import flagstore

    with flagstore.Store.file("flags.json") as flags:
        flags["dark-mode"] = True
        if flags.get_bool("dark-mode", False):
            ...

A store may be used from any number of threads and processes. Times are seconds. A call that fails raises a
FlagstoreError: Corrupt, Locked, TypeMismatch, ...; a wrong type is a TypeError before anything is called.

It needs libflagstore.so.0.2: in the directory FLAGSTORE_LIB_DIR, beside this package, or where the loader looks.
"""
from __future__ import annotations

from ._backend import Backend, Loaded
from ._batch import Batch
from ._constants import (ABSENT, ARRAY, BACKEND, BACKEND_CONCURRENT, BOOL, CONFLICT, CORRUPT, INTERNAL,
                         INVALID_ARGUMENT, INVALID_JSON, IO, LOCKED, LOG_DEBUG, LOG_ERROR, LOG_INFO, LOG_WARN,
                         LOST_FAIL, LOST_SERVE, NOT_DURABLE, NOT_IMPLEMENTED, NULL, NUMBER, OBJECT, OK, OPEN_EXISTING,
                         OPEN_LAZY, OPEN_READ_ONLY, PUSH_ANNOUNCED, PUSH_NONE, PUSH_TRACKED, READ_CHECKED, READ_FRESH,
                         READ_ONLY, READ_WATCHED, STATE_FALLBACK, STATE_LIVE, STATE_LOST, STATE_STALE, STRING,
                         SYNC_FULL, SYNC_NONE, SYNC_ORDERED, TYPE_MISMATCH, UNAVAILABLE, UNCERTAIN)
from ._errors import (BackendFailed, Conflict, Corrupt, FlagstoreError, Internal, InvalidArgument, InvalidJson, Io,
                      Locked, NotDurable, NotImplementedByBackend, ReadOnly, TypeMismatch, Unavailable, Uncertain)
from ._library import error_name, has_feature, json_equal, version
from ._log import set_log
from ._snapshot import Snapshot
from ._store import Status, Store, open_backend, open_remote
from ._watch import Watch

__version__ = "0.2.0"

__all__ = [
    "Store", "Snapshot", "Batch", "Watch", "Status", "Backend", "Loaded", "open_backend", "open_remote",
    "set_log", "version", "has_feature", "error_name", "json_equal",
    "FlagstoreError", "InvalidArgument", "InvalidJson", "Corrupt", "Io", "Locked", "ReadOnly",
    "NotImplementedByBackend", "TypeMismatch", "Conflict", "BackendFailed", "NotDurable", "Unavailable", "Uncertain",
    "Internal",
    "OK", "INVALID_ARGUMENT", "INVALID_JSON", "CORRUPT", "IO", "LOCKED", "READ_ONLY", "NOT_IMPLEMENTED",
    "TYPE_MISMATCH", "CONFLICT", "BACKEND", "NOT_DURABLE", "UNAVAILABLE", "UNCERTAIN", "INTERNAL",
    "ABSENT", "NULL", "BOOL", "NUMBER", "STRING", "ARRAY", "OBJECT",
    "READ_FRESH", "READ_CHECKED", "READ_WATCHED", "SYNC_FULL", "SYNC_NONE", "SYNC_ORDERED",
    "OPEN_EXISTING", "OPEN_READ_ONLY", "OPEN_LAZY", "BACKEND_CONCURRENT", "LOST_SERVE", "LOST_FAIL",
    "STATE_LIVE", "STATE_STALE", "STATE_FALLBACK", "STATE_LOST", "PUSH_NONE", "PUSH_ANNOUNCED", "PUSH_TRACKED",
    "LOG_ERROR", "LOG_WARN", "LOG_INFO", "LOG_DEBUG",
]

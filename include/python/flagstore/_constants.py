"""The numbers of flagstore.h."""
from __future__ import annotations

from typing import Final

OK: Final = 0
INVALID_ARGUMENT: Final = 1
INVALID_JSON: Final = 2
CORRUPT: Final = 3
IO: Final = 4
LOCKED: Final = 5
READ_ONLY: Final = 6
NOT_IMPLEMENTED: Final = 7
TYPE_MISMATCH: Final = 8
CONFLICT: Final = 9
BACKEND: Final = 10
NOT_DURABLE: Final = 11
UNAVAILABLE: Final = 12
UNCERTAIN: Final = 13
INTERNAL: Final = 99

ABSENT: Final = 0
NULL: Final = 1
BOOL: Final = 2
NUMBER: Final = 3
STRING: Final = 4
ARRAY: Final = 5
OBJECT: Final = 6

READ_FRESH: Final = 0
READ_CHECKED: Final = 1
READ_WATCHED: Final = 2

SYNC_FULL: Final = 0
SYNC_NONE: Final = 1
SYNC_ORDERED: Final = 2

OPEN_EXISTING: Final = 1
OPEN_READ_ONLY: Final = 2
OPEN_LAZY: Final = 4

BACKEND_CONCURRENT: Final = 1

LOST_SERVE: Final = 0
LOST_FAIL: Final = 1

STATE_LIVE: Final = 1
STATE_STALE: Final = 2
STATE_FALLBACK: Final = 3
STATE_LOST: Final = 4

PUSH_NONE: Final = 0
PUSH_ANNOUNCED: Final = 1
PUSH_TRACKED: Final = 2

LOG_ERROR: Final = 1
LOG_WARN: Final = 2
LOG_INFO: Final = 3
LOG_DEBUG: Final = 4

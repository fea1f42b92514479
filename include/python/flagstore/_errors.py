"""What a call that fails raises: one class per code of flagstore.h, all of them FlagstoreError."""
from __future__ import annotations

from typing import Any, ClassVar, Dict, Optional, Tuple, Type

from . import _constants as constants


class FlagstoreError(Exception):
    """A call failed. The base of all of this module's classes, and the class of codes that have none of their own.

    `code`: the number of flagstore.h; `name`: its name, "FLAGSTORE_CORRUPT"; `message`: what happened, with the path,
    key, line and column that it is about; `os_code`: the system's errno behind Io and NotDurable, else 0.

    A backend raises these itself: Locked("busy"), or FlagstoreError("odd", code=4711).
    """

    _code: ClassVar[int] = constants.BACKEND
    code: int
    message: str
    os_code: int

    def __init__(self, message: str = "", *, code: Optional[int] = None, os_code: int = 0) -> None:
        super().__init__(message)
        self.message, self.os_code = message, os_code
        self.code = self._code if code is None else code

    @property
    def name(self) -> str:
        return _NAMES.get(self.code, "FLAGSTORE_UNKNOWN")

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"

    # Exceptions are pickled as a call of their class with their arguments, which would lose the code.
    def __reduce__(self) -> Tuple[Any, ...]:
        return _remade, (type(self), self.args), self.__dict__


def _remade(cls: Type[FlagstoreError], arguments: Tuple[Any, ...]) -> FlagstoreError:
    return cls.__new__(cls, *arguments)


class InvalidArgument(FlagstoreError, ValueError):
    """The caller's mistake: text that is not UTF-8, an option out of range, something that is closed."""
    _code = constants.INVALID_ARGUMENT


class InvalidJson(FlagstoreError, ValueError):
    """The text given as a value is not one JSON value; the message has line and column."""
    _code = constants.INVALID_JSON


class Corrupt(FlagstoreError):
    """What is stored is not one JSON object; the message has path, line and column. Nothing is overwritten."""
    _code = constants.CORRUPT


class Io(FlagstoreError):
    """The system refused; `os_code` is its errno."""
    _code = constants.IO


class Locked(FlagstoreError):
    """The lock was not free within the timeout. Nothing was written."""
    _code = constants.LOCKED


class ReadOnly(FlagstoreError):
    """The store was opened read-only."""
    _code = constants.READ_ONLY


class NotImplementedByBackend(FlagstoreError, NotImplementedError):
    """The backend does not provide the call."""
    _code = constants.NOT_IMPLEMENTED


class TypeMismatch(FlagstoreError):
    """A typed getter found another type, or a number out of range."""
    _code = constants.TYPE_MISMATCH


class Conflict(FlagstoreError):
    """What a batch expected does not hold. Nothing was changed."""
    _code = constants.CONFLICT


class BackendFailed(FlagstoreError):
    """A backend failed, or replied what is not a key or not JSON."""
    _code = constants.BACKEND


class NotDurable(FlagstoreError):
    """The change was made and is visible, but the last fsync failed: it may not survive a power cut."""
    _code = constants.NOT_DURABLE


class Unavailable(FlagstoreError):
    """A remote store was not reached in time. Nothing was changed."""
    _code = constants.UNAVAILABLE


class Uncertain(FlagstoreError):
    """A remote store's answer did not come: the change may have been made or not."""
    _code = constants.UNCERTAIN


class Internal(FlagstoreError):
    """A bug in flagstore, caught before it could harm the program. Please report it."""
    _code = constants.INTERNAL


_CLASSES: Dict[int, Type[FlagstoreError]] = {
    cls._code: cls for cls in [InvalidArgument, InvalidJson, Corrupt, Io, Locked, ReadOnly, NotImplementedByBackend,
                               TypeMismatch, Conflict, BackendFailed, NotDurable, Unavailable, Uncertain, Internal]}
_NAMES = {getattr(constants, name): "FLAGSTORE_" + name for name in [
    "INVALID_ARGUMENT", "INVALID_JSON", "CORRUPT", "IO", "LOCKED", "READ_ONLY", "NOT_IMPLEMENTED", "TYPE_MISMATCH",
    "CONFLICT", "BACKEND", "NOT_DURABLE", "UNAVAILABLE", "UNCERTAIN", "INTERNAL"]}


def failure(code: int, message: str, os_code: int = 0) -> FlagstoreError:
    """The error of this code, of its class."""
    return _CLASSES.get(code, FlagstoreError)(message, code=code, os_code=os_code)

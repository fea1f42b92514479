"""An OpenFeature provider over a store; needs the package openfeature-sdk.

    from openfeature import api
    from flagstore.openfeature import FlagstoreProvider

    api.set_provider(FlagstoreProvider(flagstore.Store.file("flags.json", read_mode=flagstore.READ_WATCHED)))
    api.get_client().get_boolean_value("dark-mode", False)

A flag's value is its JSON value: there are no variants and no targeting, so the evaluation context does not matter.
"""
from __future__ import annotations

import json
import math
from typing import Any, Callable, Mapping, Optional, Sequence, TypeVar, Union

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata

from ._errors import Corrupt, FlagstoreError
from ._store import Store
from ._watch import Watch

__all__ = ["FlagstoreProvider"]

_T = TypeVar("_T")
_Object = Union[Sequence[FlagValueType], Mapping[str, FlagValueType]]


class FlagstoreProvider(AbstractProvider):
    """Resolves flags from a store, which stays the caller's unless `close_store` says that `shutdown` closes it.

    What is stored is the reason STATIC. No such flag: the default, with FLAG_NOT_FOUND; a value of another type:
    TYPE_MISMATCH; a file that is not JSON: PARSE_ERROR; a closed store: PROVIDER_NOT_READY; else GENERAL. A change of
    the store, by whomever, is the event PROVIDER_CONFIGURATION_CHANGED with the flag that changed.
    """

    def __init__(self, store: Store, *, close_store: bool = False) -> None:
        super().__init__()
        if not isinstance(store, Store):
            raise TypeError(f"expected a flagstore.Store, got {type(store).__name__}")
        self._store, self._close_store = store, close_store
        self._watch: Optional[Watch] = None

    def get_metadata(self) -> Metadata:
        return Metadata(name="flagstore")

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Starts to watch; raises what that raises (Corrupt, say), which makes the provider's status ERROR."""
        if self._watch is None:
            self._watch = self._store.watch(self._changed)

    def shutdown(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()
        if self._close_store:
            self._store.close()

    def _changed(self, key: str, _old: Optional[str], _new: Optional[str]) -> None:
        self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=[key]))

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: Optional[EvaluationContext] = None
    ) -> FlagResolutionDetails[bool]:
        return self._resolve(flag_key, default_value, _boolean)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: Optional[EvaluationContext] = None
    ) -> FlagResolutionDetails[str]:
        return self._resolve(flag_key, default_value, _string)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: Optional[EvaluationContext] = None
    ) -> FlagResolutionDetails[int]:
        return self._resolve(flag_key, default_value, _integer)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: Optional[EvaluationContext] = None
    ) -> FlagResolutionDetails[float]:
        return self._resolve(flag_key, default_value, _float)

    def resolve_object_details(
        self, flag_key: str, default_value: _Object, evaluation_context: Optional[EvaluationContext] = None
    ) -> FlagResolutionDetails[_Object]:
        return self._resolve(flag_key, default_value, _object)

    def _resolve(self, key: str, default: _T, typed: Callable[[Any], _T]) -> FlagResolutionDetails[_T]:
        def failed(code: ErrorCode, message: str) -> FlagResolutionDetails[_T]:
            return FlagResolutionDetails(default, reason=Reason.ERROR, error_code=code, error_message=message)
        try:
            text = self._store.get_json(key)
        except Corrupt as error:
            return failed(ErrorCode.PARSE_ERROR, str(error))
        except FlagstoreError as error:
            return failed(ErrorCode.PROVIDER_NOT_READY if self._store.closed else ErrorCode.GENERAL, str(error))
        if text is None:
            return failed(ErrorCode.FLAG_NOT_FOUND, f"there is no flag {key!r}")
        try:
            return FlagResolutionDetails(typed(json.loads(text)), reason=Reason.STATIC)
        except (TypeError, ValueError, OverflowError) as error:  # also numbers that are too long for Python
            return failed(ErrorCode.TYPE_MISMATCH, f"{key!r}: {error}")


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise TypeError("not a boolean")


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise TypeError("not a string")


def _integer(value: Any) -> int:
    """Also 3.0 and 3e2, as get_int64 has it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        raise TypeError("not an integer")
    return int(value)


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isinf(value):
        raise TypeError("not a number in range")
    return float(value)


def _object(value: Any) -> _Object:
    if isinstance(value, (dict, list)):
        return value
    raise TypeError("not an object or an array")

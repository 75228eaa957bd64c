"""The middle of several measurements of one thing."""

import statistics
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_T = TypeVar("_T", bound="DataclassInstance")


def middle(several: Sequence[_T]) -> _T:
    """Give the median of each number by itself; what is no number is that of the first."""
    first = several[0]
    values = {
        field.name: _middle([getattr(one, field.name) for one in several])
        for field in fields(first)
    }
    return replace(first, **values)


def _middle(values: Sequence[Any]) -> Any:
    if isinstance(values[0], int | float):
        return statistics.median(values)
    return middle(values) if is_dataclass(values[0]) else values[0]

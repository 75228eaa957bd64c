"""Messages that were good once: torn, said twice, or with a bit or a field that is another one."""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

HUGE = 10**30
"""No 64 bits hold it; in JSON it is a number like others."""

_ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, HUGE, 1e308, -0.5, "", "\x00"]),
    st.text(max_size=8),
    st.sampled_from(["1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"]),
    st.just([]),
    st.just({}),
    st.just([[{"a": [1]}]]),
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Give the way to each value within a value."""
    found = [path] if path else []
    inner = (
        value.items()
        if isinstance(value, Mapping)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, one in inner:
        found += _paths(one, (*path, key))
    return found


def _replaced(message: Any, path: tuple[Any, ...], value: Any) -> Any:
    copy = json.loads(json.dumps(message))
    place = copy
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return copy


def spoilt(message: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Spoil a message that is good, in one way; at times what comes of it is good as well."""
    good = json.dumps(message).encode()
    other = st.builds(
        lambda path, value: json.dumps(_replaced(message, path, value)).encode(),
        st.sampled_from(_paths(message)),
        st.one_of(_ODD, st.just(...)),
    )
    torn = st.integers(0, len(good) - 1).map(lambda end: good[:end])
    flipped = st.builds(
        lambda at, bit: good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1 :],
        st.integers(0, len(good) - 1),
        st.integers(0, 7),
    )
    twice = st.integers(1, 3).map(lambda times: good * (times + 1))
    return st.one_of(other, other, torn, flipped, twice)

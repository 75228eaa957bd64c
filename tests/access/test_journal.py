"""The chain of records: what is added follows, and what is changed is found."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from access.ids import SiteId
from access.journal import NO_HASH, TYPES, ChainError, Head, chained, check, hash_of, verify
from access.messages import to_record

START = datetime(2026, 11, 24, 19, 30, tzinfo=UTC)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
entries = st.lists(
    st.tuples(
        st.sampled_from(sorted(TYPES)).map(lambda kind: kind.removeprefix("gardien.")),
        st.dictionaries(st.text(), values, max_size=3),
    ),
    min_size=1,
    max_size=5,
)
Entries = list[tuple[str, dict[str, Any]]]


def chain(wanted: Entries) -> list[dict[str, Any]]:
    head, records = Head(), []
    for number, (kind, data) in enumerate(wanted):
        record, head = chained(
            head,
            site=SiteId("malakoff"),
            source="main",
            kind=kind,
            time=START + timedelta(seconds=number),
            data=data,
        )
        records.append(record)
    return records


def sent(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write and read records, as the way to the server does."""
    found: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(records))
    return found


def test_a_record_is_a_cloud_event_with_its_place_in_the_chain() -> None:
    record, head = chained(
        Head(),
        site=SiteId("malakoff"),
        source="main",
        kind="door.opened",
        time=START,
        data={"by": "nora"},
    )
    assert record == {
        "specversion": "1.0",
        "id": "malakoff/main/1",
        "source": "/malakoff/main",
        "type": "gardien.door.opened",
        "time": "2026-11-24T19:30:00Z",
        "seq": 1,
        "prev": NO_HASH,
        "data": {"by": "nora"},
        "hash": head.hash,
    }
    assert head == Head(seq=1, hash=hash_of(record))


def test_the_hash_is_that_of_the_sorted_record_without_spaces_and_without_its_hash() -> None:
    # printf '{"a":{"b":2,"é":null},"seq":1}' | sha256sum
    expected = "0da7136ec2633735e4d0585e0308366852254b88bd08c5812b95007d41b30889"
    assert hash_of({"seq": 1, "hash": "x", "a": {"é": None, "b": 2}}) == expected


@given(entries)
def test_a_chain_verifies_after_its_way_to_the_server(wanted: Entries) -> None:
    records = sent(chain(wanted))
    end = verify(records)
    assert (end.seq, end.hash) == (len(wanted), records[-1]["hash"])
    for record in records:
        assert to_record(record).seq == record["seq"]


@given(entries, st.data())
def test_a_chain_is_checked_in_parts_as_in_one(wanted: Entries, data: st.DataObject) -> None:
    records = chain(wanted)
    cut = data.draw(st.integers(0, len(records)))
    assert verify(records[cut:], verify(records[:cut])) == verify(records)


@given(entries, st.data())
def test_any_changed_byte_is_found(wanted: Entries, data: st.DataObject) -> None:
    """Unless what is written still means the same, such as 1E16 for 1e16."""
    records = chain(wanted)
    number = data.draw(st.integers(0, len(records) - 1))
    written = bytearray(msgspec.json.encode(records[number]))
    position = data.draw(st.integers(0, len(written) - 1))
    written[position] ^= data.draw(st.integers(1, 255))
    try:
        changed = msgspec.json.decode(bytes(written))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    assume(changed != records[number] or repr(changed) != repr(records[number]))
    records[number] = changed
    with pytest.raises(ChainError):
        verify(records)


@given(entries, st.data())
def test_a_record_that_is_missing_repeated_or_moved_is_found(
    wanted: Entries, data: st.DataObject
) -> None:
    records = chain([*wanted, *wanted])
    number = data.draw(st.integers(0, len(records) - 2))
    one, following = records[number], records[number + 1]
    for wrong in ([following], [one, one], [following, one]):
        with pytest.raises(ChainError):
            verify([*records[:number], *wrong, *records[number + 2 :]])


def test_each_fault_is_named() -> None:
    first, second = chain([("door.opened", {}), ("door.closed", {})])
    with pytest.raises(ChainError, match="malakoff/main/2 should have number 1"):
        check(Head(), second)
    with pytest.raises(ChainError, match="malakoff/main/2 does not follow"):
        check(Head(seq=1, hash="0" * 64), second)
    with pytest.raises(ChainError, match="malakoff/main/1 is not what its hash says"):
        check(Head(), first | {"data": {"by": "somebody else"}})
    assert verify([]) == Head()

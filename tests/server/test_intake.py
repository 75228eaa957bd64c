"""Bad input at the border: counted, logged once a minute a sender, and nothing else."""

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.ids import DoorId, SiteId
from runtime.link import Incoming
from server.events import Asked, DoorSaid, Reported
from server.intake import OTHERS, Intake

SITE, DOOR = SiteId("malakoff"), DoorId("main")
REQUEST = {
    "id": "01890a5d-ac96-774b-bcce-b302099a8057",
    "at": "2026-11-24T12:00:00Z",
    "reader": "in",
    "badge": "0" * 32,
    "token": None,
}
RECORD = {"seq": 1}


@pytest.fixture
def intake() -> Intake:
    return new_intake()


def new_intake() -> Intake:
    return Intake({SITE: frozenset({DOOR})})


def message(payload: object, what: str = "request", **changes: Any) -> Incoming:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    values: dict[str, Any] = {"topic": f"gardien/1/malakoff/main/{what}", "payload": body}
    return Incoming(**(values | changes))


def without(name: str) -> dict[str, object]:
    return {key: value for key, value in REQUEST.items() if key != name}


def test_a_request_becomes_an_event_with_the_time_that_it_waited(intake: Intake) -> None:
    read = intake.read(message(REQUEST, correlation=b"c", arrived=10.0), mono=10.0125)
    assert read is not None
    site, event = read
    assert isinstance(event, Asked)
    assert (site, event.door, event.correlation) == (SITE, DOOR, b"c")
    assert event.waited_ms == pytest.approx(12.5)
    assert event.request.id == REQUEST["id"]


def test_a_journal_becomes_an_event_with_its_records_as_they_came(intake: Intake) -> None:
    odd = {"seq": 1, "unknown": {"kept": [1, 2.5]}}
    read = intake.read(message({"records": [odd]}, "journal"), mono=0.0)
    assert read == (SITE, Reported(door=DOOR, records=(odd,)))


@pytest.mark.parametrize("is_retained", [True, False])
def test_a_state_becomes_an_event_also_when_the_broker_had_kept_it(
    intake: Intake, *, is_retained: bool
) -> None:
    read = intake.read(message({"online": False}, "state", is_retained=is_retained), mono=0.0)
    assert read is not None
    assert isinstance(read[1], DoorSaid)


def test_unknown_fields_are_ignored(intake: Intake) -> None:
    assert intake.read(message(REQUEST | {"colour": "blue"}), mono=0.0) is not None
    assert not intake.invalid


BAD = {
    "nothing": message(b""),
    "torn JSON": message(json.dumps(REQUEST).encode()[:-5]),
    "not UTF-8": message(b'{"id": "\xff"}'),
    "half a surrogate pair": message({"records": ["\ud800"]}, "journal"),
    "deep nesting": message(b"[" * 100_000),
    "a list": message([REQUEST]),
    "no id": message(without("id")),
    "no badge": message(without("badge")),
    "an id that is no UUID": message(REQUEST | {"id": "1"}),
    "a number for an id": message(REQUEST | {"id": 1}),
    "a badge of 3 bytes": message(REQUEST | {"badge": "04a1b2"}),
    "a badge in capitals": message(REQUEST | {"badge": "A" * 32}),
    "a badge with a line end": message(REQUEST | {"badge": "0" * 32 + "\n"}),
    "another reader": message(REQUEST | {"reader": "side"}),
    "a time without a zone": message(REQUEST | {"at": "2026-11-24T12:00:00"}),
    "a time that no UTC has": message(REQUEST | {"at": "0001-01-01T00:00:00+14:00"}),
    "a short token": message(REQUEST | {"token": "00"}),
    "a request that the broker had kept": message(REQUEST, is_retained=True),
    "10 MB": message(b" " * 10_000_000 + json.dumps(REQUEST).encode()),
    "an empty journal": message({"records": []}, "journal"),
    "101 records": message({"records": [RECORD] * 101}, "journal"),
    "records that are none": message({"records": [1, 2]}, "journal"),
    "a state that says nothing": message({}, "state"),
    "a state with a queue below zero": message({"online": True, "queue": -1}, "state"),
    "what the server says": message({"seq": 1}, "ack"),
    "an unknown door": message(REQUEST, topic="gardien/1/malakoff/cellar/request"),
    "an unknown site": message(REQUEST, topic="gardien/1/paris/main/request"),
    "the site itself": message(REQUEST, topic="gardien/1/malakoff/policy"),
    "another version": message(REQUEST, topic="gardien/2/malakoff/main/request"),
    "no version": message(REQUEST, topic="gardien/malakoff/main/request"),
    "another root": message(REQUEST, topic="zigbee2mqtt/main/set"),
    "a door that is no slug": message(REQUEST, topic="gardien/1/malakoff/Main/request"),
    "no topic": message(REQUEST, topic=""),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_bad_input_is_counted_and_dropped_and_the_next_message_is_read(
    intake: Intake, bad: Incoming
) -> None:
    assert intake.read(bad, mono=0.0) is None
    assert intake.invalid == {bad.topic: 1}
    assert intake.read(message(REQUEST), mono=0.0) is not None


def test_bad_input_is_logged_once_a_minute_a_sender(
    intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    def send(mono: float, what: str = "request") -> int:
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            intake.read(message(b"torn", what), mono=mono)
        return len(caplog.records)

    assert [send(0.0), send(1.0), send(59.9), send(60.0), send(61.0)] == [1, 0, 0, 1, 0]
    assert send(61.0, "journal") == 1
    assert intake.invalid["gardien/1/malakoff/main/request"] == 5


def test_what_is_logged_is_short_and_has_no_badge_in_it(
    intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    badge = "04a1b2c3"
    intake.read(message(REQUEST | {"badge": badge}), mono=0.0)
    intake.read(message(REQUEST, topic="x" * 60_000), mono=0.0)
    assert badge not in caplog.text
    assert all(len(record.getMessage()) < 400 for record in caplog.records)


def test_ever_new_senders_fill_neither_the_memory_nor_the_log(
    intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3_000):
        intake.read(message(b"", topic=f"gardien/1/malakoff/door-{number}/request"), mono=0.0)
    assert len(intake.invalid) == 1_001
    assert intake.invalid[OTHERS] == 2_000
    assert len(caplog.records) == 1_001


def test_a_sender_that_was_counted_before_there_were_many_is_counted_by_its_name(
    intake: Intake,
) -> None:
    for number in range(2_000):
        intake.read(message(b"", topic=f"door-{number}"), mono=0.0)
    intake.read(message(b"", topic="door-7"), mono=0.0)
    assert intake.invalid["door-7"] == 2


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def _almost(values: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    """A request with one field that is something else."""
    return st.builds(
        lambda name, value: json.dumps(REQUEST | {name: value}).encode(),
        st.sampled_from(sorted(REQUEST)),
        values,
    )


@given(
    payload=st.binary() | _JSON.map(lambda value: json.dumps(value).encode()) | _almost(_JSON),
    topic=st.text()
    | st.sampled_from(["request", "journal", "state", "ack", "x"]).map(
        lambda what: f"gardien/1/malakoff/main/{what}"
    ),
    is_retained=st.booleans(),
)
def test_whatever_comes_is_read_or_counted_and_never_raises(
    *, payload: bytes, topic: str, is_retained: bool
) -> None:
    intake = new_intake()
    read = intake.read(Incoming(topic=topic, payload=payload, is_retained=is_retained), mono=0.0)
    assert (read is None) == (sum(intake.invalid.values()) == 1)

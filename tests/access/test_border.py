"""What crosses a boundary: ids, badges, topics, messages, snapshots. Anything may come in."""

import hashlib
import hmac
from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from access import messages, topics
from access.badge import UidError, digest, parse_uid
from access.ids import DoorId, SiteId, SlugError, slug
from access.messages import InvalidMessageError, PolicySnapshot, decode, encode, to_record
from access.model import Door, Plan, Policy
from access.policy import Reason
from access.snapshot import SnapshotError, seal, unseal
from access.topics import Topic, TopicError, of_door, of_site, parse
from access.wording import message

NOW = datetime(2026, 11, 24, 19, 30, tzinfo=UTC)
KINDS = [
    messages.AccessRequest,
    messages.AccessDecision,
    messages.Record,
    messages.JournalBatch,
    messages.Acknowledgement,
    messages.Command,
    messages.DoorState,
    messages.ServerState,
    messages.PolicySnapshot,
    messages.OccupancyReport,
]
slugs = st.from_regex(r"\A[a-z0-9][a-z0-9-]{0,31}\Z")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
REQUEST: dict[str, Any] = {
    "id": "0192d1c0-0000-7000-8000-000000000001",
    "at": "2026-11-24T19:30:00Z",
    "reader": "in",
    "badge": "0" * 32,
    "token": None,
}


@given(slugs)
def test_a_slug_is_given_back(text: str) -> None:
    assert slug(text, "door") == text


@pytest.mark.parametrize(
    "text", ["", "-a", "a" * 33, "A", "é", "a b", "a/b", "a\n", "\na", "a_b", "+", "#"]
)
def test_what_is_no_slug_is_refused(text: str) -> None:
    with pytest.raises(SlugError, match="door id"):
        slug(text, "door")


@given(st.text())
def test_any_text_is_a_slug_or_refused_as_one(text: str) -> None:
    try:
        assert slug(text, "x") == text
    except SlugError:
        return


# RFC 4231, test case 2, is too short a key for ours; the vector here is computed by its definition.
@given(st.sampled_from([4, 7, 10]).flatmap(lambda n: st.binary(min_size=n, max_size=n)))
def test_a_badge_is_known_by_its_keyed_digest_alone(uid: bytes) -> None:
    key = bytes(range(32))
    assert digest(uid, key) == hmac.new(key, uid, hashlib.sha256).hexdigest()[:32]
    assert digest(uid, key) != digest(uid, bytes(32))


def test_a_uid_or_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(UidError, match="4, 7 or 10 bytes, not 5"):
        digest(bytes(5), bytes(32))
    with pytest.raises(ValueError, match="a badge key has 32 bytes, not 16"):
        digest(bytes(4), bytes(16))


@pytest.mark.parametrize(
    "text", ["04a1b2c3", "04:A1:B2:C3", "04-a1-b2-c3", " 04 a1 b2 c3\n", "04.a1.b2.c3"]
)
def test_a_uid_is_read_as_people_write_it(text: str) -> None:
    assert parse_uid(text) == bytes.fromhex("04a1b2c3")


@given(st.text())
def test_any_text_is_a_uid_or_refused_as_one(text: str) -> None:
    try:
        assert len(parse_uid(text)) in {4, 7, 10}
    except UidError:
        return


@given(slugs, slugs, st.sampled_from([*topics.FROM_DOOR, *topics.TO_DOOR]))
def test_a_topic_of_a_door_is_taken_apart_as_it_was_made(site: str, door: str, what: str) -> None:
    made = of_door(SiteId(site), DoorId(door), what)
    assert parse(made) == Topic(SiteId(site), DoorId(door), what)


@given(slugs, st.sampled_from(topics.OF_SITE))
def test_a_topic_of_a_site_is_taken_apart_as_it_was_made(site: str, what: str) -> None:
    assert parse(of_site(SiteId(site), what)) == Topic(SiteId(site), None, what)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "gardien/2/s/d/request",
        "gardien/1",
        "gardien/1/s",
        "gardien/1/s/request",
        "gardien/1/s/d/policy",
        "gardien/1/s/d/request/x",
        "gardien/1/S/d/request",
        "gardien/1/s/+/request",
        "gardien/1/s\n/policy",
        "/gardien/1/s/policy",
    ],
)
def test_what_is_no_topic_of_the_contract_is_refused(topic: str) -> None:
    with pytest.raises(TopicError, match="topic"):
        parse(topic)


pieces = st.sampled_from(["gardien", "1", "s", "door", "request", "policy", "", "+", "$share"])


@given(st.text() | st.lists(pieces | st.text(max_size=4), max_size=7).map("/".join))
def test_any_topic_is_one_of_ours_or_refused(topic: str) -> None:
    try:
        found = parse(topic)
    except TopicError:
        return
    made = of_site(found.site, found.what)
    if found.door is not None:
        made = of_door(found.site, found.door, found.what)
    assert made == topic


@given(st.binary() | json_values.map(msgspec.json.encode), st.sampled_from(KINDS))
def test_any_bytes_are_a_message_or_refused(payload: bytes, kind: type[messages.Message]) -> None:
    try:
        found = decode(payload, kind)
    except InvalidMessageError:
        return
    assert decode(encode(found), kind) == found


@given(json_values, st.sampled_from(sorted(REQUEST)))
def test_a_field_of_any_value_makes_a_message_or_is_refused(value: object, name: str) -> None:
    payload = msgspec.json.encode(REQUEST | {name: value})
    try:
        found = decode(payload, messages.AccessRequest)
    except InvalidMessageError:
        return
    assert decode(encode(found), messages.AccessRequest) == found


def test_a_request_is_read_and_unknown_fields_are_ignored() -> None:
    found = decode(msgspec.json.encode(REQUEST | {"more": 1}), messages.AccessRequest)
    assert (found.at, found.reader, found.token) == (NOW, "in", None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "0192d1c0-0000-7000-8000-000000000001\n"),
        ("badge", "0" * 32 + "\n"),
        ("badge", "0" * 31),
        ("badge", "G" * 32),
        ("badge", "A" * 32),
        ("reader", "inside"),
        ("at", "2026-11-24T19:30:00"),
        ("at", "0001-01-01T00:00:00+01:00"),
        ("at", 1764012600),
        ("token", ""),
    ],
)
def test_an_ill_typed_field_makes_a_message_invalid(name: str, value: object) -> None:
    with pytest.raises(InvalidMessageError, match="not a valid AccessRequest"):
        decode(msgspec.json.encode(REQUEST | {name: value}), messages.AccessRequest)


@pytest.mark.parametrize("name", ["id", "at", "reader", "badge"])
def test_a_missing_field_makes_a_message_invalid(name: str) -> None:
    rest = {key: value for key, value in REQUEST.items() if key != name}
    with pytest.raises(InvalidMessageError, match=f"missing required field `{name}`"):
        decode(msgspec.json.encode(rest), messages.AccessRequest)


def test_a_message_nested_without_end_is_refused() -> None:
    with pytest.raises(InvalidMessageError):
        decode(b'{"records":[' + b'{"a":' * 50_000, messages.JournalBatch)


@pytest.mark.parametrize("number", [0, 101])
def test_a_batch_has_1_to_100_records(number: int) -> None:
    with pytest.raises(InvalidMessageError):
        decode(msgspec.json.encode({"records": [{}] * number}), messages.JournalBatch)


@given(st.dictionaries(st.text(), json_values))
def test_any_object_is_a_record_or_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(InvalidMessageError, match="not a valid record"):
        to_record(raw)


def test_a_last_will_says_only_that_nobody_is_there() -> None:
    assert encode(messages.ServerState(online=False)) == b'{"online":false}'
    assert decode(b'{"online":false}', messages.DoorState).online is False


POLICY = Policy(
    version=42,
    site=SiteId("malakoff"),
    issued=NOW,
    relies_until=NOW + timedelta(hours=72),
    capacity=60,
    doors={DoorId("main"): Door(id=DoorId("main"), name="Entrée", plans=frozenset(Plan))},
)


def _sealed() -> PolicySnapshot:
    return seal(POLICY, sign=lambda body: hashlib.sha256(body).digest())


def _fits(signature: bytes, body: bytes) -> bool:
    return signature == hashlib.sha256(body).digest()


def _signed_again(body: bytes) -> PolicySnapshot:
    encoded = b64encode(body)
    return msgspec.structs.replace(
        _sealed(),
        body=encoded.decode(),
        sig=b64encode(hashlib.sha256(encoded).digest()).decode(),
    )


def test_a_snapshot_gives_the_policy_that_was_sealed() -> None:
    assert unseal(_sealed(), _fits) == POLICY


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", 43),
        ("site", "other"),
        ("issued", NOW + timedelta(seconds=1)),
        ("relies_until", NOW + timedelta(days=900)),
    ],
)
def test_an_envelope_that_says_something_else_than_what_is_signed_is_refused(
    name: str, value: object
) -> None:
    forged = msgspec.structs.replace(_sealed(), **{name: value})
    with pytest.raises(SnapshotError, match="envelope and body differ"):
        unseal(forged, _fits)


def test_a_snapshot_that_the_server_did_not_sign_is_refused() -> None:
    sealed = _sealed()
    body = b64encode(b64decode(sealed.body).replace(b'"capacity":60', b'"capacity":99')).decode()
    with pytest.raises(SnapshotError, match="not signed by this site's server"):
        unseal(msgspec.structs.replace(sealed, body=body), _fits)
    with pytest.raises(SnapshotError, match="signature is not base64"):
        unseal(msgspec.structs.replace(sealed, sig="é"), _fits)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"version":"42"}'])
def test_a_signed_body_that_is_no_policy_is_refused(body: bytes) -> None:
    with pytest.raises(SnapshotError, match="can't be read"):
        unseal(_signed_again(body), _fits)


@given(st.text(), st.text())
def test_any_body_and_signature_are_a_policy_or_refused(body: str, sig: str) -> None:
    with pytest.raises(SnapshotError):
        unseal(msgspec.structs.replace(_sealed(), body=body, sig=sig), lambda _sig, _body: True)


def test_a_policy_of_another_capacity_is_another_policy() -> None:
    assert replace(POLICY, capacity=61) != POLICY


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_has_words_in_both_languages(reason: Reason) -> None:
    assert message(reason, "fr") != message(reason, "en")
    assert message(reason, "de") == message(reason, "fr")
    assert max(len(message(reason, "fr")), len(message(reason, "en"))) <= 80

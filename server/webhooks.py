"""Webhooks: which entries an address is told of, what it is told, and how that is signed. All pure.

Events are CloudEvents 1.0 in JSON (CloudEvents HTTP binding 1.0.2, structured and batched mode);
requests are signed as Standard Webhooks 1.0 says (https://www.standardwebhooks.com).
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

import msgspec

from access.ids import MemberId
from server.forgotten import without_persons
from server.ledger import StoredEntry
from server.webhooks_settings import WebhookSettings

STRUCTURED: Final = "application/cloudevents+json; charset=utf-8"
BATCHED: Final = "application/cloudevents-batch+json; charset=utf-8"

_PREFIX: Final = "gardien."
_KEPT: Final = ("specversion", "id", "source", "type", "time", "seq")
_SECRETS: Final = frozenset({"badge", "token", "sig", "hash", "prev"})
_SECRET_PREFIX: Final = "whsec_"  # noqa: S105 (what each secret begins with)
_SECRET_BYTES: Final = (24, 64)

People = Literal["none", "ids", "names"]

_encode: Final = msgspec.json.Encoder(order="deterministic").encode


class WebhookSecretError(ValueError):
    """The secret of a webhook is not one."""


def read_key(secret: str) -> bytes:
    """Read a secret: `whsec_` and 24 to 64 bytes in base64.

    Raises:
        WebhookSecretError: it is none.
    """
    try:
        key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise WebhookSecretError("the secret is no base64; see `gardien webhook secret`") from error
    least, most = _SECRET_BYTES
    if not least <= len(key) <= most:
        raise WebhookSecretError(f"the secret has {len(key)} bytes; it needs {least} to {most}")
    return key


def write_key(key: bytes) -> str:
    """Write a secret as it is kept and handed to the receiver."""
    return _SECRET_PREFIX + base64.b64encode(key).decode("ascii")


def headers(
    keys: Sequence[bytes], message_id: str, body: bytes, at: datetime, content_type: str
) -> dict[str, str]:
    """Give the headers of a signed request.

    Args:
        keys: that sign, the newest first.
        message_id: the same at each attempt, so that the receiver can tell a repeat.
        body: as it is sent.
        at: the time of this attempt, so that a recording can't be played later.
        content_type: of the body.
    """
    stamp = str(int(at.timestamp()))
    signed = b".".join([message_id.encode(), stamp.encode(), body])
    signatures = [
        "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode("ascii")
        for key in keys
    ]
    return {
        "content-type": content_type,
        "user-agent": "gardien",
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(signatures),
    }


def is_wanted(hook: WebhookSettings, entry: StoredEntry) -> bool:
    """Whether an address asked to be told of an entry."""
    if hook.sites and entry.site not in hook.sites:
        return False
    kind = entry.kind.removeprefix(_PREFIX)
    return any(fnmatchcase(kind, pattern) for pattern in hook.events)


def event_of(
    entry: StoredEntry, people: People, names: Mapping[MemberId, str] | None = None
) -> dict[str, Any]:
    """Make the event of an entry, the same each time as long as the entry is.

    Args:
        entry: of the ledger.
        people: what is told of people. With `none` whatever names a person is null, and lists of
            people are their number. Digests of badges are never told.
        names: of members, for `names`.
    """
    record = entry.record
    told = record if people != "none" else without_persons(record)
    event = {key: told[key] for key in _KEPT if key in told}
    event["datacontenttype"] = "application/json"
    event["data"] = _without_secrets(told.get("data"))
    if people != "none" and entry.member is not None:
        event["subject"] = entry.member
    if people == "names" and names:
        event["data"] = {**event["data"], "names": {one: names[one] for one in sorted(names)}}
    return event


def members_in(entry: StoredEntry) -> set[MemberId]:
    """Give whom an entry is about, as far as they are named at its top."""
    data = entry.record.get("data")
    found = {entry.member} if entry.member is not None else set()
    if isinstance(data, dict):
        single = (data.get(key) for key in ("member", "guardian", "by", "from", "to"))
        found.update(MemberId(one) for one in single if isinstance(one, str))
        several = [data.get("members"), data.get("inside")]
        listed = [one for part in several if isinstance(part, list) for one in part]
        found.update(MemberId(one) for one in listed if isinstance(one, str))
    return found


def body_of(events: Sequence[Mapping[str, Any]], *, is_batch: bool) -> tuple[bytes, str]:
    """Write the body of a request, and say its content type.

    Args:
        events: one, unless it is a batch.
        is_batch: whether a batch is sent, also of one.
    """
    if is_batch:
        return _encode(list(events)), BATCHED
    return _encode(events[0]), STRUCTURED


def id_of(events: Sequence[Mapping[str, Any]], *, is_batch: bool) -> str:
    """Give the id of a request: the same whenever the same events are sent again."""
    ids = [str(event["id"]) for event in events]
    if not is_batch:
        return ids[0]
    return "batch-" + hashlib.sha256("\n".join(ids).encode()).hexdigest()[:32]


def _without_secrets(value: object) -> Any:  # noqa: ANN401 (JSON)
    if isinstance(value, dict):
        kept = {key: part for key, part in value.items() if key not in _SECRETS}
        return {key: _without_secrets(part) for key, part in kept.items()}
    if isinstance(value, list):
        return [_without_secrets(part) for part in value]
    return value

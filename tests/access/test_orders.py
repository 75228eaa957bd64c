"""A command is done only where the server has signed it for."""

import hashlib
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from access.ids import DoorId, SiteId
from access.messages import Command
from access.orders import CommandError, check_command, sign_command, signed_part

SITE, MAIN, LAB = SiteId("malakoff"), DoorId("main"), DoorId("lab")
NOW = datetime(2026, 11, 24, 19, 30, tzinfo=UTC)
UNLOCK = Command(
    id="0192d1c0-0000-7000-8000-000000000001",
    at=NOW,
    expires=NOW + timedelta(seconds=30),
    do="unlock",
    by="sonia",
    sig="",
)


def _sign(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


def _fits(signature: bytes, body: bytes) -> bool:
    return signature == _sign(body)


def test_what_is_signed_names_site_and_door_and_leaves_the_signature_out() -> None:
    assert signed_part(UNLOCK, SITE, MAIN) == (
        b'{"at":"2026-11-24T19:30:00Z","by":"sonia","do":"unlock","door":"main",'
        b'"expires":"2026-11-24T19:30:30Z","id":"0192d1c0-0000-7000-8000-000000000001",'
        b'"site":"malakoff"}'
    )


def test_a_signed_command_is_good_for_its_own_door() -> None:
    signed = sign_command(UNLOCK, SITE, MAIN, _sign)
    check_command(signed, SITE, MAIN, _fits)
    assert msgspec.structs.replace(signed, sig="") == UNLOCK


@pytest.mark.parametrize(("site", "door"), [(SITE, LAB), (SiteId("other"), MAIN)])
def test_a_command_for_one_door_is_none_for_another(site: SiteId, door: DoorId) -> None:
    signed = sign_command(UNLOCK, SITE, MAIN, _sign)
    with pytest.raises(CommandError, match="was not signed by this site's server for this door"):
        check_command(signed, site, door, _fits)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("do", "hold"),
        ("by", "nora"),
        ("id", "0192d1c0-0000-7000-8000-000000000002"),
        ("at", NOW + timedelta(microseconds=1)),
        ("expires", NOW + timedelta(days=1)),
    ],
)
def test_a_command_that_was_changed_is_not_done(name: str, value: object) -> None:
    changed = msgspec.structs.replace(sign_command(UNLOCK, SITE, MAIN, _sign), **{name: value})
    with pytest.raises(CommandError, match="was not signed"):
        check_command(changed, SITE, MAIN, _fits)


def test_a_signature_that_is_no_base64_is_refused() -> None:
    with pytest.raises(CommandError, match="is not base64"):
        check_command(msgspec.structs.replace(UNLOCK, sig="é"), SITE, MAIN, _fits)

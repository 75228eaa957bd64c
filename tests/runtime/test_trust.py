"""Why two do not trust each other is said in words, and with what to do."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runtime.trust import (
    CertificateError,
    is_valid_now,
    validity_of,
    why_not_ours,
    why_not_theirs,
)
from tests.shipped_broker import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ca")


@pytest.mark.parametrize(
    ("days", "since", "is_valid", "words"),
    [
        (-1, 60, False, "it ran out on"),
        (30, -1, False, "look at this machine's clock"),
        (30, 60, True, "it may be revoked"),
    ],
)
def test_what_is_wrong_with_ones_own_certificate_is_said_with_what_to_do(
    authority: Authority, *, days: int, since: int, is_valid: bool, words: str
) -> None:
    file = authority.issue("malakoff.main", days=days, since=since).certificate_file
    assert is_valid_now(file) is is_valid
    said = why_not_ours(file)
    assert words in said
    assert str(file) in said


def test_a_file_that_is_no_certificate_is_said_to_be_none(tmp_path: Path) -> None:
    file = tmp_path / "door.crt"
    assert "No such file" in why_not_ours(file)
    file.write_text("nonsense")
    assert "is not a certificate in PEM" in why_not_ours(file)
    assert is_valid_now(file)
    with pytest.raises(CertificateError):
        validity_of(b"nonsense", "door.crt")


def test_dates_are_in_utc(authority: Authority) -> None:
    start, end = validity_of(authority.issue("a").certificate_file.read_bytes(), "a")
    assert start < datetime.now(UTC) < end < datetime.now(UTC) + timedelta(days=31)


def test_a_broker_that_is_not_trusted_is_told_from_one_that_is_away() -> None:
    assert why_not_theirs(ConnectionRefusedError(), "broker") is None
    untrusted = ssl.SSLCertVerificationError()
    untrusted.verify_message = "certificate is not yet valid"
    said = why_not_theirs(untrusted, "broker")
    assert said is not None
    assert "certificate is not yet valid" in said
    assert "clock" in said
    assert "no encrypted connection to broker" in str(why_not_theirs(ssl.SSLError(), "broker"))

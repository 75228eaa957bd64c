"""Why two do not trust each other is said in words, and with what to do."""

import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runtime.broker import find_mosquitto
from runtime.link_paho import Login
from runtime.link_paho_driven import DrivenPahoLink
from runtime.trust import (
    CertificateError,
    is_valid_now,
    validity_of,
    why_not_ours,
    why_not_theirs,
)
from tests.shipped_broker import Authority, ShippedBroker


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


@pytest.mark.mosquitto
@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
# paho leaves the socket of a handshake that failed to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_another_reason_is_told_at_once_and_the_same_one_once_a_minute(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = ShippedBroker(tmp_path)
    identity = broker.authority.issue("malakoff.main")
    broker.stop()
    broker.revoke(identity)
    login = Login(
        ca_file=tmp_path / "ca.crt",
        certificate_file=identity.certificate_file,
        key_file=identity.key_file,
    )

    def told(words: str) -> int:
        return sum(words in one.getMessage() for one in caplog.records)

    def wait_until_told(words: str, link: DrivenPahoLink) -> None:
        ends_at = time.monotonic() + 25
        while not told(words):
            assert time.monotonic() < ends_at, caplog.text
            link.wait(0.05)

    with DrivenPahoLink(
        host="localhost", port=broker.port, client_id="malakoff.main", login=login, wishes=(),
        will=None, on_event=lambda _: None,
    ) as link:  # fmt: skip
        with socket.create_server(("127.0.0.1", broker.port)) as other:
            # Somebody who takes the connection and hangs up before anything is encrypted.
            hang_up = threading.Thread(target=_hang_up_on_one, args=(other,))
            hang_up.start()
            wait_until_told("localhost", link)
            hang_up.join()
        try:
            broker.start()
            wait_until_told("may be revoked", link)
            for _ in range(40):
                link.wait(0.05)
        finally:
            broker.close()
    assert told("may be revoked") == 1


def _hang_up_on_one(listener: socket.socket) -> None:
    listener.settimeout(10)
    connection, _ = listener.accept()
    connection.recv(65536)
    connection.close()

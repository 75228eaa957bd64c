"""What is said of a key's file that is missing, or holds something else."""

from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.keys import (
    KeyFileError,
    make_badge_key,
    make_signing_key,
    read_badge_key,
    signer,
    verifier,
)

READERS = (signer, verifier, read_badge_key)


@pytest.mark.parametrize("read", READERS)
def test_a_key_that_is_missing_is_called_missing(
    read: Callable[[Path], object], tmp_path: Path
) -> None:
    with pytest.raises(KeyFileError, match=r"can't read the key .*absent: No such file"):
        read(tmp_path / "absent")


@pytest.mark.parametrize(
    ("read", "says"),
    [
        (signer, "is not a private key in PEM"),
        (verifier, "is not a public key in PEM"),
        (read_badge_key, "must hold 32 bytes written in hex"),
    ],
)
def test_what_is_no_key_is_called_so(
    read: Callable[[Path], object], says: str, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text("no key\n")
    with pytest.raises(KeyFileError, match=says):
        read(file)


def test_what_was_made_can_be_read(tmp_path: Path) -> None:
    make_signing_key(tmp_path / "server.key", tmp_path / "server.pem")
    make_badge_key(tmp_path / "badge.key")
    body = b"body"
    assert verifier(tmp_path / "server.pem")(signer(tmp_path / "server.key")(body), body)
    assert len(read_badge_key(tmp_path / "badge.key")) == 32

"""What goes onto the card of a door unit."""

import tarfile
import tomllib
from pathlib import Path

import pytest
from cryptography import x509

from edge.settings import load_door_settings
from tests.gardien.conftest import CommandLine

EXPLAINED = Path(__file__).parents[2] / "firmware_config" / "door.toml"
LOCK = ("--lock", "strike", "--fail", "secure", "--active", "high", "--release-in-hardware")


def provision(house: CommandLine, out: Path, *options: str) -> str:
    return house.done(
        *("door", "provision", "--door", "main", "--broker", "broker.lan", *options, str(out))
    )


def test_a_card_holds_all_that_the_door_needs_and_nothing_else(
    house: CommandLine, tmp_path: Path, authority: tuple[str, str]
) -> None:
    card = tmp_path / "card"
    provision(house, card, *LOCK, "--ca", authority[0], "--ca-key", authority[1])
    files = {path.relative_to(card).as_posix() for path in card.rglob("*") if path.is_file()}
    assert files == {
        "door.toml",
        "keys/server.pub.pem",
        "keys/badge.key",
        "keys/cards.key",
        "keys/ca.crt",
        "keys/door.crt",
        "keys/door.key",
    }
    assert {(card / name).stat().st_mode & 0o777 for name in files} == {0o600}
    settings = load_door_settings(card / "door.toml")
    assert settings.client_name == "malakoff.main"
    assert house.done("door", "--config", str(card / "door.toml"), "--check").endswith(
        "settings and keys are in order\n"
    )


def test_the_doors_certificate_is_signed_by_the_house_for_that_door_alone(
    house: CommandLine, tmp_path: Path, authority: tuple[str, str]
) -> None:
    card = tmp_path / "card"
    provision(house, card, *LOCK, "--ca", authority[0], "--ca-key", authority[1])
    certificate = x509.load_pem_x509_certificate((card / "keys" / "door.crt").read_bytes())
    ca = x509.load_pem_x509_certificate(Path(authority[0]).read_bytes())
    certificate.verify_directly_issued_by(ca)
    assert certificate.subject.rfc4514_string() == "CN=malakoff.main"
    assert certificate.not_valid_after_utc == ca.not_valid_after_utc
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert not constraints.value.ca


def test_without_the_authoritys_key_a_request_is_written(
    house: CommandLine, tmp_path: Path, authority: tuple[str, str]
) -> None:
    card = tmp_path / "card"
    told = provision(house, card, *LOCK, "--ca", authority[0])
    assert "openssl x509 -req" in told
    request = x509.load_pem_x509_csr((card / "keys" / "door.csr").read_bytes())
    assert request.is_signature_valid
    assert request.subject.rfc4514_string() == "CN=malakoff.main"
    assert not (card / "keys" / "door.crt").exists()
    done = house("door", "--config", str(card / "door.toml"), "--check")
    assert done.status == 1
    assert "door.crt" in done.out


def test_a_tar_holds_the_same_for_its_owner_alone(
    house: CommandLine, tmp_path: Path, authority: tuple[str, str]
) -> None:
    file = tmp_path / "main.tar"
    told = provision(house, file, *LOCK, "--ca", authority[0], "--password")
    assert "mosquitto_passwd" in told
    assert file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(file) as tar:
        assert {entry.mode for entry in tar} == {0o600}
        tar.extractall(tmp_path / "card", filter="data")
    settings = load_door_settings(tmp_path / "card" / "door.toml")
    assert settings.mqtt.username == "malakoff.main"
    password = (tmp_path / "card" / "keys" / "mqtt.password").read_text()
    assert password == (house.data / "secrets" / "malakoff.main.password").read_text()


def test_the_wires_are_those_of_the_explained_settings(
    house: CommandLine, tmp_path: Path, authority: tuple[str, str]
) -> None:
    card = tmp_path / "card"
    provision(house, card, *LOCK, "--tamper", "--ca", authority[0], "--password")
    written = tomllib.loads((card / "door.toml").read_text())["hardware"]
    explained = tomllib.loads(EXPLAINED.read_text(encoding="utf-8"))["hardware"]
    assert written["lock"]["pin"] == explained["lock"]["pin"]
    assert written["reader"][0] == explained["reader"][0]
    for part in ("contact", "exit_button", "tamper", "buzzer"):
        assert written[part] == explained[part]
    for colour in ("red", "green", "blue"):
        assert written["light"][colour] == explained["light"][colour]


def test_a_door_whose_free_exit_is_not_wired_does_not_start(
    house: CommandLine, tmp_path: Path, authority: tuple[str, str]
) -> None:
    card = tmp_path / "card"
    told = provision(house, card, *LOCK[:-1], "--ca", authority[0], "--password")
    assert "release_in_hardware" in told
    done = house("door", "--config", str(card / "door.toml"), "--check")
    assert done.status == 1
    assert "release_in_hardware" in done.err


def test_nothing_is_overwritten(
    house: CommandLine, tmp_path: Path, authority: tuple[str, str]
) -> None:
    args = ("door", "provision", "--door", "main", "--broker", "b.lan", *LOCK)
    for out in (tmp_path / "card", tmp_path / "card.tar"):
        assert house(*args, "--ca", authority[0], str(out)).status == 0
        assert house(*args, "--ca", authority[0], str(out)).status == 1


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (("--door", "main", "--broker", "b.lan", *LOCK), 2),
        (("--door", "back", "--broker", "b.lan", *LOCK, "--password"), 1),
        (("--door", "main", "--broker", "b.lan", *LOCK, "--password"), 1),
        (("--door", "main", "--broker", "b lan", *LOCK, "--password"), 1),
        (
            (
                *("--door", "main", "--broker", "127.0.0.1", "--password", "--lock", "magnet"),
                *("--fail", "secure", "--active", "low", "--release-in-hardware"),
            ),
            1,
        ),
    ],
)
def test_what_the_door_could_not_use_is_not_written(
    house: CommandLine, tmp_path: Path, options: tuple[str, ...], status: int
) -> None:
    done = house("door", "provision", *options, str(tmp_path / "card"))
    assert done.status == status, done
    assert done.err.count("\n") == 1
    assert not (tmp_path / "card").exists()


def test_an_authority_that_is_none_is_refused(house: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "ca.crt"
    file.write_text("hello\n")
    args = ("door", "provision", "--door", "main", "--broker", "b.lan", *LOCK)
    done = house(*args, "--ca", str(file), str(tmp_path / "card"))
    assert done.status == 1
    assert "is not a certificate" in done.err

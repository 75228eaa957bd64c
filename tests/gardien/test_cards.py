"""The card master key from `init` to the door, and the commands that meet cards."""

from pathlib import Path

from edge.settings import load_door_settings
from runtime.keys import read_card_key
from tests.gardien.conftest import CommandLine

PROVISION = (
    *("door", "provision", "--door", "main", "--broker", "broker.lan", "--password"),
    *("--lock", "strike", "--fail", "secure", "--active", "high", "--release-in-hardware"),
)


def test_an_installation_has_a_card_master_key_that_only_its_owner_can_read(
    house: CommandLine,
) -> None:
    key = house.data / "keys" / "malakoff.cards.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(read_card_key(key)) == 32
    assert read_card_key(key).hex() not in (house.data / "gardien.toml").read_text()


def test_each_door_of_a_site_gets_the_same_card_master_key(
    house: CommandLine, tmp_path: Path, authority: tuple[str, str]
) -> None:
    keys = []
    for place in ("one", "two"):
        house.done(*PROVISION, "--ca", authority[0], str(tmp_path / place))
        settings = load_door_settings(tmp_path / place / "door.toml")
        assert settings.cards is not None
        assert settings.cards.pair == (1, 2)
        keys.append(read_card_key(settings.cards.master_key_file))
    assert keys == [read_card_key(house.data / "keys" / "malakoff.cards.key")] * 2


def test_an_installation_from_before_cards_had_keys_gets_one_with_its_first_door(
    house: CommandLine, tmp_path: Path, authority: tuple[str, str]
) -> None:
    key = house.data / "keys" / "malakoff.cards.key"
    key.unlink()
    house.done(*PROVISION, "--ca", authority[0], str(tmp_path / "card"))
    assert read_card_key(key) == read_card_key(tmp_path / "card" / "keys" / "cards.key")


def test_the_check_of_a_door_sees_a_card_master_key_that_is_gone_or_open_to_others(
    house: CommandLine, tmp_path: Path, authority: tuple[str, str]
) -> None:
    card = tmp_path / "card"
    house.done(*PROVISION, "--ca", authority[0], str(card))
    check = ("door", "--config", str(card / "door.toml"), "--check")
    (card / "keys" / "cards.key").chmod(0o644)
    assert "cards.key can be read by others" in house(*check).out
    (card / "keys" / "cards.key").unlink()
    assert "cards.key" in house(*check).out
    assert house(*check).status == 1


def test_nothing_is_made_blank_where_no_door_unit_is(house: CommandLine) -> None:
    done = house("door", "blank")
    assert (done.status, "no door unit" in done.err) == (1, True)


def test_a_copy_of_the_uid_alone_needs_a_name(house: CommandLine) -> None:
    sockets = house.data / "doors" / "main"
    sockets.mkdir(parents=True)
    (sockets / "sim.sock").touch()
    done = house("tap", "--door", "main", "--badge", "04a1b2c3", "--uid-only")
    assert done.status == 2
    assert "--copy" in done.err

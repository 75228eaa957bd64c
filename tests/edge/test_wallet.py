"""The cards of the simulated world keep what is written on them, and can be copied."""

from pathlib import Path

import pytest

from edge.simulated.card import VirtualCard
from edge.simulated.wallet import Wallet

UID = bytes.fromhex("04112233445566")
WORDS = b"sixteen bytes ok"


def test_a_card_is_the_same_each_time() -> None:
    wallet = Wallet()
    wallet.card(UID).set_block(4, WORDS)
    wallet.put_away(UID)
    assert wallet.card(UID).block(4) == WORDS


def test_what_was_written_on_a_card_is_there_at_every_door_and_after_a_restart(
    tmp_path: Path,
) -> None:
    main, lab = Wallet(tmp_path / "cards"), Wallet(tmp_path / "cards")
    lab.card(UID)
    main.card(UID).set_block(4, WORDS)
    main.put_away(UID)
    assert lab.card(UID).block(4) == WORDS
    lab.card(UID).set_block(4, WORDS[::-1])
    lab.put_away(UID)
    assert main.card(UID).block(4) == WORDS[::-1]
    assert Wallet(tmp_path / "cards").card(UID).image == main.card(UID).image


def test_a_card_on_which_nothing_was_written_leaves_no_file(tmp_path: Path) -> None:
    wallet = Wallet(tmp_path / "cards")
    wallet.card(UID)
    wallet.put_away(UID)
    assert not (tmp_path / "cards").exists()


def test_the_memory_of_a_card_is_for_its_owner_alone(tmp_path: Path) -> None:
    wallet = Wallet(tmp_path / "cards")
    wallet.card(UID).set_block(4, WORDS)
    wallet.put_away(UID)
    (file,) = (tmp_path / "cards").iterdir()
    assert (file.stat().st_mode & 0o777, file.stat().st_size) == (0o600, 1024)


def test_a_copy_is_of_the_moment_at_which_it_was_first_named(tmp_path: Path) -> None:
    wallet = Wallet(tmp_path / "cards")
    wallet.card(UID).set_block(4, WORDS)
    copy = wallet.card(UID, "thief")
    wallet.put_away(UID, "thief")
    wallet.card(UID).set_block(4, bytes(16))
    wallet.put_away(UID)
    assert copy.block(4) == WORDS
    again = Wallet(tmp_path / "cards").card(UID, "thief")
    assert (again.uid, again.block(4)) == (UID, WORDS)


def test_a_copy_of_the_uid_alone_has_the_keys_of_a_factory() -> None:
    wallet = Wallet()
    wallet.card(UID).set_block(4, WORDS)
    magic = wallet.card(UID, "magic", is_uid_only=True)
    assert magic.image == VirtualCard(UID).image
    assert wallet.card(UID, "magic") is magic


def test_a_uid_that_no_card_can_have_is_refused() -> None:
    with pytest.raises(ValueError, match="10 bytes"):
        Wallet().card(b"abc")


def test_a_file_that_holds_no_card_is_refused(tmp_path: Path) -> None:
    (tmp_path / f"{UID.hex()}.card").write_bytes(b"short")
    with pytest.raises(ValueError, match="1024 bytes"):
        Wallet(tmp_path).card(UID)


def test_no_more_cards_are_kept_in_mind_than_there_is_room_for(tmp_path: Path) -> None:
    wallet = Wallet(tmp_path)
    first = wallet.card(UID)
    for number in range(10_000):
        wallet.card(number.to_bytes(4, "big"))
    assert wallet.card(UID) is not first

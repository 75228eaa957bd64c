"""A card is made blank at the door itself, in the simulated world."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from edge.badges.formatting import format_card
from edge.badges.keys import SiteKeys
from edge.badges.token import TokenBlock
from edge.blanking import ForeignCardError, NoCardError, blank_next
from edge.settings import DoorUnitSettings, load_door_settings
from edge.simulated.bench import workbench
from edge.simulated.card import VirtualCard
from edge.simulated.client import DoorRefusedError, NoSuchDoorError, tap
from edge.simulated.wallet import Wallet
from runtime.keys import KeyFileError
from runtime.settings import RuleError

UID = bytes.fromhex("04112233445566")
MASTER = bytes(range(32))
DOOR_TOML = """
site = "malakoff"
door = "main"
server_key_file = "server.pem"
badge_key_file = "badge.key"
outbox = "outbox.db"
{cards}
[mqtt]
host = "127.0.0.1"
port = 1
username = "malakoff.main"
password_file = "mqtt.password"
[hardware]
backend = "simulated"
[hardware.simulated]
socket = "door.sock"
cards = "cards"
[hardware.lock]
pin = 5
active_high = true
fail = "secure"
kind = "strike"
release_in_hardware = true
[[hardware.reader]]
id = "in"
driver = "mfrc522"
bus = 1
device = 0
"""
CARDS = '[cards]\nmaster_key_file = "cards.key"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cards.key").write_text(MASTER.hex() + "\n")
    return tmp_path


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=1) as pool:
        yield pool


def settings(folder: Path, cards: str = CARDS) -> DoorUnitSettings:
    (folder / "door.toml").write_text(DOOR_TOML.format(cards=cards))
    return load_door_settings(folder / "door.toml")


def enrolled(master: bytes = MASTER) -> VirtualCard:
    with workbench() as bench:
        card = bench.lay(UID.hex())
        keys = SiteKeys(master=master).of(UID)
        with bench.reader.session() as session:
            assert session is not None
            done = format_card(session, keys, random=os.urandom, counter=1)
        assert isinstance(done, TokenBlock)
        return card


def in_the_world(folder: Path, card: VirtualCard) -> None:
    wallet = Wallet(folder / "cards")
    wallet.card(UID)
    (folder / "cards").mkdir(exist_ok=True)
    (folder / "cards" / f"{UID.hex()}.card").write_bytes(card.image)


def present(folder: Path, hold_ms: int = 1_500, pull_after: int | None = None) -> None:
    """Hold the card there. The world ends with the command: whoever is there is sent away."""
    with contextlib.suppress(DoorRefusedError, NoSuchDoorError):
        tap(
            folder / "door.sock",
            uid=UID,
            wait_ms=hold_ms,
            hold_ms=hold_ms,
            push=False,
            pull_after=pull_after,
        )


def start(
    pool: ThreadPoolExecutor, unit: DoorUnitSettings, on_moved: Callable[[], None] = lambda: None
) -> Future[None]:
    ready = threading.Event()
    running = pool.submit(blank_next, unit, on_ready=ready.set, wait_s=20.0, on_moved=on_moved)
    assert ready.wait(5.0)
    return running


def test_a_card_of_ours_is_as_it_came_from_the_factory_again(
    folder: Path, pool: ThreadPoolExecutor
) -> None:
    in_the_world(folder, enrolled())
    running = start(pool, settings(folder))
    present(folder)
    running.result(timeout=5.0)
    assert Wallet(folder / "cards").card(UID).image == VirtualCard(UID).image


def test_a_card_taken_away_too_soon_may_be_presented_again(
    folder: Path, pool: ThreadPoolExecutor, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    in_the_world(folder, enrolled())
    moved = threading.Event()
    running = start(pool, settings(folder), moved.set)
    present(folder, hold_ms=300, pull_after=200)
    wait_until(moved.is_set)
    present(folder)
    running.result(timeout=5.0)


def test_a_card_of_another_site_is_refused_and_left_as_it_is(
    folder: Path, pool: ThreadPoolExecutor
) -> None:
    card = enrolled(MASTER[::-1])
    in_the_world(folder, card)
    running = start(pool, settings(folder))
    present(folder)
    with pytest.raises(ForeignCardError, match="nothing was changed"):
        running.result(timeout=5.0)
    assert Wallet(folder / "cards").card(UID).image == card.image


def test_without_a_card_the_command_ends_and_says_so(folder: Path) -> None:
    with pytest.raises(NoCardError, match="no card"):
        blank_next(settings(folder), on_ready=lambda: None, wait_s=0.1)


def test_a_door_without_a_card_master_key_makes_nothing_blank(folder: Path) -> None:
    with pytest.raises(RuleError, match="no card master key"):
        blank_next(settings(folder, ""), on_ready=lambda: None)


def test_a_master_key_that_is_no_secret_is_refused(folder: Path) -> None:
    (folder / "cards.key").write_text("ff" * 32 + "\n")
    with pytest.raises(KeyFileError, match="no secret"):
        blank_next(settings(folder), on_ready=lambda: None)


@pytest.mark.parametrize("sectors", ["[1]", "[1, 1]", "[0, 1]", "[1, 16]", "[1, 2, 3]", '"1"'])
def test_sectors_that_can_t_be_ours_are_refused_in_the_settings(folder: Path, sectors: str) -> None:
    with pytest.raises(ValueError, match=r"cards\.sectors"):
        settings(folder, CARDS + f"sectors = {sectors}\n")


def test_the_sectors_are_1_and_2_unless_the_settings_say_others(folder: Path) -> None:
    cards = [settings(folder, CARDS + more).cards for more in ("", "sectors = [5, 9]\n")]
    assert [each.pair for each in cards if each is not None] == [(1, 2), (5, 9)]

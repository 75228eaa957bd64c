"""Badges that can't be copied unseen, from the command line: enrolled, suspended, restored."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from access.badge import digest, parse_uid
from access.ids import BadgeDigest, DoorId, SiteId
from access.journal import Head, chained
from access.messages import AccessRequest, DoorState
from access.model import BadgeStatus
from access.tokens import UNPROVEN
from gardien.enrolment import NotEnrolledError, enrol
from server import registry
from server.effects import Answer
from server.events import Asked, DoorSaid, Reported
from server.installation import Installation, open_installation
from tests.gardien.conftest import STRANGER, UIDS, CommandLine

SITE, MAIN = SiteId("malakoff"), DoorId("main")
DEADLINE_S = 30.0


def token(counter: int, nonce: int = 0) -> str:
    return f"{counter:08x}{nonce:08x}{'5a' * 8}"


@dataclass
class Door:
    """The unit of the door `main`, as far as the server can tell."""

    installation: Installation
    head: Head = field(default_factory=Head)

    def badge(self, uid: str) -> BadgeDigest:
        return digest(parse_uid(uid), self.installation.read_badge_key(SITE))

    def ask(self, uid: str, shown: str | None) -> str:
        """Present a badge; give the reason of the answer."""
        now = self.installation.clock.now()
        request = AccessRequest(
            id=str(uuid.uuid4()), at=now, reader="in", badge=self.badge(uid), token=shown
        )
        # As the server does some times a second: the rules may have changed.
        self.installation.gatehouse.has_due(SITE, now)
        effects = self.installation.gatehouse.handle(SITE, [Asked(door=MAIN, request=request)], now)
        return next(e.decision.reason for e in effects if isinstance(e, Answer))

    def record(self, **data: Any) -> None:
        now = self.installation.clock.now()
        record, self.head = chained(
            self.head, site=SITE, source=MAIN, kind="access.denied", time=now, data=data
        )
        event = Reported(door=MAIN, records=(record,))
        self.installation.gatehouse.handle(SITE, [event], now)

    def come_online(self) -> None:
        state = DoorSaid(door=MAIN, state=DoorState(online=True))
        self.installation.gatehouse.handle(SITE, [state], self.installation.clock.now())

    def enrol_when_told(self, uid: str, shown: str) -> None:
        """Wait for the order; write the card that is presented, and tell so."""
        self.order_after("", lambda order: self._enrol(order, uid, shown))

    def order_after(self, known: str, then: Callable[[str], None]) -> None:
        """Wait until there is another order than the known one, and act on it."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            orders = [one.id for one in self.installation.gatehouse.orders(SITE)]
            if orders and orders[-1] != known:
                return then(orders[-1])
            assert time.monotonic() < deadline, "nobody has told the door to enrol"
            time.sleep(0.02)

    def _enrol(self, order: str, uid: str, shown: str) -> None:
        said = {"reader": "in", "badge": self.badge(uid), "reason": "unknown_badge"}
        # What does not name the order, or proves nothing, is no enrolment.
        self.record(**said, token=shown)
        self.record(**said, token=UNPROVEN, enrolled=True, command=order)
        self.record(**said, token="", enrolled=True, command=order)
        self.record(**said, token=shown, enrolled=True, command=str(uuid.uuid4()))
        self.record(**said, token=shown, enrolled=True, command=order, request="r")


@pytest.fixture
def door(house: CommandLine) -> Iterator[Door]:
    """The door of the house."""
    with open_installation(house.data) as installation:
        yield Door(installation)


@contextmanager
def writing(door: Door, uid: str, shown: str) -> Iterator[None]:
    """A door that writes a card as soon as it is told to."""
    thread = threading.Thread(target=door.enrol_when_told, args=(uid, shown))
    thread.start()
    try:
        yield
    finally:
        thread.join(DEADLINE_S)
    assert not thread.is_alive()


def badges(house: CommandLine, member: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(house.done("badge", "list", member, "--json"))
    return listed


def test_a_card_that_a_door_has_written_becomes_a_badge_of_level_l1(
    house: CommandLine, door: Door
) -> None:
    with writing(door, STRANGER, token(2)):
        said = house("badge", "enrol", "nora", "--door", "main", "--label", "blue 7")
    assert said.status == 0, said.err
    assert said.out == f"badge {door.badge(STRANGER)[:8]} is that of nora, of level L1\n"
    assert "hold the card at the reader `in` of main within 60 s" in said.err
    assert [(one["label"], one["level"]) for one in badges(house, "nora")][-1] == ("blue 7", 1)
    table = house.done("badge", "list", "nora")
    assert "L0: copied in seconds" in table
    assert "L1: a copy is found" in table
    assert door.ask(STRANGER, token(3)) != "badge_cloned"
    assert door.ask(STRANGER, token(2)) == "badge_cloned"


def test_a_badge_of_the_members_own_is_raised_and_one_of_anothers_left(
    house: CommandLine, door: Door
) -> None:
    with writing(door, UIDS["nora"], token(2)):
        refused = house("badge", "enrol", "rene", "--door", "main")
    assert refused.status == 1
    assert "in use by member nora" in refused.err
    assert [one["level"] for one in badges(house, "nora")] == [0]
    with writing(door, UIDS["nora"], token(4)):
        house.done("badge", "enrol", "nora@example.org", "--door", "main")
    assert [one["level"] for one in badges(house, "nora")] == [1]


def test_where_no_card_comes_it_says_what_to_look_at(door: Door) -> None:
    with pytest.raises(NotEnrolledError, match="main was not reached"):
        enrol(door.installation, SITE, MAIN, wait_s=0.3)
    door.come_online()
    with pytest.raises(NotEnrolledError, match="main was not reached"):
        enrol(door.installation, SITE, MAIN, wait_s=0.3)
    (order,) = door.installation.gatehouse.orders(SITE)

    def answer() -> None:
        door.order_after(order.id, lambda id_: door.record(command=id_))

    thread = threading.Thread(target=answer)
    thread.start()
    with pytest.raises(NotEnrolledError, match="hold a MIFARE Classic card still"):
        enrol(door.installation, SITE, MAIN, wait_s=1.5)
    thread.join(DEADLINE_S)


def test_enrolling_names_a_member_and_a_door_that_are_there(house: CommandLine) -> None:
    assert house("badge", "enrol", "nobody", "--door", "main").status == 1
    assert "no door 'attic'" in house("badge", "enrol", "nora", "--door", "attic").err


def suspended(house: CommandLine, door: Door) -> None:
    """A copy of Nora's badge has been used."""
    with writing(door, UIDS["nora"], token(2)):
        house.done("badge", "enrol", "nora", "--door", "main")
    assert door.ask(UIDS["nora"], token(3)) != "badge_cloned"
    assert door.ask(UIDS["nora"], token(3, nonce=1)) == "badge_cloned"


def test_a_suspended_badge_is_shown_and_restored_and_its_older_copy_fails_again(
    house: CommandLine, door: Door
) -> None:
    suspended(house, door)
    assert "suspended: a copy exists" in house.done("badge", "list", "nora")
    said = house.done("badge", "restore", "--uid", UIDS["nora"])
    assert "of nora is active; the card that was used last works" in said
    assert door.ask(UIDS["nora"], token(4)) != "badge_cloned"
    assert door.ask(UIDS["nora"], token(3)) == "badge_cloned"
    house.done("badge", "restore", door.badge(UIDS["nora"])[:8])


def test_only_a_suspended_badge_is_restored(house: CommandLine) -> None:
    done = house("badge", "restore", "--uid", UIDS["nora"])
    assert (done.status, "no such suspended badge" in done.err) == (1, True)
    assert house("badge", "restore").status == 2
    assert house("badge", "restore", "abcd", "--uid", UIDS["nora"]).status == 2


@pytest.mark.parametrize("command", [("restore",), ("lost",)])
def test_no_digits_at_all_name_no_badge(house: CommandLine, command: tuple[str, ...]) -> None:
    done = house("badge", *command, "")
    assert done.status == 1
    assert "too short" in done.err
    assert {one["status"] for one in badges(house, "nora")} == {BadgeStatus.ACTIVE.value}


def test_a_suspended_badge_is_not_given_to_another_without_being_written_anew(
    house: CommandLine, door: Door
) -> None:
    suspended(house, door)
    done = house("badge", "assign", "rene", "--uid", UIDS["nora"])
    assert done.status == 1
    assert "gardien badge enrol" in done.err


def test_the_last_card_of_nobodys_at_a_door_is_assigned(house: CommandLine, door: Door) -> None:
    refused = house("badge", "assign", "nora", "--last-at", "main")
    assert (refused.status, "present it there first" in refused.err) == (1, True)
    assert door.ask(STRANGER, None) == "unknown_badge"
    house.done("badge", "assign", "nora", "--last-at", "main", "--label", "found")
    assert door.badge(STRANGER) in {one["digest"] for one in badges(house, "nora")}
    assert house("badge", "assign", "nora").status == 2
    assert house("badge", "assign", "nora", "--last-at", "main", "--uid", STRANGER).status == 2


def test_explain_says_what_a_card_that_proves_nothing_would_get(
    house: CommandLine, door: Door
) -> None:
    house.settings(lambda text: text.replace("[[site]]", '[[site]]\nlevel_after_hours = "L1"', 1))
    with writing(door, UIDS["gaelle"], token(2)):
        house.done("badge", "enrol", "gaelle", "--door", "main")
    asked = ("explain", "--door", "main", "--badge", UIDS["gaelle"], "--json", "--card")
    reasons = {
        card: json.loads(house(*asked, card).out)["reason"]
        for card in ("proves", "number-only", "copied")
    }
    assert reasons == {
        "proves": "watch_opened",
        "number-only": "badge_level",
        "copied": "badge_cloned",
    }


def test_what_badges_have_shown_is_exported_and_erased(
    house: CommandLine, door: Door, tmp_path: Path
) -> None:
    suspended(house, door)
    file = tmp_path / "nora.json"
    house.done("member", "export", "nora", "--out", str(file))
    shown = json.loads(file.read_text(encoding="utf-8"))["tokens"][door.badge(UIDS["nora"])]
    assert [one["token"] for one in shown] == [token(2), token(3)]
    house.done("member", "erase", "nora", "--yes")
    with door.installation.database.reading() as connection:
        assert registry.list_badges(connection) != []
        assert connection.exec_driver_sql("SELECT count(*) FROM badge_token").scalar() == 0

"""An evening from badge to lock through everything, on each broker, history and database."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from access.ids import DoorId, MemberId
from server.events import CloseAsked, GuestsChanged, WatchOffered, WatchTaken

if TYPE_CHECKING:
    from tests.whole.conftest import House, NewHouse, Peer

pytestmark = pytest.mark.whole

Of = Callable[[pytest.FixtureRequest], str]
MAIN = DoorId("main")
NUMBERS = ("present", "margin", "members", "guests", "capacity")


def none(_request: pytest.FixtureRequest) -> str:
    return ""


def influxdb(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue("influxd").url
    return url


def postgresql(request: pytest.FixtureRequest) -> str:
    """A database of its own in the one PostgreSQL."""
    url: str = request.getfixturevalue("postgres_url")
    name = f"house_{uuid4().hex[:8]}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return url.replace("/postgres?", f"/{name}?")


@pytest.mark.parametrize(
    ("broker", "history", "database"),
    [
        pytest.param("mosquitto", none, none, marks=pytest.mark.mosquitto, id="mosquitto"),
        pytest.param("amqtt", influxdb, none, marks=pytest.mark.influxdb, id="amqtt-influxdb"),
        pytest.param("amqtt", none, postgresql, id="amqtt-postgresql"),
        pytest.param(
            "mosquitto",
            influxdb,
            none,
            marks=[pytest.mark.mosquitto, pytest.mark.influxdb],
            id="mosquitto-influxdb",
        ),
    ],
)
def test_an_evening_is_the_same_to_the_people_the_ledger_the_screen_and_the_history(
    broker: Any,
    history: Of,
    database: Of,
    request: pytest.FixtureRequest,
    new_house: "NewHouse",
) -> None:
    house = new_house(broker=broker, history_url=history(request), database=database(request))
    house.start_all()
    with house.logged_in("screen") as screen:
        screen.hear(f"gardien/1/{house.site}/occupancy")
        people = People(
            house, is_explained=(broker, history, database) == ("mosquitto", none, none)
        )
        people.before_the_watch()
        people.during_the_watch()
        people.while_closing()
        house.leap_to("22:40")
        people.come(house.members[0], "no_guardian", granted=False)
        house.expect_well()
        expect_nobody_inside(house, screen)
    expect_credit(house)
    expect_the_history_to_be_the_ledger(house)
    house.expect_whole()
    verified = house.gardien("verify", "--json")
    assert verified.returncode == 0, verified.stdout
    assert {one["source"] for one in json.loads(verified.stdout)["chains"]} == {
        "main",
        "fablab",
        "server",
    }


@dataclass(frozen=True)
class People:
    """Who comes to the house, and what should come of it.

    Attributes:
        is_explained: whether `gardien explain` is asked too, once for each reason.
    """

    house: "House"
    is_explained: bool
    explained: set[str] = field(default_factory=set)

    def before_the_watch(self) -> None:
        house = self.house
        house.leap_to("19:10")
        self.come(house.members[0], "no_guardian", granted=False)
        self.come(house.stranger, "unknown_badge", granted=False)
        house.leap_to("19:15")
        self.come(house.zoe, "watch_opened", granted=True)
        house.expect(lambda: house.entries("watch.confirmed"), "the watch is confirmed", 15)

    def during_the_watch(self) -> None:
        house = self.house
        house.leap_to("19:40")
        for member in (*house.members[:4], house.yanis):
            self.come(member, "watch", granted=True)
        self.come(house.partner, "door_not_allowed", granted=False, door=house.fablab)
        self.come(house.members[1], "watch", granted=True, door=house.fablab)
        house.at_desk(GuestsChanged(by=house.zoe, change=3))
        house.expect_well()
        house.at_desk(WatchOffered(by=house.zoe, to=house.yanis))
        house.at_desk(WatchTaken(by=house.yanis))
        house.leap_to("21:00")
        assert house.tap(house.zoe, "out").opened
        assert house.tap(house.members[0], "out").opened
        house.expect_well()
        presence = house.state().presence
        assert set(presence.inside) == {*house.members[1:4], house.yanis}
        assert (presence.present, presence.margin, presence.guests) == (7, 0, 3)
        house.press_exit()
        house.expect(lambda: house.state().presence.margin == 1, "somebody left unseen", 15)

    def while_closing(self) -> None:
        house = self.house
        house.leap_to("22:00")
        house.at_desk(CloseAsked(by=house.yanis))
        self.come(house.members[5], "watch_closing", granted=False)
        house.at_desk(GuestsChanged(by=house.yanis, change=-3))
        for member in (*house.members[1:4], house.yanis):
            assert house.tap(member, "out").opened
        house.expect(lambda: house.state().watch is None, "the watch is over", 15)

    def come(
        self, who: MemberId | bytes, reason: str, *, granted: bool, door: DoorId = MAIN
    ) -> None:
        """Tap, and see that explanation, door, person and ledger say the same."""
        house = self.house
        asked = self._explain(who, reason, door)
        before = len(house.entries("access.decided"))
        answer = house.tap(who, door=door)
        assert (answer.lock == "unlocked") is granted, (reason, answer)
        assert bool(answer.opened) is granted
        (decided,) = house.data("access.decided")[before:]
        assert (decided["answer"]["granted"], decided["answer"]["reason"]) == (granted, reason)
        assert decided["door"] == door
        if asked is not None:
            assert (asked["granted"], asked["reason"]) == (granted, reason)
            assert (decided["row"], decided["answer"]["member"]) == (asked["row"], asked["member"])
        self._expect_record_of(decided["answer"], "access.granted" if granted else "access.denied")

    def _explain(self, who: MemberId | bytes, reason: str, door: DoorId) -> dict[str, Any] | None:
        if not self.is_explained or reason in self.explained:
            return None
        self.explained.add(reason)
        return self.house.explain(who, door)

    def _expect_record_of(self, answer: dict[str, Any], kind: str) -> None:
        """The door has recorded what the server answered."""

        def is_recorded() -> bool:
            return any(
                (one["request"], one["reason"], one["offline"])
                == (answer["request"], answer["reason"], False)
                for one in self.house.data(kind)
            )

        self.house.expect(is_recorded, f"the door's own record of {answer}", 15)


def expect_nobody_inside(house: "House", screen: "Peer") -> None:
    """The state, the ledger and the screen in the hall agree, all along."""
    state = house.state()
    assert (state.presence.present, state.presence.margin) == (0, 0)
    assert not state.presence.inside
    told = house.data("occupancy.changed")
    assert told[-1] == dict.fromkeys(NUMBERS[:-1], 0) | {"capacity": 60, "open": "closed"}
    assert max(one["present"] for one in told) == 9
    house.expect(
        lambda: screen.reports() and screen.reports()[-1] == state.reported,
        "the screen shows the last number",
        10,
    )
    known = {json.dumps(one, sort_keys=True) for one in told}
    for report in screen.reports():
        seen = {name: getattr(report, name) for name in (*NUMBERS, "open")}
        assert json.dumps(seen, sort_keys=True) in known
    # Numbers only: nobody's name or id has gone to the screen.
    assert not any(
        member.encode() in one.payload for one in screen.heard for member in house.members
    )


def expect_credit(house: "House") -> None:
    """Each guardian has what they held: 19:15 to 19:40, and from there to 22:00."""
    (closed,) = house.data("watch.closed")
    assert [held["guardian"] for held in closed["held"]] == [house.zoe, house.yanis]
    assert house.balances() == {house.zoe: 30, house.yanis: 135} == closed["minutes"]


def expect_the_history_to_be_the_ledger(house: "House") -> None:
    told = house.entries("occupancy.changed")
    start, end = house.moment("00:00"), house.moment("23:59")
    with house.inside.open_history() as (history, _):

        def has_all() -> bool:
            return len(history.occupancy(house.site, start=start, end=end)) == len(told)

        house.expect(has_all, f"the history has {len(told)} numbers", 20)
        for sample, entry in zip(
            history.occupancy(house.site, start=start, end=end), told, strict=True
        ):
            data = entry.record["data"]
            assert sample.at == entry.time
            assert {name: getattr(sample, name) for name in NUMBERS} == {
                name: data[name] for name in NUMBERS
            }

        def counted() -> dict[tuple[str, bool], int]:
            found = history.decisions(house.site, start=start, end=end)
            return {(one.reason, one.granted): one.count for one in found}

        expected = expected_counts(house)
        house.expect(lambda: counted() == expected, f"the history counts {expected}", 20)


def expected_counts(house: "House") -> Counter[tuple[str, bool]]:
    """Count the decisions in the ledger: those of the server, and each way out."""
    expected = Counter(
        (one["answer"]["reason"], one["answer"]["granted"]) for one in house.data("access.decided")
    )
    expected["exit", True] = sum(one["reader"] == "out" for one in house.data("access.granted"))
    return expected

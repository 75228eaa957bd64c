"""What a server learns late, or by the date alone: guardians, openings and lapses are exact."""

from datetime import timedelta
from pathlib import Path

import pytest

from access.ids import MemberId
from access.instants import Span
from access.messages import DoorState
from access.model import Plan, Validity
from access.passing import OPENED_LATE
from edge.passes import FORCED, Passes
from runtime.settings import MqttSettings
from server import registry
from server.database import Database
from server.events import DoorSaid, Ticked
from server.gatehouse import Gatehouse
from server.passages import HEARD_LATE
from server.policy_source import PolicySource
from server.registry import Person
from server.settings import DatabaseUrl, DoorSettings, ServerSettings, SiteSettings, ZoneName
from tests.server.test_policy_source import SetClock
from tests.server.test_watches import ANNA, BRUNO, CARL, MAIN, SITE, House, at, badge_of

SECOND = timedelta(seconds=1)


@pytest.fixture
def house(database: Database) -> House:
    return House(database)


def say(house: House, clock: str, *, said: str | None = None, queue: int = 0) -> None:
    """Let the door tell its condition; the broker keeps what it said before."""
    state = DoorState(online=True, at=at(said or clock), queue=queue)
    house.tell(DoorSaid(door=MAIN, state=state), clock)


# A server that was killed between the commit and the answer, and was away for minutes


def test_a_server_that_was_away_waits_for_what_the_door_did_meanwhile(house: House) -> None:
    say(house, "18:10")
    decision = house.ask(ANNA, "18:15")
    house.restart()
    # The broker tells what the door said before, or that it has records to hand in.
    say(house, "18:20", said="18:10")
    house.tick("18:20")
    say(house, "18:20", said="18:19", queue=5)
    house.tick("18:20")
    house.journals[MAIN].open_watch(ANNA, at("18:15"), decision.request)
    house.report(MAIN, "18:20")
    say(house, "18:20")
    house.tick("18:25")
    assert house.kinds() == ["watch.opened", "watch.confirmed"]
    assert house.watch.opened_at == at("18:15")
    house.leave(ANNA, "20:15")
    house.tick("20:15")
    assert house.kinds().count("watch.opened") == 1
    assert house.kinds()[-1] == "watch.closed"
    assert house.balances() == {ANNA: 120}


def test_a_server_that_was_away_lets_a_watch_lapse_when_the_door_has_nothing_to_tell(
    house: House,
) -> None:
    say(house, "18:10")
    house.ask(ANNA, "18:15")
    house.restart()
    say(house, "18:20", said="18:16")
    house.tick("18:20")
    assert house.kinds() == ["watch.opened", "watch.lapsed"]
    assert house.watch is None


def test_who_was_let_in_meanwhile_is_inside_and_no_alert_is_raised(house: House) -> None:
    say(house, "18:10")
    decision = house.ask(ANNA, "18:15")
    house.restart()
    house.tick("18:20")
    house.journals[MAIN].open_watch(ANNA, at("18:15"), decision.request)
    house.journals[MAIN].enter(CARL, at("18:17"))
    house.report(MAIN, "18:20")
    assert set(house.gatehouse.look(SITE).presence.inside) == {ANNA, CARL}
    assert not [kind for kind in house.kinds() if kind.startswith("alert.")]


# One figure for how long a grant outlives the lock


@pytest.mark.parametrize("late", [OPENED_LATE - SECOND / 1000, OPENED_LATE])
def test_door_and_server_agree_on_an_opening_after_the_lock(house: House, late: timedelta) -> None:
    passes = Passes()
    passes.give("grant", None)
    passes.locked(100.0)
    by_grant = passes.opened(100.0 + late.total_seconds(), is_held=False).cause != FORCED
    journal = house.journals[MAIN]
    journal.add("access.granted", at("10:00"), reader="in", member=CARL, request="r-1")
    journal.add("lock.locked", at("10:00"))
    journal.add("door.opened", at("10:00") + late, cause="grant")
    house.report(MAIN, "10:01")
    assert by_grant is (late < OPENED_LATE)
    assert (CARL in house.gatehouse.look(SITE).presence.inside) is by_grant


def test_an_opening_that_names_its_grant_counts_whatever_the_clocks_say(house: House) -> None:
    journal = house.journals[MAIN]
    journal.add("access.granted", at("10:00"), reader="in", member=CARL, request="r-1")
    journal.add("lock.locked", at("10:00"))
    journal.add("door.opened", at("10:02"), cause="grant", request="r-1")
    house.report(MAIN, "10:03")
    assert CARL in house.gatehouse.look(SITE).presence.inside


def test_news_of_an_opening_may_be_on_its_way_when_the_clock_says_that_it_is_over(
    house: House,
) -> None:
    decision = house.ask(ANNA, "18:15")
    journal = house.journals[MAIN]
    said = {"reader": "in", "member": ANNA, "request": decision.request}
    journal.add("access.granted", at("18:15"), **said)
    journal.add("lock.locked", at("18:15"))
    house.report(MAIN, "18:15")
    due = at("18:15") + OPENED_LATE + HEARD_LATE
    assert not house.gatehouse.has_due(SITE, due - SECOND / 1000)
    assert house.gatehouse.has_due(SITE, due)
    house.tick("18:16")
    assert house.kinds() == ["watch.opened", "watch.lapsed"]
    # The watch is gone, as people were told; but who went in is inside.
    journal.add("door.opened", at("18:15") + SECOND / 2, request=decision.request)
    house.report(MAIN, "18:17")
    assert ANNA in house.gatehouse.look(SITE).presence.inside


# Dates that come during a watch

CARDS = {one: badge_of(one) for one in (ANNA, BRUNO)}


def _person(member: MemberId, validity: Validity) -> Person:
    return Person(
        id=member,
        name=member,
        plan=Plan.NOMAD,
        is_guardian=True,
        sites=frozenset({SITE}),
        validity=validity,
    )


class Dated:
    """A site whose policy is made of the registry, and a watch that Anna opens at 18:15."""

    def __init__(self, database: Database, validity: Validity, on_badge: Validity) -> None:
        self.database, self.clock = database, SetClock(at("18:00"))
        settings = ServerSettings(
            database=DatabaseUrl("sqlite:////x"),
            mqtt=MqttSettings(
                host="127.0.0.1", port=1883, username="server", password_file=Path("x")
            ),
            sites=(
                SiteSettings(
                    id=SITE,
                    name="Malakoff",
                    zone=ZoneName("Europe/Paris"),
                    capacity=60,
                    doors=(DoorSettings(id=MAIN, name="Main", contact=True),),
                ),
            ),
        )
        with database.writing() as connection:
            for member, valid in ((ANNA, validity), (BRUNO, Validity())):
                registry.add_member(connection, _person(member, valid), at("00:00"))
                registry.assign_badge(
                    connection,
                    CARDS[member],
                    member,
                    at=at("00:00"),
                    validity=on_badge if member == ANNA else Validity(),
                )
                span = Span(start=at("18:30"), end=at("21:00"))
                registry.authorize(connection, site=SITE, guardian=member, span=span)
        self.policies = PolicySource(database=database, settings=settings, clock=self.clock)
        self.house = House(database)
        self.house.gatehouse = Gatehouse(database=database, policy_of=self.policies.current)

    def enter(self, member: MemberId, clock: str) -> None:
        self.clock.at = at(clock)
        assert self.house.enter(member, clock).granted

    def tick(self, moment: timedelta) -> None:
        self.clock.at = at("19:00") + moment
        if self.house.gatehouse.has_due(SITE, self.clock.at):
            self.house.gatehouse.handle(SITE, [Ticked()], self.clock.at)


ENDS = Validity(until=at("19:00"))


@pytest.mark.parametrize(("member", "badge"), [(ENDS, Validity()), (Validity(), ENDS)])
def test_a_guardian_whose_membership_or_badge_ends_during_the_watch_loses_it_on_time(
    database: Database, member: Validity, badge: Validity
) -> None:
    dated = Dated(database, member, badge)
    dated.enter(ANNA, "18:15")
    dated.tick(-SECOND / 1000)
    assert dated.house.watch.closing_since is None
    dated.tick(SECOND * 0)
    assert dated.house.watch.closing_since == at("19:00")
    assert "alert.guardian_barred" in dated.house.kinds()


def test_the_watch_passes_on_time_to_a_guardian_who_is_inside(database: Database) -> None:
    dated = Dated(database, Validity(), ENDS)
    dated.enter(ANNA, "18:15")
    dated.enter(BRUNO, "18:30")
    dated.tick(SECOND / 4)
    assert dated.house.watch.guardian == BRUNO
    assert dated.house.watch.tenures[-1].start == at("19:00") + SECOND / 4

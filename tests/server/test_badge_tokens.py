"""Tokens of badges in the database: kept with the visit, read for a copy, and forgotten."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select

from access.ids import BadgeDigest, MemberId, RequestId, SiteId
from access.model import BadgeLevel, BadgeStatus, Plan
from access.tokens import MOST_KEPT, UNPROVEN, CardToken
from runtime.settings import MqttSettings
from server import badge_tokens, ledger, registry, schema
from server.database import Database, open_database
from server.effects import Answer, KeepToken, SuspendBadge
from server.events import Event, Reported
from server.forgetting_registry import take_out
from server.forgotten import without_persons
from server.gatehouse import Gatehouse
from server.policy_source import PolicySource
from server.registry import Person
from server.settings import DatabaseUrl, DoorSettings, ServerSettings, SiteSettings, ZoneName
from server.unknown_badges import last_unknown
from server.why import why
from tests.server.test_copies import (
    ANNA,
    BOB,
    CARD,
    LAB,
    MAIN,
    NOON,
    OTHER,
    SITE,
    AtTheGate,
    asks,
    token,
)
from tests.server.test_policy_source import SetClock

STRANGE = BadgeDigest("c" * 32)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def site() -> SiteSettings:
    doors = tuple(
        DoorSettings(id=door, name=door, contact=True, readers=("in", "out"))
        for door in (MAIN, LAB)
    )
    return SiteSettings(
        id=SITE, name="Lyon", zone=ZoneName("Europe/Paris"), capacity=60, doors=doors
    )


@dataclass
class Place:
    """Gates, rules and registry on one database."""

    database: Database
    clock: SetClock
    gatehouse: Gatehouse
    policies: PolicySource

    def ask(self, *shown: CardToken | None, **how: Any) -> list[str]:
        self.clock.at += SECOND
        return self.handle(*(asks(one, **({"at": self.clock.at} | how)) for one in shown))

    def handle(self, *events: Event) -> list[str]:
        effects = self.gatehouse.handle(SITE, events, self.clock.at)
        assert not [e for e in effects if isinstance(e, KeepToken | SuspendBadge)]
        return [effect.decision.reason for effect in effects if isinstance(effect, Answer)]

    def badge(self, digest: BadgeDigest = CARD) -> registry.BadgeRecord:
        with self.database.reading() as connection:
            return registry.find_badge(connection, digest)

    def counters(self) -> list[int]:
        column = schema.badge_token.c.counter
        with self.database.reading() as connection:
            return list(connection.scalars(select(column).order_by(column)))


def server_settings() -> ServerSettings:
    broker = MqttSettings(
        host="127.0.0.1", port=1883, username="server", password_file=Path("none")
    )
    return ServerSettings(database=DatabaseUrl("sqlite:////none"), mqtt=broker, sites=(site(),))


def place_on(database: Database, clock: SetClock) -> Place:
    policies = PolicySource(database=database, settings=server_settings(), clock=clock)
    gatehouse = Gatehouse(database=database, policy_of=policies.current)
    return Place(database, clock, gatehouse, policies)


@pytest.fixture
def place(database: Database) -> Place:
    with database.writing() as connection:
        for member in (ANNA, BOB):
            person = Person(id=member, name=member, plan=Plan.STAFF, sites=frozenset({SITE}))
            registry.add_member(connection, person, NOON)
        registry.assign_badge(connection, CARD, ANNA, at=NOON, level=BadgeLevel.L1, label="blue")
        registry.assign_badge(connection, OTHER, BOB, at=NOON)
    return place_on(database, SetClock(NOON))


def revision(database: Database) -> int:
    with database.reading() as connection:
        return registry.revision(connection)


def test_the_copy_the_alert_and_the_suspension_are_one_transaction(place: Place) -> None:
    assert place.ask(token(3)) == ["staff"]
    before = revision(place.database)
    commits: list[object] = []
    event.listen(place.database.engine, "commit", commits.append)
    # Both come together: the owner's next visit is refused in the same batch.
    assert place.ask(token(3, nonce=1), token(4)) == ["badge_cloned", "badge_cloned"]
    assert len(commits) == 1
    with place.database.reading() as connection:
        kinds = [entry.kind for entry in ledger.read(connection, SITE)]
    assert kinds.count("gardien.alert.badge_cloned") == 2
    assert place.badge().status is BadgeStatus.SUSPENDED
    assert revision(place.database) == before + 1
    assert place.policies.current(SITE).badges[CARD].status is BadgeStatus.SUSPENDED
    assert place.ask(token(5)) == ["badge_cloned"]


def test_after_a_restart_and_in_another_process_a_copy_is_known(
    place: Place, database_url: str
) -> None:
    place.ask(token(3))
    with open_database(database_url) as theirs:
        other = place_on(theirs, place.clock)
        assert other.ask(token(4)) == ["staff"]
        assert place.ask(token(4, nonce=1)) == ["badge_cloned"]
        assert other.ask(token(5)) == ["badge_cloned"]


def test_a_repeated_request_has_the_same_answer_whatever_came_since(place: Place) -> None:
    first = asks(token(3))
    assert place.handle(first) == ["staff"]
    assert place.handle(first, first) == ["staff", "staff"]
    assert place.ask(token(4)) == ["staff"]
    assert place.handle(first) == ["staff"]
    assert place_on(place.database, place.clock).handle(first) == ["staff"]
    assert place.badge().status is BadgeStatus.ACTIVE


def test_the_newest_fifty_tokens_are_kept(place: Place) -> None:
    for counter in range(1, MOST_KEPT + 6):
        assert place.ask(token(counter)) == ["staff"]
    assert place.counters() == list(range(6, MOST_KEPT + 6))
    assert place.ask(token(2)) == ["badge_cloned"]


def test_only_a_request_with_a_token_takes_a_reading_and_a_row_more(place: Place) -> None:
    place.ask(None)
    statements: list[str] = []

    def note(*args: Any) -> None:
        statements.append(args[2])

    event.listen(place.database.engine, "before_cursor_execute", note)
    place.ask(None)
    without = len(statements)
    assert not [one for one in statements if "badge" in one]
    place.ask(token(3))
    on_tokens = [one.split()[0] for one in statements if "badge_token" in one]
    assert on_tokens == ["SELECT", "INSERT"]
    assert len(statements) == 2 * without + 2


def test_a_badge_of_nobody_has_no_tokens_and_is_found_by_its_door(place: Place) -> None:
    assert place.ask(token(3), badge=STRANGE) == ["unknown_badge"]
    assert place.counters() == []
    with place.database.reading() as connection:
        found = last_unknown(connection, SITE, MAIN, place.clock.at - DAY)
        assert found is not None
        assert (found.badge, found.at) == (STRANGE, place.clock.at)
        assert last_unknown(connection, SITE, LAB, place.clock.at - DAY) is None
        assert last_unknown(connection, SITE, MAIN, place.clock.at + SECOND) is None


def test_a_door_alone_tells_of_a_card_of_nobody_too(place: Place) -> None:
    at = AtTheGate(now=NOON)
    record = at.make(None, LAB, granted=False, badge=STRANGE, reason="unknown_badge")
    place.clock.at += SECOND
    place.handle(Reported(door=LAB, records=(record,)))
    with place.database.reading() as connection:
        found = last_unknown(connection, SITE, LAB, NOON - DAY)
    assert found is not None
    assert found.badge == STRANGE


# Enrolling.


def enrol(place: Place, shown: CardToken, member: MemberId = ANNA, **how: Any) -> None:
    digest = how.pop("badge", CARD)
    with place.database.writing() as connection:
        registry.enrol_badge(
            connection, digest, member, token=shown, request=None, at=place.clock.at, **how
        )


def test_an_enrolled_card_becomes_a_badge_of_level_l1_that_fits(place: Place) -> None:
    enrol(place, token(2), BOB, badge=STRANGE, label="green")
    made = place.badge(STRANGE)
    assert (made.member, made.level, made.label) == (BOB, BadgeLevel.L1, "green")
    assert place.ask(token(3), badge=STRANGE) == ["staff"]
    assert place.ask(token(3, nonce=1), badge=STRANGE) == ["badge_cloned"]


def test_enrolling_raises_the_level_of_a_badge_that_is_theirs_and_keeps_its_label(
    place: Place,
) -> None:
    enrol(place, token(2), BOB, badge=OTHER)
    enrol(place, token(2), ANNA)
    assert (place.badge(OTHER).level, place.badge(OTHER).label) == (BadgeLevel.L1, None)
    assert (place.badge().level, place.badge().label) == (BadgeLevel.L1, "blue")


def test_a_card_written_anew_counts_from_where_it_begins_and_its_copy_is_found(
    place: Place,
) -> None:
    place.ask(token(57))
    place.ask(token(57, nonce=1))
    place.clock.at += SECOND
    enrol(place, token(2))
    assert place.badge().status is BadgeStatus.ACTIVE
    assert place.counters() == [2]
    assert place.ask(token(3)) == ["staff"]
    assert place.ask(token(58)) == ["staff"]
    assert place.ask(token(4)) == ["badge_cloned"]


def test_a_visit_that_was_quicker_than_the_enrolling_stays_remembered(place: Place) -> None:
    enrolled_at = place.clock.at
    place.ask(token(2))
    place.ask(token(3))
    with place.database.writing() as connection:
        registry.enrol_badge(
            connection, CARD, ANNA, token=token(2), request=RequestId("r"), at=enrolled_at
        )
    assert place.counters() == [2, 3]
    assert place.ask(token(3, nonce=1)) == ["badge_cloned"]


def test_a_badge_in_use_by_another_is_not_enrolled_and_a_suspended_one_is(place: Place) -> None:
    with pytest.raises(registry.TakenError, match="in use by member anna"):
        enrol(place, token(2), BOB)
    place.ask(UNPROVEN)
    with (
        pytest.raises(registry.TakenError, match="a copy of it exists"),
        place.database.writing() as connection,
    ):
        registry.assign_badge(connection, CARD, BOB, at=NOON)
    enrol(place, token(2), BOB)
    assert (place.badge().member, place.badge().status) == (BOB, BadgeStatus.ACTIVE)


def test_a_restored_badge_works_and_the_older_copy_suspends_it_again(place: Place) -> None:
    place.ask(token(3))
    place.ask(token(2))
    with place.database.writing() as connection:
        registry.mark_badge(connection, CARD, BadgeStatus.ACTIVE)
    place.gatehouse.has_due(SITE, place.clock.at)
    assert place.ask(token(4)) == ["staff"]
    assert place.ask(token(3)) == ["badge_cloned"]
    assert place.badge().status is BadgeStatus.SUSPENDED


def test_only_a_badge_in_use_is_suspended_and_only_then_the_rules_change(place: Place) -> None:
    with place.database.writing() as connection:
        before = registry.revision(connection)
        assert registry.suspend_badge(connection, CARD)
        assert not registry.suspend_badge(connection, CARD)
        assert not registry.suspend_badge(connection, STRANGE)
        assert registry.revision(connection) == before + 1


# Forgetting.


def test_tokens_go_with_their_badge(place: Place) -> None:
    place.ask(token(3))
    with place.database.writing() as connection:
        connection.execute(schema.badge.delete().where(schema.badge.c.digest == CARD))
    assert place.counters() == []


def test_old_visits_are_forgotten_and_the_newest_counter_stays_bare(place: Place) -> None:
    place.ask(token(3), token(4))
    with place.database.writing() as connection:
        assert badge_tokens.forget(connection, place.clock.at) == 0
        assert badge_tokens.forget(connection, place.clock.at + SECOND) == 2
        assert badge_tokens.forget(connection, place.clock.at + DAY) == 0
        ((row,),) = [connection.execute(select(schema.badge_token)).all()]
    assert (row.counter, row.token, row.request, row.seen_at) == (4, None, None, None)
    assert place.ask(token(5)) == ["staff"]
    with place.database.writing() as connection:
        assert badge_tokens.forget(connection, NOON) == 0
    assert place.counters() == [5]
    assert place.ask(token(4)) == ["badge_cloned"]


def test_of_a_visit_that_is_not_old_nothing_is_forgotten(place: Place) -> None:
    place.ask(token(3))
    middle = place.clock.at + SECOND
    place.clock.at += DAY
    place.ask(token(4))
    with place.database.writing() as connection:
        assert badge_tokens.forget(connection, middle) == 1
        seen = badge_tokens.seen_of(connection, ANNA)
        assert badge_tokens.seen_of(connection, BOB) == {}
        rows = connection.execute(select(func.count()).select_from(schema.badge_token)).scalar_one()
    assert rows == 1
    assert [(one.counter, one.token, one.at) for one in seen[CARD]] == [
        (4, token(4), place.clock.at)
    ]


def test_nothing_is_read_where_there_are_no_badges_to_look_at(database: Database) -> None:
    with database.reading() as connection:
        assert badge_tokens.load(connection, ()) == {}


def test_a_badge_is_remembered_no_longer_than_at_the_site_that_forgets_first(
    place: Place,
) -> None:
    place.ask(token(3))
    kept = {SITE: 30 * DAY, SiteId("paris"): 10 * DAY}
    with place.database.writing() as connection:
        later = place.clock.at + 10 * DAY
        assert take_out(connection, later, kept, 90 * DAY).tokens == 0
        assert take_out(connection, later + SECOND, kept, 90 * DAY).tokens == 1
        place.clock.at = later + SECOND
    place.ask(token(4))
    with place.database.writing() as connection:
        later = place.clock.at + 90 * DAY
        assert take_out(connection, later, {}, 90 * DAY).tokens == 0
        assert take_out(connection, later + SECOND, {}, 90 * DAY).tokens == 1


def test_the_token_of_a_visit_is_taken_out_of_its_record_with_its_badge() -> None:
    record = AtTheGate().make(token(3), proof="fits")
    left = without_persons(record)["data"]
    assert (left["badge"], left["token"], left["proof"]) == (None, None, "fits")


@pytest.mark.parametrize("is_alone", [False, True])
def test_why_a_copy_was_refused_is_told_by_what_was_found_then(
    place: Place, *, is_alone: bool
) -> None:
    place.ask(token(3))
    place.clock.at += SECOND
    if is_alone:
        record = AtTheGate(now=place.clock.at).make(token(2), LAB, granted=False)
        place.handle(Reported(door=LAB, records=(record,)))
    else:
        place.ask(token(2))
    with place.database.writing() as connection:
        registry.mark_badge(connection, CARD, BadgeStatus.ACTIVE)
        kinds = ("gardien.access.decided", "gardien.access.denied")
        (refused, *_) = ledger.latest(connection, SITE, 1, kinds)
    found = why(place.database, server_settings(), SITE, refused.id)
    assert (found.refusal.reason, found.refusal.is_alone) == ("badge_cloned", is_alone)
    assert found.again is not None
    assert (found.again.decision.row, found.is_otherwise) == ("4", False)

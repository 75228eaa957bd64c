"""Orders to doors from the commit to the wire: kept until done, sent again, never sent late."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from access.ids import DoorId, MemberId, SiteId
from access.journal import Head, chained
from access.messages import Command, decode
from access.model import Door, Member, Plan, Policy
from access.orders import check_command
from runtime.link import Outgoing
from server import ledger, orders
from server.database import ConflictError, Database
from server.desk import OPERATOR, DeskError
from server.effects import SendOrder, WaitingOrder
from server.events import DoorOrdered, Event, Order, OrderLapsed, Reported
from server.gatehouse import Gatehouse
from server.order_sending import OrderSending

SITE, OTHER_SITE = SiteId("malakoff"), SiteId("lyon")
MAIN, LAB = DoorId("main"), DoorId("lab")
STAFF = MemberId("sophie")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(b"gardien" + b"\0" * 25)
SECOND = timedelta(seconds=1)


def rules(site: SiteId) -> Policy:
    return Policy(
        version=1,
        site=site,
        issued=NOON,
        relies_until=NOON + timedelta(hours=72),
        capacity=60,
        doors={d: Door(id=d, name=d, plans=frozenset(Plan)) for d in (MAIN, LAB)},
        members={STAFF: Member(id=STAFF, plan=Plan.STAFF)},
        badges={},
    )


def is_signed(signature: bytes, signed: bytes) -> bool:
    with suppress(InvalidSignature):
        KEY.public_key().verify(signature, signed)
        return True
    return False


@dataclass
class Wire:
    """A link whose other end is looked at."""

    is_up: bool = True
    sent: list[Outgoing] = field(default_factory=list)

    def send(self, message: Outgoing) -> bool:
        if self.is_up:
            self.sent.append(message)
        return self.is_up

    def close(self) -> None:
        """There is nothing to close."""

    def take(self) -> list[Command]:
        """Give what was sent since, its signature checked for the door that it went to."""
        found = []
        for message in self.sent:
            _, _, site, door, what = message.topic.split("/")
            assert (what, message.retain) == ("command", False)
            command = decode(message.payload, Command)
            check_command(command, SiteId(site), DoorId(door), is_signed)
            found.append(command)
        self.sent.clear()
        return found


@dataclass
class Desk:
    """Two servers on one database, and the wire of the first."""

    database: Database
    now: datetime = NOON
    heads: dict[DoorId, Head] = field(default_factory=dict)
    wire: Wire = field(default_factory=Wire)

    def __post_init__(self) -> None:
        self.gatehouse, self.other = self.new_gatehouse(), self.new_gatehouse()
        self.sending = self.new_sending()

    def new_gatehouse(self) -> Gatehouse:
        return Gatehouse(database=self.database, policy_of=rules)

    def new_sending(self) -> OrderSending:
        return OrderSending(sign=KEY.sign, link=self.wire, waiting=self.gatehouse.orders)

    def order(self, do: Order, *doors: DoorId, by: MemberId = STAFF) -> list[str]:
        self.now += SECOND
        event = DoorOrdered(by=by, doors=doors, do=do)
        effects = self.gatehouse.handle(SITE, [event], self.now)
        return [effect.order.id for effect in effects if isinstance(effect, SendOrder)]

    def record(self, door: DoorId, kind: str, **data: Any) -> None:
        record, self.heads[door] = chained(
            self.heads.get(door, Head()),
            site=SITE,
            source=door,
            kind=kind,
            time=self.now,
            data=data,
        )
        self.gatehouse.handle(SITE, [Reported(door=door, records=(record,))], self.now)

    def send(self) -> list[str]:
        """Do what the server's loop does at a tick; give the ids that went over the wire."""
        lapsed: Sequence[Event] = self.sending.send(SITE, self.now)
        if lapsed:
            self.gatehouse.handle(SITE, lapsed, self.now)
        return [command.id for command in self.wire.take()]

    def waiting(self) -> list[str]:
        return [order.id for order in self.gatehouse.orders(SITE)]

    def kinds(self) -> list[str]:
        with self.database.reading() as connection:
            found = ledger.read(connection, SITE, limit=1000)
        return [entry.kind.removeprefix("gardien.") for entry in found]


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


def test_an_order_is_kept_with_its_record_and_sent_once_signed(desk: Desk) -> None:
    [id_] = desk.order("unlock", MAIN)
    assert desk.kinds().count("command.issued") == 1
    assert desk.waiting() == [id_]
    assert desk.send() == [id_]
    assert desk.send() == []


def test_what_was_refused_leaves_nothing(desk: Desk) -> None:
    with pytest.raises(DeskError):
        desk.order("hold", MAIN)
    assert desk.waiting() == desk.kinds() == []


def test_an_order_of_another_process_is_sent_by_the_server(desk: Desk) -> None:
    event = DoorOrdered(by=OPERATOR, doors=(LAB,), do="restart")
    desk.other.handle(SITE, [event], desk.now)
    assert desk.send() == desk.waiting()
    assert desk.gatehouse.look(SITE).door(LAB).order is not None


def test_each_door_gets_a_command_of_its_own(desk: Desk) -> None:
    ids = desk.order("lockdown")
    desk.sending.send(SITE, desk.now)
    topics = {message.topic for message in desk.wire.sent}
    assert topics == {f"gardien/1/{SITE}/{door}/command" for door in (MAIN, LAB)}
    assert [command.id for command in desk.wire.take()] == ids


def test_what_waits_at_one_site_is_not_sent_at_another(desk: Desk) -> None:
    desk.order("unlock", MAIN)
    assert desk.sending.send(OTHER_SITE, desk.now) == []
    assert desk.wire.sent == []


def test_it_is_sent_again_when_the_broker_or_its_door_is_back_and_only_then(desk: Desk) -> None:
    [main], [lab] = desk.order("lockdown", MAIN), desk.order("lockdown", LAB)
    assert desk.send() == [main, lab]
    desk.sending.door_is_back(SITE, LAB)
    assert desk.send() == [lab]
    desk.sending.link_is_back()
    assert desk.send() == [main, lab]
    desk.sending.door_is_back(OTHER_SITE, LAB)
    assert desk.send() == []


def test_what_could_not_be_sent_is_sent_when_the_link_is_up(desk: Desk) -> None:
    [id_] = desk.order("lockdown", MAIN)
    desk.wire.is_up = False
    assert desk.send() == []
    desk.wire.is_up = True
    assert desk.send() == [id_]


def test_a_server_that_was_away_sends_what_waits(desk: Desk) -> None:
    [id_] = desk.order("lockdown", MAIN)
    assert desk.send() == [id_]
    desk.sending = desk.new_sending()
    desk.now += timedelta(days=6)
    assert desk.send() == [id_]


def test_once_the_door_has_done_it_it_is_sent_no_more(desk: Desk) -> None:
    [id_] = desk.order("unlock", MAIN)
    desk.send()
    desk.record(MAIN, "lock.unlocked", command=id_, by=STAFF)
    desk.sending.link_is_back()
    assert (desk.send(), desk.waiting()) == ([], [])


def test_a_door_settles_no_order_of_another_door(desk: Desk) -> None:
    [id_] = desk.order("unlock", MAIN)
    desk.record(LAB, "lock.unlocked", command=id_, by=STAFF)
    assert desk.waiting() == [id_]


def test_an_unlock_that_is_late_is_never_sent(desk: Desk) -> None:
    desk.wire.is_up = False
    [id_] = desk.order("unlock", MAIN)
    desk.send()
    desk.wire.is_up = True
    desk.now += 10 * SECOND
    assert desk.send() == []
    assert desk.waiting() == []
    assert desk.kinds().count("command.expired") == 1
    assert id_ not in desk.send()


def test_the_broker_keeps_an_order_no_longer_than_it_is_good_for(desk: Desk) -> None:
    desk.order("unlock", MAIN)
    desk.now += 4 * SECOND
    desk.sending.send(SITE, desk.now)
    [message] = desk.wire.sent
    assert message.expiry_s == 6


def test_of_two_servers_that_give_an_order_up_one_records_it(desk: Desk) -> None:
    [id_] = desk.order("unlock", MAIN)
    desk.now += 10 * SECOND
    lapsed = [OrderLapsed(id=id_, door=MAIN, do="unlock")]
    desk.gatehouse.handle(SITE, lapsed, desk.now)
    desk.other.handle(SITE, lapsed, desk.now)
    assert desk.kinds().count("command.expired") == 1


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("lockdown", "lift"),
        ("lift", "lockdown"),
        ("unlock", "lockdown"),
        ("restart", "restart"),
    ],
)
def test_what_a_later_order_replaces_is_sent_no_more(desk: Desk, first: Order, then: Order) -> None:
    desk.order(first, MAIN)
    [other] = desk.order("restart", LAB)
    [later] = desk.order(then, MAIN)
    assert desk.send() == [other, later]


def test_a_lockdown_of_a_door_that_is_away_waits_for_days_and_then_alerts(desk: Desk) -> None:
    [id_] = desk.order("lockdown", MAIN)
    for _ in range(6):
        desk.now += timedelta(days=1)
        desk.sending.door_is_back(SITE, MAIN)
        assert desk.send() == [id_]
    assert desk.gatehouse.look(SITE).locked_down == {MAIN}
    desk.now += timedelta(days=1)
    assert desk.send() == []
    assert desk.kinds()[-2:] == ["command.expired", "alert.order_not_obeyed"]
    assert desk.gatehouse.look(SITE).locked_down == frozenset()


def test_an_order_is_kept_once(database: Database) -> None:
    order = WaitingOrder(
        id="01a20eed-df80-7f12-909c-ee0570cafbdf",
        door=MAIN,
        do="unlock",
        by=STAFF,
        at=NOON,
        expires=NOON + SECOND,
    )
    with database.writing() as connection:
        orders.add(connection, SITE, SendOrder(order=order))
    with pytest.raises(ConflictError), database.writing() as connection:
        orders.add(connection, SITE, SendOrder(order=order))
    with database.reading() as connection:
        assert orders.waiting(connection, SITE) == [order]
        assert orders.waiting(connection, OTHER_SITE) == []

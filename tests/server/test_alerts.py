"""Alerts: to whom they go, when, in what words, by real mail and real HTTP; and who takes them."""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import Message
from email.policy import default
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from access.ids import DoorId, MemberId, SiteId
from access.journal import Head, chained
from access.model import Door, Member, Plan, Policy
from runtime.settings import RuleError
from runtime.written import Duration, Window
from server import alerts, alerts_list, alerts_wording, board_events, ledger, notifier_queue
from server.alerts_follower import AlertFollower, name_of
from server.alerts_settings import AlertsSettings, ChannelSettings, SmtpSettings
from server.alerts_wording import Place
from server.database import Database, open_database
from server.desk import DeskError, NotAllowedError
from server.events import AlertAcknowledged
from server.gatehouse import Gatehouse
from server.notifier import Letter, NotifierError, NotifierRefusedError
from server.notifier_apprise import AppriseNotifier
from server.notifier_queue import Stage
from server.notifier_smtp import SmtpNotifier
from server.registry_members import Person, put_members
from tests.server.migrated import open_migrated

SITE = SiteId("malakoff")
ZONE = ZoneInfo("Europe/Paris")
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
EVENING = datetime(2026, 11, 2, 22, 30, tzinfo=UTC)  # 23:30 in Paris
ALICE, BOB, CAROL = MemberId("alice"), MemberId("bob"), MemberId("carol")
PLACE = Place(name="Malakoff", zone=ZONE, doors={"main": "Main door"})
QUIET = Window((datetime(1, 1, 1, 22).time(), datetime(1, 1, 1, 7).time()))  # noqa: DTZ001

Receiver = Any  # of conftest.py, which cannot be imported by name


class MailHandler:
    """Keeps what it is given, and refuses who it is told to."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], Message]] = []
        self.refused: dict[str, str] = {}
        self.answer = "250 OK"

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's)
        self,
        server: SMTP,  # noqa: ARG002 (aiosmtpd's)
        session: Session,  # noqa: ARG002
        envelope: Envelope,
        address: str,
        options: list[str],  # noqa: ARG002
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 (aiosmtpd's)
        self,
        server: SMTP,  # noqa: ARG002 (aiosmtpd's)
        session: Session,  # noqa: ARG002
        envelope: Envelope,
    ) -> str:
        if self.answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            mail = message_from_bytes(envelope.content, policy=default)
            self.mails.append((list(envelope.rcpt_tos), mail))
        return self.answer


class FreePort(Controller):
    """An SMTP server on any free port."""

    def _trigger_server(self) -> None:
        server: Any = self.server
        self.port = server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@dataclass
class MailServer:
    """A real SMTP server on a port of this machine."""

    handler: MailHandler
    port: int

    @property
    def settings(self) -> SmtpSettings:
        return SmtpSettings(
            host="127.0.0.1", port=self.port, security="none", sender="gardien@example.org"
        )

    def told(self) -> list[tuple[list[str], str, str]]:
        """Give recipients, subject and text of each mail."""
        return [
            (sorted(to), str(mail["Subject"]), str(mail.get_content()))  # type: ignore[attr-defined]
            for to, mail in self.handler.mails
        ]


@pytest.fixture
def mail() -> Iterator[MailServer]:
    handler = MailHandler()
    controller = FreePort(handler, hostname="127.0.0.1", port=0)
    controller.start()
    yield MailServer(handler=handler, port=controller.port)
    controller.stop()


@dataclass
class HandClock:
    """A clock that is moved by hand."""

    time: datetime = NOON

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class House:
    """A site with staff and a guardian, its ledger, and the followers' own file."""

    database: Database
    cursors: Database
    clock: HandClock = field(default_factory=HandClock)
    head: Head = field(default_factory=Head)

    def alert(self, kind: str, member: MemberId | None = None, **data: Any) -> int:
        return self.happen(f"alert.{kind}", member, **data)

    def happen(self, kind: str, member: MemberId | None = None, **data: Any) -> int:
        now = self.clock.time
        record, self.head = chained(
            self.head, site=SITE, source="server", kind=kind, time=now, data=data
        )
        entry = ledger.Entry(
            site=SITE,
            source="server",
            seq=record["seq"],
            kind=record["type"],
            time=now,
            received=now,
            member=member,
            record=record,
        )
        with self.database.writing() as connection:
            ledger.append(connection, [entry])
        return int(record["seq"])

    def follower(
        self, channel: ChannelSettings, mail: MailServer | None = None, **rules: Any
    ) -> AlertFollower:
        if channel.address_file is not None:
            notifier: Any = AppriseNotifier(channel.address_file)
        else:
            assert mail is not None
            notifier = SmtpNotifier(mail.settings, timeout_s=5)
        smtp = mail.settings if mail else None
        found = AlertFollower(
            channel=channel,
            rules=AlertsSettings(smtp=smtp, channels=(channel,), **rules),
            source=self.database,
            cursors=self.cursors,
            notifier=notifier,
            places={SITE: PLACE},
            clock=self.clock,
            language="fr",
        )
        found.step()
        return found

    def listed(self, channel: str, stage: Stage) -> list[notifier_queue.Delivery]:
        with self.cursors.reading() as connection:
            return notifier_queue.listed(connection, name_of(channel), stage)

    def later(self, **span: float) -> None:
        self.clock.time += timedelta(**span)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    here = frozenset({SITE})
    people = [
        Person(id=ALICE, name="Alice Martin", email="alice@example.org", is_guardian=True,
               language="en", sites=here),
        Person(id=BOB, name="Bob Durand", email="bob@example.org", plan=Plan.STAFF, sites=here),
        Person(id=CAROL, name="Carol Petit", email="carol@example.org", plan=Plan.STAFF,
               language="en", sites=here),
    ]  # fmt: skip
    with (
        open_migrated(tmp_path / "gardien.db") as database,
        open_database(f"sqlite:///{tmp_path / 'history.db'}") as cursors,
    ):
        notifier_queue.prepare(cursors)
        with database.writing() as connection:
            put_members(connection, people, NOON)
        yield House(database=database, cursors=cursors)


STAFF = ChannelSettings(id="staff", to="staff")
GUARDIAN = ChannelSettings(id="watch", to="guardian")


def catch_up(follower: AlertFollower) -> int:
    return sum(iter(follower.step, 0))


def test_staff_are_written_to_in_their_language_with_what_to_do(
    house: House, mail: MailServer
) -> None:
    follower = house.follower(STAFF, mail)
    house.alert("door_forced", door="main")
    catch_up(follower)
    english, french = mail.told()
    assert english[0] == ["carol@example.org"]
    assert english[1] == "URGENT [Malakoff] Door forced open, Main door"
    assert "02/11 13:00" in english[2]
    assert "What to do: Look if you are there" in english[2]
    assert french[:2] == (["bob@example.org"], "URGENT [Malakoff] Porte forcée, Main door")
    assert "Que faire : Allez voir" in french[2]


def test_the_guardian_who_closed_is_told_who_is_still_inside_by_name(
    house: House, mail: MailServer
) -> None:
    follower = house.follower(GUARDIAN, mail)
    house.alert("still_inside", present=1, high=2, members=["bob"], guests=1)
    house.happen("watch.closed", ALICE, held=[{"guardian": "alice"}])
    catch_up(follower)
    [(to, subject, text)] = mail.told()
    assert to == ["alice@example.org"]
    assert subject.startswith("URGENT [Malakoff] People are still inside")
    assert "Bob Durand" in text
    assert "up to 2 people" in text


def test_where_nobody_is_on_watch_the_staff_is_told(house: House, mail: MailServer) -> None:
    follower = house.follower(GUARDIAN, mail)
    house.alert("door_held", door="main")
    catch_up(follower)
    assert sorted(to for [to], _, _ in mail.told()) == ["bob@example.org", "carol@example.org"]


def test_nobody_reads_the_addresses_of_others(house: House, mail: MailServer) -> None:
    follower = house.follower(STAFF, mail)
    house.alert("door_held", door="main")
    catch_up(follower)
    assert {str(one["To"]) for _, one in mail.handler.mails} == {"gardien <gardien@example.org>"}


def test_several_of_one_kind_within_minutes_become_one_message(
    house: House, mail: MailServer
) -> None:
    channel = ChannelSettings(id="watch", to="staff", kinds=("badge_*",))
    follower = house.follower(channel, mail, group=Duration(minutes=10))
    house.alert("badge_revoked", door="main")
    catch_up(follower)
    assert len(mail.told()) == 2, "the first goes out at once, in two languages"
    for _ in range(3):
        house.later(minutes=1)
        house.alert("badge_revoked", door="main")
        house.alert("door_held", door="main")
        catch_up(follower)
    assert len(mail.told()) == 2
    house.later(minutes=8)
    catch_up(follower)
    assert [subject for _, subject, _ in mail.told()[2:]] == [
        "[Malakoff] A disabled badge was presented, Main door, 3 times",
        "[Malakoff] Un badge désactivé a été présenté, Main door, 3 fois",
    ]


def test_in_quiet_hours_only_what_is_urgent_goes_out(house: House, mail: MailServer) -> None:
    house.clock.time = EVENING
    follower = house.follower(STAFF, mail, quiet=QUIET)
    house.alert("door_held", door="main")
    house.alert("door_forced", door="main")
    catch_up(follower)
    assert all(subject.startswith("URGENT") for _, subject, _ in mail.told())
    assert len(mail.told()) == 2
    house.later(hours=7, minutes=29)
    catch_up(follower)
    assert len(mail.told()) == 2
    house.later(minutes=1)
    catch_up(follower)
    assert len(mail.told()) == 4


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-11-02T20:59:59Z", None),
        ("2026-11-02T21:00:00Z", "2026-11-03T06:00:00Z"),
        ("2026-11-03T05:59:59Z", "2026-11-03T06:00:00Z"),
        ("2026-11-03T06:00:00Z", None),
        # The night in which clocks are put back is an hour longer.
        ("2026-10-24T21:00:00Z", "2026-10-25T06:00:00Z"),
    ],
)
def test_quiet_hours_are_local_and_half_open(at: str, until: str | None) -> None:
    found = alerts.quiet_until(datetime.fromisoformat(at), QUIET, ZONE)
    assert found == (None if until is None else datetime.fromisoformat(until))


def test_a_restart_loses_nothing_that_waits(house: House, mail: MailServer) -> None:
    house.clock.time = EVENING
    house.alert("door_held", door="main")
    house.follower(STAFF, mail, quiet=QUIET)
    house.alert("badge_expired", door="main")
    house.follower(STAFF, mail, quiet=QUIET)
    house.later(hours=9)
    catch_up(house.follower(STAFF, mail, quiet=QUIET))
    assert {subject for _, subject, _ in mail.told()} == {
        "[Malakoff] An expired badge was presented, Main door",
        "[Malakoff] Un badge expiré a été présenté, Main door",
    }, "what was before the channel is not sent, what waited is"


def test_while_the_mail_server_is_away_alerts_wait(house: House, mail: MailServer) -> None:
    follower = house.follower(STAFF, mail)
    mail.handler.answer = "451 not now"
    house.alert("door_forced", door="main")
    assert catch_up(follower) == 1, "the entry is read, the message waits"
    assert mail.told() == []
    mail.handler.answer = "250 OK"
    catch_up(follower)
    assert mail.told() == [], "it is left alone for a while"
    house.later(seconds=6)
    catch_up(house.follower(STAFF, mail))
    assert len(mail.told()) == 2


def test_what_waited_for_days_is_given_up(house: House, mail: MailServer) -> None:
    follower = house.follower(STAFF, mail)
    mail.handler.answer = "451 not now"
    house.alert("door_forced", door="main")
    catch_up(follower)
    house.later(days=4)
    catch_up(follower)
    assert [one.kind for one in house.listed("staff", Stage.DEAD)] == ["gardien.alert.door_forced"]


def test_who_is_refused_by_the_mail_server_does_not_stop_the_others(
    house: House, mail: MailServer
) -> None:
    mail.handler.refused["bob@example.org"] = "550 no such user"
    with house.database.writing() as connection:
        put_members(
            connection,
            [Person(id=MemberId("dan"), name="Dan", email="dan@example.org", plan=Plan.STAFF,
                    sites=frozenset({SITE}))],
            NOON,
        )  # fmt: skip
    follower = house.follower(STAFF, mail)
    house.alert("door_forced", door="main")
    catch_up(follower)
    assert [to for to, _, _ in mail.told()] == [["carol@example.org"], ["dan@example.org"]]


def test_what_somebody_has_taken_in_charge_is_not_sent_any_more(
    house: House, mail: MailServer
) -> None:
    house.clock.time = EVENING
    follower = house.follower(STAFF, mail, quiet=QUIET)
    number = house.alert("door_held", door="main")
    catch_up(follower)
    house.happen("alert_acknowledged", BOB, alert=number)
    house.later(hours=9)
    catch_up(follower)
    assert mail.told() == []
    assert house.listed("staff", Stage.WAITING) == []


def test_an_alert_of_long_ago_is_not_news(house: House, mail: MailServer) -> None:
    follower = house.follower(STAFF, mail)
    house.alert("door_held", door="main")
    house.later(days=4)
    catch_up(follower)
    assert mail.told() == []


def test_begun_again_at_zero_it_sends_nothing_twice(house: House, mail: MailServer) -> None:
    follower = house.follower(STAFF, mail)
    house.alert("door_forced", door="main")
    catch_up(follower)
    house.later(days=2)
    house.alert("badge_revoked", door="main")
    catch_up(follower)
    before, notes = mail.told(), house.listed("staff", Stage.SENT)
    assert len(before) == 4
    with house.cursors.writing() as connection:
        ledger.rewind(connection, name_of("staff"))
    catch_up(house.follower(STAFF, mail))
    assert mail.told() == before
    assert house.listed("staff", Stage.SENT) == notes


def test_an_address_of_apprise_is_told_without_names(
    house: House, receiver: Receiver, tmp_path: Path
) -> None:
    file = tmp_path / "address"
    file.write_text(receiver.url.replace("http://", "json://") + "/alerts\n")
    follower = house.follower(ChannelSettings(id="chat", address_file=file))
    house.alert("badge_cloned", ALICE, door="main", badge="0" * 32)
    catch_up(follower)
    told = json.loads(receiver.bodies[0])
    assert told["title"] == "URGENT [Malakoff] Un badge copié a été présenté, Main door"
    assert "Alice" not in told["message"]
    assert "Que faire" in told["message"]


def test_a_dead_address_of_apprise_keeps_the_alert_and_tells_no_secret(
    house: House, receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answer = lambda _: 500
    file = tmp_path / "address"
    file.write_text(receiver.url.replace("http://", "json://me:s3cret@") + "/\n")
    follower = house.follower(ChannelSettings(id="chat", address_file=file))
    house.alert("badge_cloned", ALICE, door="main")
    catch_up(follower)
    assert len(house.listed("chat", Stage.WAITING)) == 1
    assert "s3cret" not in caplog.text


def test_the_server_itself_never_loads_apprise() -> None:
    assert "apprise" not in sys.modules


def test_no_address_at_all_is_refused_for_good(tmp_path: Path) -> None:
    file = tmp_path / "address"
    file.write_text("nonsense\n")
    with pytest.raises(NotifierRefusedError, match="address_file"):
        AppriseNotifier(file).send([Letter(title="a", text="b")])


def test_a_missing_secret_is_no_reason_to_give_up(tmp_path: Path) -> None:
    with pytest.raises(NotifierError) as caught:
        AppriseNotifier(tmp_path / "nothing").send([Letter(title="a", text="b")])
    assert not isinstance(caught.value, NotifierRefusedError)


def test_every_alert_of_the_board_has_words_in_both_languages() -> None:
    known = {kind.removeprefix(alerts.PREFIX) for kind in board_events.ALERTS}
    assert known - alerts_wording.kinds() == set()


def test_mail_without_a_mail_server_is_refused() -> None:
    with pytest.raises(RuleError, match="mail server"):
        AlertsSettings(channels=(STAFF,))
    with pytest.raises(RuleError, match="TLS"):
        SmtpSettings(host="mail.example.org", sender="a@example.org", security="none")
    with pytest.raises(RuleError, match="where it goes"):
        ChannelSettings(id="nowhere")


@pytest.fixture
def gatehouse(house: House) -> Gatehouse:
    policy = Policy(
        version=1,
        site=SITE,
        issued=NOON,
        relies_until=NOON + timedelta(hours=72),
        capacity=60,
        doors={DoorId("main"): Door(id=DoorId("main"), name="Main", plans=frozenset(Plan))},
        members={
            ALICE: Member(id=ALICE, plan=Plan.NOMAD, is_guardian=True),
            BOB: Member(id=BOB, plan=Plan.STAFF),
        },
        badges={},
    )
    return Gatehouse(database=house.database, policy_of=lambda _: policy)


def test_an_alert_is_open_until_somebody_on_duty_takes_it(
    house: House, gatehouse: Gatehouse
) -> None:
    from server.events import CalendarFailed  # noqa: PLC0415 (here alone)

    failed = CalendarFailed(calendar=1, host="example.org", since=NOON, why="away")
    gatehouse.handle(SITE, [failed], NOON)
    with house.database.reading() as connection:
        [one] = alerts_list.listed(connection, SITE)
    assert one.is_open
    number = one.alert.number
    with pytest.raises(NotAllowedError):
        gatehouse.handle(SITE, [AlertAcknowledged(by=ALICE, alert=number)], NOON)
    with pytest.raises(DeskError, match="no alert"):
        gatehouse.handle(SITE, [AlertAcknowledged(by=BOB, alert=99)], NOON)
    gatehouse.handle(SITE, [AlertAcknowledged(by=BOB, alert=number)], NOON)
    gatehouse.handle(SITE, [AlertAcknowledged(by=BOB, alert=number)], NOON + timedelta(hours=1))
    with house.database.reading() as connection:
        [one] = alerts_list.listed(connection, SITE)
    assert (one.by, one.taken_at) == (BOB, NOON)


def test_a_day_away_is_caught_up_at_once(house: House, mail: MailServer) -> None:
    follower = house.follower(STAFF, mail)
    entry = {"door": "main", "answer": {"granted": True, "reason": "watch"}}
    entries = []
    for number in range(20_000):
        kind = "alert.door_held" if number % 1_000 == 0 else "access.decided"
        record, house.head = chained(
            house.head, site=SITE, source="server", kind=kind, time=NOON, data=entry
        )
        entries.append(
            ledger.Entry(
                site=SITE, source="server", seq=record["seq"], kind=record["type"], time=NOON,
                received=NOON, record=record,
            )
        )  # fmt: skip
    with house.database.writing() as connection:
        ledger.append(connection, entries)
    start = time.perf_counter()
    catch_up(follower)
    rate = 20_000 / (time.perf_counter() - start)
    assert [subject for _, subject, _ in mail.told()] == [
        "[Malakoff] Door open for too long, Main door, 20 times",
        "[Malakoff] Porte ouverte trop longtemps, Main door, 20 fois",
    ]
    assert rate > 5_000


def test_settings_of_a_channel_are_read_strictly() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"id": "x", "to": "everybody"}, ChannelSettings)

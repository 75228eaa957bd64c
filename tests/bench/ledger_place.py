"""An installation to measure: settings, members, log-ins, a ledger with a past, and its pages."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert

from access.ids import DoorId, SiteId
from access.model import Plan, Status
from dashboards.app import create_app, hub_of
from gardien.progress import progress_bar
from server import registry, schema, sessions
from server.database import Database
from server.history import History
from server.installation import Installation, open_installation
from tests.bench.ledger_filling import Filling, badge_of, member_of

SITE: Final = SiteId("malakoff")
DOORS: Final = tuple(DoorId(door) for door in ("main", "lab", "back", "side"))
CAPACITY: Final = 120

STAFF: Final = member_of(0)
"""The member with the log-in: staff, who comes and goes like all others."""

_GUARDIANS: Final = range(1, 9)
_EVENT: Final = """BEGIN:VEVENT
UID:{number}@bench
DTSTAMP:20260101T000000Z
DTSTART:{start}
DTEND:{end}
SUMMARY:Evening {number}
ATTENDEE;ROLE=CHAIR;PARTSTAT=ACCEPTED:mailto:{guardian}
STATUS:CONFIRMED
END:VEVENT
"""
_EMAIL: Final = "member-0@example.org"
_SETTINGS: Final = """
language = "fr"
database = "sqlite:///gardien.db"
[mqtt]
host = "127.0.0.1"
port = 1883
username = "server"
password_file = "mqtt.password"
[dashboard]
listen = "127.0.0.1:8080"
threads = 8
[[site]]
id = "malakoff"
name = "L'Atelier, Malakoff"
zone = "Europe/Paris"
capacity = {capacity}
{doors}
"""
_DOOR: Final = """
[[site.door]]
id = "{id}"
name = "Porte {id}"
contact = true
readers = ["in", "out"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An open installation with a ledger of a known length."""

    installation: Installation
    history: History
    cursors: Database

    @property
    def database(self) -> Database:
        """Where its ledger is."""
        return self.installation.database


@contextmanager
def open_place(folder: Path) -> Iterator[Place]:
    """Open what `found` has made."""
    with (
        open_installation(folder) as installation,
        installation.open_history() as (history, cursors),
    ):
        history.prepare()
        yield Place(installation=installation, history=history, cursors=cursors)


def found(
    folder: Path,
    *,
    records: int,
    members: int,
    doors: tuple[DoorId, ...] = DOORS,
    events: int = 0,
) -> None:
    """Make an installation with a year behind it; blocks until it is done.

    Args:
        folder: where; made here.
        records: how many the ledger has.
        members: how many come and go.
        doors: of the site.
        events: how many its calendar has in the year to come; eight guardians answer for them.
    """
    folder.mkdir(parents=True)
    written = "".join(_DOOR.format(id=door) for door in doors)
    (folder / "gardien.toml").write_text(_SETTINGS.format(capacity=CAPACITY, doors=written))
    with open_place(folder) as place:
        now = place.installation.clock.now()
        _register(place.installation, members)
        with place.database.writing() as connection:
            registry.put_calendar(
                connection,
                site=SITE,
                kind="file",
                location="bench.ics",
                body=_calendar(events, now),
                at=now,
            )
        filling = Filling(site=SITE, doors=doors, members=members, capacity=CAPACITY, end=now)
        with progress_bar(f"a ledger of {records:,} records", records) as advance:
            filling.fill(place.database, records, advance)


def _register(installation: Installation, members: int) -> None:
    now = installation.clock.now()
    with (
        installation.database.writing() as connection,
        progress_bar(f"{members:,} members", members) as advance,
    ):
        for number in range(members):
            advance(1)
            id_ = member_of(number)
            plan = Plan.STAFF if id_ == STAFF else Plan.NOMAD
            person = registry.Person(
                id=id_,
                name=f"Membre {number}",
                email=f"{id_}@example.org",
                plan=plan,
                status=Status.ACTIVE,
                is_guardian=number in _GUARDIANS,
                sites=frozenset({SITE}),
            )
            registry.add_member(connection, person, now)
            registry.assign_badge(connection, badge_of(number), id_, at=now)
        account = {"email": _EMAIL, "member": STAFF, "password_hash": "-", "changed_at": now}
        connection.execute(insert(schema.account), [account])


def _calendar(events: int, start: datetime) -> str:
    step = timedelta(days=365) / max(1, events)
    starts = [start + step * number for number in range(events)]
    written = (
        _EVENT.format(
            number=number,
            start=f"{at:%Y%m%dT%H%M%SZ}",
            end=f"{at + timedelta(hours=2):%Y%m%dT%H%M%SZ}",
            guardian=f"member-{_GUARDIANS[number % len(_GUARDIANS)]}@example.org",
        )
        for number, at in enumerate(starts)
    )
    head = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//gardien//bench//EN\n"
    return f"{head}{''.join(written)}END:VCALENDAR\n"


@contextmanager
def browser(place: Place) -> Iterator[FlaskClient]:
    """Give a browser of the place's pages in which the member of staff is logged in."""
    installation = place.installation
    app: Flask = create_app(
        database=installation.database,
        gatehouse=installation.gatehouse,
        history=place.history,
        settings=installation.settings,
        clock=installation.clock,
        cursors=place.cursors,
    )
    with ExitStack() as stack:
        stack.callback(hub_of(app).close)
        client = stack.enter_context(app.test_client())
        with installation.database.writing() as connection:
            token = sessions.begin(connection, _EMAIL, installation.clock.now())
        client.set_cookie("gardien", token, httponly=True)
        yield client

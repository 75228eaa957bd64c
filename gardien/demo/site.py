"""The site of the demonstration: modelled on the place of `mission.md`, made anew at each start."""

import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Final

import holidays

from access.badge import digest
from access.ids import SiteId
from access.instants import Span
from access.model import Plan, Validity
from gardien.demo.cast import GUARDIANS, STAFF, Player
from gardien.demo.story import FABLAB, MAIN, TALK, TUESDAY, ZONE
from gardien.founding import DoorPlan, Founding, SitePlan, found, found_simulated_door
from gardien.opening import open_installation
from runtime.clock import DemoClock
from server import accounts, registry
from server.folder import Folder
from server.installation import Installation

SITE: Final = SiteId("malakoff")
MARK: Final = ".demo"
CLOCK_FILE: Final = "clock"
STARTS: Final = time(8, 30)
TITLE: Final = "La causerie du mardi"

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri")


class NotADemoError(FileExistsError):
    """The folder holds something else than a demonstration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A way into the dashboard."""

    role: str
    name: str
    email: str
    password: str


def first_day(today: date) -> date:
    """Give the next Tuesday that is no public holiday, today included."""
    closed = holidays.country_holidays("FR")
    day = today
    while day.weekday() != TUESDAY or day in closed:
        day += timedelta(days=1)
    return day


def next_day(day: date) -> date:
    """Give the next working day."""
    closed = holidays.country_holidays("FR")
    day += timedelta(days=1)
    while day.weekday() >= len(_DAYS) or day in closed:
        day += timedelta(days=1)
    return day


def plan_of(data: Path, *, language: str, mqtt_port: int, listen: str, broker: str) -> Founding:
    """Say what the installation of the demonstration looks like."""
    return Founding(
        site=SitePlan(
            id=SITE,
            name="La Fabrique de Malakoff",
            capacity=60,
            doors=(
                DoorPlan(
                    id=MAIN,
                    name="Entrée principale" if language == "fr" else "Main entrance",
                    readers=("in", "out"),
                ),
                DoorPlan(id=FABLAB, name="Fab lab", plans=("nomad", "resident", "staff")),
            ),
            hours=dict.fromkeys(_DAYS, ("09:00-18:30",)),
            plan_hours={"resident": dict.fromkeys(_DAYS, ("08:00-09:00",))},
        ),
        language=language,
        mqtt_port=mqtt_port,
        listen=listen,
        clock=f"demo:{data.absolute() / CLOCK_FILE}",
        broker=broker,
    )


def make(data: Path, plan: Founding, day: date) -> Folder:
    """Make the installation's folder; one of an earlier demonstration is replaced.

    Raises:
        NotADemoError: the folder holds something else; nothing has been touched.
    """
    if data.exists() and any(data.iterdir()):
        if not (data / MARK).exists():
            raise NotADemoError(
                f"{data} holds an installation of your own; name another folder: "
                "gardien --data DIR demo"
            )
        shutil.rmtree(data)
    folder = found(data, plan)
    (data / MARK).touch()
    DemoClock.create(data / CLOCK_FILE, datetime.combine(day, STARTS, tzinfo=ZONE)).close()
    for door in plan.site.doors:
        found_simulated_door(folder, plan, door)
    return folder


def people(folder: Folder, players: tuple[Player, ...], day: date) -> list[Login]:
    """Fill the registry: members, badges, the talk on Tuesdays, and three log-ins.

    Returns:
        The log-ins: staff, guardian, member.
    """
    with open_installation(folder.path) as installation:
        now = installation.clock.now()
        key = installation.read_badge_key(SITE)
        with installation.database.writing() as connection:
            for player in players:
                registry.add_member(connection, _person(player), now)
                registry.assign_badge(connection, digest(player.uid, key), player.id, at=now)
            for guardian in players[STAFF : STAFF + 2]:
                registry.authorize(
                    connection,
                    site=SITE,
                    guardian=guardian.id,
                    span=_talk(day),
                    is_weekly=True,
                    title=TITLE,
                )
        return [_login(installation, role, player) for role, player in _logins(players)]


def _talk(day: date) -> Span:
    start, end = (datetime.combine(day, clock, tzinfo=ZONE).astimezone(UTC) for clock in TALK)
    return Span(start=start, end=end)


def _person(player: Player) -> registry.Person:
    return registry.Person(
        id=player.id,
        name=player.name,
        email=player.email,
        language=player.language,
        plan=Plan(player.plan),
        validity=Validity(),
        is_guardian=player.is_guardian,
        sites=frozenset({SITE}),
    )


def _logins(players: tuple[Player, ...]) -> list[tuple[str, Player]]:
    return [
        ("staff", players[0]),
        ("guardian", players[STAFF]),
        ("member", players[STAFF + GUARDIANS]),
    ]


def _login(installation: Installation, role: str, player: Player) -> Login:
    password = "-".join(secrets.token_hex(2) for _ in range(4))
    accounts.set_password(
        installation.database,
        player.email,
        player.id,
        password,
        at=installation.clock.now(),
    )
    return Login(role=role, name=player.name, email=player.email, password=password)

"""A place with a Tuesday behind it, made through the real gate, and a browser's view of it."""

import re
import shutil
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from access.ids import BadgeDigest, DoorId, MemberId, SiteId
from access.instants import Span
from access.journal import Head, chained
from access.messages import AccessRequest, DoorState
from access.model import Audience, Plan, Reader, Status
from dashboards.app import create_app, hub_of
from dashboards.parts import Demo, DemoBadge
from runtime.clock import DemoClock
from server import api_tokens, ledger, registry, sessions
from server.accounts import set_password
from server.api_tokens import Scope
from server.database import Database
from server.effects import Answer
from server.events import (
    Asked,
    DoorSaid,
    Event,
    GuestsChanged,
    Reported,
    Ticked,
    WatchOffered,
)
from server.follower import HistoryFollower
from server.history import History
from server.installation import Installation, open_installation

SITE = SiteId("malakoff")
MAIN, LAB = DoorId("main"), DoorId("fablab")
PASSWORD = "quatre mots pour entrer"  # noqa: S105 (of this test only)
NIGHT = datetime(2026, 11, 24, 19, 31, tzinfo=UTC)
"""Tuesday, 20:31 in Paris: the talk has begun."""

SETTINGS = """
language = "fr"
database = "sqlite:///gardien.db"
clock = "demo:clock"
[mqtt]
host = "127.0.0.1"
port = 1883
username = "server"
password_file = "mqtt.password"
[dashboard]
listen = "127.0.0.1:8080"
threads = 16
[[site]]
id = "malakoff"
name = "L'Atelier, Malakoff"
zone = "Europe/Paris"
capacity = 40
[site.public]
url = "https://atelier.example.org/"
logo = "https://atelier.example.org/logo.png"
email = "bonjour@example.org"
address = "12 rue de l'Exemple, 92240 Malakoff, France"
[site.hours]
mon = ["09:00-18:30"]
tue = ["09:00-18:30"]
[[site.door]]
id = "main"
name = "Entrée principale"
contact = true
readers = ["in", "out"]
[[site.door]]
id = "fablab"
name = "Fab lab"
contact = true
[[site]]
id = "annexe"
name = "L'Annexe"
zone = "Europe/Paris"
capacity = 12
[[site.door]]
id = "annexe-main"
name = "Porte de l'annexe"
contact = false
"""

STAFF, HOLDER, HEIR, NOMAD, NASTY = (
    MemberId(one) for one in ("salome", "claire", "bruno", "noor", "robert")
)
NASTY_NAME = '<script>alert(1)</script> O\'Neil & "Co"'

NAMED = (
    (STAFF, "Salomé Tessier", Plan.STAFF, False, "fr"),
    (HOLDER, "Claire Dubois", Plan.RESIDENT, True, "fr"),
    (HEIR, "Bruno Lambert", Plan.NOMAD, True, "en"),
    (NOMAD, "Noor Haddad", Plan.NOMAD, False, "fr"),
    (NASTY, NASTY_NAME, Plan.NOMAD, False, "fr"),
)
OTHERS = (
    "Anaïs Moreau",
    "Basile Fournier",
    "Chloé Girard",
    "Driss Benali",
    "Élodie Caron",
    "Farid Meziane",
    "Gaëlle Le Goff",
    "Hugo Marchand",
    "Inès Roussel",
    "Jules Perrin",
    "Kenza Ouali",
    "Léo Vasseur",
    "Maud Delattre",
    "Nils Andersen",
    "Ophélie Brun",
    "Pablo Ortega",
    "Quentin Hervé",
    "Rim Chaouch",
    "Sacha Lévy",
    "Tiphaine Riou",
    "Ulysse Garnier",
    "Vera Novak",
)


@dataclass
class Place:
    """An open installation, driven as doors and people would drive it."""

    installation: Installation
    history: History
    follower: HistoryFollower
    cursors: Database
    heads: dict[DoorId, Head] = field(default_factory=dict)
    asked: int = 0
    out: Reader = Reader.OUT

    @property
    def clock(self) -> DemoClock:
        assert isinstance(self.installation.clock, DemoClock)
        return self.installation.clock

    def handle(self, *events: Event, at: datetime | None = None, site: SiteId = SITE) -> None:
        self.installation.gatehouse.handle(site, events, at or self.clock.now())

    def tap(
        self,
        who: str,
        at: datetime | None = None,
        *,
        door: DoorId = MAIN,
        reader: Reader = Reader.IN,
    ) -> bool:
        """Present the badge of a member, and let the door report what it did."""
        moment = at or self.clock.now()
        self.asked += 1
        request = str(UUID(int=self.asked))
        is_granted, reason = True, "exit"
        if reader is Reader.IN:
            asked = AccessRequest(id=request, at=moment, reader="in", badge=badge_of(who))
            effects = self.installation.gatehouse.handle(
                SITE, [Asked(door=door, request=asked)], moment
            )
            answer = next(effect for effect in effects if isinstance(effect, Answer))
            is_granted, reason = answer.decision.granted, answer.decision.reason
        known: dict[str, Any] = {} if who == "nobody" else {"member": who}
        data = {
            "request": request,
            "reader": reader.value,
            "badge": badge_of(who),
            "reason": reason,
            "granted": is_granted,
            "offline": False,
        } | known
        self.report(door, moment, "access.granted" if is_granted else "access.denied", data)
        if is_granted:
            self.report(door, moment, "lock.unlocked")
            self.report(door, moment, "door.opened", {"cause": "grant"})
            self.report(door, moment, "door.closed")
            self.report(door, moment, "lock.locked")
        return is_granted

    def leave_by_button(self, at: datetime) -> None:
        self.report(MAIN, at, "exit.requested")
        self.report(MAIN, at, "door.opened", {"cause": "exit"})
        self.report(MAIN, at, "door.closed")
        self.report(MAIN, at, "lock.locked")

    def report(
        self, door: DoorId, at: datetime, kind: str, data: dict[str, Any] | None = None
    ) -> None:
        record, self.heads[door] = chained(
            self.heads.get(door, Head()),
            site=SITE,
            source=door,
            kind=kind,
            time=at,
            data=data or {},
        )
        self.handle(Reported(door=door, records=(record,)), at=at)

    def say(self, door: DoorId, at: datetime | None = None, **state: Any) -> None:
        moment = at or self.clock.now()
        self.handle(DoorSaid(door=door, state=DoorState(**({"at": moment} | state))), at=moment)

    def follow(self) -> None:
        """Let the history catch up."""
        while self.follower.step():
            pass


def badge_of(who: str) -> BadgeDigest:
    return BadgeDigest(who.encode().hex().ljust(32, "0")[:32])


def slug_of(name: str) -> MemberId:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return MemberId(re.sub(r"[^a-z0-9]+", "-", plain))


@contextmanager
def open_place(folder: Path) -> Iterator[Place]:
    with (
        open_installation(folder) as installation,
        installation.open_history() as (history, cursors),
    ):
        history.prepare()
        follower = HistoryFollower(source=installation.database, cursors=cursors, history=history)
        place = Place(
            installation=installation, history=history, follower=follower, cursors=cursors
        )
        with installation.database.reading() as connection:
            for door in (MAIN, LAB):
                place.heads[door] = ledger.head(connection, SITE, door)
            place.asked = ledger.last_id(connection)
        with place.clock:
            yield place


def found(folder: Path) -> None:
    """Make the installation: people, badges, log-ins, and the right to hold the talk."""
    (folder / "gardien.toml").write_text(SETTINGS, encoding="utf-8")
    DemoClock.create(folder / "clock", NIGHT).close()
    with open_place(folder) as place:
        register(place.installation)


def register(installation: Installation) -> None:
    at = NIGHT - timedelta(days=60)
    people = [
        registry.Person(
            id=id_,
            name=name,
            email=f"{id_}@example.org",
            plan=plan,
            is_guardian=is_guardian,
            language=language,
            sites=frozenset({SITE, SiteId("annexe")} if plan is Plan.STAFF else {SITE}),
        )
        for id_, name, plan, is_guardian, language in NAMED
    ]
    people += [
        registry.Person(id=slug_of(name), name=name, plan=Plan.NOMAD, sites=frozenset({SITE}))
        for name in OTHERS
    ]
    people.append(
        registry.Person(
            id=MemberId("suspended"),
            name="Zoé Faure",
            status=Status.SUSPENDED,
            sites=frozenset({SITE}),
        )
    )
    talk = Span(start=NIGHT.replace(hour=18, minute=30), end=NIGHT.replace(hour=20, minute=30))
    with installation.database.writing() as connection:
        for person in people:
            registry.add_member(connection, person, at)
        for person in people:
            registry.assign_badge(
                connection, badge_of(person.id), person.id, at=at, label=f"n° {person.id[:6]}"
            )
        for guardian in (HOLDER, HEIR):
            registry.authorize(
                connection,
                site=SITE,
                guardian=guardian,
                span=talk,
                title="Mardi de l'Atelier : réparer ensemble",
                audience=Audience.PUBLIC,
            )
    for id_, *_ in NAMED:
        set_password(installation.database, f"{id_}@example.org", id_, PASSWORD, at)


def play(place: Place) -> None:
    """Play the day: morning, lunch, the desk closing, the talk."""
    morning = NIGHT.replace(hour=7, minute=52, second=0)
    minutes = _minutes(morning)
    others = [slug_of(name) for name in OTHERS]
    place.say(MAIN, morning, online=True, lock="locked", contact="closed", queue=0, policy=1)
    place.tap(STAFF, morning)
    for number, who in enumerate(others[:14]):
        place.tap(who, minutes(14 + 9 * number))
    for number, who in enumerate(others[:5]):
        place.tap(who, minutes(250 + 3 * number), reader=Reader.OUT)
    for number, who in enumerate(others[:3]):
        place.tap(who, minutes(320 + 5 * number))
    for number, who in enumerate([*others[:3], *others[5:14], STAFF]):
        place.tap(who, minutes(520 + 8 * number), reader=Reader.OUT)
    place.handle(Ticked(), at=NIGHT.replace(hour=17, minute=31))
    place.handle(Ticked(), at=NIGHT.replace(hour=18, minute=1))
    evening(place, others)


def evening(place: Place, others: Sequence[MemberId]) -> None:
    """Play the talk, up to one minute ago."""
    minutes = _minutes(NIGHT.replace(hour=18, minute=10))
    place.tap(NOMAD, minutes(0))
    place.tap(HOLDER, minutes(5))
    place.tap(NOMAD, minutes(7))
    place.tap(HEIR, minutes(12))
    for number, who in enumerate(others[4:19]):
        place.tap(who, minutes(14 + 2 * number))
    place.tap("suspended", minutes(46))
    place.tap("nobody", minutes(52))
    place.handle(GuestsChanged(by=HOLDER, change=4), at=minutes(55))
    place.tap(NASTY, minutes(58))
    place.say(LAB, minutes(60), online=True, lock="locked", contact="closed", queue=3, policy=1)
    place.say(LAB, minutes(61), online=False)
    place.leave_by_button(minutes(66))
    place.report(LAB, minutes(70), "door.held")
    place.handle(WatchOffered(by=HOLDER, to=HEIR), at=minutes(79))
    place.say(MAIN, NIGHT, online=True, lock="locked", contact="closed", queue=0, policy=1)


def _minutes(start: datetime) -> Callable[[float], datetime]:
    return lambda count: start + timedelta(minutes=count)


@pytest.fixture(scope="session")
def quiet_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation where nothing has happened yet."""
    folder = tmp_path_factory.mktemp("quiet")
    found(folder)
    return folder


@pytest.fixture(scope="session")
def busy_folder(tmp_path_factory: pytest.TempPathFactory, quiet_folder: Path) -> Path:
    """The same with a day behind it."""
    folder = tmp_path_factory.mktemp("busy") / "place"
    shutil.copytree(quiet_folder, folder)
    with open_place(folder) as place:
        play(place)
        place.follow()
    return folder


def _copy(folder: Path, to: Path) -> Path:
    copied = to / "place"
    shutil.copytree(folder, copied)
    DemoClock.create(copied / "clock", NIGHT).close()
    return copied


@pytest.fixture
def quiet_place(quiet_folder: Path, tmp_path: Path) -> Iterator[Place]:
    with open_place(_copy(quiet_folder, tmp_path)) as place:
        yield place


@pytest.fixture
def place(busy_folder: Path, tmp_path: Path) -> Iterator[Place]:
    with open_place(_copy(busy_folder, tmp_path)) as place:
        yield place


def make_app(place: Place, **others: Any) -> Flask:
    parts: dict[str, Any] = {
        "database": place.installation.database,
        "gatehouse": place.installation.gatehouse,
        "history": place.history,
        "settings": place.installation.settings,
        "clock": place.clock,
    }
    return create_app(**(parts | others))


def make_demo(place: Place) -> Demo:
    """A panel whose badges go straight to the gate."""

    def tap(site: SiteId, door: DoorId, reader: Reader, uid: str) -> None:
        assert site == SITE
        place.tap(bytes.fromhex(uid).decode(), door=door, reader=reader)

    return Demo(
        tap=tap,
        badges=tuple(
            DemoBadge(uid=id_.encode().hex(), label=name, group=plan.value)
            for id_, name, plan, *_ in NAMED
        ),
    )


@pytest.fixture
def app(place: Place) -> Iterator[Flask]:
    app = make_app(place, demo=make_demo(place))
    with hub_of(app):
        yield app


@dataclass
class Browser:
    """Flask's test client, which fills in forms as a browser does."""

    client: FlaskClient

    def get(self, path: str, **others: Any) -> TestResponse:
        return self.client.get(path, **others)

    def text(self, path: str, **others: Any) -> str:
        answer = self.get(path, **others)
        assert answer.status_code == 200, answer.text
        return answer.text

    def post(self, path: str, **form: str) -> TestResponse:
        return self.client.post(path, data=form | {"csrf_token": self.token()})

    def token(self) -> str:
        page = self.client.get("/login", follow_redirects=True).text
        match = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert match is not None
        return match[1]

    def log_in(self, who: str, password: str = PASSWORD) -> TestResponse:
        return self.post("/login", email=f"{who}@example.org", password=password)


@pytest.fixture
def browser_of(app: Flask, place: Place) -> Callable[[str | None], Browser]:
    """Give the browser of a member who is logged in, or of nobody."""

    def make(who: str | None) -> Browser:
        browser = Browser(app.test_client())
        if who is not None:
            # Without the password, which takes its time; `test_log_in` types it.
            with place.installation.database.writing() as connection:
                token = sessions.begin(connection, f"{who}@example.org", place.clock.now())
            browser.client.set_cookie("gardien", token, httponly=True)
        return browser

    return make


@pytest.fixture
def make_browser() -> Callable[..., AbstractContextManager[Browser]]:
    """Give a browser, of nobody yet, on a place and an application of one's own."""

    @contextmanager
    def make(place: Place, **others: Any) -> Iterator[Browser]:
        app = make_app(place, **others)
        with hub_of(app):
            yield Browser(app.test_client())

    return make


@dataclass
class Program:
    """A program that uses the API: no cookies, a token in a header."""

    client: FlaskClient
    token: str | None

    def ask(self, method: str, path: str, **others: Any) -> TestResponse:
        """Send a request; JSON is given as `json`."""
        headers = others.pop("headers", {})
        if self.token is not None:
            headers = {"Authorization": f"Bearer {self.token}"} | headers
        return self.client.open(path, method=method, headers=headers, **others)

    def get(self, path: str, **others: Any) -> TestResponse:
        return self.ask("GET", path, **others)

    def post(self, path: str, **others: Any) -> TestResponse:
        return self.ask("POST", path, **others)


@pytest.fixture
def program_of(app: Flask, place: Place) -> Callable[..., Program]:
    """Give a program with a token of its own: for a member or for nobody, in some scopes."""

    def make(member: str | None, *scopes: Scope, **others: Any) -> Program:
        wanted = scopes or tuple(
            scope for scope in Scope if member is not None or scope not in api_tokens.OF_MEMBERS
        )
        with place.installation.database.writing() as connection:
            _, token = api_tokens.make(
                connection,
                name="a program",
                scopes=wanted,
                member=None if member is None else MemberId(member),
                now=place.clock.now(),
                **others,
            )
        return Program(app.test_client(), token)

    return make

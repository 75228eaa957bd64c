"""91 days after an evening no file of the house names anybody: each written by its real program.

The server's own database is scanned in `tests/server/test_forgetting.py` as well, and PostgreSQL in
`tests/server/test_forgotten_pages.py`.
"""

import base64
import os
import shutil
import signal
import sqlite3
import urllib.error
import urllib.parse
import urllib.request
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from http.cookiejar import CookieJar
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from access.badge import digest
from access.ids import BadgeDigest, DoorId, MemberId
from access.instants import Span
from access.model import Plan, Validity
from edge.simulated.client import tap
from gardien.demo.cast import uid_of
from server import registry
from server.accounts import set_password
from server.events import CloseAsked, GuestsChanged, Recounted
from server.forgetting_ledger import mark_of
from tests.whole.conftest import House, NewHouse, processes_of, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.whole, pytest.mark.mosquitto]

NAMES: Final = {
    MemberId("m-k7x2qv9d"): "Aurélie Gardienne",
    MemberId("m-b3w8tz5f"): "Bertrand Visiteur",
    MemberId("m-c6r4hn2j"): "Céleste Équipière",
}
GUARDIAN, VISITOR, STAFF = NAMES
FORGOTTEN: Final = timedelta(days=91)
PASSWORD: Final = "quatre mots pour entrer"  # noqa: S105 (of this test only)


@dataclass
class Evening:
    """Whom an evening knows, and the words that say so."""

    house: House
    cards: dict[MemberId, BadgeDigest] = field(default_factory=dict)

    def uid(self, member: MemberId) -> bytes:
        return uid_of(member, is_long=member == GUARDIAN)

    def come_in(self) -> None:
        """Put them into the registry; their membership ends with the evening."""
        house = self.house
        now, key = house.clock.now(), house.inside.read_badge_key(house.site)
        until = house.moment("23:00")
        with house.inside.database.writing() as connection:
            for member, name in NAMES.items():
                person = registry.Person(
                    id=member,
                    name=name,
                    email=f"{name.split()[0].lower()}@forget.example",
                    plan=Plan.STAFF if member == STAFF else Plan.NOMAD,
                    is_guardian=member == GUARDIAN,
                    validity=Validity(until=until),
                    sites=frozenset({house.site}),
                )
                registry.add_member(connection, person, now)
                self.cards[member] = digest(self.uid(member), key)
                registry.assign_badge(connection, self.cards[member], member, at=now)
            span = Span(start=house.moment("19:30"), end=house.moment("22:00"))
            registry.authorize(
                connection, site=house.site, guardian=GUARDIAN, span=span, title="A talk"
            )
        set_password(house.inside.database, "céleste@forget.example", STAFF, PASSWORD, now)

    def tap(self, member: MemberId, reader: str = "in", door: DoorId | None = None) -> None:
        tap(
            self.house.door_socket(door or self.house.main),
            uid=self.uid(member),
            reader=reader,
            open_ms=100,
        )

    @property
    def words(self) -> dict[str, tuple[bytes, ...]]:
        """What must be in no file, by what it is: as it is, and within base64."""
        said = [*NAMES, *NAMES.values(), *self.cards.values()]
        said += [f"{name.split()[0].lower()}@forget.example" for name in NAMES.values()]
        said.append(digest(House.stranger, self.house.inside.read_badge_key(House.site)))
        return {word: (word.encode(), *_in_base64(word.encode())) for word in said}

    def found(self, *folders: Path) -> set[tuple[str, str]]:
        """Give which file holds which word."""
        words, found = self.words, set[tuple[str, str]]()
        for path in _files_of(*folders):
            held = path.read_bytes()
            found |= {
                (path.name, word) for word, are in words.items() if any(w in held for w in are)
            }
        return found

    def pass_by(self) -> None:
        """Let the evening pass at the doors, at the desk and on the pages."""
        house = self.house
        house.leap_to("19:10")
        self.tap(VISITOR)
        house.tap(House.stranger, push=False)
        house.leap_to("19:20")
        self.tap(GUARDIAN)
        house.expect(lambda: house.entries("watch.confirmed"), "the watch is confirmed", 15)
        self.tap(VISITOR)
        self.tap(STAFF, door=house.fablab)
        self.look_at_the_pages()
        house.at_desk(GuestsChanged(by=GUARDIAN, change=2))
        house.at_desk(Recounted(by=GUARDIAN, members=(GUARDIAN, VISITOR), guests=1))

    def decide_alone(self) -> None:
        """Let a door decide by itself, and fold its log into its file, as it does when that grows.

        So the file has held what is deleted later.
        """
        house = self.house
        house.stop("server")
        self.tap(VISITOR, "out")
        self.tap(VISITOR)
        for door in (house.main, house.fablab):
            file = house.path / "doors" / door / "outbox.db"
            with closing(sqlite3.connect(file)) as outbox:
                outbox.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        house.start("server")
        house.expect_well()

    def go_home(self) -> None:
        house = self.house
        house.leap_to("21:30")
        house.at_desk(CloseAsked(by=GUARDIAN))
        self.tap(VISITOR, "out")
        self.tap(GUARDIAN, "out")
        house.expect_well()
        house.leap_to("21:50")  # the time to leave is over: a guest and somebody of the staff stay
        house.expect(lambda: house.entries("watch.closed"), "the watch is closed", 15)

    def look_at_the_pages(self) -> None:
        """Read what names people, as staff; and fail to log in as somebody."""
        url = f"http://127.0.0.1:{self.house.web_port}"
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

        def text(path: str, **form: str) -> str:
            sent = urllib.parse.urlencode(form).encode() if form else None
            with browser.open(f"{url}{path}", sent) as answer:
                read: bytes = answer.read()
            return read.decode()

        token = text("/login").split('name="csrf_token" value="')[1].split('"')[0]
        email = f"{NAMES[STAFF].split()[0].lower()}@forget.example"
        with pytest.raises(urllib.error.HTTPError):
            text("/login", csrf_token=token, email=email, password=PASSWORD[1:])
        text("/login", csrf_token=token, email=email, password=PASSWORD)
        assert NAMES[VISITOR] in text("/watch/roll-call")
        assert NAMES[VISITOR] in text("/")
        assert self.cards[STAFF] in text("/me/data")

    def names_in_rules(self, door: DoorId) -> bool:
        """Whether anybody is in the rules that a door keeps."""
        file = self.house.path / "doors" / door / "outbox.db"
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as outbox:
            (rules,) = outbox.execute("SELECT value FROM kept WHERE key = 'policy'").fetchone()
        return any(one in rules.encode() for words in self.words.values() for one in words)

    def expect_forgotten(self) -> None:
        """Let 91 days pass, and wait until each program has done what it does by itself."""
        house = self.house
        then = house.moment("23:00") + FORGOTTEN
        house.clock.leap_to(then)

        def is_done() -> bool:
            with house.inside.database.reading() as connection:
                mark = mark_of(connection, "", "run")
            return mark is not None and mark.until >= then

        house.expect(is_done, "the server has forgotten", 60)
        doors = (house.main, house.fablab)
        house.expect(lambda: not any(map(self.names_in_rules, doors)), "the doors have new rules")
        # The doors have rules now in which nobody of them is; the old ones they wipe within a day.
        house.clock.leap_to(then + timedelta(days=1))
        for pid, line in processes_of(house.path / "broker").items():
            if "/mosquitto -c" in line and not line.startswith("/bin/sh"):
                os.kill(pid, signal.SIGUSR1)  # mosquitto(8): writes its file now, not in a minute


def _in_base64(word: bytes) -> "Iterator[bytes]":
    """Give what base64 makes of a word, wherever it begins: the policy travels so."""
    for before in range(3):
        raw = base64.b64encode(b"\0" * before + word)
        # The first and the last letters depend on what stands around the word.
        yield raw[(before * 8 + 5) // 6 : (before + len(word)) * 8 // 6]


def _files_of(*folders: Path) -> "Iterator[Path]":
    for folder in folders:
        yield from (path for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.fixture
def evening(
    request: pytest.FixtureRequest, new_house: NewHouse
) -> tuple[Evening, tuple[Path, ...]]:
    """An evening before anybody came, and the folders of all that writes.

    Where there is an InfluxDB the embedded history is written as well.
    """
    influxd = request.getfixturevalue("influxd") if shutil.which("influxd") else None
    folders = () if influxd is None else (influxd.folder,)
    house = new_house(history_url="" if influxd is None else influxd.url)
    evening = Evening(house)
    evening.come_in()
    return evening, (house.path, house.logs, *folders)


def test_91_days_after_an_evening_no_file_of_any_program_names_anybody(
    evening: tuple[Evening, tuple[Path, ...]], tmp_path: Path
) -> None:
    it, folders = evening
    house = it.house
    house.start_all()
    house.start("dashboard")
    it.pass_by()
    it.decide_alone()
    it.go_home()
    before = it.found(*folders)
    assert {name.removesuffix("-wal") for name, _ in before} >= {"gardien.db", "outbox.db"}
    assert {word for _, word in before} == it.words.keys()
    assert not [one for one in before if one[0].endswith((".log", ".err"))]

    it.expect_forgotten()
    # The hours of the time bank are kept for five years and looks for one, by id.
    kept = {("gardien.db", GUARDIAN), ("gardien.db", STAFF)}

    def found() -> set[tuple[str, str]]:
        return {(name.removesuffix("-wal"), who) for name, who in it.found(*folders)}

    wait_for(
        lambda: found() == kept,
        f"no file names anybody but {kept}, while all programs run",
        within_s=30,
        tell=lambda: str(sorted(found())),
    )
    backup(house, tmp_path)
    assert it.found(tmp_path / "restored") == kept
    for name in (house.main, house.fablab, "dashboard", "server", "broker"):
        house.stop(name)
    assert it.found(*folders) == kept


def backup(house: House, folder: Path) -> None:
    """Make a backup now, and write out what is in it."""
    secret, file = folder / "passphrase", folder / "house.backup"
    secret.write_text(PASSWORD)
    words = ("--passphrase-file", str(secret))
    done = house.gardien("backup", str(file), *words)
    assert done.returncode == 0, done.stderr
    to = str(folder / "restored")
    done = house.gardien("--data", to, "restore", str(file), *words)
    assert done.returncode == 0, done.stderr

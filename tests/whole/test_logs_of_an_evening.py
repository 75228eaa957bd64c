"""What an evening leaves in the logs: what went wrong, and nobody's name, badge, key or token."""

import base64
import json
import re
import secrets
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

from access.badge import digest
from access.ids import DoorId
from access.model import BadgeStatus
from server import api_tokens, calendar_addresses, registry, webhooks
from server.api_tokens import Scope
from tests.whole.conftest import House, NewHouse, free_port
from tests.whole.test_forgotten_house import GUARDIAN, NAMES, PASSWORD, STAFF, VISITOR, Evening

pytestmark = [pytest.mark.whole, pytest.mark.mosquitto]

SIDE: Final = DoorId("side")
"""A door of the settings that has no unit: the test speaks in its name."""

LEAST: Final = 16
"""A secret of fewer characters could stand in a line by chance."""


@dataclass
class Secrets:
    """What must stand in no line, by what it is."""

    said: dict[str, str] = field(default_factory=dict)

    def new(self, what: str) -> str:
        """Draw a secret."""
        self.said[what] = secrets.token_urlsafe(24)
        return self.said[what]

    def written(self) -> Iterator[tuple[str, str]]:
        """Give each in the ways in which a log could write it, in lower case."""
        for what, said in self.said.items():
            raw = said.encode()
            ways = {said, said.encode("unicode_escape").decode(), urllib.parse.quote(said)}
            ways |= {raw.hex(), base64.b64encode(raw).decode().rstrip("=")}
            for way in ways:
                yield what, way.lower()


def uids_of(uid: bytes, what: str) -> dict[str, str]:
    return {
        f"{what}, hex": uid.hex(),
        f"{what}, with colons": uid.hex(":"),
        f"{what}, as bytes": repr(uid)[2:-1],
        f"{what}, as a list": str(list(uid))[1:-1],
    }


def secrets_on_disk(path: Path) -> dict[str, str]:
    """Give each line of the keys and secrets of an installation, but for public ones."""
    files = [
        file
        for file in path.rglob("*")
        if file.is_file()
        and {"keys", "secrets"} & set(file.relative_to(path).parts)
        and "pub" not in file.name
    ]
    return {
        f"{file.relative_to(path)}, line {number}": line
        for file in files
        for number, line in enumerate(file.read_text(errors="replace").splitlines())
        if len(line) >= LEAST and not line.startswith("-----")
    }


class Troubled:
    """An evening on which much goes wrong that gardien logs."""

    def __init__(self, house: House, moody: int) -> None:
        self.moody = moody
        self.house, self.evening, self.secrets = house, Evening(house), Secrets()
        self.web = f"http://127.0.0.1:{house.web_port}"
        self.cookies = CookieJar()
        self._write_settings()

    def _write_settings(self) -> None:
        """Send alerts and webhooks to where nobody answers, or not as is wished; with secrets."""
        new, folder = self.secrets.new, self.house.path / "secrets"
        (folder / "hook.secret").write_text(webhooks.write_key(secrets.token_bytes(32)))
        (folder / "mail.password").write_text(new("password of the mail server"))
        login = f"{new('user of an Apprise address')}:{new('password of an Apprise address')}"
        (folder / "chat.address").write_text(f"json://{login}@127.0.0.1:{free_port()}/x")
        (folder / "metrics.token").write_text(new("token of the metrics"))
        self.house.change_settings(
            "",
            f"""
[[webhooks]]
id = "moody"
url = "http://127.0.0.1:{self.moody}/gardien?token={new("token of an address that answers")}"
secret_file = "secrets/hook.secret"
people = "names"
[[webhooks]]
id = "books"
url = "http://127.0.0.1:{free_port()}/gardien?token={new("token in an address")}"
secret_file = "secrets/hook.secret"
people = "names"
[[alerts.channel]]
id = "staff"
to = "staff"
names = true
[[alerts.channel]]
id = "chat"
address_file = "secrets/chat.address"
[alerts.smtp]
host = "127.0.0.1"
port = {free_port()}
security = "none"
sender = "gardien@example.org"
username = "gardien"
password_file = "secrets/mail.password"
""",
        )
        self.house.change_settings(
            f'listen = "127.0.0.1:{self.house.web_port}"',
            f'listen = "127.0.0.1:{self.house.web_port}"\n'
            'metrics_token_file = "secrets/metrics.token"',
        )

    def pass_by(self) -> None:
        """Let it all happen."""
        self.evening.come_in()
        self.follow_a_calendar()
        self.house.start_all()
        self.house.start("dashboard")
        self.evening.pass_by()
        self.show_a_lost_badge()
        self.speak_badly_in_the_name_of_a_door()
        self.ask_the_pages()
        self.run_commands()
        self.evening.decide_alone()
        self.house.kill("broker")
        self.evening.tap(VISITOR, "out")
        self.house.start("broker")
        self.house.expect_well()
        self.evening.go_home()

    def follow_a_calendar(self) -> None:
        """Have the server follow a secret address, that redirects it to nothing."""
        house, secret = self.house, self.secrets.new("secret address of a calendar")
        house.change_settings("database = ", 'calendar_refresh = "10 s"\ndatabase = ')
        with house.inside.database.writing() as connection:
            registry.put_calendar(
                connection,
                site=house.site,
                kind="url",
                location=f"http://127.0.0.1:{self.moody}/private-{secret}/basic.ics",
                body="BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nEND:VCALENDAR\r\n",
                at=house.clock.now(),
            )

    def show_a_lost_badge(self) -> None:
        """Raise an alert that names somebody, for the channels to fail with."""
        house = self.house
        with house.inside.database.writing() as connection:
            registry.mark_badge(connection, self.evening.cards[VISITOR], BadgeStatus.LOST)
        self.evening.tap(VISITOR, "in")
        house.expect(lambda: house.entries("alert.badge_revoked"), "the alert", 20)
        for words in (
            "the webhook books waits",
            "the webhook moody does not take",
            "channel staff: attempt",
            "channel chat: attempt",
            "calendar 1 of 127.0.0.1 keeps its last copy",
        ):
            self.expect_line(words)

    def expect_line(self, words: str) -> None:
        self.house.expect(lambda: words in self.house.log("server"), f"the log has {words!r}", 60)

    def speak_badly_in_the_name_of_a_door(self) -> None:
        """Send messages that are none, with a badge and a token in them."""
        house, card = self.house, self.evening.cards[GUARDIAN]
        token = self.secrets.said["token of a badge"] = secrets.token_hex(16)
        request: dict[str, Any] = {"id": 7, "at": card, "reader": token, "badge": card}
        with house.logged_in(f"{house.site}.{SIDE}") as door:
            for message in (
                request,
                request | {"badge": f"{card}x", "token": token},
                {"records": [{"badge": card, "token": token}]},
                {"online": card, "readers": token},
            ):
                for what in ("request", "journal", "state"):
                    door.say(house.door_topic(what, SIDE), json.dumps(message).encode())
        with house.logged_in("server", self.secrets.new("wrong password of the broker")):
            pass  # mosquitto refuses it, and writes a line
        house.expect(lambda: "was dropped" in house.log("server"), "a message is dropped", 20)

    def ask_the_pages(self) -> None:
        """Use every kind of token on the pages, right ones and wrong ones."""
        new, now = self.secrets.new, self.house.clock.now()
        with self.house.inside.database.writing() as connection:
            _, api = api_tokens.make(
                connection, name="till", scopes=[Scope.OCCUPANCY_READ], member=STAFF, now=now
            )
            key = calendar_addresses.make(connection, GUARDIAN, now)
        self.secrets.said |= {"token of the API": api, "key of a calendar": key}
        site, email = self.house.site, "aurelie.gardienne@forget.example"
        self.secrets.said["e-mail of a log-in that failed"] = email
        form = {"email": email, "password": new("password that was typed")}
        self.ask("/login", form=form)
        self.ask("/login", form=form | {"csrf_token": new("token of a form")})
        for token in (api, new("token of the API that is none")):
            self.ask("/api/v1/occupancy", token=token)
            self.ask("/api/v1/members", token=token)
            self.ask("/metrics", token=token)
            self.ask(f"/live?site={site}", token=token)
        for one in (key, new("key of a calendar that is none")):
            self.ask(f"/calendar/{site}.ics?key={one}")
        self.ask("/", cookie=f"gardien={new('session that is none')}")
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        with browser.open(f"{self.web}/login") as page:
            csrf = re.search(r'name="csrf_token" value="([^"]+)"', page.read().decode())
        assert csrf is not None
        staff = f"{NAMES[STAFF].split()[0].lower()}@forget.example"
        sent = {"csrf_token": csrf[1], "email": staff, "password": PASSWORD}
        browser.open(f"{self.web}/login", urllib.parse.urlencode(sent).encode()).close()
        for name in ("gardien", "gardien-form"):
            value = next(one.value for one in self.cookies if one.name == name)
            assert value
            self.secrets.said[f"cookie {name}"] = value
        self.secrets.said["token of a form that was taken"] = csrf[1]

    def ask(
        self,
        path: str,
        *,
        token: str | None = None,
        form: dict[str, str] | None = None,
        cookie: str | None = None,
    ) -> None:
        """Ask for a page, whatever it answers; of a stream, its first line."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        headers |= {} if cookie is None else {"Cookie": cookie}
        sent = None if form is None else urllib.parse.urlencode(form).encode()
        asked = urllib.request.Request(f"{self.web}{path}", sent, headers)  # noqa: S310 (this machine)
        try:
            with urllib.request.urlopen(asked, timeout=20) as answer:  # noqa: S310
                answer.readline()
        except urllib.error.HTTPError as refused:
            refused.close()

    def run_commands(self) -> None:
        """Run commands that fail, and keep what they say on standard error."""
        uid = "04:11:22:33:44:55:66"
        self.secrets.said |= uids_of(bytes.fromhex(uid.replace(":", "")), "a card that is given")
        for name, words in {
            "given": ("badge", "assign", GUARDIAN, "--uid", uid),
            "again": ("badge", "assign", VISITOR, "--uid", uid),
            "test": ("alert", "test", "chat"),
            "mail": ("alert", "test", "staff", "--to", "aurelie.gardienne@forget.example"),
            "doctor": ("doctor",),
        }.items():
            done = self.house.gardien(*self.house.options, *words)
            (self.house.logs / f"command-{name}.err").write_text(done.stderr)

    def collect(self) -> dict[str, str]:
        """Give all that must not be there."""
        house, key = self.house, self.house.inside.read_badge_key(House.site)
        found = dict(self.secrets.said)
        for member, name in NAMES.items():
            first, last = name.split()
            found |= {f"name of {member}": name, f"first name of {member}": first}
            found |= {f"last name of {member}": last}
            found[f"e-mail of {member}"] = f"{first.lower()}@forget.example"
            found |= uids_of(self.evening.uid(member), f"UID of {member}")
            found[f"digest of {member}"] = self.evening.cards[member]
        found |= uids_of(House.stranger, "UID of a stranger")
        found["digest of a stranger"] = digest(House.stranger, key)
        found["password of staff"] = PASSWORD
        return found | secrets_on_disk(house.path)


@pytest.fixture
def moody() -> Iterator[int]:
    """The port of a web server that takes every second post."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        asked = 0

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            type(self).asked += 1
            self.send_response(200 if self.asked % 2 else 400)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(404 if self.path.endswith("?again") else 302)
            self.send_header("Location", f"{self.path}?again")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield int(server.server_address[1])
        server.shutdown()
        thread.join()


def test_no_line_of_an_evening_holds_a_name_a_badge_a_key_or_a_token(
    new_house: NewHouse, moody: int
) -> None:
    house = new_house(more_doors=[SIDE])
    house.options = ("--log-level", "debug")  # all that is logged at any level
    it = Troubled(house, moody)
    it.pass_by()
    for name in (house.main, house.fablab, "dashboard", "server", "broker"):
        house.stop(name)
    it.secrets.said = it.collect()
    assert len(it.secrets.said) > 60
    logs = [*house.logs.iterdir(), *house.path.rglob("*.log")]
    lines = [
        (file.name, line) for file in logs for line in file.read_text(errors="replace").splitlines()
    ]
    assert {name for name, _ in lines} >= {
        "server.log",
        "dashboard.log",
        "main.log",
        "fablab.log",
        "broker.log",
        "mosquitto.log",
        "command-mail.err",
    }
    assert any(" DEBUG " in line for _, line in lines)
    wanted = set(it.secrets.written())
    found = [
        (name, what, line) for name, line in lines for what, way in wanted if way in line.lower()
    ]
    assert not found, "\n".join(f"{name}: {what}: {line}" for name, what, line in found[:40])

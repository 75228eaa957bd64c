"""`gardien alert`, `gardien webhook`, and what `gardien doctor` says of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from access.ids import SiteId
from gardien.founding import broker_clients
from server import notifier_queue, webhooks
from server.events import CalendarFailed
from server.folder import Folder
from server.installation import open_installation
from server.notifier_queue import Delivery, Stage
from server.webhooks_follower import name_of

House = Any  # CommandLine of conftest.py, which cannot be imported by name

SITE = SiteId("malakoff")
HOOK = """
[[webhooks]]
id = "books"
url = "https://example.org/gardien"
secret_file = "books.secret"
"""


def fail_a_calendar(data: Path) -> None:
    with open_installation(data) as installation:
        now = installation.clock.now()
        failed = CalendarFailed(calendar=1, host="example.org", since=now, why="away")
        installation.gatehouse.handle(SITE, [failed], now)


@pytest.fixture
def hooked(house: House) -> House:
    house.settings(lambda text: text + HOOK)
    (house.data / "books.secret").write_text(webhooks.write_key(b"k" * 32))
    return house


def give_up(data: Path, entries: list[int]) -> None:
    with (
        open_installation(data) as installation,
        installation.open_history() as (_, cursors),
    ):
        notifier_queue.prepare(cursors)
        with cursors.writing() as connection:
            notifier_queue.begin(connection, name_of("books"), 0)
            notifier_queue.put(
                connection,
                [
                    Delivery(
                        target=name_of("books"),
                        entry=entry,
                        site=SITE,
                        kind="gardien.watch.closed",
                        stage=Stage.DEAD,
                        due=installation.clock.now(),
                        attempts=7,
                        error="example.org answers 422",
                    )
                    for entry in entries
                ],
            )


def test_an_alert_is_listed_until_it_is_taken_in_charge(house: House) -> None:
    assert "no alerts" in house.done("alert", "list", "--language", "en")
    fail_a_calendar(house.data)
    assert "A calendar has not been readable" in house.done("alert", "list", "--language", "en")
    [alert] = json.loads(house.done("alert", "list", "--json"))
    number = str(alert["number"])
    assert number in house.done("alert", "ack", number)
    assert json.loads(house.done("alert", "list", "--json")) == []
    [alert] = json.loads(house.done("alert", "list", "--all", "--json"))
    assert alert["taken_by"] == "operator"
    assert alert["taken_at"] is not None


def test_taking_it_twice_changes_nothing(house: House) -> None:
    fail_a_calendar(house.data)
    [alert] = json.loads(house.done("alert", "list", "--json"))
    for _ in range(2):
        house.done("alert", "ack", str(alert["number"]))
    house.done("verify")


def test_an_alert_that_is_none_is_named(house: House) -> None:
    done = house("alert", "ack", "999")
    assert done.status == 1
    assert "no alert 999" in done.err


def test_a_channel_that_is_none_is_named(house: House) -> None:
    done = house("alert", "test", "sms")
    assert done.status == 1
    assert "no channel 'sms'" in done.err


def test_a_webhook_is_listed_before_it_ever_ran(hooked: House) -> None:
    [hook] = json.loads(hooked.done("webhook", "list", "--json"))
    assert (hook["name"], hook["target"]) == ("webhook.books", None)
    assert "no webhooks" not in hooked.done("webhook", "list", "--language", "en")


def test_what_was_given_up_is_listed_and_tried_again(hooked: House) -> None:
    give_up(hooked.data, [1, 2])
    dead = json.loads(hooked.done("webhook", "dead", "books", "--json"))
    assert [one["entry"] for one in dead] == [1, 2]
    assert "answers 422" in hooked.done("webhook", "dead", "books")
    assert "1 are" in hooked.done("webhook", "retry", "books", "2", "--language", "en")
    assert [one["entry"] for one in json.loads(
        hooked.done("webhook", "dead", "books", "--json")
    )] == [1]  # fmt: skip
    assert "1 are" in hooked.done("webhook", "retry", "books", "--language", "en")
    assert json.loads(hooked.done("webhook", "dead", "books", "--json")) == []


def test_a_webhook_goes_on_where_it_is_told_to(hooked: House) -> None:
    hooked.done("webhook", "replay", "books", "--after", "3")
    [hook] = json.loads(hooked.done("webhook", "list", "--json"))
    assert hook["target"]["attempts"] == 0


def test_a_webhook_that_is_none_is_named(hooked: House) -> None:
    done = hooked("webhook", "retry", "nothing")
    assert done.status == 1
    assert "books" in done.err


def test_a_secret_is_long_and_new_each_time(house: House) -> None:
    first, second = (house.done("webhook", "secret").strip() for _ in range(2))
    assert first != second
    assert len(webhooks.read_key(first)) == 32


def test_the_doctor_tells_what_was_given_up_and_what_is_open(hooked: House) -> None:
    fail_a_calendar(hooked.data)
    give_up(hooked.data, [1])
    said = hooked("doctor", "--language", "en").out
    assert "1 were given up: see `gardien webhook dead books`" in said
    assert "1 alerts that nobody has taken in charge" in said


def test_the_doctor_tells_of_a_secret_that_is_missing_or_wrong(hooked: House) -> None:
    (hooked.data / "books.secret").write_text("whsec_short")
    assert "webhook.books: the secret" in hooked("doctor", "--language", "en").out
    (hooked.data / "books.secret").unlink()
    assert "webhook.books:" in hooked("doctor", "--language", "en").out


def test_home_assistant_is_let_in_once_it_has_a_password(house: House) -> None:
    house.settings(lambda text: text + "\n[home_assistant]\nenabled = true\n")
    folder = Folder(path=house.data)
    names = {one.name for one in broker_clients(folder, folder.load_settings())}
    assert "home" not in names
    (house.data / "secrets" / "home.password").write_text("a long word\n")
    [home] = [one for one in broker_clients(folder, folder.load_settings()) if one.name == "home"]
    assert (home.role, home.discovery_prefix) == ("home", "homeassistant")

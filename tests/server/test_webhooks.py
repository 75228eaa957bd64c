"""Webhooks: what is told, how it is signed, and what happens when nobody listens."""

import base64
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from access.ids import MemberId, SiteId
from access.journal import Head, chained
from runtime.settings import RuleError
from runtime.written import Duration
from server import ledger, notifier_queue, webhooks
from server.database import Database, open_database
from server.notifier_queue import Stage
from server.webhooks_follower import TRIES_S, WebhookFollower, name_of
from server.webhooks_settings import WebhookSettings
from tests.server.migrated import open_migrated

SITE = SiteId("malakoff")
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
KEY = bytes(range(32))
ALICE = MemberId("alice")
NAME = name_of("books")

Receiver = Any  # of conftest.py, which cannot be imported by name


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
    """A ledger, the followers' own file, and a webhook on a clock that is moved by hand."""

    database: Database
    cursors: Database
    hook: WebhookSettings
    clock: HandClock = field(default_factory=HandClock)
    head: Head = field(default_factory=Head)
    followers: list[WebhookFollower] = field(default_factory=list)

    def happen(
        self, kind: str, data: dict[str, Any] | None = None, member: MemberId | None = None
    ) -> int:
        return self.happened([(kind, data or {}, member)])

    def happened(self, what: Sequence[tuple[str, dict[str, Any], MemberId | None]]) -> int:
        entries = []
        for kind, data, member in what:
            record, self.head = chained(
                self.head, site=SITE, source="server", kind=kind, time=self.clock.time, data=data
            )
            entries.append(
                ledger.Entry(
                    site=SITE,
                    source="server",
                    seq=record["seq"],
                    kind=record["type"],
                    time=self.clock.time,
                    received=self.clock.time,
                    member=member,
                    record=record,
                )
            )
        with self.database.writing() as connection:
            ledger.append(connection, entries)
            return ledger.last_id(connection)

    def follower(self, **changes: Any) -> WebhookFollower:
        hook = msgspec.structs.replace(self.hook, **changes)
        found = WebhookFollower(
            hook=hook, source=self.database, cursors=self.cursors, clock=self.clock
        )
        self.followers.append(found)
        return found

    def listed(self, stage: Stage) -> list[notifier_queue.Delivery]:
        with self.cursors.reading() as connection:
            return notifier_queue.listed(connection, NAME, stage)

    def target(self) -> notifier_queue.Target:
        with self.cursors.reading() as connection:
            found = notifier_queue.target(connection, NAME)
        assert found is not None
        return found

    def cursor(self) -> int:
        with self.cursors.reading() as connection:
            return ledger.cursor(connection, NAME)

    def later(self, **span: float) -> None:
        self.clock.time += timedelta(**span)


@pytest.fixture
def house(tmp_path: Path, receiver: Receiver) -> Iterator[House]:
    secret = tmp_path / "secret"
    secret.write_text(webhooks.write_key(KEY))
    hook = WebhookSettings(
        id="books", url=f"{receiver.url}/gardien", secret_file=secret, timeout=Duration(seconds=2)
    )
    with (
        open_migrated(tmp_path / "gardien.db") as database,
        open_database(f"sqlite:///{tmp_path / 'history.db'}") as cursors,
    ):
        notifier_queue.prepare(cursors)
        found = House(database=database, cursors=cursors, hook=hook)
        yield found
        for one in found.followers:
            one.close()


@pytest.fixture
def follower(house: House) -> Iterator[WebhookFollower]:
    found = house.follower()
    found.step()
    yield found
    found.close()


def catch_up(follower: WebhookFollower) -> int:
    return sum(iter(follower.step, 0))


def test_a_request_is_signed_as_the_standard_says() -> None:
    # Vector of the reference libraries: standard-webhooks/standard-webhooks, python tests.
    key = webhooks.read_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    got = webhooks.headers(
        [key],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
        datetime.fromtimestamp(1614265330, UTC),
        "application/json",
    )
    assert got["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert got["webhook-timestamp"] == "1614265330"


def test_while_a_secret_changes_over_both_sign() -> None:
    got = webhooks.headers([KEY, KEY[::-1]], "one", b"{}", NOON, "application/json")
    first, second = got["webhook-signature"].split(" ")
    assert first != second
    assert first.startswith("v1,")


@pytest.mark.parametrize("secret", ["whsec_short", "whsec_" + base64.b64encode(b"k" * 8).decode()])
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(webhooks.WebhookSecretError):
        webhooks.read_key(secret)


def test_what_happens_is_told_as_a_cloud_event(
    house: House, follower: WebhookFollower, receiver: Receiver
) -> None:
    house.happen("door.online", {"door": "main"})
    catch_up(follower)
    headers, body = receiver.posts[0]
    assert headers["content-type"].startswith("application/cloudevents+json")
    event = json.loads(body)
    assert event == {
        "specversion": "1.0",
        "id": "malakoff/server/1",
        "source": "/malakoff/server",
        "type": "gardien.door.online",
        "time": "2026-11-02T12:00:00Z",
        "seq": 1,
        "datacontenttype": "application/json",
        "data": {"door": "main"},
    }
    wanted = webhooks.headers([KEY], event["id"], body, NOON, webhooks.STRUCTURED)
    assert headers["webhook-signature"] == wanted["webhook-signature"]


def test_a_new_webhook_is_not_told_the_past(house: House, receiver: Receiver) -> None:
    house.happen("door.online")
    catch_up(house.follower())
    assert receiver.posts == []


def test_only_what_was_asked_for_is_told(house: House, receiver: Receiver) -> None:
    follower = house.follower(events=("watch.*", "door.offline"))
    follower.step()
    for kind in ("watch.opened", "door.online", "door.offline", "access.decided"):
        house.happen(kind)
    catch_up(follower)
    told = [json.loads(body)["type"] for body in receiver.bodies]
    assert told == ["gardien.watch.opened", "gardien.door.offline"]
    assert house.cursor() == 4


@pytest.mark.parametrize(
    ("people", "told", "subject"),
    [
        ("none", {"guardian": None, "members": 2}, None),
        ("ids", {"guardian": "alice", "members": ["alice", "bob"]}, "alice"),
    ],
)
def test_people_are_told_of_only_if_the_settings_say_so(
    house: House, receiver: Receiver, people: str, told: dict[str, Any], subject: str | None
) -> None:
    follower = house.follower(people=people)
    follower.step()
    house.happen(
        "watch.opened",
        {"guardian": "alice", "members": ["alice", "bob"], "badge": "0" * 32},
        member=ALICE,
    )
    catch_up(follower)
    event = json.loads(receiver.bodies[0])
    assert event["data"] == told
    assert event.get("subject") == subject
    assert b"0" * 32 not in receiver.bodies[0]


def test_while_the_target_is_away_all_waits_and_then_all_comes_in_order(
    house: House, follower: WebhookFollower, receiver: Receiver
) -> None:
    receiver.answer = lambda _: 503
    for number in range(5):
        house.happen("guests.changed", {"change": number})
    assert catch_up(follower) == 0
    assert len(receiver.posts) == 1
    assert house.target().attempts == 1
    assert follower.step() == 0
    assert len(receiver.posts) == 1, "it is left alone for a while"
    receiver.answer = lambda _: 200
    house.later(seconds=6)
    catch_up(follower)
    assert [json.loads(body)["data"]["change"] for body in receiver.bodies[1:]] == list(range(5))
    assert house.target().attempts == 0
    assert house.listed(Stage.DEAD) == []


def test_a_restart_in_the_middle_loses_nothing(house: House, receiver: Receiver) -> None:
    house.follower().step()
    receiver.answer = lambda body: 200 if b'"seq":1,' in body else 503
    house.happen("door.online")
    house.happen("door.offline")
    catch_up(house.follower())
    receiver.answer = lambda _: 200
    house.later(minutes=1)
    catch_up(house.follower())
    assert [json.loads(body)["seq"] for body in receiver.bodies] == [1, 2, 2]
    assert {headers["webhook-id"] for headers, _ in receiver.posts[1:]} == {"malakoff/server/2"}


def test_what_is_not_taken_steps_aside_and_is_given_up_after_hours(
    house: House, follower: WebhookFollower, receiver: Receiver
) -> None:
    receiver.answer = lambda body: 422 if b'"seq":2,' in body else 200
    for _ in range(3):
        house.happen("door.online")
    catch_up(follower)
    assert [json.loads(body)["seq"] for body in receiver.bodies] == [1, 2, 3]
    for wait_s in TRIES_S:
        house.later(seconds=wait_s + 1)
        catch_up(follower)
    dead = house.listed(Stage.DEAD)
    assert [(one.entry, one.error) for one in dead] == [(2, "127.0.0.1 answers 422")]
    assert house.listed(Stage.WAITING) == []
    assert sum(TRIES_S) > 3600
    receiver.answer = lambda _: 200
    with house.cursors.writing() as connection:
        assert notifier_queue.revive(connection, NAME, house.clock.time) == 1
    catch_up(follower)
    assert json.loads(receiver.bodies[-1])["seq"] == 2
    assert house.listed(Stage.DEAD) == house.listed(Stage.WAITING) == []


def test_after_days_without_success_the_old_is_given_up_and_the_new_waits(
    house: House, follower: WebhookFollower, receiver: Receiver
) -> None:
    receiver.answer = lambda _: 500
    house.happen("door.online")
    catch_up(follower)
    house.later(days=4)
    house.happen("door.offline")
    catch_up(follower)
    assert [one.entry for one in house.listed(Stage.DEAD)] == [1]
    receiver.answer = lambda _: 200
    house.later(hours=2)
    catch_up(follower)
    assert json.loads(receiver.bodies[-1])["seq"] == 2


def test_a_target_may_ask_to_be_left_alone(
    house: House, follower: WebhookFollower, receiver: Receiver
) -> None:
    receiver.answer, receiver.headers = (lambda _: 429), {"Retry-After": "120"}
    house.happen("door.online")
    catch_up(follower)
    assert house.target().retry_at == house.clock.time + timedelta(seconds=120)


def test_a_redirect_is_not_followed(
    house: House, follower: WebhookFollower, receiver: Receiver
) -> None:
    receiver.answer, receiver.headers = (lambda _: 307), {"Location": f"{receiver.url}/elsewhere"}
    house.happen("door.online")
    catch_up(follower)
    assert len(receiver.posts) == 1
    assert house.target().error == "127.0.0.1 answers 307"


def test_of_a_batch_only_what_is_not_taken_steps_aside(house: House, receiver: Receiver) -> None:
    follower = house.follower(batch=10)
    follower.step()
    receiver.answer = lambda body: 400 if b'"seq":3,' in body else 200
    house.happened([("door.online", {}, None)] * 5)
    catch_up(follower)
    assert [one.entry for one in house.listed(Stage.WAITING)] == [3]
    taken = [json.loads(body) for body in receiver.bodies if b'"seq":3,' not in body]
    assert [event["seq"] for batch in taken for event in batch] == [1, 2, 4, 5]
    assert receiver.posts[0][0]["content-type"].startswith("application/cloudevents-batch+json")


def test_a_batch_sent_again_has_the_same_id_and_body(house: House, receiver: Receiver) -> None:
    follower = house.follower(batch=10)
    follower.step()
    house.happened([("door.online", {}, None)] * 5)
    catch_up(follower)
    with house.cursors.writing() as connection:
        ledger.rewind(connection, NAME)
    catch_up(follower)
    first, second = receiver.posts
    assert first[1] == second[1]
    assert first[0]["webhook-id"] == second[0]["webhook-id"]


def test_begun_again_at_zero_it_tells_the_same_in_the_same_order(
    house: House, receiver: Receiver
) -> None:
    follower = house.follower()
    follower.step()
    for number in range(250):
        house.happen("access.decided", {"door": "main", "number": number}, ALICE)
    catch_up(follower)
    told = [(headers["webhook-id"], body) for headers, body in receiver.posts]
    assert len(told) == 250
    with house.cursors.writing() as connection:
        ledger.rewind(connection, NAME)
    catch_up(house.follower())
    again = [(headers["webhook-id"], body) for headers, body in receiver.posts[250:]]
    assert again == told


def test_a_wrong_secret_sends_nothing(house: House, receiver: Receiver) -> None:
    follower = house.follower()
    follower.step()
    house.hook.secret_file.write_text("whsec_nothing")
    house.happen("door.online")
    assert catch_up(follower) == 0
    assert receiver.posts == []
    assert "signed" in (house.target().error or "")


def test_a_day_away_is_caught_up_fast(house: House, receiver: Receiver) -> None:
    follower = house.follower(batch=500)
    follower.step()
    one = (
        "access.decided",
        {"door": "main", "answer": {"granted": True, "reason": "watch"}},
        ALICE,
    )
    for _ in range(4):
        house.happened([one] * 2_500)
    start = time.perf_counter()
    assert catch_up(follower) == 10_000
    rate = 10_000 / (time.perf_counter() - start)
    assert sum(len(json.loads(body)) for body in receiver.bodies) == 10_000
    assert rate > 2_000, f"{rate:.0f} a second; 5,000 on a quiet machine"


@pytest.mark.parametrize(
    "url",
    ["http://example.org/", "http://192.168.1.2/", "http://127.0.0.1.example.org/"],
)
def test_plain_http_is_for_this_machine_only(url: str, tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="in the clear"):
        WebhookSettings(id="books", url=url, secret_file=tmp_path)
    WebhookSettings(id="books", url=url, secret_file=tmp_path, allow_http=True)


def test_a_password_in_the_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="take the name"):
        WebhookSettings(id="books", url="https://me:pw@example.org/", secret_file=tmp_path)

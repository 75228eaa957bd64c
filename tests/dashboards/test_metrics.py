"""What operators watch."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event

from access.ids import SiteId
from dashboards.metrics_senders import FollowersReader
from server import ledger, notifier_queue

MakeBrowser = Callable[..., Any]
Numbers = dict[tuple[str, ...], float]
ELSEWHERE = {"REMOTE_ADDR": "192.0.2.1"}
LABELS = ("site", "door", "by", "granted", "reason", "follower")
TOKEN = "a token that nobody guesses"  # noqa: S105 (of this test only)


@pytest.fixture
def browser(place: Any, make_browser: MakeBrowser) -> Any:
    place.follow()
    with make_browser(place, cursors=place.cursors, metrics_token=TOKEN) as found:
        yield found


def numbers(browser: Any) -> Numbers:
    """Scrape, and give each value by its name and labels."""
    answer = browser.get("/metrics")
    assert answer.content_type.startswith("text/plain; version=")
    return {
        (sample.name, *(sample.labels[one] for one in LABELS if one in sample.labels)): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def _heard_at(place: Any) -> Any:
    return place.installation.gatehouse.look("malakoff").doors["fablab"].heard_at


def test_the_numbers_of_a_site_are_those_of_its_board(browser: Any) -> None:
    found = numbers(browser)
    for name, value in (
        ("present", 22),
        ("margin", 1),
        ("members", 19),
        ("guests", 4),
        ("capacity", 40),
    ):
        assert found[f"gardien_{name}", "malakoff"] == value
    assert found["gardien_present", "annexe"] == 0
    assert found["gardien_open", "malakoff", "watch"] == 1
    assert found["gardien_open", "malakoff", "closed"] == 0
    assert found["gardien_open", "annexe", "closed"] == 1


def test_doors_are_online_or_not_and_say_what_they_keep(place: Any, browser: Any) -> None:
    found = numbers(browser)
    assert found["gardien_door_online", "malakoff", "main"] == 1
    assert found["gardien_door_online", "malakoff", "fablab"] == 0
    assert found["gardien_door_online", "annexe", "annexe-main"] == 0, "never heard of"
    assert ("gardien_door_queue", "annexe", "annexe-main") not in found
    assert found["gardien_door_queue", "malakoff", "fablab"] == 3
    heard = (place.clock.now() - _heard_at(place)).total_seconds()
    assert heard - 5 < found["gardien_door_news_age_seconds", "malakoff", "fablab"] <= heard


def test_decisions_are_counted_on_from_the_first_scrape(place: Any, browser: Any) -> None:
    assert not [key for key in numbers(browser) if key[0] == "gardien_decisions_total"]
    place.tap("nobody")
    place.tap("vera-novak")
    place.tap("vera-novak", reader=place.out)
    found = numbers(browser)
    assert {key[1:]: value for key, value in found.items() if "decisions_total" in key[0]} == {
        ("malakoff", "false", "unknown_badge"): 1,
        ("malakoff", "true", "watch"): 1,
        ("malakoff", "true", "exit"): 1,
    }
    place.tap("nobody")
    again = numbers(browser)
    assert again["gardien_decisions_total", "malakoff", "false", "unknown_badge"] == 2
    assert again["gardien_decisions_total", "malakoff", "true", "watch"] == 1


def test_what_a_door_calls_its_reason_makes_no_series_of_its_own(place: Any, browser: Any) -> None:
    numbers(browser)
    for reason in ("a", "b", None, [7]):
        data = {"reader": "in", "reason": reason, "offline": True}
        place.report("fablab", place.clock.now(), "access.denied", data)
    assert numbers(browser)["gardien_decisions_total", "malakoff", "false", "other"] == 4


def test_a_scrape_reads_only_what_is_new_in_the_ledger(place: Any, browser: Any) -> None:
    numbers(browser)
    with place.installation.database.reading() as connection:
        end = ledger.last_id(connection)
    place.tap("nobody")
    place.follow()
    asked: list[Any] = []

    def note(*seen: Any) -> None:
        if "FROM ledger" in seen[2] and "ledger.id >" in seen[2]:
            asked.append(seen[3])

    engine = place.installation.database.engine
    event.listen(engine, "before_cursor_execute", note)
    numbers(browser)
    event.remove(engine, "before_cursor_execute", note)
    assert len(asked) == 1
    assert end in asked[0], "it began after what it had read before"


def test_how_far_the_history_is_behind_is_told(place: Any, browser: Any) -> None:
    assert numbers(browser)["gardien_follower_lag_entries", "history"] == 0
    place.tap("nobody")
    assert numbers(browser)["gardien_follower_lag_entries", "history"] > 0
    place.follow()
    assert numbers(browser)["gardien_follower_lag_entries", "history"] == 0


def test_nobody_is_in_the_metrics(place: Any, browser: Any) -> None:
    numbers(browser)
    place.tap("vera-novak")
    text = browser.get("/metrics").text
    for word in ("vera", "claire", "Novak", "example.org", "Atelier"):
        assert word not in text


def test_metrics_are_for_this_machine_and_for_who_has_the_token(browser: Any) -> None:
    def status(token: str | None) -> int:
        headers = {} if token is None else {"Authorization": token}
        answer = browser.get("/metrics", environ_overrides=ELSEWHERE, headers=headers)
        return int(answer.status_code)

    assert status(f"Bearer {TOKEN}") == 200
    for wrong in (None, "Bearer", "Bearer ", "Bearer x", f"Basic {TOKEN}", "Bearer \u00e9"):
        assert status(wrong) == 401, wrong
    forwarded = {"X-Forwarded-For": "127.0.0.1"}
    assert browser.get("/metrics", headers=forwarded).status_code == 401


def test_without_a_token_metrics_are_for_this_machine_only(
    place: Any, make_browser: MakeBrowser
) -> None:
    with make_browser(place) as browser:
        assert browser.get("/metrics").status_code == 200
        for token in ("Bearer None", "Bearer ", "Bearer x"):
            answer = browser.get(
                "/metrics", environ_overrides=ELSEWHERE, headers={"Authorization": token}
            )
            assert answer.status_code == 401


def test_followers_that_send_things_on_tell_what_waits_and_what_was_given_up(place: Any) -> None:
    notifier_queue.prepare(place.cursors)
    now = place.clock.now()
    with place.cursors.writing() as connection:
        found = notifier_queue.begin(connection, "webhook.books", 0)
        notifier_queue.save(connection, replace(found, attempts=2, failing_since=now))
        dead = notifier_queue.Delivery(
            target="webhook.books",
            entry=1,
            site=SiteId("malakoff"),
            kind="gardien.watch.closed",
            stage=notifier_queue.Stage.DEAD,
            due=now,
        )
        notifier_queue.put(connection, [dead])
    place.follow()
    reader = FollowersReader(
        database=place.installation.database,
        cursors=place.cursors,
        names=["webhook.books", "alerts.new"],
        clock=place.clock,
    )
    history, hook, new = reader.read()
    assert (history.lag, history.lag_s) == (0, 0.0)
    assert (hook.dead, hook.waiting, hook.is_failing) == (1, 0, True)
    assert hook.lag > 100
    assert hook.lag_s > 3600, "the first badge came in the morning"
    assert (new.lag, new.is_failing) == (0, False)

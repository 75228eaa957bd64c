"""What is held on others stays theirs: each page and operation that can be read, read by a member.

The routes are those of the application, so that a new one is tried as well.
"""

import html
from collections.abc import Callable
from typing import Any, Final

import pytest
from flask import Flask

from access.ids import SiteId
from dashboards.guard import STREAMS
from server import ledger, registry

EXPLAINED: Final = {
    "calendar.events": "says who watches an event, so that members know whom to ask: contract.md",
}
"""Pages that name others to a member, and why."""

SITE: Final = SiteId("malakoff")


def paths_of(app: Flask, entries: list[int]) -> dict[str, str]:
    """Give each path that can be read, filled in with what is others', and its view's name."""
    given: dict[str, Any] = {"slug": SITE, "door": "main", "code": "en", "filename": "gardien.css"}
    found = {}
    with app.test_request_context():
        for rule in app.url_map.iter_rules():
            if "GET" not in (rule.methods or ()):
                continue
            for entry in entries if "entry" in rule.arguments else entries[:1]:
                values = given | dict.fromkeys(rule.arguments - given.keys(), entry)
                built = rule.build({name: values[name] for name in rule.arguments})
                assert built is not None, rule
                found[built[1]] = rule.endpoint
    return found


def read(browser: Any, path: str, *, is_stream: bool) -> str:
    """Read a path, of a stream the first message, asked with somebody else's id in other ways."""
    answer = browser.get(f"{path}?member=claire&id=claire&reason=curious&site={SITE}")
    if is_stream and answer.status_code == 200:
        first = next(iter(answer.response))
        answer.close()
        return first.decode() if isinstance(first, bytes) else str(first)
    text = answer.get_data(as_text=True)
    answer.close()
    return html.unescape(text)


@pytest.mark.parametrize("who", ["noor", None])
def test_no_page_and_no_operation_names_anybody_else_to_a_member(
    who: str | None, place: Any, app: Flask, browser_of: Callable[[str | None], Any]
) -> None:
    with place.installation.database.reading() as connection:
        people = [one for one in registry.list_members(connection, None) if one.id != who]
        decided = ledger.latest(connection, SITE, 200, ["gardien.access.decided"])
    entries = [one.id for one in decided if one.member not in {None, who}][:5]
    secrets = {text for one in people for text in (one.name, one.email) if text}
    assert len(secrets) > 20
    browser = browser_of(who)
    named = {}
    for path, endpoint in paths_of(app, entries).items():
        text = read(browser, path, is_stream=endpoint in STREAMS)
        if found := {one for one in secrets if one in text}:
            named[endpoint] = found
    allowed = EXPLAINED.keys() if who is not None else set()
    assert named.keys() <= allowed, named


def test_the_same_pages_name_people_to_those_who_may_know(
    place: Any, app: Flask, browser_of: Callable[[str | None], Any]
) -> None:
    with place.installation.database.reading() as connection:
        names = {one.name for one in registry.list_members(connection, None)}
        entries = [one.id for one in ledger.latest(connection, SITE, 5, ["gardien.access.decided"])]
    browser = browser_of("salome")
    naming = {
        endpoint
        for path, endpoint in paths_of(app, entries).items()
        if any(one in read(browser, path, is_stream=endpoint in STREAMS) for one in names)
    }
    assert {"board.board", "watch.roll_call", "why.page", "api.roll_call", "api.events"} <= naming

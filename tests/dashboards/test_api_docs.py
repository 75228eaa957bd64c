"""The page on the API is true: its examples are run, and its tables are those of the code."""

import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from access.ids import MemberId
from dashboards.api import OPERATIONS
from dashboards.api_operations import ROOT
from dashboards.api_problems import KINDS
from dashboards.guard import Who
from server.api_tokens import OF_MEMBERS, Scope
from server.events import WatchOffered

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HOST = "$GARDIEN"


@dataclass
class Call:
    """What a line with `curl` sends."""

    path: str = ""
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    status: int | None = None
    shown: Any = None


def read_call(line: str) -> Call:
    command, _, status = line.partition(" # ")
    words = iter(shlex.split(command)[1:])
    call = Call(status=int(status) if status else None)
    for word in words:
        if word == "-H":
            name, _, value = next(words).partition(": ")
            call.headers[name] = value
        elif word == "-X":
            call.method = next(words)
        elif word == "--json":
            call.method, call.body = "POST", json.loads(next(words))
        elif word.startswith(HOST):
            call.path = word.removeprefix(HOST)
        else:
            assert word == "--no-buffer", word
    return call


def calls() -> Iterator[Call]:
    """Give each call of the page, the last of a block with the answer that is shown after it."""
    last: Call | None = None
    for kind, text in BLOCK.findall(PAGE):
        if kind == "json":
            assert last is not None
            last.shown = json.loads(text)
        elif kind == "sh":
            for line in text.splitlines():
                last = read_call(line)
                yield last


CALLS = list(calls())


def shape(value: Any) -> Any:
    """Give the names of fields and the kinds of their values; null is of any kind."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    return [shape(one) for one in value[:1]] if isinstance(value, list) else None


def rows(heading: str) -> list[list[str]]:
    part = PAGE.partition(f"\n{heading}\n")[2]
    table = re.search(r"^\| .*?\n\n", part, re.MULTILINE | re.DOTALL)
    assert table is not None
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table[0].split("\n")[2:-2]]


@pytest.mark.parametrize("number", range(len(CALLS)), ids=[call.path for call in CALLS])
def test_an_example_does_what_the_page_says(
    place: Any, program_of: Callable[..., Any], number: int
) -> None:
    call = CALLS[number]
    place.handle(WatchOffered(by=MemberId("claire"), to=MemberId("bruno")))
    program = program_of("claire")
    assert call.headers.pop("Authorization") == "Bearer $TOKEN"
    answer = program.ask(
        call.method, call.path, headers=call.headers, json=call.body, buffered=False
    )
    if call.path.startswith("/live"):
        assert next(iter(answer.response)) == b"retry: 2000\n\n"
        answer.close()
        return
    wanted = range(call.status, call.status + 1) if call.status else range(200, 300)
    assert answer.status_code in wanted, answer.text
    if call.shown is not None:
        assert shape(json.loads(answer.text)) == shape(call.shown)
    if call.status:
        assert json.loads(answer.text) == call.shown


def test_the_page_lists_each_operation_with_its_scope() -> None:
    found = {}
    for method_path, *cells in [*rows("## Read"), *rows("## Do")]:
        words = method_path.strip("`").split()
        method, path = words if len(words) > 1 else ("GET", words[0])
        found[method, path] = cells[1].strip("`")
    wanted = {}
    for one in OPERATIONS:
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"<\1>", one.rule)
        scope = "any" if one.scope is None else one.scope.value
        wanted[one.method, path] = "none, no token needed" if one.who is Who.ANYONE else scope
    assert found == wanted


def test_the_page_lists_each_scope_and_who_may_have_it() -> None:
    found = {row[0].strip("`"): row[2] for row in rows("## A token")}
    assert found == {one.value: "yes" if one in OF_MEMBERS else "" for one in Scope}


def test_the_page_lists_each_kind_of_problem_with_its_status() -> None:
    found = {
        (int(status), kind)
        for statuses, kinds, _ in rows("## When the answer is no")
        for status, kind in pairs(statuses, re.findall(r"`([a-z-]+)`", kinds))
    }
    assert found == {(int(kind.status), name) for name, kind in KINDS.items()}


def pairs(statuses: str, kinds: list[str]) -> list[tuple[str, str]]:
    each = statuses.split(", ")
    return list(zip(each * len(kinds) if len(each) == 1 else each, kinds, strict=True))


def test_the_page_says_where_the_api_begins() -> None:
    assert f"below `{ROOT}`" in PAGE

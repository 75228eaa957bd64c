"""Each line of `cases.csv`: a time, a badge, a door and a situation, and what is answered."""

import csv
import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

import pytest

from access.explain import explain, to_text
from access.ids import BadgeDigest, DoorId, MemberId, WatchId
from access.instants import from_rfc3339
from access.model import AntiPassback, Authorization, BadgeLevel, Policy, Reader
from access.policy import ROWS, Decision, Reason, Reliance, Request, State, Token, decide
from access.watch import Watch, close, open_watch, start_closing

CASES = list(
    csv.DictReader((Path(__file__).parent / "cases.csv").read_text(encoding="utf-8").splitlines())
)
IDS = [
    f"line {number}: {case['when']} {case['badge']} {case['door']} {case['situation']}"
    for number, case in enumerate(CASES, start=2)
]


class House(Protocol):
    """What `conftest.py` reads from `house.toml`."""

    @property
    def policy(self) -> Policy: ...
    @property
    def zone(self) -> ZoneInfo: ...
    @property
    def authorizations(self) -> Mapping[str, Authorization]: ...


SEASONS = {"": None, "summer": timedelta(hours=2), "winter": timedelta(hours=1)}


@dataclass(slots=True)
class Scene:
    """What a line's situation makes of the house."""

    house: House
    at: datetime
    policy: Policy
    state: State = field(default_factory=State)
    token: Token = Token.NONE

    def clock(self, text: str) -> datetime:
        """The instant of a time of the same day."""
        local = self.at.astimezone(self.house.zone)
        return datetime.combine(
            local.date(),
            time.fromisoformat(text),
            local.tzinfo,
        ).astimezone(UTC)

    def watch(self, name: str) -> Watch:
        authorization = self.house.authorizations[name]
        return open_watch(
            WatchId(name),
            authorization,
            DoorId("main"),
            authorization.span.start - authorization.lead,
            self.policy.closing_delay,
        )


def _watch(scene: Scene, name: str, how: str | None, clock: str | None) -> None:
    watch = scene.watch(name)
    if how == "closing since":
        watch = start_closing(watch, scene.clock(str(clock)))
    elif how == "closed at":
        watch = close(watch, scene.clock(str(clock)))
    scene.state = replace(scene.state, watch=watch)


def _set(**values: object) -> Callable[[Scene], None]:
    def apply(scene: Scene) -> None:
        scene.state = replace(scene.state, **values)  # type: ignore[arg-type]

    return apply


def _rule(**values: object) -> Callable[[Scene], None]:
    def apply(scene: Scene) -> None:
        scene.policy = replace(scene.policy, **values)  # type: ignore[arg-type]

    return apply


def _token(token: Token) -> Callable[[Scene], None]:
    def apply(scene: Scene) -> None:
        scene.token = token

    return apply


def _people(scene: Scene, number: str) -> None:
    scene.state = replace(scene.state, present=int(number))


def _inside(scene: Scene, name: str) -> None:
    scene.state = replace(scene.state, inside={MemberId(name)})


SITUATIONS: dict[str, Callable[..., None]] = {
    r"(\d+) inside": _people,
    r"([a-z]+) inside": _inside,
    r"([a-z-]+) watch(?: (closing since|closed at) (\d\d:\d\d))?": _watch,
    "site locked down": _set(locked_down={DoorId("main"), DoorId("lab")}),
    "main locked down": _set(locked_down={DoorId("main")}),
    "copied token": _token(Token.COPIED),
    "token fits": _token(Token.FITS),
    "strict count": _rule(anti_passback=AntiPassback.HARD),
    "L1 asked after hours": _rule(level_after_hours=BadgeLevel.L1),
    "L3 asked after hours": _rule(level_after_hours=BadgeLevel.L3),
    "door alone": _set(is_alone=True),
    "limited reliance": _set(reliance=Reliance.LIMITED),
    "no reliance": _set(reliance=Reliance.NONE),
    "clock in doubt": _set(clock_is_trusted=False),
}


def _instant(house: House, when: str) -> datetime:
    """Read a local time; one that the clock shows twice, or never, has to say which it is."""
    day, clock, season = (*when.split(), "")[:3]
    local = datetime.fromisoformat(f"{day}T{clock}")
    found = {local.replace(tzinfo=house.zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    if SEASONS[season] is not None:
        found = {at for at in found if at.astimezone(house.zone).utcoffset() == SEASONS[season]}
    (at,) = found
    assert at.astimezone(house.zone).replace(tzinfo=None) == local
    return at


def _scene(house: House, case: dict[str, str]) -> tuple[Scene, Request]:
    at = _instant(house, case["when"])
    scene = Scene(house=house, at=at, policy=house.policy)
    for part in filter(None, case["situation"].split(" + ")):
        matches = ((apply, re.fullmatch(form, part)) for form, apply in SITUATIONS.items())
        ((apply, match),) = [(apply, match) for apply, match in matches if match]
        apply(scene, *match.groups())
    door, reader = case["door"].split()
    badge = BadgeDigest(case["badge"].encode().hex().ljust(32, "0")[:32])
    request = Request(
        at=at, door=DoorId(door), reader=Reader(reader), badge=badge, token=scene.token
    )
    return scene, request


def _told(decision: Decision) -> str:
    opened = decision.opens_under
    marked = " marked passback" if decision.is_passback else ""
    return decision.reason.value + marked + (f" for {opened.id}" if opened is not None else "")


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_answer_is_the_one_of_the_table(house: House, case: dict[str, str]) -> None:
    scene, request = _scene(house, case)
    decision = decide(scene.policy, scene.state, request)
    told = _told(decision)
    if " for " not in case["reason"]:
        told = told.partition(" for ")[0]
    assert ("yes" if decision.granted else "no", told, decision.row) == (
        case["answer"],
        case["reason"],
        case["row"],
    )


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_explanation_ends_with_the_row_that_decides(house: House, case: dict[str, str]) -> None:
    scene, request = _scene(house, case)
    explained = explain(scene.policy, scene.state, request)
    assert explained.decision == decide(scene.policy, scene.state, request)
    numbers = [row.number for row in explained.rows]
    assert numbers == [row.number for row in ROWS][: len(numbers)]
    assert [row.number for row in explained.rows if row.matched] == [case["row"]]
    assert numbers[-1] == case["row"]
    for language in ("fr", "en"):
        assert len(to_text(explained, language, house.zone)) == len(numbers) + 1


def test_the_table_has_at_least_120_cases_and_no_case_twice() -> None:
    asked = [(c["when"], c["badge"], c["door"], c["situation"]) for c in CASES]
    assert len(asked) >= 120
    assert len(set(asked)) == len(asked)


def test_each_row_and_each_reason_has_a_case() -> None:
    assert {case["row"] for case in CASES} == {row.number for row in ROWS}
    assert {case["reason"].split()[0] for case in CASES} == {reason.value for reason in Reason}


def test_only_known_words_are_used_in_situations() -> None:
    parts = set(itertools.chain(*(case["situation"].split(" + ") for case in CASES))) - {""}
    assert not [p for p in parts if not any(re.fullmatch(form, p) for form in SITUATIONS)]


def test_the_season_tells_the_two_half_past_twos_apart(house: House) -> None:
    first = _instant(house, "2026-10-25 02:30:00 summer")
    second = _instant(house, "2026-10-25 02:30:00 winter")
    assert first == from_rfc3339("2026-10-25T00:30:00Z")
    assert second == from_rfc3339("2026-10-25T01:30:00Z")

"""The house of the cases: people, doors, hours and authorizations, read from `house.toml`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from access.calendar import Hours, Window, instant, opening_spans
from access.ids import BadgeDigest, DoorId, MemberId, SiteId
from access.instants import Span
from access.model import (
    Audience,
    Authorization,
    Badge,
    BadgeLevel,
    BadgeStatus,
    Door,
    Member,
    Plan,
    Policy,
    Reader,
    Status,
    Validity,
)

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FIRST, LAST = date(2026, 7, 1), date(2029, 12, 31)


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """A policy, with the zone in which its people tell the time."""

    policy: Policy
    zone: ZoneInfo
    authorizations: Mapping[str, Authorization]


def badge_of(name: str) -> BadgeDigest:
    """Give a badge of that name the form of a digest."""
    return BadgeDigest(name.encode().hex().ljust(32, "0")[:32])


def _validity(written: Mapping[str, Any], zone: ZoneInfo) -> Validity:
    since, until = written.get("since"), written.get("until")
    return Validity(
        since=since and instant(since, zone, is_end=False),
        until=until and instant(until, zone, is_end=True),
    )


def _windows(written: list[str]) -> tuple[Window, ...]:
    pairs = [text.split("-") for text in written]
    return tuple(Window(start=time.fromisoformat(a), end=time.fromisoformat(b)) for a, b in pairs)


def _week(written: Mapping[str, list[str]]) -> dict[int, tuple[Window, ...]]:
    return {DAYS.index(day): _windows(windows) for day, windows in written.items()}


def _authorization(name: str, written: Mapping[str, Any], zone: ZoneInfo) -> Authorization:
    return Authorization(
        id=name,
        guardian=MemberId(written["guardian"]),
        span=Span(
            start=instant(written["start"], zone, is_end=False),
            end=instant(written["end"], zone, is_end=True),
        ),
        lead=timedelta(minutes=written.get("lead_min", 30)),
        grace=timedelta(minutes=written.get("grace_min", 30)),
        title=name,
        audience=Audience(written["audience"]),
        registered=frozenset(written.get("registered", ())),
    )


def _members(written: Mapping[str, Any], zone: ZoneInfo) -> dict[MemberId, Member]:
    return {
        MemberId(name): Member(
            id=MemberId(name),
            plan=Plan(of["plan"]),
            status=Status(of.get("status", "active")),
            validity=_validity(of, zone),
            is_guardian=of.get("guardian", False),
        )
        for name, of in written.items()
    }


def _badges(written: Mapping[str, Any], zone: ZoneInfo) -> dict[BadgeDigest, Badge]:
    return {
        badge_of(name): Badge(
            digest=badge_of(name),
            member=MemberId(of["member"]),
            status=BadgeStatus(of.get("status", "active")),
            validity=_validity(of, zone),
            level=BadgeLevel[of.get("level", "L0")],
        )
        for name, of in written.items()
    }


@pytest.fixture(scope="session")
def house() -> House:
    """The house of `house.toml`."""
    text = (Path(__file__).parent / "house.toml").read_text(encoding="utf-8")
    written = tomllib.loads(text)
    zone = ZoneInfo(written["zone"])
    exceptions = {
        date.fromisoformat(day): _windows(windows) for day, windows in written["exceptions"].items()
    }
    hours = Hours(
        weekly=_week(written["hours"]), exceptions=exceptions, closed=set(written["closed"])
    )
    authorizations = {
        name: _authorization(name, of, zone) for name, of in written["authorizations"].items()
    }
    own = {name: {"member": name} for name in written["members"]}
    policy = Policy(
        version=1,
        site=SiteId("malakoff"),
        issued=datetime(2026, 7, 1, tzinfo=UTC),
        relies_until=datetime(2030, 1, 1, tzinfo=UTC),
        capacity=written["capacity"],
        doors={
            DoorId(name): Door(
                id=DoorId(name),
                name=name,
                plans=frozenset(Plan(plan) for plan in plans),
                readers=(Reader.IN, Reader.OUT),
            )
            for name, plans in written["doors"].items()
        },
        members=_members(written["members"], zone),
        badges=_badges(own | written["badges"], zone),
        opening=opening_spans(hours, zone, FIRST, LAST),
        plan_hours={
            Plan(plan): opening_spans(Hours(weekly=_week(week)), zone, FIRST, LAST)
            for plan, week in written["plan_hours"].items()
        },
        authorizations={
            guardian: tuple(
                sorted(
                    (a for a in authorizations.values() if a.guardian == guardian),
                    key=lambda a: a.span,
                )
            )
            for guardian in {a.guardian for a in authorizations.values()}
        },
        closing_delay=timedelta(minutes=written["closing_delay_min"]),
    )
    return House(policy=policy, zone=zone, authorizations=authorizations)

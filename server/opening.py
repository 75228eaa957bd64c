"""When a site is open, from its settings and the public holidays of its country."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import holidays

from access.calendar import Hours, Window, opening_spans
from access.instants import Span
from access.model import Plan
from runtime import written
from server.settings import SiteSettings, WeekHours

_ONE_DAY: Final = timedelta(days=1)


class HolidayError(ValueError):
    """Nobody knows the public holidays of that country or region."""


def public_holidays(country: str, region: str, first: date, last: date) -> frozenset[date]:
    """Give the public holidays from `first` to `last`, both included.

    Args:
        country: ISO 3166 code; empty for none.
        region: a part of the country with holidays of its own, such as `Moselle`; empty for none.
        first: first day.
        last: last day.

    Raises:
        HolidayError: the country, or the region, is not known.
    """
    if not country:
        return frozenset()
    years = range(first.year, last.year + 1)
    try:
        with warnings.catch_warnings():
            # Names of regions that are no longer official are taken, as settings outlive them.
            warnings.simplefilter("ignore", DeprecationWarning)
            found = holidays.country_holidays(country, subdiv=region or None, years=years)
    except NotImplementedError as error:
        place = f"{country}, {region}" if region else country
        raise HolidayError(
            f"nobody knows the public holidays of {place}; write another country or region, "
            'or holidays = "" and closures'
        ) from error
    return frozenset(day for day in found if first <= day <= last)


def opening_hours(site: SiteSettings, first: date, last: date) -> Hours:
    """Give the hours in which the desk is staffed: the weekly ones, and what differs.

    Args:
        site: its settings.
        first: first day for which closures and public holidays are needed.
        last: last day.

    Raises:
        HolidayError: the settings name a country or region without known holidays.
    """
    closed = _closures(site, first, last) | public_holidays(site.holidays, site.region, first, last)
    return Hours(
        weekly=_week(site.hours),
        exceptions={one.on.first: _windows(one.windows) for one in site.exceptions},
        closed=closed,
    )


def plan_hours(site: SiteSettings, plan: Plan, first: date, last: date) -> Hours:
    """Give the extra hours of a plan.

    They hold on public holidays too, since nobody staffs the desk in them anyway; on days on which
    the site itself is closed there are none.
    """
    week = _week(site.plan_hours.of(plan.value))
    return Hours(weekly=week, closed=_closures(site, first, last))


def opening_of(site: SiteSettings, within: Span) -> tuple[Span, ...]:
    """Give the spans of opening that touch `within`, whole, in order.

    Raises:
        HolidayError: the settings name a country or region without known holidays.
    """
    first, last = _days(site, within)
    return _touching(opening_hours(site, first, last), site, within)


def plan_hours_of(site: SiteSettings, within: Span) -> Mapping[Plan, tuple[Span, ...]]:
    """Give the spans of each plan's extra hours that touch `within`, whole, in order."""
    first, last = _days(site, within)
    return {plan: _touching(plan_hours(site, plan, first, last), site, within) for plan in Plan}


def _touching(hours: Hours, site: SiteSettings, within: Span) -> tuple[Span, ...]:
    first, last = _days(site, within)
    spans = opening_spans(hours, ZoneInfo(site.zone), first, last)
    return tuple(s for s in spans if s.start < within.end and within.start < s.end)


def _days(site: SiteSettings, within: Span) -> tuple[date, date]:
    """Give the days around a span; the day before it may have a window across midnight."""
    zone = ZoneInfo(site.zone)
    first, last = within.start.astimezone(zone).date(), within.end.astimezone(zone).date()
    return first - _ONE_DAY, last


def _week(hours: WeekHours) -> Mapping[int, tuple[Window, ...]]:
    return {day: _windows(windows) for day, windows in enumerate(hours.days)}


def _windows(windows: Iterable[written.Window]) -> tuple[Window, ...]:
    return tuple(Window(start=window.start, end=window.end) for window in windows)


def _closures(site: SiteSettings, first: date, last: date) -> frozenset[date]:
    return frozenset(
        day
        for closure in site.closures
        for day in _each(max(first, closure.first), min(last, closure.last))
    )


def _each(first: date, last: date) -> Iterator[date]:
    for offset in range((last - first).days + 1):
        yield first + offset * _ONE_DAY

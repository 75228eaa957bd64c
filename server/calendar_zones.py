"""Local times of calendar files turned into instants, as `rules.md`, *Time*, wants them.

A zone of the IANA list goes the way of the opening hours. A zone that a file defines itself
(VTIMEZONE, RFC 5545, 3.6.5) says what the clock shows at an instant; the other way round, within
the gap of spring, it can't be relied on, so that way is found here.
"""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from access.calendar import instant

_ONE_DAY: Final = timedelta(days=1)
_ONE_SECOND: Final = timedelta(seconds=1)


def to_instant(moment: date, site_zone: ZoneInfo, *, is_end: bool) -> datetime:
    """Turn a date, a floating time or a zoned time into an instant, UTC.

    Args:
        moment: a date means its midnight; it and a time without a zone are local to the site.
        site_zone: the site's zone.
        is_end: whether it ends something, which matters when the clock shows a time twice.

    Raises:
        OverflowError: it is not in the years that UTC has.
    """
    if not isinstance(moment, datetime):
        return instant(datetime.combine(moment, time()), site_zone, is_end=is_end)
    zone, local = moment.tzinfo, moment.replace(tzinfo=None, fold=0)
    if zone is None or isinstance(zone, ZoneInfo):
        return instant(local, zone or site_zone, is_end=is_end)
    return _by_its_clock(local, zone, is_end=is_end)


def _by_its_clock(local: datetime, zone: tzinfo, *, is_end: bool) -> datetime:
    """Find the instant at which a zone shows `local`, asking only what it shows at instants.

    Changes of offset are taken to be more than two days apart.
    """
    as_utc = local.replace(tzinfo=UTC)
    before, after = (_offset(as_utc + shift, zone) for shift in (-_ONE_DAY, _ONE_DAY))
    shown = sorted(
        as_utc - offset for offset in {before, after} if _offset(as_utc - offset, zone) == offset
    )
    if shown:
        return shown[-1] if is_end else shown[0]
    return _change(as_utc - after, as_utc - before, zone)


def _change(low: datetime, high: datetime, zone: tzinfo) -> datetime:
    """Find the change of offset after `low` and up to `high`; changes are whole seconds."""
    before = _offset(low, zone)
    while high - low > _ONE_SECOND:
        middle = low + (high - low) / 2
        if _offset(middle, zone) == before:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


def _offset(moment: datetime, zone: tzinfo) -> timedelta:
    return moment.astimezone(zone).replace(tzinfo=UTC) - moment

"""Hourly figures for ever, made from the raw ones that are kept for 13 months."""

from datetime import datetime, timedelta

from access.ids import SiteId
from access.instants import utc
from server.history import History, Retention, Sample
from server.history_points import Point, occupancy_point

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


def downsample(history: History, site: SiteId, *, start: datetime, end: datetime) -> int:
    """Keep the last occupancy of each whole hour, at the time that the hour starts. Blocks.

    Done in the product, because only InfluxDB 1.x would do it by itself. The same hours done
    again change nothing, so a span may overlap the one before; a day at a time is read.

    Args:
        history: where to read from and write to.
        site: which site.
        start: first instant, aware; the hour that it is in is done from its start.
        end: first instant after the last, aware; the hour that it is in is not done.

    Returns:
        How many hours had a change, and so a point.

    Raises:
        NaiveTimeError: a time has no time zone.
        HistoryUnavailable: try again later.
        HistoryRejected: the store will not take the points.
    """
    first, last = _hour_of(start), _hour_of(end)
    kept = 0
    while first < last:
        until = min(first + _DAY, last)
        samples = history.occupancy(site, start=first, end=until, step=_HOUR)
        points = [_point(site, sample) for sample in samples]
        history.write(points, retention=Retention.HOURLY)
        kept += len(points)
        first = until
    return kept


def _hour_of(at: datetime) -> datetime:
    return utc(at).replace(minute=0, second=0, microsecond=0)


def _point(site: SiteId, sample: Sample) -> Point:
    return occupancy_point(
        site=site,
        at=sample.at,
        present=sample.present,
        margin=sample.margin,
        members=sample.members,
        guests=sample.guests,
        capacity=sample.capacity,
    )

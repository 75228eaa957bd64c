"""The curves of a day and of a month: steps, hours, days, and where they are drawn."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from dashboards.curve import HOUR, Curve, Drawing, draw, to_curve, to_month_curve
from server.history import Sample

PARIS = ZoneInfo("Europe/Paris")
MIDNIGHT = datetime(2026, 11, 23, 23, tzinfo=UTC)


def sample(hour: float, present: int) -> Sample:
    at = MIDNIGHT + timedelta(hours=hour)
    return Sample(at=at, present=present, margin=0, members=present, guests=0, capacity=10)


def curve_of(*samples: Sample, now: float = 12) -> Curve:
    return to_curve(
        samples,
        start=MIDNIGHT,
        end=MIDNIGHT + timedelta(hours=24),
        now=MIDNIGHT + timedelta(hours=now),
        capacity=10,
        zone=PARIS,
    )


def test_the_curve_starts_at_seven_unless_somebody_was_there_before() -> None:
    assert curve_of(sample(9, 3)).start == MIDNIGHT + timedelta(hours=7)
    assert curve_of(sample(5.5, 3)).start == MIDNIGHT + timedelta(hours=5)
    assert curve_of(now=3).start == MIDNIGHT


def test_who_was_there_at_the_start_is_counted_from_there() -> None:
    curve = curve_of(sample(0.5, 4), sample(1, 0), sample(6.9, 0))
    assert curve.points[0] == (MIDNIGHT, 0)
    assert curve.peak == 4


def test_what_comes_after_now_is_not_drawn() -> None:
    assert curve_of(sample(9, 3), sample(13, 9), now=12).present == 3


def test_an_hour_has_the_most_of_what_was_in_it_and_what_it_began_with() -> None:
    curve = curve_of(sample(9.2, 6), sample(9.8, 2), sample(11.5, 0), now=12)
    found = {slot.start.astimezone(PARIS).hour: (slot.peak, slot.last) for slot in curve.hours}
    assert found == {7: (0, 0), 8: (0, 0), 9: (6, 2), 10: (2, 2), 11: (2, 0)}


def test_a_curve_is_drawn_in_steps_from_the_left_to_now() -> None:
    drawn = draw(curve_of(sample(9, 5), now=24), Drawing(width=360, height=220, every_h=4))
    assert drawn.line.count("V") == 1
    assert drawn.now_x == drawn.right
    assert drawn.now_y < drawn.bottom
    assert [label.text for label in drawn.ticks] == ["08", "12", "16", "20", "00"]
    assert [label.text for label in drawn.levels] == ["0", "5", "10"]


def test_more_people_than_may_be_inside_are_drawn_above_the_line() -> None:
    drawn = draw(curve_of(sample(9, 14)), Drawing(width=360, height=220, every_h=4))
    assert drawn.now_y < drawn.capacity_y


def test_a_day_without_anybody_is_a_line_at_zero() -> None:
    curve = curve_of()
    assert curve.is_empty
    assert draw(curve, Drawing(width=360, height=220, every_h=4)).now_y == 196


OCTOBER = datetime(2026, 9, 30, 22, tzinfo=UTC), datetime(2026, 10, 31, 23, tzinfo=UTC)
"""A month of Paris with a day of 25 hours, the 25th."""


def month_of(*samples: tuple[datetime, int], now: datetime = OCTOBER[1]) -> Curve:
    start, end = OCTOBER
    found = [
        Sample(at=at, present=present, margin=0, members=present, guests=0, capacity=10)
        for at, present in samples
    ]
    return to_month_curve(found, start=start, end=end, now=now, capacity=10, zone=PARIS)


def test_a_month_has_its_days_also_where_one_has_25_hours() -> None:
    start, end = OCTOBER
    days = month_of().days
    assert len(days) == 31
    assert [day.start.astimezone(PARIS).day for day in days] == list(range(1, 32))
    assert {day.start.astimezone(PARIS).hour for day in days} == {0}
    assert days[25].start - days[24].start == 25 * HOUR
    assert days[-1].start + 24 * HOUR == end
    assert days[0].start == start


def test_an_hour_of_a_month_counts_at_its_end() -> None:
    start, _ = OCTOBER
    last_hour = start + 23 * HOUR
    curve = month_of((start + 9 * HOUR, 4), (start + 12 * HOUR, 6), (last_hour, 1))
    assert curve.points[1] == (start + 10 * HOUR, 4)
    first, second = curve.days[:2]
    assert (first.peak, first.last) == (6, 1)
    assert (second.peak, second.last) == (1, 1)


def test_a_month_that_runs_ends_now() -> None:
    start, _ = OCTOBER
    now = start + 2.5 * 24 * HOUR
    curve = month_of((now - HOUR / 2, 3), now=now)
    assert curve.points[-1] == (now, 3)
    assert len(curve.days) == 3
    drawn = draw(curve, Drawing(width=360, height=220, every_h=4))
    assert [tick.text for tick in drawn.ticks] == ["1", "8", "15", "22", "29"]
    assert drawn.now_x < drawn.ticks[1].x

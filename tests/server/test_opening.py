"""When a site is open, from its settings and the public holidays of its country."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from access.instants import Span
from access.model import Plan
from server.opening import (
    HolidayError,
    opening_hours,
    opening_of,
    plan_hours_of,
    public_holidays,
)
from server.settings import SiteSettings, load_server_settings

SETTINGS = """
database = "sqlite:///gardien.db"
[mqtt]
host = "127.0.0.1"
port = 1883
username = "server"
password_file = "keys/mqtt.password"
[[site]]
id = "malakoff"
name = "Malakoff"
zone = "Europe/Paris"
capacity = 60
holidays = "FR"
closures = ["2026-08-01..2026-08-15", 2026-12-24]
[site.hours]
mon = ["09:00-12:30", "13:30-18:30"]
wed = ["09:00-18:30"]
fri = ["09:00-18:30", "22:00-02:00"]
[site.plan_hours.resident]
sat = ["08:00-24:00"]
wed = ["18:30-20:00"]
[[site.exception]]
date = 2026-12-25
windows = ["10:00-12:00"]
[[site.exception]]
date = 2026-11-23
windows = []
[[site.door]]
id = "main"
name = "Entrée"
contact = true
"""


@pytest.fixture
def site(tmp_path: Path) -> SiteSettings:
    path = tmp_path / "gardien.toml"
    path.write_text(SETTINGS, encoding="utf-8")
    return load_server_settings(path).sites[0]


def days(first: str, number: int = 1) -> Span:
    start = datetime.fromisoformat(f"{first}T00:00:00+00:00")
    return Span(start=start, end=start + timedelta(days=number))


def told(spans: tuple[Span, ...]) -> list[str]:
    return [f"{span.start:%m-%dT%H:%M}/{span.end:%m-%dT%H:%M}" for span in spans]


def test_the_week_is_that_of_the_settings(site: SiteSettings) -> None:
    assert told(opening_of(site, days("2026-11-30", 2))) == [
        "11-30T08:00/11-30T11:30",
        "11-30T12:30/11-30T17:30",
    ]


def test_a_window_across_midnight_is_found_from_the_day_after(site: SiteSettings) -> None:
    assert told(opening_of(site, days("2026-11-28"))) == ["11-27T21:00/11-28T01:00"]
    after = datetime(2026, 11, 28, 1, tzinfo=UTC)
    assert opening_of(site, Span(start=after, end=after + timedelta(hours=1))) == ()


def test_a_public_holiday_closes_the_desk(site: SiteSettings) -> None:
    assert opening_of(site, days("2026-11-11")) == ()
    assert told(opening_of(site, days("2026-11-18"))) == ["11-18T08:00/11-18T17:30"]


def test_closures_close_from_their_first_day_to_their_last(site: SiteSettings) -> None:
    hours = opening_hours(site, date(2026, 7, 1), date(2026, 12, 31))
    around = [date(2026, 7, 31), date(2026, 8, 1), date(2026, 8, 15), date(2026, 8, 16)]
    assert [day in hours.closed for day in around] == [False, True, True, False]
    assert date(2026, 12, 24) in hours.closed


def test_only_closures_of_the_days_asked_for_are_worked_out(site: SiteSettings) -> None:
    hours = opening_hours(site, date(2026, 8, 10), date(2026, 8, 12))
    assert hours.closed == {date(2026, 8, day) for day in (10, 11, 12)}


def test_a_date_with_hours_of_its_own_is_stronger_than_week_and_holiday(
    site: SiteSettings,
) -> None:
    assert told(opening_of(site, days("2026-12-25"))) == ["12-25T09:00/12-25T11:00"]
    assert opening_of(site, days("2026-11-23")) == ()


def test_hours_of_a_plan_hold_on_public_holidays_and_not_in_closures(site: SiteSettings) -> None:
    armistice = plan_hours_of(site, days("2026-11-11"))
    assert told(armistice[Plan.RESIDENT]) == ["11-11T17:30/11-11T19:00"]
    assert armistice[Plan.NOMAD] == ()
    assert plan_hours_of(site, days("2026-08-08"))[Plan.RESIDENT] == ()
    saturday = plan_hours_of(site, days("2026-11-28"))
    assert told(saturday[Plan.RESIDENT]) == ["11-28T07:00/11-28T23:00"]


def test_every_plan_has_its_hours(site: SiteSettings) -> None:
    assert set(plan_hours_of(site, days("2026-11-28"))) == set(Plan)


def test_the_public_holidays_of_france_are_known() -> None:
    found = public_holidays("FR", "", date(2026, 1, 1), date(2026, 12, 31))
    assert {date(2026, 7, 14), date(2026, 11, 11), date(2026, 4, 6)} <= found
    assert len(found) == 11


def test_a_region_has_holidays_of_its_own() -> None:
    good_friday, second_christmas_day = date(2026, 4, 3), date(2026, 12, 26)
    year = (date(2026, 1, 1), date(2026, 12, 31))
    for region in ("Moselle", "Alsace-Moselle", "57"):
        assert {good_friday, second_christmas_day} <= public_holidays("FR", region, *year)
    assert good_friday not in public_holidays("FR", "", *year)


def test_the_holidays_of_the_days_asked_for_are_given_across_the_year() -> None:
    assert public_holidays("FR", "", date(2026, 12, 25), date(2027, 1, 1)) == {
        date(2026, 12, 25),
        date(2027, 1, 1),
    }
    assert public_holidays("", "", date(2026, 1, 1), date(2026, 12, 31)) == frozenset()


@pytest.mark.parametrize(("country", "region"), [("XX", ""), ("FR", "Nowhere")])
def test_a_place_without_known_holidays_is_refused(country: str, region: str) -> None:
    with pytest.raises(HolidayError, match="nobody knows the public holidays of"):
        public_holidays(country, region, date(2026, 1, 1), date(2026, 1, 2))

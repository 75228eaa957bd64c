"""`gardien.toml`: what it gives, and what it refuses."""

from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from runtime.settings import SettingsError
from server.settings import ServerSettings, load_server_settings

GOOD = """
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
closures = ["2026-08-01..2026-08-15", 2026-12-24]
[site.hours]
mon = ["09:00-12:30", "13:30-18:30"]
fri = ["22:00-02:00"]
[site.plan_hours.resident]
sat = ["00:00-24:00"]
[[site.exception]]
date = 2026-12-31
windows = ["09:00-12:00"]
[[site.door]]
id = "main"
name = "Entrée"
contact = true
readers = ["in", "out"]
"""


def load(folder: Path, text: str) -> ServerSettings:
    path = folder / "gardien.toml"
    path.write_text(text, encoding="utf-8")
    return load_server_settings(path)


def refusal(folder: Path, old: str, new: str) -> str:
    assert old in GOOD
    with pytest.raises(SettingsError) as caught:
        load(folder, GOOD.replace(old, new, 1))
    return str(caught.value).partition(": ")[2]


def test_a_small_file_gives_a_whole_installation(tmp_path: Path) -> None:
    settings = load(tmp_path, GOOD)
    assert settings.language == "fr"
    assert settings.database == f"sqlite:///{tmp_path}/gardien.db"
    assert settings.clock.demo_file is None
    assert settings.broker.program == "auto"
    assert settings.history.url == ""
    assert settings.dashboard.listen == ("127.0.0.1", 8080)
    assert settings.dashboard.threads == 64
    assert not settings.home_assistant.enabled


def test_a_site_has_its_hours_and_its_defaults(tmp_path: Path) -> None:
    site = load(tmp_path, GOOD).sites[0]
    assert [tuple(window) for window in site.hours.days[0]] == [
        (time(9), time(12, 30)),
        (time(13, 30), time(18, 30)),
    ]
    assert site.hours.fri[0].is_overnight
    assert site.plan_hours.of("resident").sat[0].end_min == 24 * 60
    assert site.plan_hours.of("nomad").sat == ()
    assert site.closures[1] == (date(2026, 12, 24), date(2026, 12, 24))
    assert site.exceptions[0].on.first == date(2026, 12, 31)
    assert (site.rate, site.lead) == (Decimal("1.0"), timedelta(minutes=30))
    assert (site.closing_delay, site.anti_passback) == (timedelta(minutes=15), "soft")


def test_a_door_has_its_defaults(tmp_path: Path) -> None:
    door = load(tmp_path, GOOD).sites[0].doors[0]
    assert (door.unlock, door.held_after) == (timedelta(seconds=5), timedelta(seconds=30))
    assert door.plans == ("nomad", "resident", "staff", "partner")


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("capacity = 60", "capacity = 0", 'site["malakoff"].capacity = 0'),
        ("capacity = 60", 'capacity = "60"', 'site["malakoff"].capacity = "60"'),
        ("capacity = 60", "", 'site["malakoff"].capacity: is missing'),
        ("Europe/Paris", "Europe/Malakoff", 'site["malakoff"].zone'),
        ("Europe/Paris", "../../etc/passwd", 'site["malakoff"].zone'),
        ("Europe/Paris", "Europe", 'site["malakoff"].zone'),
        ("13:30-18:30", "12:29-18:30", 'site["malakoff"].hours'),
        ('"22:00-02:00"]', '"22:00-02:00"]\nsat = ["01:00-03:00"]', 'site["malakoff"].hours'),
        ('["09:00-12:00"]', '["09:00-12:00", "10:00-11:00"]', "exception[1].windows"),
        ("2026-08-15", "2026-07-15", 'site["malakoff"].closures[1]'),
        ("capacity = 60", "capacity = 60\nrate = 0.0", 'site["malakoff"].rate = 0.0'),
        ("capacity = 60", "capacity = 60\nrate = nan", 'site["malakoff"].rate'),
        ("capacity = 60", 'capacity = 60\nregion = "Alsace-Moselle"', 'site["malakoff"].region'),
        ("capacity = 60", 'capacity = 60\nholidays = "France"', 'site["malakoff"].holidays'),
        ('["in", "out"]', '["out"]', 'door["main"].readers'),
        ('["in", "out"]', '["in", "in"]', 'door["main"].readers'),
        ("contact = true", "", 'door["main"].contact: is missing'),
        ("contact = true", 'contact = true\nunlock = "61 s"', 'door["main"].unlock = "61 s"'),
        ("contact = true", 'contact = true\nheld_after = "9 s"', 'door["main"].held_after'),
        ("contact = true", 'contact = true\nplans = ["guest"]', 'door["main"].plans[1]'),
        ('"main"', '"Main"', "door["),
        ("sqlite:///gardien.db", "mysql://x", 'database = "mysql://x"'),
        ("sqlite:///gardien.db", "sqlite://", "database"),
        ("sqlite:///gardien.db", "postgresql://me:hunter2@h/d", "database"),
        ("sqlite:///gardien.db", "postgresql://h/d?password=x", "database"),
        ("port = 1883", "port = 1884", "broker"),
        ('host = "127.0.0.1"', 'host = "h"\nca_file = "ca.pem"', "broker: [mqtt] points"),
    ],
)
def test_what_is_not_allowed_is_refused_by_key(
    tmp_path: Path, old: str, new: str, key: str
) -> None:
    message = refusal(tmp_path, old, new)
    assert key in message
    assert "hunter2" not in message


def test_ids_are_not_used_twice(tmp_path: Path) -> None:
    door = GOOD[GOOD.index("[[site.door]]") :]
    with pytest.raises(SettingsError, match="main is written twice"):
        load(tmp_path, GOOD + door)
    with pytest.raises(SettingsError, match="malakoff is written twice"):
        load(tmp_path, GOOD + GOOD[GOOD.index("[[site]]") :])


def test_an_installation_has_a_site_and_a_site_a_door(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="site: is missing"):
        load(tmp_path, GOOD[: GOOD.index("[[site]]")])
    with pytest.raises(SettingsError, match="door: is missing"):
        load(tmp_path, GOOD[: GOOD.index("[[site.door]]")])


def test_a_password_and_a_token_are_not_given_together(tmp_path: Path) -> None:
    both = '[history]\nusername = "u"\npassword_file = "p"\ntoken_file = "t"\n[mqtt]'
    assert "not both" in refusal(tmp_path, "[mqtt]", both)
    assert "go together" in refusal(tmp_path, "[mqtt]", '[history]\nusername = "u"\n[mqtt]')
    in_the_url = '[history]\nurl = "http://me:hunter2@127.0.0.1:8086"\n[mqtt]'
    assert "hunter2" not in refusal(tmp_path, "[mqtt]", in_the_url)


def test_loading_does_not_read_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/nowhere")
    text = GOOD.replace("keys/mqtt.password", "~/$HOME")
    assert load(tmp_path, text).mqtt.password_file == tmp_path / "~/$HOME"


PUBLIC = """
[site.public]
url = "https://example.org/"
logo = "https://example.org/logo.png"
email = "bonjour@example.org"
"""


def test_a_site_tells_the_public_nothing_unless_it_says_so(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).sites[0].public is None
    public = load(tmp_path, GOOD.replace("[site.hours]", f"{PUBLIC}[site.hours]")).sites[0].public
    assert public is not None
    assert (public.email, public.address) == ("bonjour@example.org", None)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"https://example.org/"', '"example.org"', 'url = "example.org": write an address'),
        ('"bonjour@example.org"', '"bonjour"', 'email = "bonjour": write an e-mail address'),
        ("logo =", "address = 7\nlogo =", "address = 7: write a postal address on one line"),
        ("logo =", "# logo =", "logo: is missing; write an address"),
    ],
)
def test_what_a_site_tells_the_public_is_checked(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    public = PUBLIC.replace(old, new)
    assert f'site["malakoff"].public.{said}' in refusal(
        tmp_path, "[site.hours]", f"{public}[site.hours]"
    )


def test_the_halls_screen_is_for_private_networks_unless_others_are_named(tmp_path: Path) -> None:
    assert "192.168.0.0/16" in load(tmp_path, GOOD).dashboard.kiosk_networks
    table = '[dashboard]\nkiosk_networks = ["192.0.2.0/24", "2001:db8::7"]\n[[site]]'
    named = load(tmp_path, GOOD.replace("[[site]]", table, 1)).dashboard.kiosk_networks
    assert named == ("192.0.2.0/24", "2001:db8::7/128")


@pytest.mark.parametrize("network", ['"192.168.1.7/16"', '"home"', "7", '"10.0.0.0/33"', '""'])
def test_a_network_that_is_none_is_refused(tmp_path: Path, network: str) -> None:
    table = f"[dashboard]\nkiosk_networks = [{network}]\n[[site]]"
    assert "write a network such as" in refusal(tmp_path, "[[site]]", table)

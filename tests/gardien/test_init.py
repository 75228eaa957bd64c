"""A new installation, and what the doctor says of it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.settings import load_door_settings
from gardien.plans import read_door, read_hours
from server.settings import load_server_settings
from tests.conftest import Influxd, free_port
from tests.gardien.conftest import CommandLine
from tests.server.test_history_influx import ask


@pytest.fixture
def new(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "data")


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    file = tmp_path / "password"
    file.write_text("four words do well\n")
    return [
        *("--site-name", "La Maison d'Été", "--capacity", "60", "--language", "en"),
        *("--door", "main=Main entrance:out", "--door", "lab", "--hours", "mon-fri 09:00-18:30"),
        *("--staff-name", "Rose Le Gall", "--staff-email", "Rose@Example.org"),
        *("--password-file", str(file), "--mqtt-port", str(free_port())),
    ]


def findings(house: CommandLine) -> dict[str, list[str]]:
    by_grade: dict[str, list[str]] = {"good": [], "mind": [], "bad": []}
    for one in json.loads(house("doctor", "--json", "--language", "en").out):
        by_grade[one["grade"]].append(one["text"])
    return by_grade


def test_a_new_installation_can_be_used(new: CommandLine, options: list[str]) -> None:
    told = new.done("init", *options, "--simulated")
    assert "Rose Le Gall logs in as rose@example.org" in told
    settings = load_server_settings(new.data / "gardien.toml")
    assert settings.sites[0].id == "la-maison-d-ete"
    assert settings.sites[0].doors[0].readers == ("in", "out")
    assert [door.id for door in settings.sites[0].doors] == ["main", "lab"]
    assert load_door_settings(new.data / "doors" / "lab" / "door.toml").door == "lab"
    assert json.loads(new.done("member", "list", "--json"))[0]["plan"] == "staff"
    assert new.data.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in new.data.iterdir()) == [
        "doors",
        "gardien.db",
        "gardien.toml",
        "keys",
        "secrets",
    ]


def test_the_doctor_names_what_is_missing_still(new: CommandLine, options: list[str]) -> None:
    new.done("init", *options)
    found = findings(new)
    assert [text.partition(":")[0] for text in found["bad"]] == ["broker"]
    assert any(text.startswith("badges: none yet") for text in found["mind"])
    assert any("no guardians" in text for text in found["mind"])
    assert any("main: never heard of" in text for text in found["mind"])
    assert any(text.startswith("accounts: 1") for text in found["good"])
    assert new("doctor").status == 1


def test_an_installation_is_never_made_over_something(new: CommandLine, options: list[str]) -> None:
    new.data.mkdir()
    (new.data / "precious").write_text("x")
    assert new("init", *options).status == 1
    assert [path.name for path in new.data.iterdir()] == ["precious"]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--zone", "Mars/Olympus"),
        ("--door", "Main Entrance"),
        ("--hours", "every day"),
        ("--hours", "mon 09:00-25:00"),
        ("--hours", "mon 10:00-11:00"),
        ("--staff-email", "nobody"),
        ("--site-name", "李"),
        ("--listen", "everywhere"),
        ("--holidays", "FRANCE"),
    ],
)
def test_what_can_not_be_used_is_told_and_leaves_nothing_behind(
    new: CommandLine, options: list[str], option: str, value: str
) -> None:
    done = new("init", *options, option, value)
    assert done.status == 1
    assert done.err.count("\n") == 1
    assert ".new-" not in done.err
    assert not new.data.exists()


def test_a_weak_password_is_refused_before_anything_is_made(
    new: CommandLine, options: list[str], tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("short\n")
    assert new("init", *options).status == 1
    assert not new.data.exists()


def test_without_a_terminal_what_is_missing_is_named(new: CommandLine) -> None:
    done = new("init", "--site-name", "x")
    assert done.status == 2
    assert "--capacity" in done.err


def test_a_door_is_read_as_it_is_typed() -> None:
    assert read_door("fab-lab").name == "Fab lab"
    assert read_door("main=Rue Béranger: porte").name == "Rue Béranger: porte"
    assert read_door("main:out").readers == ("in", "out")
    assert read_door("main=Main:out").name == "Main"


def test_hours_are_read_by_day_and_over_the_weeks_end() -> None:
    found = read_hours(["mon-tue 14:00-18:00", "mon 09:00-12:30", "sat-sun 10:00-24:00"])
    assert found == {
        "mon": ("09:00-12:30", "14:00-18:00"),
        "tue": ("14:00-18:00",),
        "sat": ("10:00-24:00",),
        "sun": ("10:00-24:00",),
    }
    assert list(read_hours(["fri-mon 10:00-11:00"])) == ["mon", "fri", "sat", "sun"]


def test_the_doctor_sees_keys_that_are_gone_or_open_to_others(house: CommandLine) -> None:
    (house.data / "keys" / "malakoff.badge.key").write_text("not hex\n")
    house.data.chmod(0o755)
    (house.data / "keys" / "server.pem").chmod(0o644)
    bad = findings(house)["bad"]
    assert any("malakoff.badge.key" in text and "32 bytes" in text for text in bad)
    assert any("others can read" in text and "chmod 600" in text for text in bad)


def test_the_doctor_sees_a_database_that_is_none_without_touching_it(house: CommandLine) -> None:
    for path in house.data.glob("gardien.db*"):
        path.unlink()
    assert any(text.startswith("database: there is none yet") for text in findings(house)["mind"])
    assert not (house.data / "gardien.db").exists()
    (house.data / "gardien.db").write_bytes(b"no database at all" * 100)
    assert any(text.startswith("database: ") for text in findings(house)["bad"])


def test_the_doctor_sees_that_nobody_can_log_in_and_that_badges_are_weak(
    house: CommandLine,
) -> None:
    found = findings(house)
    assert any("gardien member password" in text for text in found["bad"])
    assert any("level L0" in text for text in found["mind"])


def test_the_doctor_sees_a_history_that_is_out_of_reach(house: CommandLine) -> None:
    house.settings(lambda text: text + '\n[history]\nurl = "http://127.0.0.1:1"\n')
    assert any(text.startswith("history: ") for text in findings(house)["bad"])


@pytest.mark.influxdb
def test_a_history_in_influxdb_is_set_up_and_looked_at(
    new: CommandLine, options: list[str], influxd: Influxd
) -> None:
    told = new.done("init", *options, "--influxdb", influxd.url)
    assert f"The history at {influxd.url} is there: moments for 13 months, hours for ever" in told
    assert load_server_settings(new.data / "gardien.toml").history.url == influxd.url
    assert any(text.startswith(f"history: {influxd.url}") for text in findings(new)["good"])
    ask(influxd, 'ALTER RETENTION POLICY "raw" ON "gardien" DURATION 14d')
    ask(influxd, 'DROP RETENTION POLICY "hourly" ON "gardien"')
    found = findings(new)
    flaws = [text for text in found["bad"] if text.startswith(f"history: {influxd.url} ")]
    assert "keeps `raw` for 336h0m0s" in flaws[0]
    assert "has no retention policy `hourly`" in flaws[1]
    assert not [text for text in found["good"] if text.startswith("history")]
    for one in flaws:
        ask(influxd, one.partition("in `influx`: ")[2])
    assert not [text for text in findings(new)["bad"] if text.startswith("history")]
    ask(influxd, 'DROP DATABASE "gardien"')
    [gone] = [text for text in findings(new)["bad"] if text.startswith("history")]
    assert "database not found" in gone


@pytest.mark.influxdb
def test_a_history_that_is_there_and_keeps_for_ever_is_not_called_well(
    new: CommandLine, options: list[str], new_influxd: Callable[[bool], Influxd]
) -> None:
    server = new_influxd(False)  # noqa: FBT003 - InfluxDB's own switch
    ask(server, "CREATE DATABASE gardien")
    ask(server, 'CREATE RETENTION POLICY "raw" ON "gardien" DURATION INF REPLICATION 1 DEFAULT')
    told = new.done("init", *options, "--influxdb", server.url)
    assert "keeps `raw` for ever; say to it" in told
    assert "moments for 13 months" not in told


def test_a_history_that_is_away_keeps_nothing_from_being_made(
    new: CommandLine, options: list[str]
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    told = new.done("init", *options, "--influxdb", url)
    assert f"The history at {url} is not there yet" in told
    assert any("curves come from the embedded store" in text for text in findings(new)["bad"])


def test_an_address_that_is_none_is_refused_and_nothing_is_made(
    new: CommandLine, options: list[str]
) -> None:
    refused = new("init", *options, "--influxdb", "influx.example.org")
    assert refused.status == 1
    assert 'write an address such as "http://127.0.0.1:8086"' in refused.err
    assert not new.data.exists()

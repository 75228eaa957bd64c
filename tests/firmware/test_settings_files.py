"""The settings files that are shipped: they load, and they explain each setting there is."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.settings import DoorUnitSettings, load_door_settings
from runtime.settings import SettingsError, load_settings, setting_keys
from server.settings import ServerSettings, load_server_settings

SETTING = re.compile(r"(?P<off># )?(?P<key>[a-z_]+) = .+")
TABLE = re.compile(r"(?:# )?\[\[?(?P<name>[a-z_.]+)\]\]?")
KEYBOARD = re.compile(r"# \[hardware\.reader\.keyboard\]\n.*?(?=^\[)", re.DOTALL | re.MULTILINE)
FILES: list[tuple[str, type[msgspec.Struct]]] = [
    ("door.toml", DoorUnitSettings),
    ("gardien.toml", ServerSettings),
]


def settings_in(text: str) -> Iterator[tuple[str, bool]]:
    """List the settings of a file, those not in force as well, and whether each is explained."""
    table, before, is_explained = "", "", False
    for line in text.splitlines():
        if found := TABLE.fullmatch(line):
            table = f"{found['name']}."
        elif found := SETTING.fullmatch(line):
            # The days of a week share one explanation.
            same = is_explained and SETTING.fullmatch(before) is not None and ".hours." in table
            is_explained = is_prose(before) or same or "hours." in f"{table}."
            yield table + found["key"], is_explained
        before = line


def is_prose(line: str) -> bool:
    return line.startswith("# ") and not SETTING.fullmatch(line) and not TABLE.fullmatch(line)


def shape(key: str) -> str:
    """Give one shape to hours of any plan and any day, which are explained once."""
    key = re.sub(r"\.(nomad|resident|staff|partner)\.", ".<plan>.", key)
    return re.sub(r"(hours.*)\.(mon|tue|wed|thu|fri|sat|sun)$", r"\1.<day>", key)


def test_the_shipped_door_loads(firmware: Path) -> None:
    door = load_door_settings(firmware / "door.toml")
    assert door.client_name == "malakoff.main"
    assert door.mqtt.is_tls


def test_the_shipped_installation_loads(firmware: Path) -> None:
    settings = load_server_settings(firmware / "gardien.toml")
    assert [site.id for site in settings.sites] == ["malakoff"]
    assert settings.mqtt.is_tls


def test_the_shipped_door_is_a_door_of_the_shipped_installation(firmware: Path) -> None:
    door = load_door_settings(firmware / "door.toml")
    settings = load_server_settings(firmware / "gardien.toml")
    assert (door.site, door.door) in [
        (site.id, one.id) for site in settings.sites for one in site.doors
    ]


@pytest.mark.parametrize(("name", "kind"), FILES)
def test_each_setting_is_in_the_file_and_explained(
    firmware: Path, name: str, kind: type[msgspec.Struct]
) -> None:
    text = (firmware / name).read_text(encoding="utf-8")
    explained = {shape(key) for key, is_explained in settings_in(text) if is_explained}
    assert {shape(key) for key, _ in setting_keys(kind)} - explained == set()


@pytest.mark.parametrize(("name", "kind"), FILES)
def test_what_is_switched_off_in_the_file_is_a_setting_too(
    firmware: Path, name: str, kind: type[msgspec.Struct]
) -> None:
    text = (firmware / name).read_text(encoding="utf-8")
    known = {shape(key) for key, _ in setting_keys(kind)}
    assert {shape(key) for key, _ in settings_in(text)} - known == set()


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.dates(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(["0 s", "90 d", "23:00-01:00", "a/b", "localhost", "::1", "main", "L1"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab_", min_size=1), inner),
    max_leaves=5,
)


@pytest.mark.parametrize(("name", "kind"), FILES)
@given(data=st.data())
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_whatever_is_written_for_a_setting_gives_nothing_worse_than_a_settings_error(
    firmware: Path, tmp_path: Path, name: str, kind: type[msgspec.Struct], data: st.DataObject
) -> None:
    tree = tomllib.loads((firmware / name).read_text(encoding="utf-8"))
    for _ in range(data.draw(st.integers(1, 3))):
        table, key = data.draw(st.sampled_from(list(places(tree))))
        table[key] = data.draw(VALUES)
    path = tmp_path / name
    path.write_text("\n".join(f"{key} = {toml(one)}" for key, one in tree.items()), "utf-8")
    try:
        load_settings(path, kind)
    except SettingsError as error:
        assert str(error).startswith(str(path))  # noqa: PT017 (some values are good)
        assert "\n" not in str(error)  # noqa: PT017


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """List each place of a tree whose value can be replaced."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree))
    for key in keys:
        yield tree, key
        if isinstance(tree[key], dict | list):
            yield from places(tree[key])


def toml(value: object) -> str:
    """Write a value as TOML, strings with every character escaped; None as an empty table."""
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(char):08x}" for char in value) + '"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + "}"
    return "{}" if value is None else str(value)


def test_a_door_with_everything_switched_on_loads(firmware: Path, tmp_path: Path) -> None:
    text = (firmware / "door.toml").read_text(encoding="utf-8")
    # A reader is a chip or types, so not both are switched on; see the next test.
    chips = KEYBOARD.sub("", text)
    assert chips != text
    lines = chips.replace('"raspberry-pi"', '"simulated"').splitlines()
    switched = [
        line.removeprefix("# ")
        if (SETTING.fullmatch(line) or TABLE.fullmatch(line)) and line.startswith("# ")
        else line
        for line in lines
    ]
    path = tmp_path / "door.toml"
    path.write_text("\n".join(switched), encoding="utf-8")
    door = load_settings(path, DoorUnitSettings)
    assert [reader.id for reader in door.hardware.readers] == ["in", "out"]
    assert door.hardware.simulated is not None


def test_a_door_with_a_usb_reader_loads(firmware: Path, tmp_path: Path) -> None:
    text = (firmware / "door.toml").read_text(encoding="utf-8")
    table = KEYBOARD.search(text)
    assert table is not None
    wanted = [line.removeprefix("# ") for line in table[0].splitlines() if is_switch(line)]
    keyboard = [line for line in wanted if not line.startswith(("path", "name"))]
    chip = re.compile(r"^(bus|device|reset_pin) = .*\n", re.MULTILINE)
    usb = chip.sub("", text.replace('driver = "mfrc522"', 'driver = "evdev"', 1))
    path = tmp_path / "door.toml"
    path.write_text(usb.replace(table[0], "\n".join(keyboard) + "\n\n"), encoding="utf-8")
    reader = load_settings(path, DoorUnitSettings).hardware.readers[0]
    assert reader.keyboard is not None
    assert (reader.driver, reader.keyboard.usb) == ("evdev", "08ff:0009")


def is_switch(line: str) -> bool:
    return line.startswith("# ") and bool(SETTING.fullmatch(line) or TABLE.fullmatch(line))

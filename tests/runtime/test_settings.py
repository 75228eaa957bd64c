"""Settings are read strictly, and each refusal is one line that says what to do."""

from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.settings import (
    MqttSettings,
    Name,
    Settings,
    SettingsError,
    Slug,
    describe,
    load_settings,
    read_secret,
    setting_keys,
)
from runtime.written import (
    Address,
    Between,
    ClockChoice,
    DateSpan,
    Day,
    Duration,
    Window,
    find_overlap,
)


class Inner(Settings, frozen=True, kw_only=True):
    id: Slug
    wait: Annotated[Duration, Between("1 s", "1 min")] = Duration(seconds=5)
    windows: tuple[Window, ...] = ()


class Outer(Settings, frozen=True, kw_only=True):
    name: Name = "a place"
    secret_file: Path | None = None
    rate: Decimal = Decimal(1)
    mqtt: MqttSettings | None = None
    items: tuple[Inner, ...] = msgspec.field(name="item", default=())


def load(folder: Path, text: str) -> Outer:
    path = folder / "x.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, Outer)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(folder, text)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'x.toml'}: ")
    assert "\n" not in message
    return message.removeprefix(f"{folder / 'x.toml'}: ")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("400 ms", timedelta(milliseconds=400)),
        ("5 s", timedelta(seconds=5)),
        ("5s", timedelta(seconds=5)),
        ("15 min", timedelta(minutes=15)),
        ("72 h", timedelta(hours=72)),
        ("90 d", timedelta(days=90)),
        ("0 s", timedelta()),
    ],
)
def test_a_duration_is_a_number_and_its_unit(written: str, expected: timedelta) -> None:
    assert Duration.parse(written, Path()) == expected


@pytest.mark.parametrize(
    "written", [5, 5.0, "5", "s", "5 m", "-5 s", "5 s\n", "1 h 5 min", "\u0665 s"]
)
def test_a_duration_without_a_unit_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="unit"):
        Duration.parse(written, Path())


def test_a_duration_is_shown_as_a_person_would_write_it() -> None:
    texts = ["400 ms", "5 s", "15 min", "3 d", "90 s", "1500 ms"]
    assert [str(Duration.parse(text, Path())) for text in texts] == texts
    assert str(Duration(hours=48)) == "2 d"


def test_hours_are_a_pair_of_times() -> None:
    start, end = Window.parse("09:00-18:30", Path())
    assert (start, end) == (time(9), time(18, 30))


def test_hours_may_cross_midnight_and_end_at_it() -> None:
    late = Window.parse("22:00-02:00", Path())
    assert (late.start_min, late.end_min, late.is_overnight) == (22 * 60, 26 * 60, True)
    day = Window.parse("00:00-24:00", Path())
    assert (day.start_min, day.end_min, str(day)) == (0, 1440, "00:00-24:00")
    assert not Window.parse("09:00-10:00", Path()).is_overnight


@pytest.mark.parametrize(
    "written",
    ["9:00-10:00", "09:00", "25:00-26:00", "24:00-02:00", "09:60-10:00", "09:00-09:00", 9],
)
def test_hours_that_are_none_are_refused(written: object) -> None:
    with pytest.raises(ValueError, match="write"):
        Window.parse(written, Path())


def test_overlap_is_found_within_a_day_across_midnight_and_around_the_week() -> None:
    def week(**days: str) -> list[list[Window]]:
        names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
        return [[Window.parse(w, Path()) for w in days.get(name, "").split()] for name in names]

    assert find_overlap(week(mon="09:00-12:00 11:59-13:00"))
    assert find_overlap(week(mon="22:00-02:00", tue="01:00-03:00"))
    assert find_overlap(week(sun="22:00-02:00", mon="01:59-03:00"))
    assert find_overlap(week(mon="09:00-12:00 12:00-13:00", sun="22:00-24:00")) is None
    assert find_overlap(week(sun="22:00-02:00", mon="02:00-03:00")) is None


def test_days_are_one_date_or_a_span_of_two() -> None:
    assert DateSpan.parse("2026-08-15", Path()) == (date(2026, 8, 15), date(2026, 8, 15))
    assert DateSpan.parse(date(2026, 8, 15), Path()).last == date(2026, 8, 15)
    assert DateSpan.parse("2026-08-01..2026-08-15", Path()).first == date(2026, 8, 1)
    for wrong in ("2026-02-30", "20260815", "2026-08-15..2026-08-01", 5, "..2026-08-01"):
        with pytest.raises(ValueError, match=r"write|calendar"):
            DateSpan.parse(wrong, Path())
    with pytest.raises(ValueError, match="one date"):
        Day.parse("2026-08-01..2026-08-15", Path())


def test_an_address_is_host_and_port() -> None:
    assert Address.parse("127.0.0.1:8080", Path()) == ("127.0.0.1", 8080)
    assert Address.parse("[::1]:80", Path()).host == "::1"
    for wrong in ("8080", "host:0", "host:65536", "a b:1", 8080):
        with pytest.raises(ValueError, match="host and port"):
            Address.parse(wrong, Path())


def test_the_clock_is_the_systems_or_a_demo_file(tmp_path: Path) -> None:
    assert ClockChoice.parse("system", tmp_path).demo_file is None
    assert ClockChoice.parse("demo:c", tmp_path).demo_file == tmp_path / "c"
    with pytest.raises(ValueError, match="path of a file"):
        ClockChoice.parse("demo:", tmp_path)


def test_a_relative_path_starts_at_the_files_folder(tmp_path: Path) -> None:
    assert load(tmp_path, 'secret_file = "keys/a"').secret_file == tmp_path / "keys/a"
    assert load(tmp_path, 'secret_file = "/etc/a"').secret_file == Path("/etc/a")


def test_an_unknown_setting_is_named_with_those_that_are_known(tmp_path: Path) -> None:
    message = refusal(tmp_path, 'nmae = "x"')
    assert message.startswith('nmae = "x": is not a setting; allowed here: item, mqtt, name')


def test_an_entry_of_a_list_is_named_by_its_id(tmp_path: Path) -> None:
    message = refusal(tmp_path, '[[item]]\nid = "a"\n[[item]]\nid = "b"\nwait = 5')
    assert message.startswith('item["b"].wait = 5: write a whole number and its unit')
    assert refusal(tmp_path, "[[item]]\n").startswith("item[1].id: is missing; write 1 to 32 of")


def test_a_duration_out_of_bounds_names_the_bounds(tmp_path: Path) -> None:
    message = refusal(tmp_path, '[[item]]\nid = "a"\nwait = "2 min"')
    assert message == 'item["a"].wait = "2 min": write a duration from 1 s to 1 min'


def test_a_number_is_not_a_text_and_true_is_not_a_number(tmp_path: Path) -> None:
    assert refusal(tmp_path, "name = 5").startswith("name = 5: write a text")
    assert "rate = true" in refusal(tmp_path, "rate = true")


def test_a_secret_is_never_shown_and_its_file_is_asked_for(tmp_path: Path) -> None:
    message = refusal(tmp_path, '[mqtt]\nhost = "localhost"\nport = 1\npassword = "hunter2"')
    assert "hunter2" not in message
    assert "give password_file" in message
    assert "hunter2" not in refusal(tmp_path, 'url = "postgres://me:hunter2@host/x"')


def test_what_is_not_toml_or_not_there_is_a_settings_error(tmp_path: Path) -> None:
    assert "is not TOML" in refusal(tmp_path, "a = = 1")
    assert "is not TOML" in refusal(tmp_path, "a = " + "[" * 50_000)
    assert "is not TOML" in refusal(tmp_path, "a = " + "9" * 5_000)
    (tmp_path / "latin").write_bytes(b'name = "\xe9"')
    for path in (tmp_path / "latin", tmp_path / "absent", tmp_path):
        with pytest.raises(SettingsError, match=str(path)):
            load_settings(path, Outer)


def test_a_control_character_cannot_break_the_line(tmp_path: Path) -> None:
    assert refusal(tmp_path, r'name = "a\nb\u001b[31m"').startswith(r'name = "a\nb\u001b[31m": ')
    assert refusal(tmp_path, r'"a\nb" = 1').startswith(r'"a\nb" = 1: is not')


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('host = "broker.lan"\nusername = "u"\npassword_file = "p"', "without TLS"),
        ('host = "localhost"', "lets nobody in"),
        ('host = "localhost"\nusername = "u"', "needs password_file"),
        ('host = "localhost"\ncertificate_file = "c"\nkey_file = "k"', "needs TLS"),
        ('host = "h"\nca_file = "a"\ncertificate_file = "c"', "needs key_file"),
    ],
)
def test_a_link_that_is_not_safe_is_refused(tmp_path: Path, lines: str, problem: str) -> None:
    assert problem in refusal(tmp_path, f"[mqtt]\nport = 1883\n{lines}")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.3.2.1", "::1"])
def test_plain_text_is_allowed_on_this_machine_only(tmp_path: Path, host: str) -> None:
    text = f'[mqtt]\nhost = "{host}"\nport = 1883\nusername = "u"\npassword_file = "p"'
    link = load(tmp_path, text).mqtt
    assert link is not None
    assert not link.is_tls


def test_a_link_with_a_certificate_may_go_over_the_network(tmp_path: Path) -> None:
    lines = 'host = "h"\nport = 8883\nca_file = "a"\ncertificate_file = "c"\nkey_file = "k"'
    link = load(tmp_path, f"[mqtt]\n{lines}").mqtt
    assert link is not None
    assert (link.is_tls, link.key_file) == (True, tmp_path / "k")


def test_a_secret_is_the_first_line_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("hunter2\nnote\n", encoding="utf-8")
    (tmp_path / "e").write_text("\n", encoding="utf-8")
    assert read_secret(tmp_path / "s") == "hunter2"
    for name in ("e", "absent"):
        with pytest.raises(SettingsError, match=name):
            read_secret(tmp_path / name)


def test_every_setting_can_be_listed_and_described() -> None:
    keys = dict(setting_keys(Outer))
    assert set(keys) >= {"name", "mqtt.host", "item.id", "item.wait", "item.windows"}
    assert all(describe(field.type) for field in keys.values())
    assert describe(keys["mqtt.port"].type) == "a whole number from 1 to 65535"


def toml(value: object) -> str:
    """Write a value as TOML, strings with every character escaped."""
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(char):08x}" for char in value) + '"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(k)} = {toml(v)}" for k, v in value.items()) + "}"
    return str(value)


KEYS = st.sampled_from(["name", "rate", "item", "mqtt", "id", "wait", "host", "port", "windows"])
TEXTS = st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.just("5 s"))
VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(), st.floats(), st.dates(), st.times(), TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(KEYS | TEXTS, VALUES, max_size=4))
def test_no_toml_raises_anything_but_a_settings_error(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, object]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    text = "\n".join(f"{toml(key)} = {toml(value)}" for key, value in tree.items())
    try:
        load(folder, text)
    except SettingsError as error:
        assert "\n" not in str(error)  # noqa: PT017 (most trees are refused, a few are not)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_settings_error(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "raw.toml"
    path.write_bytes(raw)
    try:
        load_settings(path, Outer)
    except SettingsError as error:
        assert str(path) in str(error)  # noqa: PT017 (some bytes are good TOML)

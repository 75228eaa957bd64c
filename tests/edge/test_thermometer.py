"""How warm the unit is: the hottest zone that the kernel shows, if any can be believed."""

from pathlib import Path

import pytest

from edge.hardware.thermometer import temperature_c


def zones(folder: Path, *texts: str) -> Path:
    for number, text in enumerate(texts):
        zone = folder / f"thermal_zone{number}"
        zone.mkdir()
        (zone / "temp").write_text(text, encoding="ascii")
    return folder


def test_it_is_the_hottest_zone_in_degrees(tmp_path: Path) -> None:
    assert temperature_c(zones(tmp_path, "48312\n", "51540\n")) == 51.5


@pytest.mark.parametrize("text", ["", "warm", "-273150\n", "4294967295\n"])
def test_what_can_not_be_believed_is_left_out(tmp_path: Path, text: str) -> None:
    assert temperature_c(zones(tmp_path, text)) is None


def test_a_machine_that_does_not_say_is_no_error(tmp_path: Path) -> None:
    assert temperature_c(tmp_path) is None
    assert temperature_c(tmp_path / "none") is None

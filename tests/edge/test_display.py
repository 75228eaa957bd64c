"""The small display: luma's own emulated device, and a bus that fails."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("luma.oled", reason="luma.oled is not installed (gardien[pi])")

from PIL import Image, ImageChops

from access.ids import DoorId, SiteId
from access.policy import Reason
from access.wording import message
from edge.effects import Show
from edge.hands import Hands
from edge.hardware.display_luma import (
    HEIGHT,
    WIDTH,
    Device,
    LumaDisplay,
    dummy_device,
    i2c_device,
    picture,
)
from edge.hardware.lock_gpiozero import GpiozeroLock
from edge.hardware.signals_gpiozero import GpiozeroSignals
from edge.outbox import Outbox
from edge.ports import Display, Signal
from edge.simulated.pins import SimulatedPins
from edge.wording import notice

WaitUntil = Callable[[Callable[[], bool]], None]


class Bus:
    """Gives out luma's emulated devices, unless it is broken."""

    def __init__(self) -> None:
        self.is_broken = False
        self.device: Device = dummy_device()
        self.made = 0
        self.pictures: list[Image.Image] = []

    def make(self) -> Device:
        if self.is_broken:
            raise OSError(121, "Remote I/O error")
        self.made += 1
        return self

    def display(self, image: Image.Image) -> None:
        if self.is_broken:
            raise OSError(121, "Remote I/O error")
        self.device.display(image)
        self.pictures.append(image)

    def cleanup(self) -> None:
        if self.is_broken:
            raise OSError(121, "Remote I/O error")
        self.device.display(Image.new("1", (WIDTH, HEIGHT)))
        self.pictures.append(Image.new("1", (WIDTH, HEIGHT)))

    def shows(self, words: str) -> bool:
        return bool(self.pictures) and is_same(self.pictures[-1], picture(words))


def is_same(one: Image.Image, other: Image.Image) -> bool:
    return ImageChops.logical_xor(one, other).getbbox() is None


@pytest.fixture
def bus() -> Bus:
    return Bus()


def test_words_are_shown_and_taken_away(bus: Bus, wait_until: WaitUntil) -> None:
    with LumaDisplay(make_device=bus.make) as shown:
        display: Display = shown
        display.show("Bonjour !")
        wait_until(lambda: bus.shows("Bonjour !"))
        display.show("")
        wait_until(lambda: bus.pictures[-1].getbbox() is None)
    shown.close()
    assert bus.made == 1


def test_it_is_dark_when_it_is_closed_and_no_thread_is_left(
    bus: Bus, wait_until: WaitUntil
) -> None:
    with LumaDisplay(make_device=bus.make) as display:
        display.show("Bonjour !")
        wait_until(lambda: bus.shows("Bonjour !"))
    assert bus.pictures[-1].getbbox() is None
    assert "display" not in [thread.name for thread in threading.enumerate()]


def test_nothing_is_opened_before_the_first_words(bus: Bus) -> None:
    with LumaDisplay(make_device=bus.make):
        pass
    assert bus.made == 0


def test_a_display_that_fails_is_opened_again_with_the_next_words(
    bus: Bus, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    with LumaDisplay(make_device=bus.make) as display:
        display.show("Bonjour !")
        wait_until(lambda: bus.shows("Bonjour !"))
        bus.is_broken = True
        display.show("Au revoir !")
        wait_until(lambda: "can't be used now" in caplog.text)
        bus.is_broken = False
        display.show("Bonjour !")
        wait_until(lambda: bus.made == 2 and bus.shows("Bonjour !"))


def test_a_bus_that_is_not_there_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    def make() -> Device:
        return i2c_device(driver="ssd1306", port=22, address=0x3C, is_upside_down=True)

    with LumaDisplay(make_device=make) as display:
        for _ in range(100):
            display.show("Bonjour !")
    assert caplog.text.count("can't be used now") <= 1


@pytest.mark.parametrize("language", ["fr", "en"])
def test_all_that_a_door_says_fits(language: str) -> None:
    texts = [message(reason, language) for reason in Reason]
    texts += [notice("several", language), notice("number", language), notice("fire", language)]
    for text in texts:
        image = picture(text)
        assert image.size == (WIDTH, HEIGHT)
        assert image.getbbox() is not None
        # What would be cut is seen by a last line that is full.
        assert not is_same(image, picture(f"{text} {'x' * 200}"))


def test_letters_with_accents_are_drawn_as_such() -> None:
    assert not is_same(picture("à"), picture("a"))
    assert is_same(picture("œ"), picture("oe"))
    assert is_same(picture("鍵"), picture("?"))


def test_what_the_door_shows_reaches_the_display(
    bus: Bus, wait_until: WaitUntil, pins: SimulatedPins, tmp_path: Path
) -> None:
    with (
        Outbox(tmp_path / "outbox.db", site=SiteId("malakoff"), door=DoorId("main")) as outbox,
        GpiozeroLock(pin=17, active_high=True, pin_factory=pins) as lock,
        GpiozeroSignals(
            red=5, green=6, blue=13, buzzer=None, active_high=True, pin_factory=pins
        ) as signals,
        LumaDisplay(make_device=bus.make) as display,
    ):
        hands = Hands(outbox=outbox, lock=lock, signals=signals, display=display)
        assert list(hands.carry_out([Show(signal=Signal.REFUSED, message="Complet")], 0.0)) == []
        wait_until(lambda: bus.shows("Complet"))

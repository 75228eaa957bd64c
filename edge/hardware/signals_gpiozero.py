"""The `Signals` port over light-emitting diodes and a buzzer on pins of the Raspberry Pi."""

from typing import Self

from gpiozero import DigitalOutputDevice, TonalBuzzer
from gpiozero.tones import Tone

from edge.hardware.pins import PinFactory, translated
from edge.hardware.player import PatternPlayer
from edge.ports import Signal
from edge.signals import PATTERNS, Light, Step

_OCTAVES = 2  # either side of 440 Hz: 110 to 1,760 Hz


class GpiozeroSignals:
    """One light of three colours, or two or three single ones, and a buzzer.

    Without a blue diode the colours that need blue are shown without it; the rhythm still tells
    them apart. Patterns are in `edge.signals`.
    """

    def __init__(
        self,
        *,
        red: int | None,
        green: int | None,
        blue: int | None,
        buzzer: int | None,
        active_high: bool,
        pin_factory: PinFactory,
    ) -> None:
        """Take the pins; dark and silent until `show`.

        Args:
            red: BCM number of the pin, or None if there is none.
            green: likewise.
            blue: likewise.
            buzzer: likewise; a passive buzzer, driven at 220 to 1,760 Hz.
            active_high: whether a high pin lights a diode (common cathode); False: a low one
                does (common anode).
            pin_factory: from `open_pins`.

        Raises:
            PinsError: a pin cannot be used.
        """
        self._lamps: dict[str, DigitalOutputDevice] = {}
        self._buzzer: TonalBuzzer | None = None
        try:
            for colour, pin in (("red", red), ("green", green), ("blue", blue)):
                if pin is not None:
                    with translated(f"{colour} light, pin {pin}"):
                        self._lamps[colour] = DigitalOutputDevice(
                            pin, active_high=active_high, pin_factory=pin_factory
                        )
            if buzzer is not None:
                with translated(f"buzzer, pin {buzzer}"):
                    self._buzzer = TonalBuzzer(buzzer, octaves=_OCTAVES, pin_factory=pin_factory)
        except OSError:
            self._let_go()
            raise
        self._player = PatternPlayer(show_step=self._show_step)

    def show(self, signal: Signal) -> None:
        """Start the pattern of `signal`, in place of what was shown before; does not block."""
        self._player.play(PATTERNS[signal])

    def close(self) -> None:
        """Light and sound off, and let go of the pins. Closing twice is harmless."""
        self._player.close()
        self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _show_step(self, step: Step) -> None:
        self._light(step.light)
        if self._buzzer is not None and not self._buzzer.closed:
            self._buzzer.play(None if step.tone_hz is None else Tone.from_frequency(step.tone_hz))

    def _light(self, light: Light) -> None:
        wanted = {"red": light.red, "green": light.green, "blue": light.blue}
        for colour, lamp in self._lamps.items():
            if not lamp.closed:
                lamp.value = wanted[colour]

    def _let_go(self) -> None:
        for lamp in self._lamps.values():
            lamp.close()
        if self._buzzer is not None:
            self._buzzer.close()

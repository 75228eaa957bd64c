"""What each `Signal` looks and sounds like, as data.

Every signal has a colour of its own, a rhythm of its own and a sound of its own, so that it is
told apart by those who do not see colours, and by those who do not hear (EN 301 549, 4.2). Each
begins with a short dark gap: the same signal twice is seen as two.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from edge.ports import Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """Which of the three colours of the light are on."""

    red: bool = False
    green: bool = False
    blue: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One moment of a pattern.

    Attributes:
        light: what is lit.
        tone_hz: what is sounded, 220 to 1,760 Hz, or None for silence.
        for_s: how long, in seconds, or None: until another signal is shown.
    """

    light: Light
    tone_hz: float | None = None
    for_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """Steps, one after the other.

    Attributes:
        steps: at least one; one that lasts for ever is the last.
        repeat_from: after the last step go back to this one; None: stay at the last step.
    """

    steps: tuple[Step, ...]
    repeat_from: int | None = None


DARK: Final = Light()
BLUE: Final = Light(blue=True)
WHITE: Final = Light(red=True, green=True, blue=True)
GREEN: Final = Light(green=True)
RED: Final = Light(red=True)
AMBER: Final = Light(red=True, green=True)
MAGENTA: Final = Light(red=True, blue=True)
CYAN: Final = Light(green=True, blue=True)

COLOURS: Final = MappingProxyType(
    {
        DARK: "dark",
        BLUE: "blue",
        WHITE: "white",
        GREEN: "green",
        RED: "red",
        AMBER: "amber",
        MAGENTA: "magenta",
        CYAN: "cyan",
    }
)
"""The colour that the eye sees, in a word."""

_GAP: Final = Step(light=DARK, for_s=0.06)

PATTERNS: Final = MappingProxyType(
    {
        # A short blue flash every four seconds: it is alive, and nobody is dazzled at night.
        Signal.IDLE: Pattern(
            steps=(_GAP, Step(light=BLUE, for_s=0.05), Step(light=DARK, for_s=3.95)),
            repeat_from=1,
        ),
        Signal.WAIT: Pattern(
            steps=(_GAP, Step(light=WHITE, for_s=0.12), Step(light=DARK, for_s=0.12)),
            repeat_from=1,
        ),
        Signal.GRANTED: Pattern(
            steps=(_GAP, Step(light=GREEN, tone_hz=880.0, for_s=0.35), Step(light=GREEN)),
        ),
        Signal.REFUSED: Pattern(
            steps=(
                _GAP,
                Step(light=RED, tone_hz=247.0, for_s=0.12),
                Step(light=DARK, for_s=0.08),
                Step(light=RED, tone_hz=247.0, for_s=0.12),
                Step(light=DARK, for_s=0.08),
                Step(light=RED, tone_hz=247.0, for_s=0.12),
                Step(light=RED),
            ),
        ),
        Signal.WARNING: Pattern(
            steps=(
                _GAP,
                Step(light=AMBER, tone_hz=587.0, for_s=0.25),
                Step(light=AMBER, for_s=0.25),
                Step(light=DARK, for_s=0.5),
            ),
            repeat_from=1,
        ),
        # One tone as it begins: "a card is wanted", and once more: "the card is taken".
        Signal.ENROL: Pattern(
            steps=(
                _GAP,
                Step(light=CYAN, tone_hz=1047.0, for_s=0.2),
                Step(light=CYAN, for_s=0.6),
                Step(light=DARK, for_s=0.2),
            ),
            repeat_from=2,
        ),
        Signal.ALARM: Pattern(
            steps=(
                _GAP,
                Step(light=MAGENTA, tone_hz=1319.0, for_s=0.15),
                Step(light=DARK, tone_hz=988.0, for_s=0.15),
            ),
            repeat_from=1,
        ),
    }
)
"""The pattern of each signal."""

_MEANINGS: Final = MappingProxyType(
    {
        step.light: signal
        for signal, pattern in PATTERNS.items()
        for step in pattern.steps
        if step.light != DARK
    }
)


def recognise(light: Light) -> Signal | None:
    """Say which signal a lit colour belongs to; None for dark, and for a colour of no signal."""
    return _MEANINGS.get(light)

"""A real door whose server, broker or line is half dead: it decides in time by itself.

Programs that stand still with their connections open (F6); lines that delay, swallow and cut (F10).
A grant that comes late opens nothing.
"""

import contextlib
import random
import time
from collections.abc import Iterator
from typing import Final

from tests.torture.entrance import DOOR, Entrance, entrance_at
from tests.torture.proxy import Line, Proxy
from tests.torture.report import Outcome, Run, Torment
from tests.torture.server_kills import ERRORS, rounds_of
from tests.torture.server_place import ServerPlace, no_mosquitto

_FROZEN_S: Final = 60.0
_FROZEN_FEW_S: Final = 2.5
_HELD_UP_S: Final = 8.0
_WAYS: Final = ("server", "late answers", "broker", "delays", "half open", "cuts")
"""What is done in turn."""


@contextlib.contextmanager
def _behind_a_proxy(
    run: Run, outcome: Outcome, dice: random.Random
) -> Iterator[tuple[Entrance, Proxy]]:
    """Put the door behind a proxy."""
    with (
        ServerPlace(run.folder / "p", [DOOR]) as place,
        Proxy(place.port, dice) as proxy,
    ):
        config = place.door_settings(DOOR)
        text = config.read_text(encoding="utf-8")
        config.write_text(text.replace(f"port = {place.port}", f"port = {proxy.port}"), "utf-8")
        with entrance_at(place, outcome) as entrance:
            yield entrance, proxy


# Standing still.


def torture(run: Run) -> Outcome:
    """Do one thing after another to a door's server, broker and line."""
    outcome, is_full = Outcome(), run.count >= HALF_DEAD.full
    frozen_s = _FROZEN_S if is_full else _FROZEN_FEW_S
    try:
        with _behind_a_proxy(run, outcome, run.dice("line")) as (entrance, proxy):
            for number in rounds_of(run, outcome):
                what = _WAYS[(number - 1) % len(_WAYS)]
                where, dice = f"round {number}, {what}", run.dice(number)
                if what in {"server", "broker"}:
                    _freeze(entrance, what, frozen_s, f"{where} stands still")
                else:
                    _spoil(entrance, proxy, what, dice, where)
                entrance.expect_online()
                outcome.count(f"{what} stood still" if what in {"server", "broker"} else what)
    except ERRORS as error:
        outcome.failures.append(repr(error))
    return outcome


def _freeze(entrance: Entrance, name: str, for_s: float, where: str) -> None:
    begun = time.monotonic()
    with entrance.place.frozen(name):
        if name == "server":
            entrance.expect_refused_in_time(entrance.register(), where)
        else:
            entrance.expect_admitted_in_time(where)
        changes = len(entrance.door.changes())
        time.sleep(max(0.0, begun + for_s - time.monotonic()))
    # What the server had not read comes to it now, and its answers to the door.
    time.sleep(1)
    entrance.expect_no_release(changes, where)


# Bad lines.


def _spoil(entrance: Entrance, proxy: Proxy, what: str, dice: random.Random, where: str) -> None:
    """Spoil the line, and mend it."""
    match what:
        case "late answers":
            _late(entrance, proxy, dice, where)
        case "delays":
            _delay(entrance, proxy, dice, where)
        case "half open":
            _swallow(entrance, proxy, dice, where)
        case _:
            _cut(entrance, proxy, dice, where)
    proxy.line = Line()


def _late(entrance: Entrance, proxy: Proxy, dice: random.Random, where: str) -> None:
    """The server grants at once, and its answer comes when the door has long refused."""
    late_s = dice.uniform(1.5, 5)
    proxy.line = Line(to_client_s=(late_s, late_s))
    newcomer, before = entrance.register(), entrance.decisions
    entrance.expect_refused_in_time(newcomer, where)
    changes = len(entrance.door.changes())
    granted = entrance.decisions > before
    entrance.outcome.count("grants that came late", int(granted))
    time.sleep(late_s + 0.3)
    entrance.expect_no_release(changes, where)


def _delay(entrance: Entrance, proxy: Proxy, dice: random.Random, where: str) -> None:
    """Everything takes its time, each message another."""
    most_s = dice.uniform(0.5, 5)
    proxy.line = Line(to_server_s=(0, most_s), to_client_s=(0, most_s))
    for _ in range(2):
        entrance.expect_admitted_in_time(where)


def _swallow(entrance: Entrance, proxy: Proxy, dice: random.Random, where: str) -> None:
    """The connection stands, and nothing comes through; as when a router has forgotten it."""
    proxy.line = Line(is_half_open=True)
    entrance.expect_admitted_in_time(where)
    time.sleep(dice.uniform(0, _HELD_UP_S) if dice.random() < 0.5 else 0)
    proxy.cut_now()


def _cut(entrance: Entrance, proxy: Proxy, dice: random.Random, where: str) -> None:
    """Each message is cut in its middle, several times over."""
    for _ in range(dice.randint(1, 3)):
        proxy.cut()
        entrance.expect_admitted_in_time(where)


HALF_DEAD: Final = Torment(
    name="half-dead",
    faults=("F6", "F10"),
    says="server or broker stand still, or the line delays, swallows and cuts: a door decides "
    "within 3 s by itself, what comes late moves no lock, then the server decides again",
    full=60,
    few=2,
    run=torture,
    missing=no_mosquitto,
)


def every() -> Iterator[Torment]:
    """Give the torments of this module."""
    yield HALF_DEAD

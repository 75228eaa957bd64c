"""A bad line between a server and its broker (F10): it delays, swallows, and cuts in mid-frame."""

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

from tests.torture.place import wait_for
from tests.torture.proxy import Line, Proxy
from tests.torture.report import Outcome, Run, Torment
from tests.torture.server_kills import Suffering, rounds_of, suffering
from tests.torture.server_place import ServerPlace, no_mosquitto

_WAYS: Final = ("cuts", "delays", "half open")
"""What is done in turn."""

_MOST_S: Final = 5.0
_HEALED_S: Final = 60.0


def spoil_lines(run: Run) -> Outcome:
    """Put the server behind a proxy, and spoil its line again and again while people come."""
    outcome = Outcome()
    with ExitStack() as stack:
        lines: list[Proxy] = []

        def put_between(place: ServerPlace) -> None:
            proxy = stack.enter_context(Proxy(place.port, run.dice("line")))
            settings = place.path / "gardien.toml"
            text = settings.read_text(encoding="utf-8")
            # The broker runs already: for the server it is one that is somewhere else.
            text = text.replace('program = "mosquitto"', 'program = "none"')
            settings.write_text(text.replace(f"port = {place.port}", f"port = {proxy.port}"))
            lines.append(proxy)

        with suffering(run, outcome, prepare=put_between) as it:
            (proxy,) = lines
            for number in rounds_of(run, outcome):
                what = _WAYS[(number - 1) % len(_WAYS)]
                _spoil(proxy, what, run.dice(number))
                proxy.line = Line()
                outcome.count(what)
                it.audit.look(it.place.inside.database, f"round {number}, {what}")
                _expect_answers(it)
    return outcome


def _spoil(proxy: Proxy, what: str, dice: random.Random) -> None:
    """Spoil the line for a while."""
    match what:
        case "cuts":
            for _ in range(dice.randint(1, 3)):
                proxy.cut()
                time.sleep(dice.uniform(0.2, 1.0))
        case "delays":
            # Each message another: what is sent later may overtake, over another connection.
            proxy.line = Line(to_server_s=(0, _MOST_S), to_client_s=(0, _MOST_S))
            time.sleep(dice.uniform(1.0, _MOST_S))
        case _:
            proxy.line = Line(is_half_open=True)
            time.sleep(dice.uniform(0.5, _MOST_S))
            proxy.cut_now()


def _expect_answers(it: Suffering) -> None:
    """The server answers again within a minute."""
    before = {door.id: len(door.log.answers) for door in it.doors}
    wait_for(
        lambda: all(len(door.log.answers) > before[door.id] for door in it.doors),
        "the server answers every door again",
        _HEALED_S,
    )


SERVER_LINES: Final = Torment(
    name="server-bad-line",
    faults=("F10",),
    says="the line between server and broker delays up to 5 s, swallows, and cuts in mid-frame: "
    "doors decide by themselves, nothing is lost or doubled, and within a minute of its being "
    "mended the server answers again",
    full=60,
    few=3,
    run=spoil_lines,
    missing=no_mosquitto,
)


def every() -> Iterator[Torment]:
    """Give the torment of this module."""
    yield SERVER_LINES

"""Every torment that there is. A new one is added here."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final

from tests.torture import (
    bad_wires,
    busy,
    certificates,
    clock_jumps,
    door_kills,
    evenings,
    half_dead,
    power_cuts,
    server_clocks,
    server_disks,
    server_kills,
    server_lines,
    server_postgres,
    sick_disks,
    years,
)
from tests.torture.report import Torment

TORMENTS: Final[Sequence[Torment]] = tuple(
    chain(
        door_kills.every(),
        power_cuts.every(),
        sick_disks.every(),
        server_kills.every(),
        server_disks.every(),
        server_postgres.every(),
        half_dead.every(),
        server_lines.every(),
        clock_jumps.every(),
        server_clocks.every(),
        bad_wires.every(),
        busy.every(),
        certificates.every(),
        evenings.every(),
        years.every(),
    )
)


def find(names: Iterable[str]) -> list[Torment]:
    """Give the torments that go by one of these names or fault numbers; all, if there is none."""
    wanted = set(names)
    return [
        torment
        for torment in TORMENTS
        if not wanted or torment.name in wanted or wanted & set(torment.faults)
    ]

"""The clocks of the machines: each is a little wrong, and some are very wrong."""

from datetime import UTC, datetime, timedelta
from typing import Final

from simulation.world import World

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class NodeClock:
    """The clock of one machine; implements `runtime.clock.Clock`.

    Args:
        world: whose time is true.
        offset_s: how far it is ahead, in seconds.
        drift: how much faster it runs, as a part: 0.0001 is 100 ppm.
    """

    def __init__(self, world: World, *, offset_s: float = 0.0, drift: float = 0.0) -> None:
        self._world = world
        self._offset_s, self._drift = offset_s, drift
        self._booted_s = world.now_s

    def now(self) -> datetime:
        """The time of day that it shows, UTC."""
        off_s = self._offset_s + self._drift * self._world.now_s
        return self._world.now + timedelta(seconds=off_s)

    def monotonic(self) -> float:
        """Seconds since it was started."""
        return (self._world.now_s - self._booted_s) * (1.0 + self._drift)

    @property
    def off_s(self) -> float:
        """How far it is ahead of the truth now, in seconds."""
        return (self.now() - self._world.now).total_seconds()

    def boot(self) -> None:
        """Start anew: its monotonic time begins at zero."""
        self._booted_s = self._world.now_s

    def jump(self, seconds: float) -> None:
        """Set the time of day forward or back; monotonic time goes on."""
        self._offset_s += seconds

    def show(self, moment: datetime) -> None:
        """Set the time of day."""
        self._offset_s += (moment - self.now()).total_seconds()

    def correct(self) -> None:
        """Set the time of day right, and let it run right: a time server was reached."""
        self._offset_s, self._drift = 0.0, 0.0

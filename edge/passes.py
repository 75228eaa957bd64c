"""Which grant, or which request to exit, an opening of the door follows from."""

from dataclasses import dataclass, field
from typing import Final

from access.ids import RequestId
from access.passing import OPENED_LATE

_GRACE_S: Final = OPENED_LATE.total_seconds()

FORCED: Final = "forced"
"""The cause of an opening that nobody had a right to."""

EXIT_S: Final = 5.0
"""How long after the exit button was let go of an opening still follows from it."""


@dataclass(slots=True, kw_only=True)
class Pass:
    """The right to open the door once.

    Attributes:
        cause: what gave it: grant, exit or command.
        request: the request that was granted, if it was one.
        until: monotonic time at which it ends; None as long as the lock is released.
        is_used: whether the door was opened by it.
    """

    cause: str
    request: RequestId | None = None
    until: float | None = None
    is_used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What an opening follows from.

    Attributes:
        cause: grant, exit, command, passage or forced.
        request: the request whose grant it follows, if any.
        admits: all requests whose people go in or out by it.
    """

    cause: str
    request: RequestId | None = None
    admits: tuple[RequestId, ...] = ()


@dataclass(slots=True, kw_only=True)
class Passes:
    """The rights to open the door that have been given of late."""

    given: list[Pass] = field(default_factory=list)
    is_exit_pressed: bool = False
    exit_until: float | None = None

    @property
    def due(self) -> float | None:
        """When the first of them ends."""
        return min((p.until for p in self.given if p.until is not None), default=None)

    def give(self, cause: str, request: RequestId | None = None, *, is_used: bool = False) -> None:
        """Give the right to open; it lasts until the lock has locked again, and a little more."""
        self.given.append(Pass(cause=cause, request=request, is_used=is_used))

    def exit_button(self, *, is_pressed: bool, mono: float) -> None:
        """The exit button was pressed or let go of."""
        self.is_exit_pressed = is_pressed
        self.exit_until = mono + EXIT_S

    def locked(self, mono: float) -> None:
        """The lock has locked: what was given ends soon."""
        for given in self.given:
            if given.until is None:
                given.until = mono + _GRACE_S

    def revoke(self) -> None:
        """Take back what was given, at once."""
        self.given.clear()

    def opened(self, mono: float, *, is_held: bool) -> Opening:
        """Say what an opening follows from: the oldest unused right first, else the latest used.

        All rights count as used by it: those who were admitted together go in together.

        Args:
            mono: when, in monotonic seconds.
            is_held: whether the lock is held unlocked for everybody.
        """
        alive = [given for given in self.given if given.until is None or mono < given.until]
        unused = [given for given in alive if not given.is_used]
        for given in alive:
            given.is_used = True
        if is_held:
            self.given = []
        if unused:
            return _opening(unused[0], unused)
        if self._is_exit(mono):
            return Opening(cause="exit")
        if is_held:
            return Opening(cause="passage")
        return _opening(alive[-1], []) if alive else Opening(cause=FORCED)

    def expire(self, mono: float) -> list[Pass]:
        """Forget the rights that have ended; gives those that were never used."""
        ended = [given for given in self.given if given.until is not None and mono >= given.until]
        self.given = [given for given in self.given if given not in ended]
        return [given for given in ended if not given.is_used]

    def _is_exit(self, mono: float) -> bool:
        return self.is_exit_pressed or (self.exit_until is not None and mono < self.exit_until)


def _opening(by: Pass, admitted: list[Pass]) -> Opening:
    admits = tuple(given.request for given in admitted if given.request is not None)
    return Opening(cause=by.cause, request=by.request, admits=admits)

"""What the server's loop counts of its own work, as a port."""

from typing import Literal, Protocol

from access.ids import SiteId

Kind = Literal["request", "journal", "state", "invalid", "late"]
"""What came: a badge's request, a door's journal or condition; or what is not looked at: not valid,
or a request that came too late to be decided."""


class Meter(Protocol):
    """Counts; each call takes microseconds and raises nothing. Used by the loop's thread."""

    def took_in(self, kind: Kind) -> None:
        """Count a message that came."""

    def decided(self, site: SiteId, *, is_granted: bool, reason: str, took_s: float) -> None:
        """Count a decision that was committed and sent.

        Args:
            site: where.
            is_granted: what was decided.
            reason: the one reason of it.
            took_s: seconds from when its request came.
        """

    def link_is(self, *, is_up: bool) -> None:
        """Note that the broker has been reached, or is out of reach."""


class NoMeter:
    """Counts nothing."""

    def took_in(self, kind: Kind) -> None:
        """Count nothing."""

    def decided(self, site: SiteId, *, is_granted: bool, reason: str, took_s: float) -> None:
        """Count nothing."""

    def link_is(self, *, is_up: bool) -> None:
        """Note nothing."""

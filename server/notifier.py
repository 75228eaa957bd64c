"""The port through which a message reaches people, and how long to wait when it can't."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

BACK_OFF_S: Final = (5, 60, 300, 1800, 3600)
"""Seconds to wait after the first failure in a row, the second, and so on; the last goes on."""


class NotifierError(OSError):
    """Not now: the target is away, or asks to wait. Nothing is lost, try again later."""


class NotifierRefusedError(NotifierError):
    """Never: the target refuses this message, and would refuse it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message to people.

    Attributes:
        title: one line.
        text: several lines.
        to: e-mail addresses, where the way of sending needs them.
        is_urgent: whether it is worth waking somebody.
        reference: the same for the same message, so that a repeat can be told.
    """

    title: str
    text: str
    to: tuple[str, ...] = ()
    is_urgent: bool = False
    reference: str = ""


class Notifier(Protocol):
    """A way to send messages to people."""

    def send(self, letters: list[Letter]) -> None:
        """Send messages; blocks until they are handed over, or a time-out of seconds.

        Raises:
            NotifierError: not now. Some may have gone out already.
            NotifierRefusedError: it is refused for good.
        """


def retry_at(now: datetime, attempts: int, asked_s: float | None = None) -> datetime:
    """Say when to try again.

    Args:
        now: when the last attempt failed.
        attempts: how many have failed in a row, at least 1.
        asked_s: for how long the target asked to be left alone; an hour is heeded at the most.
    """
    wait_s = BACK_OFF_S[min(attempts, len(BACK_OFF_S)) - 1]
    return now + timedelta(seconds=max(wait_s, min(asked_s or 0, BACK_OFF_S[-1])))


def is_due(at: datetime | None, now: datetime) -> bool:
    """Whether the time for another attempt has come; also where the clock was put back."""
    return at is None or at <= now or at - now > timedelta(seconds=BACK_OFF_S[-1])

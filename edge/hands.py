"""Carries out what a door wants at the door itself, in the safe order: journal, lock, signals."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from edge.effects import (
    Effect,
    Keep,
    PublishState,
    Record,
    Relock,
    Restart,
    SendRequest,
    Show,
    Unlock,
)
from edge.outbox import Entry, Outbox, OutboxError
from edge.ports import Display, Lock, Signals

_log = logging.getLogger(__name__)

_MOST_UNSAVED: Final = 1000
_SAVE_AGAIN_S: Final = 1.0
_RENEW_S: Final = 10.0

Message = SendRequest | PublishState | Restart
"""What is left for others to do."""


@dataclass(slots=True, kw_only=True)
class _Durable:
    """What is to be on disk before the lock is released."""

    entries: list[Entry] = field(default_factory=list)
    keep: dict[str, str | None] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Hands:
    """Lock, journal, signals and display of one door.

    Records are on disk before the lock is released; locking waits for nothing. What can't be
    written is kept in memory and tried again each second; only the way out is opened meanwhile.

    Attributes:
        unsaved: records that could not be written yet.
    """

    outbox: Outbox
    lock: Lock
    signals: Signals
    display: Display | None = None
    unsaved: list[Entry] = field(default_factory=list)
    _unkept: dict[str, str | None] = field(default_factory=dict)
    _save_at: float = float("-inf")
    _renewed_at: float | None = None

    def carry_out(self, effects: Sequence[Effect], mono: float) -> Iterator[Message]:
        """Do what can be done here, in order; blocks for the disk.

        Yields:
            What is left for others, as soon as it is its turn.

        Raises:
            OutboxError: the records of a release could not be written, so there was none.
        """
        durable = _Durable()
        for effect in effects:
            match effect:
                case Relock():
                    self.lock_now()
                case Unlock(is_exit=is_exit):
                    self._unlock(durable, mono, is_exit=is_exit)
                    durable = _Durable()
                case Record(kind=kind, at=at, data=data):
                    durable.entries.append(Entry(kind=kind, time=at, data=data))
                case Keep(key=key, value=value):
                    durable.keep[key] = value
                case Show():
                    self._show(effect)
                case _:
                    yield effect
        self._save(durable)

    def lock_now(self) -> None:
        """Lock, whatever was wanted before."""
        self._renewed_at = None
        self.lock.lock()

    def tend(self, mono: float, *, is_unlocked: bool) -> None:
        """Write what could not be written, and hold on to a lock that may lock itself.

        Args:
            mono: monotonic seconds.
            is_unlocked: whether the lock is to be released now.
        """
        if (self.unsaved or self._unkept) and mono >= self._save_at:
            self._save_at = mono + _SAVE_AGAIN_S
            self._save(_Durable())
        # Only a release that was carried out is renewed: one that failed must stay without effect.
        renewed_at = self._renewed_at
        if is_unlocked and renewed_at is not None and mono >= renewed_at + _RENEW_S:
            self._renewed_at = mono
            self.lock.unlock()

    def _show(self, effect: Show) -> None:
        self.signals.show(effect.signal)
        if self.display is not None:
            self.display.show(effect.message)

    def _unlock(self, durable: _Durable, mono: float, *, is_exit: bool) -> None:
        if is_exit:
            self._save(durable)
        else:
            self._commit(durable)
        self.lock.unlock()
        self._renewed_at = mono

    def _commit(self, durable: _Durable) -> None:
        # The door goes on as one that remembers it, whatever becomes of the release.
        self._unkept |= durable.keep
        if durable.entries or self._unkept or self.unsaved:
            self.outbox.append_all([*self.unsaved, *durable.entries], self._unkept)
            self.unsaved.clear()
            self._unkept.clear()

    def _save(self, durable: _Durable) -> None:
        try:
            self._commit(durable)
        except OutboxError:
            if not self.unsaved:
                _log.exception("records wait in memory: the outbox can't be written")
            room = _MOST_UNSAVED - len(self.unsaved)
            self.unsaved.extend(durable.entries[: max(room, 0)])

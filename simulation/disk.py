"""The disks: what was synced is on the platter, what was not is lost with the power.

The outbox keeps the interface of `edge.outbox.Outbox`, and its promises: records and kept values
are synced before a write returns; deletions are not, so that a power cut may undo them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from access.ids import DoorId, SiteId
from access.instants import from_rfc3339
from access.journal import Head, chained
from edge.outbox import Entry, Outbox, OutboxError, OutboxFullError

_NEARLY_FULL: Final = 0.9


class PowerCutError(BaseException):
    """The power is gone in the middle of a write; no program survives to handle it."""


@dataclass(slots=True, kw_only=True)
class Platter:
    """What survives a power cut.

    Attributes:
        records: the records that are held, in order.
        unsynced: up to which record they were deleted, in the page cache only.
        last_at: the time of the last record.
        is_refusing: whether writes fail now.
        cut_in: after how many writes from now the power fails: before (False) or after it (True)
            is on the platter; None for not soon.
    """

    records: list[dict[str, Any]] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    head: Head = field(default_factory=Head)
    last_at: datetime | None = None
    unsynced: int | None = None
    is_refusing: bool = False
    cut_in: bool | None = None

    def cut(self, *, is_lost: bool) -> None:
        """The power is gone: what was not synced is lost, or happens not to be."""
        if not is_lost:
            self.sync()
        self.unsynced = None

    def sync(self) -> None:
        """Bring what is in the page cache to the platter."""
        if self.unsynced is not None:
            self.records = [r for r in self.records if r["seq"] > (self.unsynced or 0)]
        self.unsynced = None


class SimulatedOutbox(Outbox):
    """A door's outbox on a simulated disk.

    Args:
        platter: what survives.
        on_durable: told of each record once it is on the platter.
    """

    def __init__(
        self,
        platter: Platter,
        *,
        site: SiteId,
        door: DoorId,
        capacity: int,
        on_durable: Callable[[dict[str, Any]], None],
    ) -> None:
        # The base opens a file; this one has none.
        self._platter, self._on_durable = platter, on_durable
        self._site, self._door, self._capacity = site, door, capacity

    @property
    def head(self) -> Head:
        """The end of the chain."""
        return self._platter.head

    @property
    def last_at(self) -> datetime | None:
        """The time of the last record."""
        return self._platter.last_at

    @property
    def lost(self) -> str | None:
        """Nothing is ever set aside here."""
        return None

    @property
    def is_nearly_full(self) -> bool:
        """Whether less than a tenth of the room is left."""
        return len(self) >= _NEARLY_FULL * self._capacity

    @property
    def acknowledged(self) -> int:
        """The number up to which records have been deleted."""
        held = self._held()
        return int(held[0]["seq"]) - 1 if held else self._platter.head.seq

    def __len__(self) -> int:
        """How many records are held."""
        return len(self._held())

    def append_all(
        self, entries: Sequence[Entry], keep: Mapping[str, str | None] | None = None
    ) -> int:
        """Record several things and keep some values, all or none, as the real one does."""
        platter = self._platter
        if entries and len(self) + len(entries) > self._capacity:
            raise OutboxFullError(f"{self._door} holds {len(self)} records")
        self._may_write()
        head, made = platter.head, []
        for entry in entries:
            record, head = chained(
                head,
                site=self._site,
                source=self._door,
                kind=entry.kind,
                time=entry.time,
                data=entry.data,
            )
            made.append(record)
        self._written(made, head, dict(keep or {}))
        return head.seq

    def after(self, seq: int, limit: int = 100) -> list[dict[str, Any]]:
        """Give the records that follow number `seq`."""
        held = self._held()
        if not held:
            return []
        first = max(seq + 1 - int(held[0]["seq"]), 0)
        return held[first : first + limit]

    def acknowledge(self, seq: int) -> None:
        """Delete the records up to `seq`; the deletion is not synced."""
        if self._platter.is_refusing:
            raise OutboxError("the disk refuses")
        self._platter.unsynced = max(seq, self._platter.unsynced or 0)

    def kept(self, key: str) -> str | None:
        """Give a value that was kept."""
        return self._platter.kept.get(key)

    def kept_under(self, prefix: str) -> dict[str, str]:
        """Give all values whose keys begin so."""
        kept = self._platter.kept
        return {key: value for key, value in kept.items() if key.startswith(prefix)}

    def wipe(self) -> None:
        """Nothing is left of what was deleted."""

    def close(self) -> None:
        """Nothing to close."""

    def _held(self) -> list[dict[str, Any]]:
        platter = self._platter
        if platter.unsynced is None or not platter.records:
            return platter.records
        return platter.records[max(platter.unsynced + 1 - int(platter.records[0]["seq"]), 0) :]

    def _may_write(self) -> None:
        if self._platter.is_refusing:
            raise OutboxError("the disk refuses")
        if self._platter.cut_in is False:
            self._platter.cut_in = None
            raise PowerCutError

    def _written(self, made: list[dict[str, Any]], head: Head, keep: dict[str, str | None]) -> None:
        platter = self._platter
        platter.sync()
        platter.records.extend(made)
        platter.head = head
        if made:
            platter.last_at = from_rfc3339(made[-1]["time"])
        for key, value in keep.items():
            if value is None:
                platter.kept.pop(key, None)
            else:
                platter.kept[key] = value
        for record in made:
            self._on_durable(record)
        if platter.cut_in:
            platter.cut_in = None
            raise PowerCutError

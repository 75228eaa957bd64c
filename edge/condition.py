"""What is set for a door, what it remembers, and what is to be seen of it from outside."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from access.ids import BadgeDigest, DoorId, SiteId
from access.model import Policy, Reader
from access.watch import Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is set for one door.

    Attributes:
        readers: which readers the door has.
        decision_timeout_s: how long the server may take, in seconds.
        held_after_s: how long the door may stand open, in seconds.
        exit_stuck_s: how long the exit button may be down, in seconds.
        has_contact: whether a contact says that the door is open.
        clock_is_kept: whether the clock goes on while the unit is off, by a battery of its own; if
            not, it is in doubt after each start, until the server has told the time.
        clock_may_leap: whether the clock may leap ahead, as a demonstration's does.
    """

    site: SiteId
    door: DoorId
    readers: tuple[Reader, ...] = (Reader.IN,)
    decision_timeout_s: float = 0.4
    held_after_s: float = 30.0
    exit_stuck_s: float = 60.0
    has_contact: bool = True
    clock_is_kept: bool = True
    clock_may_leap: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a door remembers of the time before it was started.

    Attributes:
        policy: the last one, its signature checked anew.
        watch: the watch that it knew of.
        is_locked_down: whether it was locked down.
        was_held: whether it was in passage mode.
        done: the commands that were done, with their expiry.
        ruled_at: when the newest lockdown or lift that was obeyed had been ordered.
        counters: the newest counter of each badge that it has seen.
        last_at: the time of its last record.
        clock_doubt: why its clock was in doubt, if it was.
    """

    policy: Policy | None = None
    watch: Watch | None = None
    is_locked_down: bool = False
    was_held: bool = False
    done: Mapping[str, datetime] = field(default_factory=dict)
    ruled_at: datetime | None = None
    counters: Mapping[BadgeDigest, int] = field(default_factory=dict)
    last_at: datetime | None = None
    clock_doubt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The door's condition, as `state` tells it."""

    lock: Literal["locked", "unlocked", "held"]
    contact: Literal["closed", "open", "none"]
    policy: int | None
    clock_ms: int | None
    readers: Mapping[str, str]
    fire: bool = False

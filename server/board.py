"""What the pages show, as values: no page, no query and no rule in them."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from access.ids import DoorId, MemberId, SiteId, WatchId
from access.messages import JournalCondition
from access.model import Audience
from access.watch import Phase
from server.state import OrderTrack
from server.turn import Opening


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody by name; the name is empty once they have been taken out of the registry."""

    id: MemberId
    name: str

    @property
    def first_name(self) -> str:
        """What they are called on the board."""
        return self.name.split()[0] if self.name else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """How many are inside: numbers, and nobody's name.

    Attributes:
        present: people likely inside.
        high: people inside at the most; more than `present` after exits that nobody badged.
        members: members inside at the most.
        guests: people without a badge.
        capacity: the most that the site may hold.
        open: what keeps the site open.
    """

    present: int
    high: int
    members: int
    guests: int
    capacity: int
    open: Opening

    @property
    def margin(self) -> int:
        """How far the count may be out."""
        return self.high - self.present

    @property
    def is_full(self) -> bool:
        """Whether no further member is admitted."""
        return self.present >= self.capacity

    @property
    def percent(self) -> int:
        """How full it is, 0 to 100."""
        return min(100, round(100 * self.present / self.capacity))

    @property
    def percent_high(self) -> int:
        """How full it is at the most, 0 to 100."""
        return min(100, round(100 * self.high / self.capacity))

    @property
    def mark(self) -> str:
        """A word that is another one whenever a number is."""
        numbers = (self.present, self.high, self.members, self.guests, self.capacity)
        return "-".join([*map(str, numbers), self.open])


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchView:
    """The watch that runs.

    Attributes:
        guardian: who holds it.
        since: since when they do.
        minutes: for how long they have held it in all, in whole minutes.
        opened_at: when the watch opened.
        over_by: when it begins to close by itself.
        closes_by: when it closes at the latest.
        offered_to: who may take it.
    """

    id: WatchId
    guardian: Person
    since: datetime
    minutes: int
    opened_at: datetime
    over_by: datetime
    closes_by: datetime
    phase: Phase
    title: str | None
    audience: Audience
    offered_to: Person | None

    @property
    def is_closing(self) -> bool:
        """Whether people are asked to leave."""
        return self.phase is Phase.CLOSING


class Contact(Enum):
    """Whether a door has been heard of."""

    ONLINE = "online"
    SILENT = "silent"
    OFFLINE = "offline"
    NEVER = "never"


class Leaf(Enum):
    """How a door stands."""

    LOCKED = "locked"
    UNLOCKED = "unlocked"
    HELD = "held"
    OPEN = "open"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorView:
    """One door.

    Attributes:
        contact: whether it has been heard of lately.
        leaf: how it stands, as far as it last said.
        open_since: when it was opened, while it is open.
        queue: records that it has not handed over; None when it has not said.
        policy: the version of the rules that it has; None when it has not said.
        heard_at: when it was last heard of.
        faulty: its readers that don't answer.
        journal: how its journal is; None when it has not said.
        is_held: whether it is held unlocked for everybody.
        is_locked_down: whether only staff come in.
        order: what it was told last, and what has come of it; None where that is long ago.
    """

    id: DoorId
    name: str
    contact: Contact
    leaf: Leaf
    open_since: datetime | None
    queue: int | None
    policy: int | None
    heard_at: datetime | None
    faulty: tuple[str, ...]
    journal: JournalCondition | None = None
    is_held: bool = False
    is_locked_down: bool = False
    order: OrderTrack | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One line of what happened.

    Attributes:
        kind: the ledger's type without `gardien.`, such as `access.decided`.
        door: the door's name.
        person: whom it is about.
        other: who else is in it: the guardian before, or who asked for it.
        is_granted: of a decision, whether it let them pass.
        is_out: of a decision, whether they were leaving.
        reason: of a decision, its one reason; of others, why it happened.
        is_alone: whether the door decided on its own.
        amount: the guests that came or went, or the people counted.
        number: in the chain of its source; an alert is taken in charge by it.
    """

    id: int
    at: datetime
    kind: str
    door: str | None = None
    person: Person | None = None
    other: Person | None = None
    is_granted: bool | None = None
    is_out: bool = False
    reason: str | None = None
    is_alone: bool = False
    amount: int | None = None
    number: int | None = None

    @property
    def is_alert(self) -> bool:
        """Whether somebody should hear of it at once."""
        return self.kind.startswith("alert.")


@dataclass(frozen=True, slots=True, kw_only=True)
class InsideView:
    """A member who may be inside."""

    person: Person
    is_guardian: bool
    since: datetime
    door: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """All that the live board shows of one site.

    Attributes:
        version: of the site's state; another one whenever anything is.
    """

    site: SiteId
    at: datetime
    version: int
    occupancy: Occupancy
    watch: WatchView | None
    doors: tuple[DoorView, ...]
    happenings: tuple[Happening, ...]
    alerts: tuple[Happening, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RollCall:
    """Who may be inside, by name, with the last news of each door.

    Attributes:
        gone: members in the list who are known to have left, without knowing which.
        certain_at: when the count was last certain.
    """

    site: SiteId
    at: datetime
    version: int
    occupancy: Occupancy
    watch: WatchView | None
    people: tuple[InsideView, ...]
    gone: int
    certain_at: datetime | None
    doors: tuple[DoorView, ...]

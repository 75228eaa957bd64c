"""Turns a stream of looks at a reader into one event for each presentation of a card."""

from dataclasses import dataclass
from typing import Literal, TypeVar

from access.tokens import CardToken
from edge.ports import Card, Unreadable

DEFAULT_REARM_S = 1.0

Trouble = Literal["several", "number", "moved", "unsure", "foreign"]
"""Why a card can't be taken: several at once; a number that no badge has; it was taken away too
soon; it can't be read or written well enough; it is none that can be enrolled."""

Seen = TypeVar("Seen", bound=Card | Unreadable)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRead:
    """A card was presented.

    Attributes:
        reader: which reader of the door, as "in" or "out".
        uid: the whole UID of the card: 4, 7 or 10 bytes.
        token: what is now the newest on the card, and verified; of a card that should have proved
            itself and did not, `access.tokens.UNPROVEN`; None if only its UID was read.
        enrolled: the id of the order by which it was enrolled just now, if it was.
    """

    reader: str
    uid: bytes
    token: CardToken | None = None
    enrolled: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CardUnreadable:
    """A card was presented that can't be taken.

    Attributes:
        reader: which reader of the door.
        why: see `Trouble`.
        uid: of the card, where it is known.
    """

    reader: str
    why: Trouble
    uid: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderFailed:
    """A reader stopped answering as it should.

    Attributes:
        reader: which reader of the door.
        error: what is wrong, in words.
    """

    reader: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderRecovered:
    """A reader that had failed works again.

    Attributes:
        reader: which reader of the door.
    """

    reader: str


ReaderEvent = CardRead | CardUnreadable | ReaderFailed | ReaderRecovered


class Presentations:
    """Remembers which cards were seen of late. Pure: time is an argument.

    A card that lies on the reader, or is read badly now and then, is one presentation. It may be
    presented anew when it was last seen `rearm_s` ago or longer. Another card is news at once.
    """

    def __init__(self, *, rearm_s: float = DEFAULT_REARM_S) -> None:
        """Begin with no card seen.

        Args:
            rearm_s: seconds, above zero.

        Raises:
            ValueError: `rearm_s` is not above zero.
        """
        if not rearm_s > 0:
            raise ValueError(f"rearm_s is {rearm_s}: must be above 0")
        self._rearm_s = rearm_s
        self._last_seen_s: dict[bytes | str, float] = {}

    def see(self, card: Seen | None, now_s: float) -> Seen | None:
        """Take one look at the reader; returns the card if this begins a presentation.

        Args:
            card: what the reader saw, readable or not, or None.
            now_s: monotonic seconds, never less than before.
        """
        self._last_seen_s = {
            what: seen_s
            for what, seen_s in self._last_seen_s.items()
            if now_s - seen_s < self._rearm_s
        }
        if card is None:
            return None
        what = card.uid if isinstance(card, Card) else card.why
        is_new = what not in self._last_seen_s
        self._last_seen_s[what] = now_s
        return card if is_new else None

    def forget(self, uid: bytes) -> None:
        """Take back that a card was seen: its next look begins a presentation."""
        self._last_seen_s.pop(uid, None)

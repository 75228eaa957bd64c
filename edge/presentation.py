"""Turns a stream of looks at a reader into one event for each presentation of a card."""

from dataclasses import dataclass

from edge.ports import Card

DEFAULT_REARM_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRead:
    """A card was presented.

    Attributes:
        reader: which reader of the door, as "in" or "out".
        uid: the whole UID of the card: 4, 7 or 10 bytes.
    """

    reader: str
    uid: bytes


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


ReaderEvent = CardRead | ReaderFailed | ReaderRecovered


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
        self._last_seen_s: dict[bytes, float] = {}

    def see(self, card: Card | None, now_s: float) -> Card | None:
        """Take one look at the reader; returns the card if this begins a presentation.

        Args:
            card: what the reader saw, or None.
            now_s: monotonic seconds, never less than before.
        """
        self._last_seen_s = {
            uid: seen_s
            for uid, seen_s in self._last_seen_s.items()
            if now_s - seen_s < self._rearm_s
        }
        if card is None:
            return None
        is_new = card.uid not in self._last_seen_s
        self._last_seen_s[card.uid] = now_s
        return card if is_new else None

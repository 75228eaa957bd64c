"""What happens between a reader and one card: the door is asked what it wants, and gets it."""

import secrets
from dataclasses import dataclass
from typing import Final

from access.tokens import UNPROVEN
from edge.badges.enrolling import Enrolment
from edge.badges.formatting import Unformatted, format_card
from edge.badges.keys import SiteKeys
from edge.badges.session import CardSession, MemoryReader
from edge.badges.token import TokenBlock
from edge.badges.visit import Random, Unproven, prove
from edge.badges.wish import Ask, Want
from edge.presentation import CardRead, CardUnreadable, Trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Cards:
    """What a door has for cards that can prove themselves.

    Attributes:
        keys: of the site.
        ask: what the door wants of a card.
    """

    keys: SiteKeys
    ask: Ask


_TROUBLE: Final[dict[Unproven | Unformatted, Trouble]] = {
    Unproven.LEFT: "moved",
    Unproven.UNSURE: "unsure",
    Unformatted.LEFT: "moved",
    Unformatted.UNSURE: "unsure",
    Unformatted.FOREIGN: "foreign",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """Meets each card that is presented to one reader.

    Attributes:
        reader: which reader of the door.
        memory: the reader itself.
        cards: the keys, and what the door wants.
        random: gives random bytes.
    """

    reader: str
    memory: MemoryReader
    cards: Cards
    random: Random = secrets.token_bytes

    def meet(self, uid: bytes) -> CardRead | CardUnreadable:
        """Do what the door wants of a card that was just seen; blocks for up to 3 s, mostly 0.1.

        A card of which nothing but the UID is wanted costs nothing.

        Raises:
            ReaderError: the reader fails.
        """
        wish = self.cards.ask(self.reader, uid)
        if wish is Want.UID:
            return CardRead(reader=self.reader, uid=uid)
        with self.memory.session() as session:
            if session is None or session.uid != uid:
                return CardUnreadable(reader=self.reader, why="moved", uid=uid)
            if isinstance(wish, Enrolment):
                return self._enrol(session, wish)
            return self._prove(session)

    def _prove(self, session: CardSession) -> CardRead | CardUnreadable:
        done = prove(session, self.cards.keys.of(session.uid), random=self.random)
        if isinstance(done, TokenBlock):
            return CardRead(reader=self.reader, uid=session.uid, token=done.token)
        if done is Unproven.FORGED:
            return CardRead(reader=self.reader, uid=session.uid, token=UNPROVEN)
        return CardUnreadable(reader=self.reader, why=_TROUBLE[done], uid=session.uid)

    def _enrol(self, session: CardSession, wish: Enrolment) -> CardRead | CardUnreadable:
        keys = self.cards.keys.of(session.uid)
        done = format_card(session, keys, random=self.random, counter=wish.counter)
        if isinstance(done, TokenBlock):
            return CardRead(
                reader=self.reader, uid=session.uid, token=done.token, enrolled=wish.command
            )
        return CardUnreadable(reader=self.reader, why=_TROUBLE[done], uid=session.uid)

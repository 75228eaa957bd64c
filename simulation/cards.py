"""The cards of level L1, their copies, and the readers that they are held to.

What a visit does with a card is the real code (`edge.badges`); the radio between them is a model:
a card answers or is gone. Pulled away in the middle of a write it keeps a block that is half
written.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Final

from access.tokens import CardToken
from edge.badges.formatting import format_card
from edge.badges.keys import CardKeys, SiteKeys
from edge.badges.token import TokenBlock
from edge.simulated.memory import BLOCK_BYTES, BLOCKS_PER_SECTOR, Memory

MASTER_KEY: Final = bytes(range(1, 33))
FIRST_COUNTER: Final = 1000

LONGEST_VISIT: Final = 9
"""So many exchanges has a visit that goes well: what is pulled away after them is not."""


class KnownKeys(SiteKeys):
    """The keys of a site; those of a card are derived once."""

    def of(self, uid: bytes) -> CardKeys:
        """Give the keys of one card."""
        if uid not in _derived:
            _derived[uid] = super().of(uid)
        return _derived[uid]


_derived: dict[bytes, CardKeys] = {}

KEYS: Final = KnownKeys(master=MASTER_KEY)


@dataclass(slots=True, kw_only=True, eq=False)
class Body:
    """One card of plastic: a badge that its owner was given, or a copy of it.

    Attributes:
        name: which it is, for the trace; empty for the owner's.
        leaves_after: how many more exchanges it stays in the field; None to the end.
        is_torn: whether a block was half written of late.
    """

    uid: bytes
    memory: Memory
    name: str = ""
    leaves_after: int | None = None
    is_torn: bool = False

    def copied(self, name: str, *, is_whole: bool) -> "Body":
        """Make a copy: of the whole card, keys and all, or of nothing but its UID."""
        memory = self.memory.copy() if is_whole else Memory(self.uid)
        return Body(uid=self.uid, memory=memory, name=name)


@dataclass(slots=True, kw_only=True)
class Antenna:
    """The field of one reader; implements `edge.badges.session.MemoryReader`.

    Attributes:
        body: the card that lies in it.
    """

    chance: Random
    body: Body | None = None

    @contextmanager
    def session(self) -> Iterator["Exchange | None"]:
        """Select the card in the field."""
        yield None if self.body is None else Exchange(body=self.body, chance=self.chance)


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One selected card; implements `edge.badges.session.CardSession`."""

    body: Body
    chance: Random
    _sector: int | None = None
    _key: str = ""
    _is_selected: bool = True
    _is_gone: bool = field(default=False)

    @property
    def uid(self) -> bytes:
        """The whole UID."""
        return self.body.uid

    def authenticate(self, block: int, key: bytes, *, with_key_b: bool = False) -> bool:
        """Open a sector with a key; after False the card has dropped out."""
        fits = (
            self._goes_on()
            and self._is_selected
            and self.body.memory.keys(block)[with_key_b] == key
            and self.body.memory.is_open(block)
        )
        self._is_selected = fits
        self._sector = block // BLOCKS_PER_SECTOR if fits else None
        self._key = "B" if with_key_b else "A"
        return fits

    def read(self, block: int) -> bytes | None:
        """Read a block of the open sector."""
        if not self._goes_on() or self._sector != block // BLOCKS_PER_SECTOR:
            return None
        return self.body.memory.read(block, self._key)

    def write(self, block: int, data: bytes) -> bool:
        """Write a block of the open sector; torn where the card is pulled away meanwhile."""
        memory = self.body.memory
        stays = self._goes_on()
        is_open = self._sector == block // BLOCKS_PER_SECTOR
        if not is_open or not memory.may_write(block, self._key):
            return False
        if stays:
            memory.write(block, data, self._key)
        elif self.body.leaves_after == -1:
            # It left just now: some of the block is programmed, or all of it without a word.
            torn = self.chance.randint(0, BLOCK_BYTES)
            self.body.is_torn = True
            memory.set_block(block, data[:torn] + memory.block(block)[torn:])
        return stays

    def select_again(self) -> bool:
        """Find the same card again; False if it is gone."""
        self._is_selected = self._goes_on()
        self._sector = None
        return self._is_selected

    def _goes_on(self) -> bool:
        """Whether the card is there for one more exchange."""
        if self.body.leaves_after is None:
            return True
        self.body.leaves_after -= 1
        return self.body.leaves_after >= 0


def enrolled(uid: bytes, chance: Random) -> tuple[Body, CardToken]:
    """Make a blank card one of the site's, as a door in enrol mode does.

    Returns:
        The card, and the token that it has shown then.
    """
    body = Body(uid=uid, memory=Memory(uid))
    with Antenna(chance=chance, body=body).session() as session:
        if session is None:
            raise LookupError("there is no card in the field")
        done = format_card(session, KEYS.of(uid), random=chance.randbytes, counter=FIRST_COUNTER)
    if isinstance(done, TokenBlock):
        return body, done.token
    raise LookupError(f"a new card can't be enrolled: {done}")

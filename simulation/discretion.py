"""What must be nowhere (11): who somebody is, and the UID of a badge: messages, records, logs.

The registry knows people by name and e-mail, and a reader sees UIDs. Beyond them there are ids and
digests only. All names and UIDs of the simulation bear a mark, so that most of what is sent is
known to be clean by one look.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from access.messages import PolicySnapshot

UID_MARK: Final = bytes.fromhex("4791")
"""The first bytes of each UID: digits only, so that upper and lower case are one."""

NAME_MARK: Final = "Zzyzx"
"""The family name of everybody."""

_UID_MARKS: Final = (UID_MARK.hex().encode(), UID_MARK, b"47:91", b"47 91", b"47-91")
_NAME_MARKS: Final = (NAME_MARK.encode(), NAME_MARK.lower().encode())
_BETWEEN: Final = b"[ :-]?"
_SEPARATORS: Final = re.compile(r"[ :-]")
_POLICY: Final = "/policy"
_AT_A_TIME: Final = 100
_MOST_KNOWN: Final = 16

_IN_FULL: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
"""How digests of badges and tokens of cards are written; hashes are longer."""

_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody, as the registry knows them and nobody else."""

    name: str
    email: str


def person_of(number: int) -> Person:
    """Make up somebody."""
    first = f"Person{number}"
    return Person(name=f"{first} {NAME_MARK}", email=f"{first}@{NAME_MARK}.example".lower())


def _written(length: int) -> re.Pattern[bytes]:
    """Give how a UID of so many bytes may be written.

    It bears the mark whoever has it, so that what is compiled does not grow with the badges.
    """
    start = _BETWEEN.join(f"{byte:02x}".encode() for byte in UID_MARK)
    rest = (_BETWEEN + b"[0-9a-f]{2}") * (length - len(UID_MARK))
    # Within a longer run of digits it is a part of a hash, by chance.
    return re.compile(b"(?<![0-9a-f])" + start + rest + b"(?![0-9a-f])", re.IGNORECASE)


@dataclass(slots=True, kw_only=True)
class Discretion:
    """Looks at all that is sent and kept.

    Attributes:
        protest: notes that an invariant did not hold.
    """

    protest: Callable[[int, str], None]
    _uids: frozenset[bytes] = frozenset()
    _patterns: Sequence[re.Pattern[bytes]] = ()
    _waiting: list[dict[str, Any]] = field(default_factory=list)
    _known: set[bytes] = field(default_factory=set)

    def guard(self, uids: Iterable[bytes]) -> None:
        """Let these UIDs be nowhere."""
        self._uids = frozenset(uids)
        self._patterns = [_written(length) for length in sorted({len(uid) for uid in self._uids})]

    def sent(self, topic: str, payload: bytes) -> None:
        """A message goes over the broker."""
        if topic.endswith(_POLICY):
            self._snapshot(topic, payload)
        else:
            self.look(topic, payload)

    def kept(self, records: Sequence[dict[str, Any]]) -> None:
        """Records were added to the ledger."""
        self._waiting += records
        if len(self._waiting) >= _AT_A_TIME:
            self.look_at_rest()

    def look_at_rest(self) -> None:
        """Look at the records that were not looked at yet."""
        self.look("the ledger", _encode(self._waiting))
        self._waiting.clear()

    def logged(self, line: str) -> None:
        """A line is logged: no badge and no token may be in it in full."""
        self.look("a log", line.encode())
        if _IN_FULL.search(line):
            self.protest(11, f"a badge or a token is logged in full: {line[:200]}")

    def look(self, where: str, text: bytes) -> None:
        """Look at something that was written."""
        if any(mark in text for mark in _NAME_MARKS):
            self.protest(11, f"the name of a person is in {where}: {text[:200]!r}")
        if any(mark in text for mark in _UID_MARKS):
            self._look_closely(where, text)

    def _look_closely(self, where: str, text: bytes) -> None:
        is_raw = UID_MARK in text and any(uid in text for uid in self._uids)
        written = (one.group() for each in self._patterns for one in each.finditer(text))
        if is_raw or any(
            bytes.fromhex(_SEPARATORS.sub("", w.decode())) in self._uids for w in written
        ):
            self.protest(11, f"the UID of a badge is in {where}: {text[:200]!r}")

    def _snapshot(self, topic: str, payload: bytes) -> None:
        """A snapshot is signed as base64: look at what is in it."""
        if payload in self._known:
            return
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known.add(payload)
        try:
            body = msgspec.json.decode(payload, type=PolicySnapshot).body
        except msgspec.DecodeError:
            return
        self.look(topic, b64decode(body))

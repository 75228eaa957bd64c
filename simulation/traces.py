"""Whether anything is left of those who may be known no more, in files and at doors (11)."""

import mmap
import re
from base64 import b64decode
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from access.messages import PolicySnapshot
from simulation.discretion import NAME_MARK, Person

if TYPE_CHECKING:
    from simulation.evening import Evening

_MARKS: Final = (NAME_MARK.encode(), NAME_MARK.lower().encode())
_LONGEST: Final = 24
_WORD: Final = re.compile(r'"([^"\\]*)"')
_encode: Final = msgspec.json.Encoder().encode

Bytes = bytes | mmap.mmap


def words_in(text: str) -> frozenset[str]:
    """Give all that stands between quotation marks: ids and digests are written so."""
    return frozenset(_WORD.findall(text))


def names_in(files: Mapping[str, Bytes], people: Collection[Person]) -> list[str]:
    """Say whose name or e-mail is in some files, byte by byte."""
    wanted = {one.name.encode(): one for one in people} | {
        one.email.encode(): one for one in people
    }
    found = []
    for file, data in files.items():
        for near in _near_marks(data):
            found += [f"{word.decode()} in {file}" for word in wanted if word in near]
    return found


def bytes_in(files: Mapping[str, Bytes], words: Collection[str]) -> list[str]:
    """Say which words are in some files, byte by byte; one that goes on in digits is another."""
    return [
        f"{word} in {file}"
        for word in sorted(words)
        for file, data in files.items()
        if _has(data, word.encode())
    ]


def places(evening: "Evening") -> Iterator[tuple[str, str]]:
    """Give all that server, broker and doors keep, but for what is on the archive's disk."""
    books = evening.books
    yield "the state of the site", books.body
    yield "the tokens", _encode(sorted(books.tokens)).decode()
    yield "the orders", _encode(list(books.orders.values())).decode()
    for topic, payload in evening.broker.retained.items():
        yield f"what the broker keeps as {topic}", _opened(payload)
    for door in evening.doors.values():
        yield f"the journal of {door.id}", _encode(door.platter.records).decode()
        for key, value in door.platter.kept.items():
            yield f"what {door.id} keeps as {key}", _opened(value.encode())


def _near_marks(data: Bytes) -> Iterator[bytes]:
    for mark in _MARKS:
        at = data.find(mark)
        while at >= 0:
            yield data[max(at - _LONGEST, 0) : at + _LONGEST]
            at = data.find(mark, at + 1)


def _has(data: Bytes, word: bytes) -> bool:
    at = data.find(word)
    while at >= 0:
        if not data[at + len(word) : at + len(word) + 1].isdigit():
            return True
        at = data.find(word, at + 1)
    return False


def _opened(payload: bytes) -> str:
    """Read a snapshot, which is signed as base64; all else is as it is."""
    try:
        return b64decode(msgspec.json.decode(payload, type=PolicySnapshot).body).decode()
    except msgspec.DecodeError:
        return payload.decode(errors="replace")

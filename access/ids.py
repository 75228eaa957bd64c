"""Identifiers of sites, doors, members and the rest, each a type of its own."""

import re
from typing import Final, NewType

SLUG_PATTERN: Final = r"\A[a-z0-9][a-z0-9-]{0,31}\Z"
"""What a slug looks like, as `contract.md` gives it; `$` would let a line end follow."""

SiteId = NewType("SiteId", str)
DoorId = NewType("DoorId", str)
MemberId = NewType("MemberId", str)
WatchId = NewType("WatchId", str)
RequestId = NewType("RequestId", str)
BadgeDigest = NewType("BadgeDigest", str)

_SLUG: Final = re.compile(SLUG_PATTERN)


class SlugError(ValueError):
    """An identifier is not a slug."""


def slug(text: str, what: str) -> str:
    """Check that `text` is a slug.

    Args:
        text: the identifier as it was given.
        what: what it names, for the message ("member", "door").

    Returns:
        The same text.

    Raises:
        SlugError: it is not 1 to 32 of `a-z`, `0-9` and `-`, beginning with a letter or a digit.
    """
    if not _SLUG.match(text):
        raise SlugError(
            f"{what} id {text!r} must be 1 to 32 of a-z, 0-9 and '-', beginning with a letter "
            "or a digit"
        )
    return text

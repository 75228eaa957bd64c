"""Ids: of sites made of their names, of members made of nothing."""

import re
import secrets
import unicodedata
from typing import Final

from gardien.errors import CommandError

_LONGEST: Final = 32
_LETTERS: Final = "bcdfghjkmnpqrstvwxz23456789"
"""No vowels, so that no word comes out; nothing that looks like something else."""

_PSEUDONYM: Final = 8
_TELLING: Final = 3


def slug_of(name: str, option: str) -> str:
    """Make an id of a name: `Zoé d'Arc` becomes `zoe-d-arc`.

    Args:
        name: as people write it.
        option: the one that gives an id by hand, for the message.

    Raises:
        CommandError: nothing of it can stand in an id.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", _plain(name)).strip("-")[:_LONGEST].rstrip("-")
    if not slug:
        raise CommandError(f"no id can be made of {name[:40]!r}; give one with {option}")
    return slug


def pseudonym() -> str:
    """Draw an id for a member, such as `m-k7x2qv9d`: it says nothing about them.

    The ledger and the time bank keep it when the member is erased, and it must name nobody then.
    Of 27 to the power of 8 ids, two members of 10,000 draw the same once in some 5,600
    installations; the registry refuses the second.
    """
    return "m-" + "".join(secrets.choice(_LETTERS) for _ in range(_PSEUDONYM))


def tells_name(id_: str, name: str) -> bool:
    """Whether an id holds a part of a name, of three letters or more."""
    parts = re.findall(r"[a-z0-9]+", _plain(name))
    return any(part in id_ for part in parts if len(part) >= _TELLING)


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()

"""Ids made of names."""

import re
import unicodedata
from typing import Final

from gardien.errors import CommandError

_LONGEST: Final = 32


def slug_of(name: str, option: str) -> str:
    """Make an id of a name: `Zoé d'Arc` becomes `zoe-d-arc`.

    Args:
        name: as people write it.
        option: the one that gives an id by hand, for the message.

    Raises:
        CommandError: nothing of it can stand in an id.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_LONGEST].rstrip("-")
    if not slug:
        raise CommandError(f"no id can be made of {name[:40]!r}; give one with {option}")
    return slug

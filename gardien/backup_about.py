"""What a backup says of itself: when it was made, by which version, of what, and how much.

It stands in the archive's own header (a global one of pax, POSIX.1-2001), encrypted like the rest,
so that versions which do not know it read the backup all the same.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from access.instants import to_rfc3339
from gardien.databases import is_postgresql
from runtime.clock import clock_from
from server import schema
from server.database import open_database
from server.folder import Folder
from server.moving import count_rows
from server.upgrade import revision_of

_HEADER: Final = "GARDIEN.about"


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself.

    Attributes:
        made: when it was made, by the installation's clock.
        version: of gardien, which made it.
        database: `sqlite` or `postgresql`: what the installation was in.
        revision: of the schema; None where there was no database yet.
        sites: their ids.
        records: how many the ledger has.
        members: how many the registry has.
    """

    made: datetime
    version: str
    database: str
    revision: str | None = None
    sites: tuple[str, ...] = ()
    records: int = 0
    members: int = 0

    def lines(self) -> Sequence[str]:
        """Say it to people, a line for each thing."""
        return (
            f"made      {to_rfc3339(self.made)}, by gardien {self.version}",
            f"sites     {', '.join(self.sites)}",
            f"database  {self.database}, schema {self.revision or 'not made yet'}",
            f"ledger    {self.records:,} records",
            f"members   {self.members:,}",
        )


def about_this(folder: Folder, copies: Sequence[tuple[Path, Path]]) -> About:
    """Describe the backup that is made of an installation; blocks for the disk.

    Args:
        folder: of the installation.
        copies: its databases, as `gardien.databases.copy_out` gave them.

    Raises:
        DatabaseError: a copy can't be read.
    """
    settings = folder.load_settings()
    revision, records, members = None, 0, 0
    for copy in (copy for copy, name in copies if name.name != folder.history_file.name):
        with open_database(f"sqlite:///{copy}") as database:
            revision = revision_of(database)
            records = count_rows(database, [schema.ledger])
            members = count_rows(database, [schema.member])
    return About(
        made=clock_from(settings.clock).now(),
        version=version("gardien"),
        database="postgresql" if is_postgresql(settings) else "sqlite",
        revision=revision,
        sites=tuple(site.id for site in settings.sites),
        records=records,
        members=members,
    )


def header_of(about: About) -> dict[str, str]:
    """Write it into an archive's header."""
    return {_HEADER: msgspec.json.encode(about).decode()}


def about_from(header: Mapping[str, str]) -> About | None:
    """Read it from an archive's header; None where an older version made the backup.

    Raises:
        ValueError: it can't be read.
    """
    text = header.get(_HEADER)
    return None if text is None else msgspec.json.decode(text, type=About)

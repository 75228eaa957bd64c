"""Opening an installation from the command line: what takes long is shown."""

from contextlib import AbstractContextManager
from pathlib import Path

from server import installation
from server.installation import Installation
from server.upgrade import Advance


def open_installation(path: Path) -> AbstractContextManager[Installation]:
    """Open an installation as `server.installation` does; a bar shows how its database is upgraded.

    Args:
        path: the folder that `--data` names.

    Raises:
        InstallationError: there is none; when it is entered.
        SettingsError: its settings can't be used; likewise.
        DatabaseError: its database can't be reached; likewise.
    """
    return installation.open_installation(path, show=_shown)


def _shown(title: str, steps: int) -> AbstractContextManager[Advance]:
    # It takes its time to load, and most programs find their database as it should be.
    from gardien.progress import progress_bar  # noqa: PLC0415

    return progress_bar(title, steps)

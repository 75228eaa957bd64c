"""The language in which results are told: as asked for, else the terminal's, else the site's."""

import os
from pathlib import Path
from typing import Final

import click

from gardien.call import this_call

LANGUAGES: Final = ("fr", "en")
_DEFAULT: Final = "fr"

LANGUAGE_OPTION: Final = click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    help="Of the answer; by default the terminal's (LC_ALL, LANG), else the installation's.",
)


def chosen_language(asked: str | None, of_settings: str | None = None) -> str:
    """Choose the language of an answer.

    Args:
        asked: what `--language` says, if anything.
        of_settings: the installation's; None to read it from the settings, if need be and if there
            are any.

    Returns:
        `fr` or `en`.
    """
    return asked or _of_terminal() or of_settings or _of_installation(this_call().data)


def _of_terminal() -> str | None:
    """Read the locale's language as POSIX ranks its variables; None for any but ours."""
    written = next(filter(None, map(os.getenv, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    language = written[:2].lower()
    return language if language in LANGUAGES else None


def _of_installation(data: Path) -> str:
    from server.folder import Folder, InstallationError  # noqa: PLC0415 (only where it is asked)

    try:
        return Folder(path=data).load_settings().language
    except (InstallationError, ValueError):
        return _DEFAULT

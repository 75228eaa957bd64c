"""Secrets that people type: asked for on a terminal, or read from a file; never an argument."""

import sys
from pathlib import Path

import click

from runtime.settings import read_secret


def ask_secret(what: str, file: Path | None, option: str, *, is_new: bool) -> str:
    """Get a secret from a file, or from the person at the terminal. Blocks.

    Args:
        what: what it is, for the prompt.
        file: holds it in its first line; None to ask.
        option: the option that names such a file, for the message.
        is_new: whether it is typed twice.

    Raises:
        SettingsError: the file can't be read.
    """
    if file is not None:
        return read_secret(file)
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"without a terminal to ask on, give {option}, a file with the {what}"
        )
    secret: str = click.prompt(
        what.capitalize(), hide_input=True, confirmation_prompt=is_new, err=True
    )
    return secret

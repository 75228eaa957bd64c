"""A badge's UID on the command line: in hex with or without colons, or from standard input."""

import sys
from typing import Final

import click

from access.badge import UidError, parse_uid
from gardien.errors import CommandError

FROM_INPUT: Final = "-"
UID_HELP: Final = (
    "The badge's UID in hex, with or without colons; - reads it from standard input, so that it "
    "does not stand in the list of processes."
)


class Uid(click.ParamType[bytes]):
    """A UID of 4, 7 or 10 bytes; `-` is read from standard input only when the command asks."""

    name = "UID"

    def convert(
        self, value: str | bytes, param: click.Parameter | None, ctx: click.Context | None
    ) -> bytes:
        """Read the UID; what is no UID is a wrong call."""
        if isinstance(value, bytes):
            return value
        try:
            return parse_uid(_first_line() if value == FROM_INPUT else value)
        except UidError as error:
            self.fail(str(error), param, ctx)


def _first_line() -> str:
    line = sys.stdin.readline(1000).strip()
    if not line:
        raise CommandError("no UID came on standard input; write it there, in hex")
    return line

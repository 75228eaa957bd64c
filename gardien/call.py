"""What each command is told by the options that stand before it, and what it says in its help."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import click

from runtime import logs

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LEVELS: Final[tuple[Level, ...]] = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The options of the whole command line.

    Attributes:
        data: the installation's folder.
        level: the least that is logged; None to leave it to the command.
        as_json: whether each line of the log is a JSON object.
    """

    data: Path = Path("data")
    level: Level | None = None
    as_json: bool = False

    def log(self, otherwise: Level) -> None:
        """Send logs to standard error, at the level asked for or `otherwise`."""
        logs.set_up(level=self.level or otherwise, as_json=self.as_json)


def this_call() -> Call:
    """Give the options of the command line that is being done; defaults if there were none."""
    found = click.get_current_context().find_object(Call)
    return found if found is not None else Call()


def examples(*lines: str) -> str:
    r"""Write the end of a command's help: how it is called, a line for each.

    The `\b` in front keeps click from joining the lines.
    """
    head = "Example:" if len(lines) == 1 else "Examples:"
    return "\n".join(["\b", head, *(f"  {line}" for line in lines)])

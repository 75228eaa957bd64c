"""A group of commands whose modules are loaded only when they are asked for.

So the help comes at once, and a door unit never loads what only a server needs.
"""

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import click


class Later(NamedTuple):
    """A command that is not loaded yet.

    Attributes:
        module: the one that holds it.
        summary: the line that the group's help gives it.
        name: under which the module has it.
    """

    module: str
    summary: str
    name: str = "command"


class LazyGroup(click.Group):
    """A group that knows its commands by their modules' names.

    Args:
        later: the commands, in the order in which the help lists them.
    """

    def __init__(self, *args: Any, later: Mapping[str, Later], **rest: Any) -> None:  # noqa: ANN401 (click's)
        super().__init__(*args, **rest)
        self.later = later

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's)
        """Name the commands."""
        return list(self.later)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (click's)
        """Load a command; None if there is no such one."""
        if cmd_name not in self.later:
            return None
        later = self.later[cmd_name]
        command: click.Command = getattr(importlib.import_module(later.module), later.name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 (click's)
        """Write the list of commands without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.summary) for name, one in self.later.items()])

"""Lists for people, as tables, and for programs, as JSON."""

from collections.abc import Sequence
from typing import Any, Final

import click
import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_PIPE_WIDTH: Final = 200


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """Print a table on standard output, or `empty` where there is nothing to list.

    Args:
        columns: headings.
        rows: cells; None is shown as a dash. Control characters are left out.
        empty: what to say in place of an empty table.
    """
    if not rows:
        click.echo(empty)
        return
    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    console = Console()
    # Without a terminal rich assumes 80 columns, and would break lines that a program reads.
    (console if console.is_terminal else Console(width=_PIPE_WIDTH)).print(table)


def print_json(value: Any) -> None:  # noqa: ANN401 (whatever msgspec can write)
    """Print a value as indented JSON on standard output."""
    click.echo(msgspec.json.format(msgspec.json.encode(value, enc_hook=_plain), indent=2))


def _plain(value: object) -> object:
    if isinstance(value, frozenset | set):
        return sorted(value)
    raise NotImplementedError(f"{type(value).__name__} has no form in JSON")


def _cell(value: object) -> str:
    text = "-" if value is None else str(value)
    return "".join(letter if letter.isprintable() else " " for letter in text)


JSON_OPTION: Final = click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
SITE_OPTION: Final = click.option("--site", help="Which site, where there are several.")

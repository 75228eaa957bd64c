"""The command `gardien`: finds the command that is asked for, and tells every error in one line."""

import contextlib
import logging
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from gardien.call import LEVELS, Call, Level, examples
from gardien.errors import is_expected, one_line
from gardien.lazy import Later, LazyGroup

_log = logging.getLogger(__name__)

DONE: Final = 0
FAILED: Final = 1
CALLED_WRONGLY: Final = 2
INTERRUPTED: Final = 130

_SUMMARIES: Final = {
    "demo": "Run a whole site on this machine, and play a day in fast motion.",
    "init": "Make a new installation: keys, settings, the first staff account.",
    "server": "Run the server: it decides, remembers and counts.",
    "dashboard": "Run the web pages.",
    "door": "Run a door unit, or provision one.",
    "broker": "Run the embedded MQTT broker.",
    "member": "Members: add, list, import, suspend, erase, export.",
    "badge": "Badges: assign, lost, list.",
    "guardian": "Authorizations of guardians: authorize, list, revoke.",
    "event": "Events from calendars: import, list.",
    "watch": "Watches: list, close.",
    "token": "Tokens of the API: create, list, revoke.",
    "alert": "Alerts: list, take in charge, try a channel.",
    "time": "The time bank: balance, statement, correct, spend.",
    "explain": "Say what a door would decide, and why, row by row.",
    "tap": "Present a badge to a simulated door.",
    "webhook": "Webhooks: list, what was given up, retry, a secret.",
    "history": "The history of occupancy: rebuild it from the ledger.",
    "privacy": "The notice, the sign for the door, the register: as HTML.",
    "forget": "Forget what has been kept for long enough.",
    "verify": "Check every chain in the ledger.",
    "doctor": "Say what is wrong with this installation, in plain words.",
    "simulate": "Simulate an evening with faults, from a seed, and tell it as a story.",
    "backup": "Write the whole installation to one encrypted file.",
    "restore": "Make an installation from a backup.",
}
COMMANDS: Final = {
    name: Later(f"gardien.commands.{name}", summary) for name, summary in _SUMMARIES.items()
}
"""The commands, in the order in which somebody new meets them."""


class Gardien(LazyGroup):
    """The group of all commands; each error that a user can cause leaves it as one line."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002 (click's)
        windows_expand_args: bool = True,  # noqa: FBT001, FBT002, ARG002 (click's)
        **extra: Any,  # noqa: ANN401 (click's)
    ) -> NoReturn:
        """Do what the arguments ask for, and leave with its exit status."""
        if standalone_mode:
            self._main_shell_completion(extra, prog_name or "gardien", complete_var)
        sys.exit(_status(self, args, prog_name or "gardien", extra))


def _status(group: click.Group, args: Sequence[str] | None, name: str, extra: Any) -> int:  # noqa: ANN401 (click's)
    """Run the command and give its exit status; an error that a user can cause is one line."""
    try:
        with group.make_context(name, list(sys.argv[1:] if args is None else args), **extra) as ctx:
            group.invoke(ctx)
            sys.stdout.flush()
    except click.exceptions.Exit as done:
        return done.exit_code
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except click.UsageError as error:
        _say(error.ctx.command_path if error.ctx else name, _with_help(error))
        return CALLED_WRONGLY
    except Exception as error:  # noqa: BLE001 (told in one line, or raised again)
        _tell(name, error)
        return FAILED
    return DONE


def _tell(name: str, error: Exception) -> None:
    """Tell an error that a user can cause in one line; raise any other again."""
    if isinstance(error, BrokenPipeError):
        _forget_output()
    elif isinstance(error, click.ClickException):
        _say(name, error.format_message())
    elif is_expected(error):
        _log.debug("the whole of the error:", exc_info=error)
        _say(name, one_line(error))
    else:
        raise error


def _with_help(error: click.UsageError) -> str:
    path = error.ctx.command_path if error.ctx else "gardien"
    text = " ".join(error.format_message().split()).rstrip(".")
    return f"{text}; see `{path} --help`"


def _say(who: str, text: str) -> None:
    click.echo(f"{who}: {text}", err=True)


def _forget_output() -> None:
    """Whoever read our output has gone; let nothing complain of it at the end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(
    "gardien",
    cls=Gardien,
    later=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        "gardien demo",
        "gardien --data /srv/gardien doctor",
        "gardien explain --door main --badge 04:a1:b2:c3 --at '2026-11-24 19:10'",
    ),
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("data"),
    show_default="./data",
    help="The installation's folder.",
)
@click.option(
    "--log-level",
    type=click.Choice(LEVELS, case_sensitive=False),
    help="The least that is logged. Programs log INFO, other commands WARNING.",
)
@click.option("--log-json", is_flag=True, help="Log a JSON object on each line.")
@click.version_option(version("gardien"), message="gardien %(version)s")
@click.pass_context
def cli(ctx: click.Context, *, data: Path, log_level: Level | None, log_json: bool) -> None:
    """Access control and live occupancy for a place that its own members keep open.

    Each command says more with --help. Exit status: 0 done; 1 the answer is no, or something
    failed; 2 called wrongly.
    """
    ctx.obj = Call(data=data, level=log_level, as_json=log_json)
    ctx.obj.log("WARNING")


def main() -> NoReturn:
    """Be the program `gardien`."""
    cli.main()

"""`gardien door`: run a door unit, check it, or make it safe.

What goes onto a unit's card is written by `gardien.commands.door_provision`, and doors are told
what to do by `gardien.commands.door_order`; a unit itself never loads either.
"""

import logging
from pathlib import Path
from typing import Final

import click

from edge.settings import DoorUnitSettings, load_door_settings
from gardien.call import examples, this_call
from gardien.errors import CommandError
from gardien.lazy import Later, LazyGroup
from gardien.programs import told_to_stop

_log = logging.getLogger(__name__)

_SETTINGS: Final = "door.toml"

_ORDERS: Final = {
    "unlock": "Unlock a door once.",
    "hold": "Hold a door unlocked for a public event.",
    "release": "Hold a door unlocked no more.",
    "lockdown": "Lock doors down: only staff come in.",
    "lift": "Lift a lockdown.",
    "restart": "Restart the program of a door unit.",
}
"""What a door can be told to do from the command line, with its line in the help."""


@click.group(
    cls=LazyGroup,
    later={
        "provision": Later(
            "gardien.commands.door_provision", "Write what goes onto the card of one door unit."
        ),
        "blank": Later("gardien.commands.door_blank", "Make a card of ours a blank one again."),
        **{
            do: Later("gardien.commands.door_order", summary, do) for do, summary in _ORDERS.items()
        },
    },
    invoke_without_command=True,
    epilog=examples(
        "gardien --data /var/lib/gardien door",
        "gardien door --config data/doors/main/door.toml",
        "gardien --data /var/lib/gardien door --check",
        "gardien door provision --help",
        "gardien door unlock --door main",
    ),
)
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The door's settings.  [default: door.toml in the folder of --data]",
)
@click.option("--check", "is_check", is_flag=True, help="Look at settings and keys, and end.")
@click.option(
    "--wires",
    "is_wires",
    is_flag=True,
    help="With --check: say what each wire and reader says too. The unit must be stopped.",
)
@click.option(
    "--make-safe", "is_make_safe", is_flag=True, help="Put the relay's pin in its locked state."
)
@click.pass_context
def command(
    ctx: click.Context,
    *,
    config: Path | None,
    is_check: bool,
    is_wires: bool,
    is_make_safe: bool,
) -> None:
    """Run a door unit, as its door.toml says; write its card; or tell doors what to do.

    Runs until Ctrl-C or SIGTERM. Tells systemd when it is ready, and that it lives.
    """
    if ctx.invoked_subcommand is not None:
        return
    if is_check and is_make_safe:
        raise click.UsageError("--check and --make-safe don't go together; give one")
    if is_wires and not is_check:
        raise click.UsageError("--wires goes with --check; give both")
    settings = _load(config or this_call().data / _SETTINGS)
    if is_check:
        _check(settings, is_wires=is_wires)
    elif is_make_safe:
        _make_safe(settings)
    else:
        _run(settings)


def _load(config: Path) -> DoorUnitSettings:
    if not config.is_file():
        raise CommandError(
            f"no door unit: {config} is missing; write it with `gardien door provision`, or name "
            "another with --config"
        )
    return load_door_settings(config)


def _check(settings: DoorUnitSettings, *, is_wires: bool) -> None:
    from gardien.door_check import problems_of  # noqa: PLC0415 (only where it is asked)

    problems = problems_of(settings)
    for problem in problems:
        click.echo(f"{settings.client_name}: {problem}")
    if not problems:
        click.echo(f"{settings.client_name}: settings and keys are in order")
    if not (_look_at_wires(settings) if is_wires else True) or problems:
        raise click.exceptions.Exit(1)


def _look_at_wires(settings: DoorUnitSettings) -> bool:
    """Say what each wire says; tells whether all that can be seen to work does."""
    from edge.wires import look_at_wires  # noqa: PLC0415 (it loads the libraries of the hardware)

    is_well = True
    for said in look_at_wires(settings):
        click.echo(f"{said.part}: {said.words}")
        is_well = is_well and said.is_well
    return is_well


# The program of the unit loads the libraries of the hardware: only where a lock is to be moved.


def _make_safe(settings: DoorUnitSettings) -> None:
    from edge.program import make_safe  # noqa: PLC0415 (see above)

    make_safe(settings)


def _run(settings: DoorUnitSettings) -> None:
    from edge.program import run  # noqa: PLC0415 (see above)
    from gardien.watchdog_sdnotify import Watchdog  # noqa: PLC0415 (see above)

    this_call().log("INFO")
    mqtt = settings.mqtt
    _log.info("%s runs; its broker is at %s:%d", settings.client_name, mqtt.host, mqtt.port)
    with told_to_stop() as stop, Watchdog() as watchdog:
        run(settings, stop, on_turn=watchdog.alive)

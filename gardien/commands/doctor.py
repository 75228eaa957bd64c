"""`gardien doctor`: what is wrong with an installation, in plain words."""

from typing import Final

import click

from gardien.call import examples, this_call
from gardien.checkup import check_up
from gardien.findings import Grade
from gardien.tables import JSON_OPTION, print_json

_MARKS: Final = {Grade.GOOD: "  ok  ", Grade.MIND: " mind ", Grade.BAD: " BAD  "}
_COLOURS: Final = {Grade.GOOD: "green", Grade.MIND: "yellow", Grade.BAD: "red"}


@click.command(epilog=examples("gardien doctor", "gardien --data /srv/gardien doctor --json"))
@JSON_OPTION
def command(*, as_json: bool) -> None:
    """Say what is wrong with this installation, and what to do about it.

    Looks at settings, keys, permissions, disk, broker, database, log-ins, badges, history and
    doors. Exit status: 0 if nothing is bad, 1 if something is.
    """
    findings = []
    for finding in check_up(this_call().data):
        findings.append(finding)
        if not as_json:
            mark = click.style(_MARKS[finding.grade], fg=_COLOURS[finding.grade])
            click.echo(f"{mark}{finding.text}")
    if as_json:
        print_json(findings)
    bad = sum(finding.grade is Grade.BAD for finding in findings)
    if bad:
        raise click.exceptions.Exit(1)

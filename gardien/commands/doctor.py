"""`gardien doctor`: what is wrong with an installation, in plain words."""

from typing import Final

import click

from gardien.call import examples, this_call
from gardien.checkup import check_up
from gardien.findings import Grade
from gardien.language import LANGUAGE_OPTION, chosen_language
from gardien.tables import JSON_OPTION, print_json

_MARKS: Final = {
    "en": {Grade.GOOD: "  ok  ", Grade.MIND: " mind ", Grade.BAD: " BAD  "},
    "fr": {Grade.GOOD: "  bon ", Grade.MIND: " voir ", Grade.BAD: " MAL  "},
}
_COLOURS: Final = {Grade.GOOD: "green", Grade.MIND: "yellow", Grade.BAD: "red"}


@click.command(
    epilog=examples(
        "gardien doctor",
        "gardien --data /srv/gardien doctor --json",
        "gardien doctor --language fr",
    )
)
@JSON_OPTION
@LANGUAGE_OPTION
def command(*, as_json: bool, language: str | None) -> None:
    """Say what is wrong with this installation, and what to do about it.

    Looks at settings, keys, certificates, permissions, disk, backups, broker, database, the nightly
    forgetting, log-ins, badges, history and doors. Exit status: 0 if nothing is bad, 1 if something
    is.
    """
    spoken = chosen_language(language)
    grades, told = [], []
    for finding in check_up(this_call().data):
        grades.append(finding.grade)
        text = finding.told(spoken)
        told.append({"grade": finding.grade, "text": text})
        if not as_json:
            mark = click.style(_MARKS[spoken][finding.grade], fg=_COLOURS[finding.grade])
            click.echo(f"{mark}{text}")
    if as_json:
        print_json(told)
    if Grade.BAD in grades:
        raise click.exceptions.Exit(1)

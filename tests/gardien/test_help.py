"""Help, versions, errors and exit statuses, whatever the command."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gardien.errors import one_line
from gardien.main import COMMANDS, cli
from tests.gardien.conftest import CommandLine


def every_command(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        yield (*path, name)
        if isinstance(found, click.Group):
            yield from every_command(found, (*path, name))


@pytest.mark.parametrize("path", list(every_command(cli)), ids=" ".join)
def test_each_command_has_a_help_with_a_sentence_and_an_example(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, [*path, "--help"])
    assert result.exit_code == 0
    assert "Example" in result.stdout
    assert f"gardien {' '.join(path)}" in result.stdout.partition("Example")[2]
    sentence = result.stdout.splitlines()[2].strip()
    assert sentence[0].isupper()


def test_the_groups_help_tells_each_command_in_a_line() -> None:
    text = CliRunner().invoke(cli, ["--help"]).stdout
    for name, one in COMMANDS.items():
        assert f"  {name} " in text
        assert one.summary.endswith(".")


def test_the_version_is_that_of_the_package() -> None:
    assert CliRunner().invoke(cli, ["--version"]).stdout.startswith("gardien 0.")


def modules_after(*args: str) -> set[str]:
    code = (
        "import sys\nfrom gardien.main import cli\n"
        f"try:\n    cli.main({list(args)!r})\nexcept SystemExit:\n    pass\n"
        "print('\\n'.join(['LOADED', *sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.partition("LOADED")[2].split())


def test_the_help_loads_neither_the_pages_nor_the_database() -> None:
    assert not modules_after("--help") & {"flask", "sqlalchemy", "paho", "rich", "cryptography"}


def test_a_door_unit_loads_nothing_that_only_a_server_needs(tmp_path: Path) -> None:
    loaded = modules_after("--data", str(tmp_path), "door", "--check")
    assert "edge.settings" in loaded
    assert not loaded & {"flask", "sqlalchemy", "jinja2", "server", "dashboards"}


WRONG_CALLS = [
    ("nonsense",),
    ("member", "add"),
    ("member", "list", "--plan", "king"),
    ("badge", "assign", "nora", "--uid", "123"),
    ("badge", "lost"),
    ("guardian", "authorize", "gaelle"),
    ("guardian", "authorize", "gaelle", "--weekly", "tue 18:30-22:00", "--to", "22:00"),
    ("guardian", "authorize", "gaelle", "--from", "19:30", "--to", "22:00", "--lead", "30"),
    ("explain", "--door", "main", "--badge", "zz"),
    ("explain", "--door", "main", "--badge", "04000001", "--alone", "80"),
    ("door", "--check", "--make-safe"),
    ("member", "suspend", "nora", "--lift", "--end"),
    ("member", "erase", "nora"),
    ("init",),
    ("--log-level", "loud", "doctor"),
]


@pytest.mark.parametrize("args", WRONG_CALLS, ids=" ".join)
def test_a_wrong_call_is_told_in_one_line_and_ends_with_2(
    house: CommandLine, args: tuple[str, ...]
) -> None:
    if args == ("init",):
        house.data = house.data.parent / "new"
    done = house(*args)
    assert done.status == 2
    assert done.err.startswith("gardien")
    assert done.err.count("\n") == 1
    assert "--help" in done.err


FAILURES = [
    ("member", "add", "Nora Blanc", "--id", "nora"),
    ("member", "add", "Nora", "--email", "nora@example.org"),
    ("member", "add", "Nora", "--since", "someday"),
    ("member", "suspend", "nobody"),
    ("member", "export", "nobody"),
    ("member", "password", "rene"),
    ("badge", "assign", "nobody", "--uid", "04a1b2c3"),
    ("badge", "assign", "nora", "--uid", "04000002"),
    ("badge", "assign", "nora", "--uid", "-"),
    ("badge", "lost", "00"),
    ("badge", "lost", "00000000"),
    ("guardian", "authorize", "nora", "--from", "19:30", "--to", "22:00"),
    ("guardian", "authorize", "gaelle", "--from", "22:00", "--to", "19:30"),
    ("guardian", "authorize", "gaelle", "--weekly", "someday"),
    ("guardian", "revoke", "nothing"),
    ("guardian", "list", "--site", "elsewhere"),
    ("event", "import", "nothing.ics"),
    ("event", "import", "http://127.0.0.1:1/x.ics"),
    ("event", "forget", "nothing.ics"),
    ("watch", "close"),
    ("explain", "--door", "back", "--badge", "04000001"),
    ("explain", "--door", "main", "--badge", "04000001", "--at", "someday"),
    ("explain", "--door", "main", "--badge", "04000001", "--at", "9999-12-31T23:59-12:00"),
    ("tap", "--door", "main", "--badge", "04000001"),
    ("tap", "--door", "../../etc", "--badge", "04000001"),
    ("door",),
    ("door", "--config", "nothing.toml"),
]


@pytest.mark.parametrize("args", FAILURES, ids=" ".join)
def test_a_failure_is_told_in_one_line_and_ends_with_1(
    house: CommandLine, args: tuple[str, ...]
) -> None:
    done = house(*args)
    assert done.status == 1, done
    assert done.err.startswith("gardien: ")
    assert done.err.count("\n") == 1
    assert done.out == ""


NEEDS_AN_INSTALLATION = [
    ("server",),
    ("dashboard",),
    ("broker",),
    ("member", "list"),
    ("verify",),
    ("history", "rebuild"),
    ("watch", "list"),
    ("backup", "x.backup"),
]


@pytest.mark.parametrize("args", NEEDS_AN_INSTALLATION, ids=" ".join)
def test_a_folder_without_an_installation_is_said_to_be_one(
    tmp_path: Path, args: tuple[str, ...]
) -> None:
    done = CommandLine(tmp_path / "nowhere")(*args)
    assert done.status == 1
    assert done.err.count("\n") == 1
    assert "gardien init" in done.err


def test_broken_settings_are_told_in_one_line(house: CommandLine) -> None:
    house.settings(lambda text: text.replace("capacity = 60", "capacity = none"))
    done = house("member", "list")
    assert done.status == 1
    assert done.err.count("\n") == 1
    assert "gardien.toml" in done.err


def test_a_fault_of_ours_is_not_hidden(house: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("gardien.commands.verify._print", fail)
    with pytest.raises(ZeroDivisionError):
        house("verify")


def test_an_interrupt_ends_quietly(house: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gardien.commands.verify._print", interrupt)
    done = house("verify")
    assert (done.status, done.err) == (130, "")


def test_an_error_is_one_line_whatever_stands_in_it() -> None:
    assert one_line(ValueError("a\nb\x1b[31m\tc")) == "a b [31m c"
    assert one_line(ValueError()) == "ValueError"
    assert one_line(FileNotFoundError(2, "No such file or directory", "x")) == (
        "x: No such file or directory; check the path"
    )

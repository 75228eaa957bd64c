"""Erasure, beside a server that runs: no file of the installation says who an id was."""

import json

from server.installation import open_installation
from tests.gardien.conftest import CommandLine

NAME, EMAIL = "Gaëlle Morel", "gaelle@example.org"


def holding(house: CommandLine, text: str) -> list[str]:
    files = [file for file in house.data.rglob("*") if file.is_file()]
    return [file.name for file in files if text.encode() in file.read_bytes()]


def test_no_file_names_somebody_who_was_erased_while_the_server_runs(house: CommandLine) -> None:
    house.done("guardian", "authorize", "gaelle", "--weekly", "wed 18:30-22:00")
    digest = json.loads(house.done("member", "export", "gaelle"))["badges"][0]["digest"]
    with open_installation(house.data):
        house.done("member", "change", "gaelle", "--plan", "resident")
        assert holding(house, NAME)
        assert holding(house, digest)
        house.done("member", "erase", "gaelle", "--yes")
        assert holding(house, NAME) == []
        assert holding(house, EMAIL) == []
        assert holding(house, digest) == []

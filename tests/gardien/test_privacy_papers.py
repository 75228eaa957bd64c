"""`gardien privacy`: the notice, the sign and the register as files, as the pages say them."""

import html
import re
from pathlib import Path

import pytest

from tests.gardien.conftest import CommandLine

PRIVACY = """
[privacy]
controller = "SCIC <L'Atelier>, 12 rue de l'Exemple"
contact = "donnees@example.org"
processors = ["Hébergeur Exemple"]
"""


def words_of(page: str) -> str:
    page = re.sub(r"<style>.*?</style>", " ", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page)))


def fill(house: CommandLine) -> None:
    house.settings(lambda text: re.sub(r"\n\[privacy\]\n[^\[]*", "\n", text) + PRIVACY)


@pytest.mark.parametrize("kind", ["notice", "sign", "register"])
@pytest.mark.parametrize(("language", "days"), [("fr", "90 jours"), ("en", "90 days")])
def test_each_is_filled_in_from_the_settings_in_the_language_asked_for(
    house: CommandLine, kind: str, language: str, days: str
) -> None:
    fill(house)
    page = house.done("privacy", kind, "--language", language)
    assert f'<html lang="{language}">' in page
    words = words_of(page)
    assert "SCIC <L'Atelier>, 12 rue de l'Exemple" in words
    assert "donnees@example.org" in words
    assert days in words
    assert "<L'Atelier>" not in page


@pytest.mark.parametrize("kind", ["notice", "sign", "register"])
def test_a_file_needs_nothing_else(house: CommandLine, tmp_path: Path, kind: str) -> None:
    fill(house)
    out = tmp_path / f"{kind}.html"
    assert str(out) in house.done("privacy", kind, "--out", str(out))
    page = out.read_text(encoding="utf-8")
    assert not re.search(r"<(link|script|img|iframe|form)|(src|href|action)=|url\(|@import", page)
    assert "Ce qui est enregistré" in page or kind != "notice"
    done = house("privacy", kind, "--out", str(out))
    assert done.status == 1
    assert "exists already" in done.err


def test_the_sign_says_where_the_notice_is_if_it_is_told(house: CommandLine) -> None:
    there = "https://gardien.example.org/privacy?site=malakoff"
    assert there in words_of(house.done("privacy", "sign", "--address", there))
    assert "En savoir plus" not in words_of(house.done("privacy", "sign"))


def test_what_is_missing_in_the_settings_is_said(house: CommandLine) -> None:
    done = house("privacy", "notice")
    assert done.status == 0
    assert "controller, contact" in done.err
    fill(house)
    assert house("privacy", "notice").err == ""


def test_a_site_that_there_is_not_is_refused(house: CommandLine) -> None:
    done = house("privacy", "sign", "--site", "nowhere")
    assert done.status == 1
    assert "malakoff" in done.err

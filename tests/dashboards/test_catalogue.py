"""The texts: each has its French, and what runs is made of what people read."""

from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo

from dashboards import catalogue

HOW = "run `python -m dashboards.catalogue` and fill in what it names"


def texts_of(read: Catalog) -> dict[str, list[str]]:
    """Give each text's translations, one for each of its plural forms."""
    return {
        str(list(_forms(message.id))): list(_forms(message.string))
        for message in read
        if message.id
    }


def _forms(text: Any) -> list[str]:
    return [text] if isinstance(text, str) else list(text)


@pytest.mark.parametrize("language", catalogue.LANGUAGES)
def test_every_text_is_translated(language: str) -> None:
    assert catalogue.missing(language) == [], HOW


@pytest.mark.parametrize("language", catalogue.LANGUAGES)
def test_no_translation_is_left_of_a_text_that_is_gone(language: str) -> None:
    wanted = catalogue.extract()
    left = [message.id for message in catalogue.read(language) if message.id not in wanted]
    assert left in ([], [""]), HOW


@pytest.mark.parametrize("language", catalogue.LANGUAGES)
def test_what_runs_is_made_of_what_people_read(language: str) -> None:
    with catalogue.mo_file(language).open("rb") as file:
        runs = texts_of(read_mo(file))
    assert runs == texts_of(catalogue.read(language)), HOW


@pytest.mark.parametrize("language", catalogue.LANGUAGES)
def test_a_translation_puts_in_the_same_values(language: str) -> None:
    for message in catalogue.read(language):
        assert list(message.check()) == [], message.id

"""The texts: each has its French, and what runs is made of what people read."""

import pytest
from babel.messages.mofile import read_mo

from dashboards import catalogue

HOW = "run `python -m dashboards.catalogue` and fill in what it names"


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
        runs = read_mo(file)
    read = catalogue.read(language)
    assert {m.id: m.string for m in runs if m.id} == {m.id: m.string for m in read if m.id}, HOW


@pytest.mark.parametrize("language", catalogue.LANGUAGES)
def test_a_translation_puts_in_the_same_values(language: str) -> None:
    for message in catalogue.read(language):
        assert list(message.check()) == [], message.id

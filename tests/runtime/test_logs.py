"""What a log says can't be forged by what is in it."""

import json
import logging

import pytest

from runtime.logs import JsonLines, PlainLines

FORGED = "badge \x1b[31mred\nERROR gardien: the door is open"


def record(says: str, /, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("server.service", logging.WARNING, "", 0, says, (), None)
    made.__dict__.update(extra)
    return made


@pytest.mark.parametrize("formatter", [PlainLines("%(levelname)s %(message)s"), JsonLines()])
def test_a_record_is_one_line_without_control_characters(formatter: logging.Formatter) -> None:
    line = formatter.format(record(FORGED))
    assert line.isprintable()
    assert "the door is open" in line


def test_people_read_their_own_letters() -> None:
    assert PlainLines("%(message)s").format(record("Élodie sort à 19 h")) == "Élodie sort à 19 h"


def test_an_error_keeps_its_lines() -> None:
    try:
        int("no")
    except ValueError as error:
        made = record("a fault")
        made.exc_info = (type(error), error, error.__traceback__)
    assert PlainLines("%(message)s").format(made).count("\n") >= 2


def test_what_is_added_to_a_record_is_told_and_never_covers_what_it_is() -> None:
    line = json.loads(JsonLines().format(record("hello", level="forged", text="forged", door="d")))
    assert (line["level"], line["text"], line["door"]) == ("warning", "hello", "d")

"""What the desk refuses is said in the language of the page, whoever it names."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

import access.watch
import server.desk
import server.ordering
from dashboards.words import refusal
from server.desk import DeskError

_ERRORS = {"DeskError", "NotAllowedError", "OrderError", "WatchError"}
_NEVER_ASKED_FOR = ("is still open, so it has nothing to credit",)
NAME = "Zoé"


def _text(said: ast.expr, constants: dict[str, str]) -> str:
    """Give what an error says, with somebody's name where it puts one in."""
    if isinstance(said, ast.Name):
        return constants[said.id]
    if isinstance(said, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else NAME for part in said.values
        )
    assert isinstance(said, ast.Constant)
    return str(said.value)


def _raised() -> Iterator[str]:
    for module in (server.desk, server.ordering, access.watch):
        constants = {name: one for name, one in vars(module).items() if isinstance(one, str)}
        for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)):
                continue
            call = node.exc
            if isinstance(call.func, ast.Name) and call.func.id in _ERRORS:
                if isinstance(call.args[0], ast.Call):
                    continue  # another error's words
                text = _text(call.args[0], constants)
                if not text.endswith(_NEVER_ASKED_FOR):
                    yield text


RAISED = sorted(set(_raised()))


def test_refusals_are_found() -> None:
    assert len(RAISED) > 12
    assert any(NAME in text for text in RAISED)


@pytest.mark.parametrize("text", RAISED)
def test_each_refusal_of_the_desk_has_its_french(app: Flask, text: str) -> None:
    with app.test_request_context(headers={"Accept-Language": "fr"}):
        said = refusal(DeskError(text))
    assert said != text
    assert (NAME in said) is (NAME in text)


def test_what_nobody_has_translated_is_said_as_it_is(app: Flask) -> None:
    with app.test_request_context(headers={"Accept-Language": "fr"}):
        assert refusal(DeskError("the moon is full")) == "the moon is full"
        assert refusal(DeskError(" is not a guardian")) == " is not a guardian"

"""What a look at an installation finds."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Grade(Enum):
    """How a finding is."""

    GOOD = "good"
    MIND = "mind"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at, and what to do if it is not well."""

    grade: Grade
    text: str


Findings = Iterator[Finding]


def good(text: str) -> Finding:
    """Make a finding of that grade."""
    return Finding(grade=Grade.GOOD, text=text)


def mind(text: str) -> Finding:
    """Make a finding of that grade."""
    return Finding(grade=Grade.MIND, text=text)


def bad(text: str) -> Finding:
    """Make a finding of that grade."""
    return Finding(grade=Grade.BAD, text=text)

"""What a look at an installation finds, in French and in English."""

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
    """One thing that was looked at, and what to do if it is not well.

    Attributes:
        grade: how it is.
        en: what is said of it, in English.
        fr: the same in French.
    """

    grade: Grade
    en: str
    fr: str

    def told(self, language: str) -> str:
        """Tell it in `fr` or `en`."""
        return self.fr if language == "fr" else self.en


Findings = Iterator[Finding]


def good(*, en: str, fr: str) -> Finding:
    """Make a finding of that grade."""
    return Finding(grade=Grade.GOOD, en=en, fr=fr)


def mind(*, en: str, fr: str) -> Finding:
    """Make a finding of that grade."""
    return Finding(grade=Grade.MIND, en=en, fr=fr)


def bad(*, en: str, fr: str) -> Finding:
    """Make a finding of that grade."""
    return Finding(grade=Grade.BAD, en=en, fr=fr)

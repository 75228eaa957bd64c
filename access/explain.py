"""Why a request is granted or not: each row that was looked at, and what it saw.

The rows are those of `access.policy.ROWS`, run as they are: an explanation can't say anything else
than the decision.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import Enum
from typing import Any

from access import explain_wording
from access.explain_facts import Facts, Value, facts_of
from access.ids import DoorId
from access.instants import to_rfc3339
from access.model import Policy, Reader
from access.policy import ROWS, Case, Decision, Request, Row, State, Verdict, case_of, decide


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSeen:
    """One row that was looked at.

    Attributes:
        number: its number in the table, such as "8b".
        facts: what it saw, in the order in which it is told.
        verdict: what it said; None where it did not match.
    """

    number: str
    facts: Facts
    verdict: Verdict | None = None

    @property
    def matched(self) -> bool:
        """Whether it decided."""
        return self.verdict is not None

    def question(self, language: str) -> str:
        """What the row asks, in `fr` or `en`; French for any other."""
        return explain_wording.question(self.number, language)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A decision with all rows up to the one that decided."""

    at: datetime
    door: DoorId
    reader: Reader
    decision: Decision
    rows: tuple[RowSeen, ...]


def explain(policy: Policy, state: State, request: Request) -> Explanation:
    """Say what is decided and why, row by row. Pure, like `decide`.

    Args:
        policy: the snapshot of the rules.
        state: what is so at that time.
        request: the badge, where and when.

    Raises:
        UnknownDoorError: the site has no such door.
    """
    decision = decide(policy, state, request)
    case = case_of(policy, state, request)
    numbers = [row.number for row in ROWS]
    looked_at = ROWS[: numbers.index(decision.row) + 1]
    return Explanation(
        at=request.at,
        door=request.door,
        reader=request.reader,
        decision=decision,
        rows=tuple(_seen(row, case) for row in looked_at),
    )


def to_text(explanation: Explanation, language: str, zone: tzinfo = UTC) -> list[str]:
    """Tell an explanation to a person: a line for each row, and the answer last.

    Args:
        explanation: what to tell.
        language: `fr` or `en`; French for any other.
        zone: in which times are told; the site's.
    """
    lines = [_line(row, language, zone) for row in explanation.rows]
    return [*lines, explain_wording.answer(explanation.decision, language)]


def to_builtins(explanation: Explanation, language: str = "en") -> dict[str, Any]:
    """Give an explanation as JSON values, for machines.

    Names, reasons and values are the same in every language; only `asks` is told in `language`.
    """
    decision = explanation.decision
    return {
        "at": to_rfc3339(explanation.at),
        "door": explanation.door,
        "reader": explanation.reader.value,
        "member": decision.member,
        "granted": decision.granted,
        "reason": decision.reason.value,
        "row": decision.row,
        "passback": decision.is_passback,
        "rows": [_row_to_builtins(row, language) for row in explanation.rows],
    }


def _seen(row: Row, case: Case) -> RowSeen:
    return RowSeen(number=row.number, facts=facts_of(row.number, case), verdict=row.test(case))


def _line(row: RowSeen, language: str, zone: tzinfo) -> str:
    facts = "; ".join(
        explain_wording.fact(fact.name, fact.value, language, zone) for fact in row.facts
    )
    matched = explain_wording.told(row.matched, language, zone)
    line = f"{row.number:>3}  {row.question(language)} {matched}"
    return f"{line} ({facts})" if facts else line


def _row_to_builtins(row: RowSeen, language: str) -> dict[str, Any]:
    return {
        "row": row.number,
        "asks": row.question(language),
        "facts": {fact.name.value: _value_to_builtins(fact.value) for fact in row.facts},
        "matched": row.matched,
        "granted": row.verdict.granted if row.verdict is not None else None,
        "reason": row.verdict.reason.value if row.verdict is not None else None,
    }


def _value_to_builtins(value: Value) -> bool | int | str | list[Any] | None:
    if isinstance(value, datetime):
        return to_rfc3339(value)
    if isinstance(value, tuple):
        return [_value_to_builtins(part) for part in value]
    return str(value.value) if isinstance(value, Enum) else value

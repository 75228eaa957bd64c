"""What a torment is, and what is told of it: in text for people, in JSON for machines."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tests.machine import machine

Fact = int | float | str
_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run of a torment is given.

    Attributes:
        count: how many rounds.
        seed: chooses what happens in each; the same seed makes the same choices.
        folder: for its files; new, and deleted afterwards.
        done: is told how many rounds more are done; may be called from any thread.
    """

    count: int
    seed: int
    folder: Path
    done: Callable[[int], None] = lambda _: None

    def dice(self, *where: object) -> random.Random:
        """Give the choices of one place: the same for the same seed and place."""
        return random.Random(f"{self.seed}/{'/'.join(map(str, where))}")  # noqa: S311 (no secrets)


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of a run.

    Attributes:
        rounds: how many were done.
        facts: what was counted and measured, by name.
        failures: what must not be, each with the round in which it was.
        is_interrupted: whether somebody ended it before its last round.
    """

    rounds: int = 0
    facts: dict[str, Fact] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    is_interrupted: bool = False

    def count(self, name: str, more: int = 1) -> None:
        """Count something that happened."""
        self.facts[name] = int(self.facts.get(name, 0)) + more

    def check(self, where: str, what: str, *, is_so: bool) -> None:
        """Note a failure unless it is so."""
        if not is_so:
            self.failures.append(f"{where}: {what}")

    def join(self, other: "Outcome") -> None:
        """Add what came of another part of the same run."""
        self.rounds += other.rounds
        self.failures += other.failures
        for name, fact in other.facts.items():
            before = self.facts.get(name, 0)
            is_sum = isinstance(fact, (int, float)) and isinstance(before, (int, float))
            self.facts[name] = before + fact if is_sum else fact  # type: ignore[operator]


@dataclass(frozen=True, slots=True, kw_only=True)
class Torment:
    """Something that is done to the programs again and again.

    Attributes:
        name: as it is asked for.
        faults: the numbers of `docs/faults.md` that it is about.
        says: what must hold, in a sentence.
        full: how many rounds `make torture` does.
        few: how many rounds the tests do.
        run: does it.
        missing: says why it can't be done here; an empty text if it can.
    """

    name: str
    faults: tuple[str, ...]
    says: str
    full: int
    few: int
    run: Callable[[Run], Outcome]
    missing: Callable[[], str] = lambda: ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One torment in the report; `skipped` says why it was not done."""

    name: str
    faults: tuple[str, ...]
    says: str
    seed: int
    asked: int
    rounds: int
    seconds: float
    facts: dict[str, Fact]
    failures: list[str]
    is_interrupted: bool
    skipped: str = ""

    @property
    def is_well(self) -> bool:
        """Whether it was done, as often as was asked, and nothing failed."""
        return not self.failures and (bool(self.skipped) or self.rounds >= self.asked)


def carry_out(torment: Torment, run: Run) -> Told:
    """Do a torment and tell of it; blocks for as long as it takes."""
    skipped, begun = torment.missing(), time.monotonic()
    outcome = Outcome() if skipped else torment.run(run)
    return Told(
        name=torment.name,
        faults=torment.faults,
        says=torment.says,
        seed=run.seed,
        asked=run.count,
        rounds=outcome.rounds,
        seconds=round(time.monotonic() - begun, 1),
        facts=outcome.facts,
        failures=outcome.failures,
        is_interrupted=outcome.is_interrupted,
        skipped=skipped,
    )


def as_json(told: Sequence[Told]) -> bytes:
    """Write the report for machines."""
    report = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "is_well": all(one.is_well for one in told),
        "torments": told,
    }
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def heading() -> str:
    """Say what the report was made on."""
    about = machine()
    return (
        f"{about['cores']} cores ({about['model']}), {about['memory']}, {about['kernel']}\n"
        f"Python {about['python']}, SQLite {about['sqlite']}"
    )


def as_text(one: Told) -> str:
    """Tell people of one torment."""
    return "\n".join(_lines(one))


def _lines(one: Told) -> list[str]:
    faults = f" ({', '.join(one.faults)})" if one.faults else ""
    lines = [f"{one.name}{faults}: {one.says}"]
    if one.skipped:
        return [*lines, f"  not done: {one.skipped}"]
    lines.append(f"  {one.rounds} of {one.asked} rounds in {one.seconds} s, seed {one.seed}")
    lines += [f"  {name}: {fact}" for name, fact in one.facts.items()]
    lines += [f"  FAILED {failure}" for failure in one.failures[:_SHOWN]]
    if len(one.failures) > _SHOWN:
        lines.append(f"  and {len(one.failures) - _SHOWN} failures more")
    if one.is_interrupted and not one.failures:
        return [*lines, "  interrupted; all held until then"]
    return [*lines, "  all held" if one.is_well else "  NOT WELL"]

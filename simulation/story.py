"""Tells a simulation to people: a failure in a test, or one seed as a story."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final, Literal

from access.instants import to_rfc3339
from simulation.evening import Plan, Result
from simulation.rulebook import ZONE
from simulation.shrinking import PATIENCE_S, shrunk
from simulation.world import Happened

Language = Literal["fr", "en"]

_TAIL: Final = 40

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "starts": ("démarre", "starts"),
    "stops": ("s'arrête", "stops"),
    "restarts": ("redémarre", "restarts"),
    "is killed": ("est tué", "is killed"),
    "hangs": ("se fige", "hangs"),
    "power is cut": ("perd le courant", "loses its power"),
    "badge at in": ("lit un badge à l'entrée :", "reads a badge at the way in:"),
    "badge at out": ("lit un badge à la sortie :", "reads a badge at the way out:"),
    "unlocks": ("se déverrouille", "unlocks"),
    "locks": ("se verrouille", "locks"),
    "opens": ("s'ouvre", "opens"),
    "closes": ("se ferme", "closes"),
    "exit button": ("bouton de sortie", "exit button pressed"),
    "tailgated": ("quelqu'un suit sans badge", "somebody follows without a badge"),
    "cut": ("est coupé du réseau", "is cut off"),
    "heals": ("est de retour", "is back"),
    "disk refuses": ("le disque refuse d'écrire", "the disk refuses to write"),
    "disk accepts": ("le disque écrit de nouveau", "the disk writes again"),
    "clock jumps": ("l'horloge saute de", "the clock jumps by"),
    "orders": ("ordonne", "orders"),
    "does": ("fait", "does"),
    "is refused": ("se voit refuser", "is refused"),
    "revoke": ("révoque le badge de", "revokes the badge of"),
    "suspend": ("suspend", "suspends"),
    "hours": ("change les horaires", "changes the hours"),
    "withdraw": ("retire les autorisations de", "withdraws the authorizations of"),
}

_CALM: Final = frozenset(
    {"badge at in", "badge at out", "unlocks", "locks", "opens", "closes", "exit button", "does"}
)


def failure(
    result: Result,
    *,
    patience_s: float = PATIENCE_S,
    on_time: Callable[[int], object] = lambda _: None,
) -> str:
    """Tell a broken invariant: the seed, the least that still breaks it, the last events.

    Args:
        result: in which it is broken.
        patience_s: for how long the least is looked for, in seconds.
        on_time: told how many whole seconds more have gone by.
    """
    least = shrunk(result, patience_s=patience_s, on_time=on_time)
    violation = least.violation
    if violation is None:
        return f"seed {result.plan.seed}: every invariant held"
    return (
        f"seed {least.plan.seed}, after {timedelta(seconds=round(violation.at_s))}: "
        f"invariant {violation.number} does not hold: {violation.text}\n"
        f"it takes no more than: {', '.join(least.has) or 'no fault at all'}\n"
        f"and of the people: {', '.join(least.people) or 'nobody'}\n"
        f"{least.tail(_TAIL)}\n"
        f"again: {command_of(least.plan)}"
    )


def command_of(plan: Plan) -> str:
    """Give the command that simulates a plan."""
    words = [f"gardien simulate --seed {plan.seed} --hours {plan.hours:g}"]
    words += [f"--from {plan.from_h:g}"] if plan.from_h else []
    words += [f"--until {plan.until_h:g}"] if plan.until_h is not None else []
    words += [f"--without {name}" for name in sorted(plan.without)]
    return " ".join(words)


def is_calm(happened: Happened) -> bool:
    """Whether this is an ordinary event of an evening, rather than a fault or somebody's act."""
    return happened.what in _CALM


def told(result: Result, language: Language) -> Iterator[tuple[str, str, str]]:
    """Tell a simulation line by line: the local time, who, and what."""
    for one in result.trace:
        moment = (result.start + timedelta(seconds=one.at_s)).astimezone(ZONE)
        french, english = _WORDS.get(one.what, (one.what, one.what))
        what = french if language == "fr" else english
        detail = "" if one.what in {"starts", "hours"} else one.detail
        yield f"{moment:%a %H:%M:%S}", one.who, f"{what} {detail}".strip()


def title(plan: Plan, result: Result, language: Language) -> str:
    """Give the story its title."""
    start = to_rfc3339(result.start)
    if language == "fr":
        return f"Soirée simulée {plan.seed} : {plan.hours:g} h à partir de {start}"
    return f"Simulated evening {plan.seed}: {plan.hours:g} h from {start}"


def ending(result: Result, language: Language) -> str:
    """Tell how it ended."""
    violation = result.violation
    if violation is not None:
        word = "L'invariant {} est rompu : {}" if language == "fr" else "Invariant {} is broken: {}"
        return word.format(violation.number, violation.text)
    if language == "fr":
        return f"Tous les invariants ont tenu, à chacun des {result.steps} pas."
    return f"Every invariant held, at each of {result.steps} steps."

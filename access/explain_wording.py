"""The words of an explanation, in French and in English: what each row asks, and what it saw."""

from datetime import datetime, tzinfo
from enum import Enum
from typing import Final

from access.explain_facts import FactName, Value
from access.model import AntiPassback, Audience, BadgeStatus, Plan, Reader, Status
from access.policy import Decision, Reliance, Token
from access.watch import Phase
from access.wording import message

Words = tuple[str, str]
"""French, then English."""

QUESTIONS: Final[dict[str, Words]] = {
    "1": ("Est-ce une sortie ?", "Is it the way out?"),
    "2": ("Le badge est-il inconnu ?", "Is the badge unknown?"),
    "3": (
        "Le badge est-il perdu, désactivé ou hors de ses dates ?",
        "Is the badge lost, revoked or outside its dates?",
    ),
    "4": ("Existe-t-il une copie du badge ?", "Does a copy of the badge exist?"),
    "5": (
        "L'adhésion est-elle suspendue, terminée ou hors de ses dates ?",
        "Is the membership suspended, ended or outside its dates?",
    ),
    "6": (
        "L'accès est-il bloqué, pour qui n'est pas de l'équipe ?",
        "Is it locked down, for somebody who is not staff?",
    ),
    "7": (
        "La porte est-elle hors de la formule du membre ?",
        "Is the door outside the member's plan?",
    ),
    "8": (
        "Compte-t-on strictement, et le membre est-il déjà à l'intérieur ?",
        "Is passage counted strictly, and the member inside already?",
    ),
    "8b": (
        "Hors des heures d'ouverture, le niveau prouvé par le badge est-il trop bas ?",
        "Outside opening hours, is the level that the badge has proved too low?",
    ),
    "8c": (
        "La porte est-elle seule depuis trop longtemps pour ce membre ?",
        "Has the door been on its own for too long for this member?",
    ),
    "9": ("Le membre est-il de l'équipe ?", "Is the member staff?"),
    "10": (
        "Le lieu est-il plein, pour qui n'est pas gardien ?",
        "Is the site full, for somebody who is not a guardian?",
    ),
    "11": (
        "Est-on dans les heures d'ouverture ou celles de la formule ?",
        "Is it within opening hours, or the hours of the plan?",
    ),
    "12": (
        "Une permanence est-elle ouverte, et le membre de son public ?",
        "Is a watch open, and the member of its audience?",
    ),
    "12b": (
        "Une permanence est-elle ouverte pour un autre public ?",
        "Is a watch open for another audience?",
    ),
    "12c": ("La permanence se termine-t-elle ?", "Is the watch closing?"),
    "13": (
        "Est-ce un gardien autorisé à ouvrir à cet instant ?",
        "Is it a guardian with an authorization for this instant?",
    ),
    "13b": ("Est-ce un gardien sans autorisation ?", "Is it a guardian without one?"),
    "14": ("Tous les autres cas.", "All other cases."),
}

FACTS: Final[dict[FactName, Words]] = {
    FactName.READER: ("lecteur", "reader"),
    FactName.BADGE_KNOWN: ("badge connu", "badge known"),
    FactName.BADGE_STATUS: ("état du badge", "badge"),
    FactName.VALID_SINCE: ("valable dès", "valid since"),
    FactName.VALID_UNTIL: ("valable jusqu'à", "valid until"),
    FactName.TOKEN: ("jeton tournant", "rolling token"),
    FactName.MEMBER: ("membre", "member"),
    FactName.MEMBER_STATUS: ("adhésion", "membership"),
    FactName.LOCKED_DOWN: ("accès bloqué", "locked down"),
    FactName.STAFF: ("de l'équipe", "staff"),
    FactName.PLAN: ("formule", "plan"),
    FactName.DOOR_PLANS: ("formules admises à cette porte", "plans that may use this door"),
    FactName.ANTI_PASSBACK: ("compte des passages", "passage is counted"),
    FactName.INSIDE: ("déjà à l'intérieur", "inside already"),
    FactName.BADGE_LEVEL: ("niveau du badge", "level of the badge"),
    FactName.LEVEL_PROVED: ("niveau prouvé", "level proved"),
    FactName.LEVEL_ASKED: ("niveau demandé hors ouverture", "level asked after hours"),
    FactName.RELIANCE: ("confiance dans les règles gardées", "reliance on the rules kept"),
    FactName.DOOR_ALONE: ("porte seule", "door on its own"),
    FactName.PRESENT: ("présents", "present"),
    FactName.CAPACITY: ("capacité", "capacity"),
    FactName.GUARDIAN: ("gardien", "guardian"),
    FactName.CLOCK_TRUSTED: ("horloge fiable", "clock trusted"),
    FactName.OPEN: ("heures d'ouverture", "opening hours"),
    FactName.OPEN_UNTIL: ("ouvert jusqu'à", "open until"),
    FactName.OPENS_NEXT: ("prochaine ouverture", "opens next"),
    FactName.PLAN_HOURS: ("heures de la formule", "hours of the plan"),
    FactName.WATCH: ("permanence", "watch"),
    FactName.WATCH_HELD_BY: ("tenue par", "held by"),
    FactName.WATCH_TITLE: ("pour", "for"),
    FactName.AUDIENCE: ("public", "audience"),
    FactName.IN_AUDIENCE: ("le membre en est", "the member belongs to it"),
    FactName.CLOSES_FROM: ("se termine dès", "closing from"),
    FactName.CLOSES_BY: ("fermée au plus tard", "closed by"),
    FactName.AUTHORIZATION: ("autorisation à cet instant", "authorization for this instant"),
    FactName.MAY_OPEN_FROM: ("peut ouvrir dès", "may open from"),
    FactName.MAY_OPEN_UNTIL: ("peut ouvrir jusqu'à", "may open until"),
}

VALUES: Final[dict[Enum, Words]] = {
    Reader.IN: ("entrée", "in"),
    Reader.OUT: ("sortie", "out"),
    BadgeStatus.ACTIVE: ("actif", "active"),
    BadgeStatus.LOST: ("perdu", "lost"),
    BadgeStatus.REVOKED: ("désactivé", "revoked"),
    BadgeStatus.SUSPENDED: ("suspendu, une copie existe", "suspended, a copy exists"),
    Token.NONE: ("aucun", "none"),
    Token.FITS: ("juste", "fits"),
    Token.COPIED: ("copié", "copied"),
    Status.ACTIVE: ("en cours", "active"),
    Status.SUSPENDED: ("suspendue", "suspended"),
    Status.ENDED: ("terminée", "ended"),
    Plan.NOMAD: ("nomade", "nomad"),
    Plan.RESIDENT: ("résident", "resident"),
    Plan.STAFF: ("équipe", "staff"),
    Plan.PARTNER: ("partenaire", "partner"),
    AntiPassback.SOFT: ("souplement", "softly"),
    AntiPassback.HARD: ("strictement", "strictly"),
    Reliance.FULL: ("entière", "full"),
    Reliance.LIMITED: ("limitée", "limited"),
    Reliance.NONE: ("aucune", "none"),
    Phase.OPEN: ("ouverte", "open"),
    Phase.CLOSING: ("se termine", "closing"),
    Phase.CLOSED: ("finie", "over"),
    Audience.MEMBERS: ("membres", "members"),
    Audience.REGISTERED: ("inscrits", "registered"),
    Audience.PUBLIC: ("tout le monde", "public"),
}

_YES_NO: Final[dict[bool, Words]] = {True: ("oui", "yes"), False: ("non", "no")}
_NOTHING: Final[Words] = ("—", "none")
_GRANTED: Final[dict[bool, Words]] = {True: ("Accordé", "Granted"), False: ("Refusé", "Refused")}
_BY_ROW: Final[Words] = ("ligne", "row")


def in_language(words: Words, language: str) -> str:
    """Choose the words of `fr` or `en`; French for any other."""
    french, english = words
    return english if language == "en" else french


def question(number: str, language: str) -> str:
    """Say what a row asks.

    Raises:
        KeyError: there is no such row.
    """
    return in_language(QUESTIONS[number], language)


def fact(name: FactName, value: Value, language: str, zone: tzinfo) -> str:
    """Tell one fact, such as `capacity: 60`; times are told in `zone`."""
    colon = ": " if language == "en" else " : "
    return f"{in_language(FACTS[name], language)}{colon}{told(value, language, zone)}"


def told(value: Value, language: str, zone: tzinfo) -> str:
    """Tell one value; a time in `zone`, with its offset, so that 02:30 is never in doubt."""
    if isinstance(value, bool):
        return in_language(_YES_NO[value], language)
    if isinstance(value, datetime):
        return value.astimezone(zone).isoformat(sep=" ", timespec="seconds")
    if isinstance(value, tuple):
        return ", ".join(told(part, language, zone) for part in value)
    if isinstance(value, Enum):
        return in_language(VALUES[value], language)
    return in_language(_NOTHING, language) if value is None else str(value)


def answer(decision: Decision, language: str) -> str:
    """Tell a decision: the answer, the row, what the door says, and the reason's name."""
    granted = in_language(_GRANTED[decision.granted], language)
    row = f"{in_language(_BY_ROW, language)} {decision.row}"
    colon = ": " if language == "en" else " : "
    return f"{granted}, {row}{colon}{message(decision.reason, language)} [{decision.reason.value}]"

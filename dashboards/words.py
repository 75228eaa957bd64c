"""What happened, and why, in plain words in the language of the page."""

from collections.abc import Callable, Mapping
from typing import Final

from access.policy import Reason
from access.wording import message
from dashboards.texts import Later, gettext, language, lazy_gettext, ngettext
from server.board import Contact, Happening, Leaf, Occupancy
from server.desk import DeskError
from server.state import OrderTrack

_Text = Mapping[str, Later]

OPEN: Final[_Text] = {
    "hours": lazy_gettext("Open: the desk is staffed"),
    "watch": lazy_gettext("Open: a guardian is on watch"),
    "closing": lazy_gettext("Closing: please leave"),
    "closed": lazy_gettext("Closed"),
}

LEAF: Final[Mapping[Leaf, Later]] = {
    Leaf.LOCKED: lazy_gettext("Locked"),
    Leaf.UNLOCKED: lazy_gettext("Unlocked"),
    Leaf.HELD: lazy_gettext("Held unlocked"),
    Leaf.OPEN: lazy_gettext("Open"),
    Leaf.UNKNOWN: lazy_gettext("Not known"),
}

CONTACT: Final[Mapping[Contact, Later]] = {
    Contact.ONLINE: lazy_gettext("Online"),
    Contact.SILENT: lazy_gettext("Silent"),
    Contact.OFFLINE: lazy_gettext("Offline: decides on its own"),
    Contact.NEVER: lazy_gettext("Never heard of"),
}

AUDIENCE: Final[_Text] = {
    "members": lazy_gettext("for members"),
    "registered": lazy_gettext("for those who registered"),
    "public": lazy_gettext("open to the public"),
}

PLAN: Final[_Text] = {
    "nomad": lazy_gettext("nomad"),
    "resident": lazy_gettext("resident"),
    "staff": lazy_gettext("staff"),
    "partner": lazy_gettext("partner"),
}

STATUS: Final[_Text] = {
    "active": lazy_gettext("active"),
    "suspended": lazy_gettext("suspended"),
    "ended": lazy_gettext("ended"),
    "lost": lazy_gettext("lost"),
    "revoked": lazy_gettext("revoked"),
}

LEVEL: Final[Mapping[int, Later]] = {
    0: lazy_gettext("can be copied in seconds"),
    1: lazy_gettext("a copy is found out"),
    3: lazy_gettext("can't be copied"),
}
"""How hard a badge is to copy, by its level."""

CAUSE: Final[_Text] = {
    "watch": lazy_gettext("Watch held"),
    "correction": lazy_gettext("Correction"),
    "spending": lazy_gettext("Hours spent"),
}

ROLE: Final[_Text] = {
    "staff": lazy_gettext("staff"),
    "guardian": lazy_gettext("guardian"),
    "operator": lazy_gettext("operator"),
}
"""With what right somebody looked at other people's records."""

_LOOK_REASON: Final[_Text] = {
    "duty": lazy_gettext("to know who is inside"),
    "refusal": lazy_gettext("to explain a refusal at the door"),
    "asked": lazy_gettext("at the member's request"),
    "board": lazy_gettext("to follow the day"),
}
_LOOK_AT: Final[_Text] = {
    "roll-call": lazy_gettext("the roll-call"),
    "board": lazy_gettext("the board of the day"),
    "events": lazy_gettext("the events of the day, by a program"),
    "export": lazy_gettext("all that is held on a member"),
    "looks": lazy_gettext("who looked"),
    "why": lazy_gettext("why somebody was refused"),
}

ORDER: Final[_Text] = {
    "unlock": lazy_gettext("unlock"),
    "hold": lazy_gettext("hold unlocked"),
    "release": lazy_gettext("hold no more"),
    "lockdown": lazy_gettext("lock down"),
    "lift": lazy_gettext("lift the lockdown"),
    "enrol": lazy_gettext("enrol a badge"),
    "restart": lazy_gettext("restart"),
}
"""What a door was told."""

_ORDERED: Final[_Text] = {
    "unlock": lazy_gettext("told the door to unlock"),
    "hold": lazy_gettext("told the door to stay unlocked"),
    "release": lazy_gettext("told the door to be held no more"),
    "lockdown": lazy_gettext("locked the door down"),
    "lift": lazy_gettext("lifted the lockdown of the door"),
    "enrol": lazy_gettext("told the door to enrol a badge"),
    "restart": lazy_gettext("told the door unit to restart"),
}
_ORDERED_BY_NOBODY: Final[_Text] = {
    "unlock": lazy_gettext("The door is told to unlock"),
    "hold": lazy_gettext("The door is told to stay unlocked"),
    "release": lazy_gettext("The door is told to be held no more"),
    "lockdown": lazy_gettext("The door is locked down"),
    "lift": lazy_gettext("The lockdown of the door is lifted"),
    "enrol": lazy_gettext("The door is told to enrol a badge"),
    "restart": lazy_gettext("The door unit is told to restart"),
    "passage_over": lazy_gettext("What the door was held for is over: it is told to lock"),
}

_HAPPENED: Final[_Text] = {
    "watch.opened": lazy_gettext("opened the watch"),
    "watch.lapsed": lazy_gettext("did not open the door: the watch lapsed"),
    "watch.renewed": lazy_gettext("goes on with the watch"),
    "watch.offered": lazy_gettext("was offered the watch"),
    "site.swept": lazy_gettext("The count starts again at zero"),
    "door.online": lazy_gettext("The door is back online"),
    "door.offline": lazy_gettext("The door is offline: it decides on its own"),
    "door.back": lazy_gettext("The door is heard of again"),
    "fire.ended": lazy_gettext("The fire alarm is over at the door"),
    "exit.requested": lazy_gettext("Exit button pressed"),
    "passage.started": lazy_gettext("The door is held unlocked"),
    "passage.ended": lazy_gettext("The door is no longer held unlocked"),
    "unit.started": lazy_gettext("The door unit has started"),
    "alert_acknowledged": lazy_gettext("took an alert in charge"),
    "alert.badge_revoked": lazy_gettext("A disabled badge was presented"),
    "alert.badge_expired": lazy_gettext("An expired badge was presented"),
    "alert.badge_cloned": lazy_gettext("A copy of the badge exists: the badge is suspended"),
    "alert.record_set_aside": lazy_gettext("A record of the door does not fit: kept aside"),
    "alert.records_missing": lazy_gettext("Records of the door are missing"),
    "alert.admitted_under_lapsed_watch": lazy_gettext("People came in under a watch that lapsed"),
    "alert.two_watches": lazy_gettext("A second watch was opened at a door on its own"),
    "alert.watch_without_authorization": lazy_gettext("A watch was opened without authorization"),
    "alert.guardian_barred": lazy_gettext("The guardian on watch may not hold it any more"),
    "alert.calendar_failed": lazy_gettext("A calendar has not been readable for an hour"),
    "alert.fire_alarm": lazy_gettext("Fire alarm: the door is free"),
    "alert.door_forced": lazy_gettext("Door forced open"),
    "alert.door_held": lazy_gettext("Door open for too long"),
    "alert.door_silent": lazy_gettext("The door has not been heard of"),
    "alert.reader_failed": lazy_gettext("A badge reader of the door is out of order"),
    "alert.journal_failing": lazy_gettext("The door can't record anything: nobody is let in"),
    "alert.journal_full": lazy_gettext(
        "The door's journal is nearly full: only staff and guardians come in"
    ),
    "alert.ledger_failed": lazy_gettext(
        "The server could not record anything for a while: doors decided by themselves"
    ),
    "alert.unit_tampered": lazy_gettext("The door unit was tampered with"),
    "alert.clock_untrusted": lazy_gettext("The door's clock can't be trusted"),
}

_DESK: Final = (
    lazy_gettext("there is no watch now"),
    lazy_gettext("only staff and the guardian on watch may do that"),
    lazy_gettext("only the guardian on watch may pass it on"),
    lazy_gettext("the watch has not been offered to you"),
    lazy_gettext("only a guardian whose membership runs may take the watch"),
    lazy_gettext("you must be inside to take the watch; badge in first"),
    lazy_gettext("the watch is closing already"),
    lazy_gettext("close the watch first, then sign the roll-call"),
    lazy_gettext("the watch is closing or closed, so it can't be passed on"),
    lazy_gettext("they hold the watch already"),
    lazy_gettext("only staff may do that"),
    lazy_gettext("a door is held only while a watch that is open to the public runs"),
    lazy_gettext("the door is locked down; lift the lockdown first"),
)
"""What the desk may refuse, word for word as `server.desk`, `server.ordering` and
`access.watch` say it."""

_DESK_NAMING: Final = (
    lazy_gettext("%(name)s is not a guardian"),
    lazy_gettext("%(name)s is not inside; they must badge in first"),
    lazy_gettext("no such member: %(name)s"),
    lazy_gettext("no such door: %(name)s"),
    lazy_gettext("there is no alert %(name)s"),
)
"""The same, of refusals that name somebody or something."""


_CLOSING: Final[_Text] = {
    "asked": lazy_gettext("began to close the watch"),
    "guardian_left": lazy_gettext("The watch is closing: the guardian has left"),
    "authorization_over": lazy_gettext("The watch is closing: its time is over"),
    "authorization_revoked": lazy_gettext("The watch is closing: its authorization was revoked"),
    "guardian_barred": lazy_gettext("The watch is closing: its guardian may not hold it any more"),
    "not_renewed": lazy_gettext("The watch is closing: it has lasted as long as it may"),
}
_CLOSED: Final[_Text] = {
    "roll_call_signed": lazy_gettext("signed the roll-call: the watch is closed"),
    "everyone_out": lazy_gettext("The watch is closed: everyone is out"),
    "delay_over": lazy_gettext("The watch is closed: the time to leave is over"),
    "opening_hours": lazy_gettext("The watch is closed: opening hours have begun"),
}


def say(line: Happening) -> str:
    """Say what happened; the person and the door stand beside it."""
    if line.is_granted is not None:
        return _decision(line)
    make = _MADE.get(line.kind)
    if make is not None:
        return make(line)
    text = _HAPPENED.get(line.kind)
    return line.kind if text is None else str(text)


def look_reason(reason: str | None) -> str:
    """Say why somebody looked at other people's records; else it is said in words of their own."""
    return str(_LOOK_REASON.get(reason or "", reason or "—"))


def look_at(what: str) -> str:
    """Say at what somebody looked."""
    return str(_LOOK_AT.get(what.partition("/")[0], what))


def tone(line: Happening) -> str:
    """Say how a line is marked: `refused`, `alert`, `watch`, `in`, `out` or `plain`."""
    if line.is_alert:
        return "alert"
    if line.is_granted is False:
        return "refused"
    if line.is_granted:
        return "out" if line.is_out else "in"
    return "watch" if line.kind.startswith("watch.") else "plain"


def why(reason: str) -> str:
    """Say a decision's reason as the door does; one that is not known is given as it is."""
    try:
        return message(Reason(reason), "en" if language() == "en" else "fr")
    except ValueError:
        return reason


def count(seen: Occupancy) -> str:
    """Say the numbers in one line, for those who hear it."""
    if not seen.high:
        return gettext("Nobody is inside")
    people = ngettext("%(num)d person inside", "%(num)d people inside", seen.present)
    if seen.margin:
        people += " " + gettext("(up to %(high)d)", high=seen.high)
    return people


def order(told: OrderTrack) -> str:
    """Say what has become of an order to a door."""
    do = str(ORDER[told.do])
    if told.outcome is None:
        return gettext("“%(order)s”: sent, the door has not answered yet", order=do)
    if told.outcome == "done":
        return gettext("“%(order)s”: the door did it", order=do)
    if told.outcome == "refused":
        return gettext("“%(order)s”: the door refused, it is locked down", order=do)
    return gettext("“%(order)s”: the door did not answer in time", order=do)


def refusal(error: DeskError) -> str:
    """Say why the desk refused, in the language of the page where the words are known."""
    text = str(error)
    found = next((str(one) for one in _DESK if one.source == text), None)
    return _naming(text) if found is None else found


def _naming(text: str) -> str:
    for one in _DESK_NAMING:
        before, after = one.source.split("%(name)s")
        if text.startswith(before) and text.endswith(after) and text != before + after:
            return str(one) % {"name": text[len(before) : len(text) - len(after)]}
    return text


def _decision(line: Happening) -> str:
    if line.is_granted:
        said = gettext("left") if line.is_out else gettext("was let in")
    else:
        said = gettext("was refused: %(why)s", why=why(line.reason or ""))
    return gettext("%(said)s (the door decided alone)", said=said) if line.is_alone else said


def _closing(line: Happening) -> str:
    return str(_CLOSING.get(line.reason or "", lazy_gettext("The watch is closing")))


def _closed(line: Happening) -> str:
    return str(_CLOSED.get(line.reason or "", lazy_gettext("The watch is closed")))


def _ordered(line: Happening) -> str:
    has_name = line.person is not None and bool(line.person.name)
    texts = _ORDERED if has_name else _ORDERED_BY_NOBODY
    return str(texts.get(line.reason or "", line.reason))


def _not_in_time(line: Happening) -> str:
    do = str(ORDER.get(line.reason or "", line.reason))
    return gettext("The door did not answer in time: “%(order)s”", order=do)


def _guests(line: Happening) -> str:
    change = line.amount or 0
    if change < 0:
        return ngettext("counted %(num)d guest out", "counted %(num)d guests out", -change)
    return ngettext("counted %(num)d guest in", "counted %(num)d guests in", change)


def _recounted(line: Happening) -> str:
    return ngettext(
        "counted again: %(num)d person inside",
        "counted again: %(num)d people inside",
        line.amount or 0,
    )


def _still_inside(line: Happening) -> str:
    return ngettext(
        "%(num)d person still inside after closing",
        "%(num)d people still inside after closing",
        line.amount or 0,
    )


def _passed(line: Happening) -> str:
    if line.other is None or not line.other.name:
        return gettext("took over the watch")
    return gettext("took over the watch from %(name)s", name=line.other.name)


_MADE: Final[Mapping[str, Callable[[Happening], str]]] = {
    "command.issued": _ordered,
    "command.expired": _not_in_time,
    "alert.order_not_obeyed": _not_in_time,
    "guests.changed": _guests,
    "site.recounted": _recounted,
    "alert.still_inside": _still_inside,
    "watch.passed": _passed,
    "watch.closing": _closing,
    "watch.closed": _closed,
}

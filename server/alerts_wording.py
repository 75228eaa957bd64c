"""Alerts in words, in French and in English: what happened, and what to do about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from access.ids import MemberId
from server.alerts import Alert

_MOST_LISTED: Final = 20


class Words(NamedTuple):
    """What an alert is called, and what to do, in one language."""

    title: str
    todo: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where it happened, as people call it.

    Attributes:
        name: of the site.
        zone: in which times are told.
        doors: names of doors by their ids.
    """

    name: str
    zone: ZoneInfo
    doors: Mapping[str, str]


_FRENCH: Final = {
    "fire_alarm": Words(
        "Alarme incendie",
        "Sortez, appelez le 18 ou le 112, et faites l'appel dehors. La porte est libre tant que la "
        "centrale n'est pas réarmée. Fausse alerte : voyez qui est entré, et que tout se referme.",
    ),
    "door_forced": Words(
        "Porte forcée",
        "Allez voir si vous êtes sur place, sans prendre de risque ; sinon appelez quelqu'un qui "
        "l'est, ou la police. Vérifiez que la porte ferme.",
    ),
    "door_held": Words(
        "Porte ouverte trop longtemps",
        "Fermez-la, ou demandez à quelqu'un sur place. Si elle ne ferme plus, prévenez l'accueil.",
    ),
    "door_silent": Words(
        "Porte muette",
        "Elle décide seule en attendant. Vérifiez son courant et son réseau.",
    ),
    "reader_failed": Words(
        "Lecteur de badges en panne",
        "Il est relancé sans cesse. S'il ne revient pas, vérifiez son câble. La sortie est libre.",
    ),
    "journal_failing": Words(
        "Une porte ne peut plus rien enregistrer",
        "Elle ne laisse plus entrer personne ; la sortie est libre. Remplacez sa carte mémoire.",
    ),
    "journal_full": Words(
        "Le journal d'une porte est presque plein",
        "Seuls l'équipe et les gardiens entrent. Vérifiez son réseau, et la place sur sa carte.",
    ),
    "ledger_failed": Words(
        "Le serveur n'a rien pu enregistrer",
        "Les portes ont décidé seules. Vérifiez la place et l'état de son disque.",
    ),
    "unit_tampered": Words(
        "Le boîtier d'une porte a été ouvert",
        "Allez voir le boîtier. Si personne n'y travaille, remplacez les clés de cette porte.",
    ),
    "clock_untrusted": Words(
        "L'horloge d'une porte n'est plus sûre",
        "Vérifiez son réseau et sa pile : seule, elle traite toute heure comme fermée.",
    ),
    "order_not_obeyed": Words(
        "Une porte n'a pas suivi un ordre",
        "Vérifiez sur place qu'elle est comme vous la voulez, puis donnez l'ordre à nouveau.",
    ),
    "badge_revoked": Words(
        "Un badge désactivé a été présenté",
        "Il a été refusé. Si vous voyez la personne, reprenez le badge.",
    ),
    "badge_expired": Words(
        "Un badge expiré a été présenté",
        "Il a été refusé. Prolongez-le, ou reprenez-le.",
    ),
    "badge_cloned": Words(
        "Un badge copié a été présenté",
        "Il existe une copie : les deux sont suspendues. Demandez au membre, et donnez-lui un "
        "nouveau badge.",
    ),
    "record_set_aside": Words(
        "Un enregistrement d'une porte ne correspond pas",
        "Il est mis de côté. Lancez `gardien verify`, et regardez cette porte.",
    ),
    "records_missing": Words(
        "Des enregistrements d'une porte manquent",
        "La porte ne les a plus. Une sauvegarde a-t-elle été restaurée ? Faites l'appel et "
        "corrigez le compte.",
    ),
    "still_inside": Words(
        "Il reste du monde après la fermeture",
        "Faites le tour, puis l'appel, et corrigez le compte.",
    ),
    "admitted_under_lapsed_watch": Words(
        "Des gens sont entrés sous une permanence annulée",
        "Personne n'en répond : appelez-les, ou venez, ou demandez-leur de sortir.",
    ),
    "two_watches": Words(
        "Une deuxième permanence a été ouverte par une porte seule",
        "Mettez-vous d'accord : une seule compte, la première.",
    ),
    "watch_without_authorization": Words(
        "Une permanence a été ouverte sans autorisation",
        "Appelez la personne. Donnez l'autorisation, ou faites fermer.",
    ),
    "guardian_barred": Words(
        "Le gardien de permanence ne peut plus la tenir",
        "La permanence passe à un autre gardien présent, sinon elle ferme : allez voir.",
    ),
    "calendar_failed": Words(
        "Un agenda n'est plus lisible depuis une heure",
        "Sa dernière bonne copie compte toujours. Vérifiez son adresse.",
    ),
}

_ENGLISH: Final = {
    "fire_alarm": Words(
        "Fire alarm",
        "Get out, call 112, and call the roll outside. The door is free until the panel is reset. "
        "If it was a false alarm: see who came in, and that everything closes again.",
    ),
    "door_forced": Words(
        "Door forced open",
        "Look if you are there, without taking risks; else call somebody who is, or the police. "
        "See that the door closes.",
    ),
    "door_held": Words(
        "Door open for too long",
        "Close it, or ask somebody who is there. If it does not close any more, tell the desk.",
    ),
    "door_silent": Words(
        "A door is silent",
        "It decides on its own meanwhile. Check its power and its network.",
    ),
    "reader_failed": Words(
        "A badge reader is out of order",
        "It is tried again and again. If it does not come back, check its cable; the exit is free.",
    ),
    "journal_failing": Words(
        "A door can't record anything any more",
        "It lets nobody in; the exit is free. Replace its memory card.",
    ),
    "journal_full": Words(
        "The journal of a door is nearly full",
        "Only staff and guardians come in. Check its network, and the room on its card.",
    ),
    "ledger_failed": Words(
        "The server could not record anything",
        "Doors decided by themselves. Check the room and the health of its disk.",
    ),
    "unit_tampered": Words(
        "A door unit was tampered with",
        "Look at the unit. If nobody is working on it, replace the keys of this door.",
    ),
    "clock_untrusted": Words(
        "The clock of a door can't be trusted",
        "Check its network and its battery: on its own it takes any time as after hours.",
    ),
    "order_not_obeyed": Words(
        "A door did not do as it was told",
        "See on the spot that it is as you want it, then give the order again.",
    ),
    "badge_revoked": Words(
        "A disabled badge was presented",
        "It was refused. If you see the person, take the badge back.",
    ),
    "badge_expired": Words(
        "An expired badge was presented",
        "It was refused. Prolong it, or take it back.",
    ),
    "badge_cloned": Words(
        "A copied badge was presented",
        "A copy exists: both are suspended. Ask the member, and give them a new badge.",
    ),
    "record_set_aside": Words(
        "A record of a door does not fit",
        "It is kept aside. Run `gardien verify`, and look at that door.",
    ),
    "records_missing": Words(
        "Records of a door are missing",
        "The door has them no more. Was a backup restored? Call the roll and correct the count.",
    ),
    "still_inside": Words(
        "People are still inside after closing",
        "Go round, call the roll, and correct the count.",
    ),
    "admitted_under_lapsed_watch": Words(
        "People came in under a watch that lapsed",
        "Nobody answers for them: call them, or come, or ask them to leave.",
    ),
    "two_watches": Words(
        "A second watch was opened at a door on its own",
        "Settle it between you: one counts, the first.",
    ),
    "watch_without_authorization": Words(
        "A watch was opened without authorization",
        "Call the person. Give the authorization, or have the place closed.",
    ),
    "guardian_barred": Words(
        "The guardian on watch may not hold it any more",
        "The watch goes to another guardian inside, else it closes: go and see.",
    ),
    "calendar_failed": Words(
        "A calendar has not been readable for an hour",
        "Its last good copy still counts. Check its address.",
    ),
}
_WORDS: Final = {"fr": _FRENCH, "en": _ENGLISH}
_UNKNOWN: Final = {
    "fr": Words("Alerte : {kind}", "Regardez le tableau de bord."),
    "en": Words("Alert: {kind}", "Look at the board."),
}
_TIMES: Final = {"fr": "{number} fois", "en": "{number} times"}
_URGENT: Final = {"fr": "URGENT", "en": "URGENT"}
_COUNTED: Final = {"fr": "jusqu'à {amount} personnes", "en": "up to {amount} people"}
_MORE: Final = {"fr": "… et {number} autres", "en": "… and {number} more"}
_TODO: Final = {"fr": "Que faire : {todo}", "en": "What to do: {todo}"}
_ACK: Final = {
    "fr": "Prenez-la en charge sur le tableau de bord, ou avec `gardien alert ack {numbers}`.",
    "en": "Take it in charge on the board, or with `gardien alert ack {numbers}`.",
}
_LOCAL: Final = "%d/%m %H:%M"


def kinds() -> frozenset[str]:
    """Give the kinds of alert that there are words for."""
    return frozenset(_FRENCH) & frozenset(_ENGLISH)


def words(kind: str, language: str) -> Words:
    """Give the words for a kind of alert; French for any language but English."""
    spoken = "en" if language == "en" else "fr"
    found = _WORDS[spoken].get(kind)
    if found is not None:
        return found
    title, todo = _UNKNOWN[spoken]
    return Words(title.format(kind=kind.replace("_", " ")), todo)


def title(alerts: Sequence[Alert], place: Place, language: str) -> str:
    """Write the first line of a message about alerts of one kind at one site.

    Args:
        alerts: at least one, oldest first.
        place: where.
        language: `fr` or `en`.
    """
    spoken = "en" if language == "en" else "fr"
    parts = [words(alerts[0].kind, spoken).title]
    doors = list(dict.fromkeys(_door(one, place) for one in alerts if one.door))
    if len(doors) == 1:
        parts.append(doors[0])
    if len(alerts) > 1:
        parts.append(_TIMES[spoken].format(number=len(alerts)))
    said = f"[{place.name}] {', '.join(parts)}"
    return f"{_URGENT[spoken]} {said}" if alerts[0].is_urgent else said


def text(
    alerts: Sequence[Alert], place: Place, language: str, names: Mapping[MemberId, str]
) -> str:
    """Write a message about alerts of one kind at one site.

    Args:
        alerts: at least one, oldest first.
        place: where.
        language: `fr` or `en`.
        names: of those who may be named; nobody else is.
    """
    spoken = "en" if language == "en" else "fr"
    lines = [_line(one, place, spoken, names) for one in alerts[:_MOST_LISTED]]
    if len(alerts) > _MOST_LISTED:
        lines.append(_MORE[spoken].format(number=len(alerts) - _MOST_LISTED))
    numbers = " ".join(str(one.number) for one in alerts[:_MOST_LISTED])
    return "\n".join(
        [
            words(alerts[0].kind, spoken).title,
            "",
            *lines,
            "",
            _TODO[spoken].format(todo=words(alerts[0].kind, spoken).todo),
            "",
            _ACK[spoken].format(numbers=numbers),
            "",
        ]
    )


def _line(alert: Alert, place: Place, spoken: str, names: Mapping[MemberId, str]) -> str:
    people = dict.fromkeys(filter(None, (alert.person, *alert.people)))
    said = [
        _moment(alert.at, place.zone),
        _door(alert, place),
        _COUNTED[spoken].format(amount=alert.amount) if alert.amount is not None else "",
        ", ".join(names[one] for one in people if names.get(one)),
        alert.why or "",
    ]
    return f"#{alert.number}  " + " · ".join(part for part in said if part)


def _door(alert: Alert, place: Place) -> str:
    return place.doors.get(alert.door, alert.door) if alert.door else ""


def _moment(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):{_LOCAL}}"

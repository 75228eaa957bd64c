"""The few words that a door shows for each reason, in French and in English.

They say why, and what to do.
"""

from typing import Final

from access.policy import Reason

DEFAULT_LANGUAGE: Final = "fr"

_WORDS: Final[dict[Reason, tuple[str, str]]] = {
    Reason.EXIT: ("Au revoir !", "Goodbye!"),
    Reason.UNKNOWN_BADGE: (
        "Badge inconnu : passez à l'accueil",
        "Unknown badge: please see the desk",
    ),
    Reason.BADGE_REVOKED: (
        "Badge désactivé : passez à l'accueil",
        "Badge disabled: please see the desk",
    ),
    Reason.BADGE_EXPIRED: (
        "Badge expiré : passez à l'accueil",
        "Badge expired: please see the desk",
    ),
    Reason.BADGE_CLONED: (
        "Badge copié : passez à l'accueil",
        "Badge copied: please see the desk",
    ),
    Reason.MEMBER_SUSPENDED: (
        "Adhésion suspendue : contactez l'accueil",
        "Membership suspended: contact the desk",
    ),
    Reason.MEMBERSHIP_ENDED: (
        "Adhésion terminée : contactez l'accueil",
        "Membership ended: contact the desk",
    ),
    Reason.LOCKDOWN: ("Accès bloqué : restez dehors", "Locked down: stay outside"),
    Reason.DOOR_NOT_ALLOWED: (
        "Cette porte n'est pas dans votre formule",
        "This door is not part of your plan",
    ),
    Reason.PASSBACK: (
        "Vous êtes déjà à l'intérieur : badgez d'abord la sortie",
        "You are inside already: badge out first",
    ),
    Reason.BADGE_LEVEL: (
        "Ce badge ne sert qu'aux heures d'ouverture",
        "This badge only works in opening hours",
    ),
    Reason.POLICY_EXPIRED: (
        "Porte hors ligne depuis trop longtemps : appelez un gardien",
        "Door offline for too long: call a guardian",
    ),
    Reason.STAFF: ("Bonjour !", "Hello!"),
    Reason.SITE_FULL: (
        "Complet : attendez que quelqu'un sorte",
        "Full: wait until somebody leaves",
    ),
    Reason.OPENING_HOURS: ("Bonjour !", "Hello!"),
    Reason.PLAN_HOURS: ("Bonjour !", "Hello!"),
    Reason.WATCH: ("Bienvenue !", "Welcome!"),
    Reason.NOT_IN_AUDIENCE: (
        "Soirée sur inscription : voyez avec le gardien",
        "Registered guests only: ask the guardian",
    ),
    Reason.WATCH_CLOSING: (
        "Fermeture en cours : à la prochaine",
        "Closing now: see you next time",
    ),
    Reason.WATCH_OPENED: ("Permanence ouverte : merci !", "Watch opened: thank you!"),
    Reason.GUARDIAN_NOT_AUTHORIZED: (
        "Pas d'autorisation à cette heure : demandez à l'accueil",
        "No authorization for this time: ask the desk",
    ),
    Reason.NO_GUARDIAN: (
        "Fermé : aucun gardien n'est de permanence",
        "Closed: no guardian is on watch",
    ),
}


def message(reason: Reason, language: str) -> str:
    """Say a reason to the person at the door.

    Args:
        reason: why they were admitted or not.
        language: `fr` or `en`; French for any other.
    """
    french, english = _WORDS[reason]
    return english if language == "en" else french

"""The few words that a door shows where no reason of the rules fits, in French and in English."""

from typing import Final, Literal

from access.wording import DEFAULT_LANGUAGE
from edge.presentation import Trouble

Notice = Literal["fire", "enrol", "enrolled"] | Trouble
"""The fire panel has freed the door; a card is wanted to be enrolled; it is; what is wrong with a
card."""

_WORDS: Final[dict[Notice, tuple[str, str]]] = {
    "several": ("Une seule carte à la fois", "One card at a time"),
    "number": ("Badge illisible : réessayez", "Badge unreadable: try again"),
    "moved": ("Gardez la carte immobile", "Hold the card still"),
    "unsure": ("Gardez la carte immobile", "Hold the card still"),
    "foreign": ("Cette carte ne convient pas", "This card can't be used"),
    "enrol": ("Présentez la carte à enregistrer", "Present the card to enrol"),
    "enrolled": ("Carte enregistrée", "Card enrolled"),
    "fire": ("Alarme incendie : sortez", "Fire alarm: leave now"),
}


def notice(what: Notice, language: str = DEFAULT_LANGUAGE) -> str:
    """Give the words for `what`: `fr` or `en`; French for any other language."""
    french, english = _WORDS[what]
    return english if language == "en" else french

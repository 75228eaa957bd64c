"""Who is in the demonstration: 148 members with made-up names, and the badges in their pockets."""

import hashlib
import random
import unicodedata
from dataclasses import dataclass
from typing import Final

from access.ids import MemberId

_FIRST: Final = """
    Adèle Amina Anouk Antoine Aurore Baptiste Basile Bérénice Camille Chloé Clément Coralie Diane
    Dounia Élodie Émile Fanta Farid Félix Gaspard Hélène Hugo Inès Ismaël Jeanne Joris Karim Léa
    Léon Lina Louise Maïa Malo Margaux Moussa Nadia Nina Noé Octave Odile Paul Pénélope Rachid Rose
    Sacha Salomé Samir Solène Sonia Suzanne Théo Tiago Ulysse Victor Yann Yasmine Zacharie Zoé
""".split()  # noqa: SIM905 (names are read more easily like this)
_LAST: Final = """
    Abadie Barbier Belkacem Benoît Besson Blanchard Bonnet Boucher Brunet Carlier Chevalier Cissé
    Colin Cordier Da-Silva Delmas Diallo Dufour Dumas Dupuis Fabre Faure Ferrand Fontaine Gaillard
    Garnier Gautier Guérin Hamadi Hubert Jacquet Joly Keïta Lacroix Lambert Leblanc Leclerc Lefèvre
    Legrand Lemoine Maillard Marchand Mercier Meunier Monnier Morin Nguyen Noël Ouédraogo Pasquier
    Perrin Picard Poirier Renaud Rivière Roche Rousseau Sanchez Schmitt Tessier Traoré Vasseur
""".split()  # noqa: SIM905 (names are read more easily like this)

STAFF: Final = 4
GUARDIANS: Final = 8
RESIDENTS: Final = 48
PARTNERS: Final = 6
ALL: Final = 148
"""How many there are of each: the place of the field study (`mission.md`)."""

_ENGLISH_EACH: Final = 9
_SEVEN_BYTES_EACH: Final = 3
_CASCADE_TAG: Final = 0x88
_NXP: Final = 0x04


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """One member of the demonstration.

    Attributes:
        uid: of the badge in their pocket: 4 bytes, or 7 for each third of them.
    """

    id: MemberId
    name: str
    email: str
    plan: str
    language: str
    is_guardian: bool
    uid: bytes


def cast() -> tuple[Player, ...]:
    """Give all members, always the same: staff first, then guardians, then everybody else."""
    dice = random.Random(2018)  # noqa: S311 (a play, not a secret)
    names = [f"{first} {last}" for first in _FIRST for last in _LAST]
    chosen = dice.sample(names, ALL)
    return tuple(_player(number, name) for number, name in enumerate(chosen))


def uid_of(member: MemberId, *, is_long: bool) -> bytes:
    """Give the UID of a member's badge, as a card of NXP's would have it."""
    digest = hashlib.sha256(member.encode()).digest()
    if is_long:
        return bytes([_NXP]) + digest[:6]
    # The cascade tag can't begin a UID of 4 bytes (ISO/IEC 14443-3, 6.5.4), nor 08 a fixed one.
    first = digest[0] if digest[0] not in {_CASCADE_TAG, 0x08} else 0x10
    return bytes([first]) + digest[1:4]


def _player(number: int, name: str) -> Player:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    member = MemberId(plain.replace(" ", "-"))
    return Player(
        id=member,
        name=name.replace("-", " "),
        email=f"{plain.replace(' ', '.')}@example.org",
        plan=_plan(number),
        language="en" if number % _ENGLISH_EACH == _ENGLISH_EACH - 1 else "fr",
        is_guardian=STAFF <= number < STAFF + GUARDIANS,
        uid=uid_of(member, is_long=number % _SEVEN_BYTES_EACH == 0),
    )


def _plan(number: int) -> str:
    if number < STAFF:
        return "staff"
    if number < STAFF + RESIDENTS:
        return "resident"
    return "partner" if number >= ALL - PARTNERS else "nomad"

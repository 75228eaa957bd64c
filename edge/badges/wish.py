"""What a door wants of a card that is presented."""

from collections.abc import Callable
from enum import Enum

from edge.badges.enrolling import Enrolment


class Want(Enum):
    """What a door wants of a card that it does not enrol."""

    UID = "uid"
    """Nothing but its UID."""
    PROOF = "proof"
    """That it proves itself."""


Wish = Want | Enrolment

Ask = Callable[[str, bytes], Wish]
"""Gives what the door wants of a card, by the reader's name and the UID; from any thread."""

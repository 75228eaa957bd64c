"""What an event says of the people that it is for.

`X-GARDIEN-EXPECTED`, `X-GARDIEN-AUDIENCE` and `X-GARDIEN-GUARDIAN` say what iCalendar (RFC 5545)
has no words for.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from access.model import Audience
from server.calendar_checks import Component, EventError, all_of, named

AUDIENCE: Final = "X-GARDIEN-AUDIENCE"
EXPECTED: Final = "X-GARDIEN-EXPECTED"
GUARDIAN: Final = "X-GARDIEN-GUARDIAN"

MOST_EXPECTED: Final = 100_000
"""More people than this are a slip of the pen."""

_CATEGORIES: Final[Mapping[str, Audience]] = {
    "members": Audience.MEMBERS,
    "membres": Audience.MEMBERS,
    "registered": Audience.REGISTERED,
    "inscrits": Audience.REGISTERED,
    "public": Audience.PUBLIC,
}


def expected_of(event: Component) -> int | None:
    """Say how many people are expected, if the event says so.

    Raises:
        EventError: what it says is not a number that can be.
    """
    written = _texts(event, EXPECTED)
    if not written:
        return None
    if len(written) > 1 or not re.fullmatch(r"[0-9]{1,6}", written[0]):
        raise EventError(
            f"{named(event)}: {EXPECTED} must be one whole number up to {MOST_EXPECTED}"
        )
    if int(written[0]) > MOST_EXPECTED:
        raise EventError(f"{named(event)}: {EXPECTED} must be at most {MOST_EXPECTED}")
    return int(written[0])


def audience_of(event: Component) -> Audience:
    """Say whom the event is for: the property first, then the categories, then members.

    Raises:
        EventError: it names an audience that there is not, or more than one.
    """
    written = [text.lower() for text in _texts(event, AUDIENCE)]
    unknown = [text for text in written if text not in _CATEGORIES]
    if unknown:
        raise EventError(
            f"{named(event)}: {AUDIENCE} must be members, registered or public, not {unknown[0]!r}"
        )
    categories = [
        str(category).strip().lower()
        for one in all_of(event, "CATEGORIES")
        for category in one.cats
    ]
    audiences = {_CATEGORIES[text] for text in written or categories if text in _CATEGORIES}
    if len(audiences) > 1:
        both = ", ".join(sorted(audience.value for audience in audiences))
        raise EventError(f"{named(event)}: it names more than one audience: {both}")
    return audiences.pop() if audiences else Audience.MEMBERS


def guardians_of(event: Component) -> frozenset[str]:
    """Say who answers for the event, by member id or e-mail, in lower case."""
    written = [name.strip() for text in _texts(event, GUARDIAN) for name in text.split(",")]
    names = {_without_mailto(name).lower() for name in written if name}
    return frozenset(names) | frozenset(emails_of(event, role="CHAIR"))


def emails_of(event: Component, role: str | None = None) -> Iterator[str]:
    """Give the e-mails of who were invited, in that role if one is given, and have not declined."""
    for attendee in all_of(event, "ATTENDEE"):
        told = {name: str(value).upper() for name, value in attendee.params.items()}
        if told.get("PARTSTAT") == "DECLINED" or told.get("CUTYPE") in {"ROOM", "RESOURCE"}:
            continue
        if role is not None and told.get("ROLE") != role:
            continue
        address = _without_mailto(str(attendee.params.get("EMAIL", attendee)))
        if "@" in address:
            yield address.lower()


def people_of(event: Component) -> frozenset[str]:
    """Say whom an event names, by member id or e-mail: who declined and who organises it too."""
    every = [*all_of(event, "ATTENDEE"), *all_of(event, "ORGANIZER")]
    addresses = (_without_mailto(str(one.params.get("EMAIL", one))).lower() for one in every)
    return guardians_of(event) | frozenset(addresses)


def _without_mailto(address: str) -> str:
    address = address.strip()
    return address[len("mailto:") :].strip() if address[:7].lower() == "mailto:" else address


def _texts(event: Component, name: str) -> list[str]:
    return [text for value in all_of(event, name) if (text := str(value).strip())]

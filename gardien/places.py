"""Finding the site and the door that a command names."""

from gardien.errors import NoSuchThingError
from server.settings import DoorSettings, ServerSettings, SiteSettings


def find_door(
    settings: ServerSettings, site: str | None, door: str
) -> tuple[SiteSettings, DoorSettings]:
    """Find a door by its id, and by its site where that is named.

    Raises:
        NoSuchThingError: there is no such door, or there are several of that id.
    """
    every = [(place, one) for place in settings.sites for one in place.doors]
    found = [(p, d) for p, d in every if d.id == door and site in (None, p.id)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{p.id}/{d.id}" for p, d in every)
    if found:
        raise NoSuchThingError(f"several sites have a door {door!r}; name one with --site: {known}")
    raise NoSuchThingError(f"no door {door!r}" + (f" at {site}" if site else "") + f"; try {known}")

"""Reads what the keys of a site's cards come from."""

from edge.badges.keys import SiteKeys
from edge.settings import DoorUnitSettings
from runtime.keys import read_card_key


def site_keys(settings: DoorUnitSettings) -> SiteKeys | None:
    """Read what the keys of the cards come from; None for a door that reads UIDs only.

    Raises:
        KeyFileError: the card master key can't be read, or can't be one.
    """
    cards = settings.cards
    if cards is None:
        return None
    return SiteKeys(master=read_card_key(cards.master_key_file), sectors=cards.pair)

"""Which sectors of a card are ours."""

from typing import Final

DEFAULT_SECTORS: Final = (1, 2)
LAST_SECTOR: Final = 15
"""Of a card of 1K. Sector 0 holds the UID and the directory, and is never ours."""
